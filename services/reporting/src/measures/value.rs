//! Revenue: which transactions count, in the currency of the answer.

use std::collections::BTreeMap;

use jinke_types::Timestamp;

use crate::{
    facts::{Frame, Transaction, kind},
    number,
    parameters::Parameters,
};

/// What one unit of each currency of a frame is worth, in billionths; none without a rate.
#[derive(Clone, Debug)]
pub struct Rates(Vec<Option<i128>>);

impl Rates {
    /// For the currencies of `frame`.
    pub fn new(frame: &Frame, parameters: &Parameters) -> Self {
        Self(
            frame
                .currencies
                .iter()
                .map(|c| {
                    if *c == parameters.currency {
                        Some(number::ONE)
                    } else {
                        parameters.rates.get(c).copied()
                    }
                })
                .collect(),
        )
    }

    /// An amount in the currency of the answer, rounded to billionths; none without a rate.
    pub fn convert(&self, amount: i128, currency: u16) -> Option<i128> {
        match self.0.get(usize::from(currency)).copied().flatten()? {
            number::ONE => Some(amount),
            rate => number::product(amount, rate),
        }
    }
}

/// What a transaction is to revenue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A purchase: counts as an order, its amount adds to revenue.
    Purchase,
    /// Money given back: its amount is taken off.
    Refund,
    /// Neither.
    Other,
}

/// The role under this basis. What was cancelled has none; a negative amount is a refund.
pub fn role(t: &Transaction, basis: u8) -> Role {
    if t.cancelled {
        return Role::Other;
    }
    if t.kind == kind::REFUND {
        return Role::Refund;
    }
    if t.kind != basis {
        return Role::Other;
    }
    if t.has_amount && (t.units < 0 || t.nanos < 0) {
        Role::Refund
    } else {
        Role::Purchase
    }
}

/// What a transaction adds to net revenue: an amount, or what is taken off as a negative one. None
/// when it has no amount, no role, or a currency without a rate.
pub fn revenue(t: &Transaction, basis: u8, rates: &Rates) -> Option<i128> {
    let amount = t.amount()?;
    let signed = match role(t, basis) {
        Role::Purchase => amount,
        Role::Refund => -amount.abs(),
        Role::Other => return None,
    };
    rates.convert(signed, t.currency)
}

/// What net revenue leaves out: transactions without an amount, and by currency those without a rate.
pub fn excluded(
    frame: &Frame,
    parameters: &Parameters,
    from: Timestamp,
    to: Timestamp,
) -> (i64, BTreeMap<String, i64>) {
    let rates = Rates::new(frame, parameters);
    let (mut bare, mut by_currency) = (0, BTreeMap::new());
    for t in &frame.transactions {
        if t.time < from
            || t.time >= to
            || role(t, parameters.basis) == Role::Other
            || !parameters.counts(frame.customer(t.customer).person)
        {
            continue;
        }
        match t.amount() {
            None => bare += 1,
            Some(amount) if rates.convert(amount, t.currency).is_none() => {
                let currency = frame.currencies[usize::from(t.currency)].clone();
                *by_currency.entry(currency).or_default() += 1;
            }
            Some(_) => {}
        }
    }
    (bare, by_currency)
}
