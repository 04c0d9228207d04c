//! Measures of revenue and value.

use super::{
    Context, Contribution, Subject,
    profile::Profile,
    value::{Role, revenue, role},
};
use crate::{
    facts::{Line, Transaction, kind},
    number::ONE,
};

/// Transactions of the period that count, with their place.
fn counted<'a>(c: &'a Context<'_>) -> impl Iterator<Item = (u32, &'a Transaction)> + 'a {
    c.frame
        .transactions
        .iter()
        .enumerate()
        .filter(|(_, t)| c.within(t.time) && c.counts(t.customer))
        .map(|(n, t)| (u32::try_from(n).unwrap_or(u32::MAX), t))
}

fn of(t: &Transaction, subject: Subject, num: i128, den: i128) -> Contribution {
    Contribution {
        customer: t.customer,
        subject,
        num,
        den,
        label: None,
    }
}

pub(super) fn net_revenue(c: &Context<'_>) -> Vec<Contribution> {
    let mut out = Vec::new();
    for (n, t) in counted(c) {
        let Some(amount) = revenue(t, c.parameters.basis, &c.rates) else {
            continue;
        };
        if !c.by_line {
            out.push(of(t, Subject::Transaction(n), amount, 0));
            continue;
        }
        let negative = role(t, c.parameters.basis) == Role::Refund;
        let mut rest = amount;
        for (place, line) in lines(c, n) {
            let share = line
                .amount
                .map(|a| if negative { -a.abs() } else { a })
                .and_then(|a| c.rates.convert(a, t.currency));
            if let Some(share) = share {
                rest -= share;
                out.push(of(t, Subject::Line(place), share, 0));
            }
        }
        // Freight, discounts, what has no line: so that products add up to revenue.
        if rest != 0 {
            out.push(of(t, Subject::Transaction(n), rest, 0));
        }
    }
    out
}

/// The lines of the transaction at a place.
fn lines<'a>(c: &'a Context<'_>, transaction: u32) -> impl Iterator<Item = (u32, &'a Line)> + 'a {
    let all = &c.frame.lines;
    let start = all.partition_point(|l| l.transaction < transaction);
    all[start..]
        .iter()
        .take_while(move |l| l.transaction == transaction)
        .enumerate()
        .map(move |(n, l)| (u32::try_from(start + n).unwrap_or(u32::MAX), l))
}

pub(super) fn order_count(c: &Context<'_>) -> Vec<Contribution> {
    counted(c)
        .filter(|(_, t)| c.purchase(t))
        .map(|(n, t)| of(t, Subject::Transaction(n), ONE, 0))
        .collect()
}

/// Refunds take off revenue and are no orders.
pub(super) fn average_order_value(c: &Context<'_>) -> Vec<Contribution> {
    counted(c)
        .filter_map(|(n, t)| {
            let amount = revenue(t, c.parameters.basis, &c.rates)?;
            let den = if c.purchase(t) { ONE } else { 0 };
            Some(of(t, Subject::Transaction(n), amount, den))
        })
        .collect()
}

pub(super) fn reactivated_value_share(c: &Context<'_>) -> Vec<Contribution> {
    let dormant = c.dormant();
    counted(c)
        .filter_map(|(n, t)| {
            let amount = revenue(t, c.parameters.basis, &c.rates)?;
            let back = dormant[t.customer as usize];
            Some(of(
                t,
                Subject::Transaction(n),
                if back { amount } else { 0 },
                amount,
            ))
        })
        .collect()
}

pub(super) fn clv(c: &Context<'_>, value: impl Fn(&Profile) -> Option<i128>) -> Vec<Contribution> {
    let profiles = c.profiles();
    (0..)
        .zip(profiles)
        .filter(|(place, _)| c.counts(*place))
        .filter_map(|(place, p)| Some(Contribution::of_customer(place, value(p)?)))
        .collect()
}

pub(super) fn complaint_count(c: &Context<'_>) -> Vec<Contribution> {
    counted(c)
        .filter(|(_, t)| t.kind == kind::TICKET && !t.cancelled)
        .map(|(n, t)| of(t, Subject::Transaction(n), ONE, 0))
        .collect()
}
