//! Parameters of a question: the request's, filled up from the configuration.

use jinke_types::Failure;

use super::{
    Check,
    check::{date_out, decimal_out},
    pb,
};
use crate::{
    calendar::Zone,
    facts::kind,
    number::ONE,
    parameters::{MAX_RATE, MAX_RATES, Parameters, Population, Scoring},
};

/// The parameters of a question.
///
/// # Errors
/// `INVALID_ARGUMENT` with a violation for every field that is wrong.
pub fn read(
    stated: Option<&pb::MeasureParameters>,
    defaults: &Parameters,
) -> Result<Parameters, Failure> {
    let mut check = Check::new();
    let parameters = parse(&mut check, "parameters", stated, defaults);
    check.done()?;
    Ok(parameters)
}

/// Collects the violations instead.
pub fn parse(
    check: &mut Check,
    path: &str,
    stated: Option<&pb::MeasureParameters>,
    defaults: &Parameters,
) -> Parameters {
    let mut p = defaults.clone();
    let Some(m) = stated else { return p };
    let at = |field: &str| format!("{path}.{field}");
    if !m.time_zone.is_empty() {
        match Zone::parse(&m.time_zone) {
            Some(zone) => p.zone = zone,
            None => check.wrong(at("time_zone"), "must be an IANA time zone"),
        }
    }
    if !m.currency.is_empty() {
        if currency(&m.currency) {
            p.currency.clone_from(&m.currency);
        } else {
            check.wrong(at("currency"), "must be an ISO 4217 code");
        }
    }
    if m.rates.len() > MAX_RATES {
        check.wrong(at("rates"), format!("must have at most {MAX_RATES}"));
    } else if !m.rates.is_empty() {
        p.rates.clear();
        for (n, rate) in m.rates.iter().enumerate() {
            let field = at(&format!("rates[{n}]"));
            let value = check.decimal(&format!("{field}.rate"), rate.rate.as_ref(), 1, MAX_RATE);
            if !currency(&rate.currency) {
                check.wrong(format!("{field}.currency"), "must be an ISO 4217 code");
            } else if rate.rate.is_none() {
                check.wrong(format!("{field}.rate"), "must be given");
            } else if let Some(value) = value
                && p.rates.insert(rate.currency.clone(), value).is_some()
            {
                check.wrong(format!("{field}.currency"), "must not repeat");
            }
        }
    }
    match m.basis() {
        pb::RevenueBasis::Unspecified => {}
        pb::RevenueBasis::Orders => p.basis = kind::ORDER,
        pb::RevenueBasis::Invoices => p.basis = kind::INVOICE,
        pb::RevenueBasis::Payments => p.basis = kind::PAYMENT,
    }
    match m.population() {
        pb::Population::Unspecified => {}
        pb::Population::Organizations => p.population = Population::Organizations,
        pb::Population::Persons => p.population = Population::Persons,
        pb::Population::All => p.population = Population::All,
    }
    if let Some(margin) = check.decimal(&at("margin"), m.margin.as_ref(), -ONE, ONE) {
        p.margin = Some(margin);
    }
    let years = check.decimal(
        &at("lifetime_years"),
        m.lifetime_years.as_ref(),
        1,
        100 * ONE,
    );
    p.lifetime_years = years.unwrap_or(p.lifetime_years);
    let rate = check.decimal(
        &at("discount_rate"),
        m.discount_rate.as_ref(),
        1 - ONE,
        10 * ONE,
    );
    p.discount_rate = rate.unwrap_or(p.discount_rate);
    if let Some(years) = m.discount_years {
        match usize::try_from(years).ok().filter(|y| *y <= 50) {
            Some(years) => p.discount_years = years,
            None => check.wrong(at("discount_years"), "must be 0 to 50"),
        }
    }
    let mut months = |field: &str, value: i32, most: i32, into: &mut i32| {
        if value == 0 {
        } else if (1..=most).contains(&value) {
            *into = value;
        } else {
            check.wrong(at(field), format!("must be 1 to {most}"));
        }
    };
    months("rfm_months", m.rfm_months, 120, &mut p.rfm_months);
    months(
        "dormant_months",
        m.dormant_months,
        120,
        &mut p.dormant_months,
    );
    months("lost_months", m.lost_months, 240, &mut p.lost_months);
    months("new_months", m.new_months, 120, &mut p.new_months);
    if p.lost_months <= p.dormant_months {
        check.wrong(at("lost_months"), "must be more than dormant_months");
    }
    if m.loyal_orders != 0 {
        match usize::try_from(m.loyal_orders)
            .ok()
            .filter(|n| (2..=1_000).contains(n))
        {
            Some(orders) => p.loyal_orders = orders,
            None => check.wrong(at("loyal_orders"), "must be 2 to 1,000"),
        }
    }
    scoring(check, path, m, &mut p);
    p
}

fn scoring(check: &mut Check, path: &str, m: &pb::MeasureParameters, p: &mut Parameters) {
    match m.rfm_method() {
        pb::RfmMethod::Unspecified => {}
        pb::RfmMethod::Quantiles => p.scoring = Scoring::Quantiles,
        pb::RfmMethod::Thresholds => {
            let field = format!("{path}.rfm_thresholds");
            let t = m.rfm_thresholds.clone().unwrap_or_default();
            let most = 100_000_000_000_000_000_000 * ONE;
            let monetary: Vec<i128> = t
                .monetary
                .iter()
                .filter_map(|d| check.decimal(&format!("{field}.monetary"), Some(d), -most, most))
                .collect();
            let arrays = (
                <[i32; 4]>::try_from(t.recency_days),
                <[i32; 4]>::try_from(t.frequency),
                <[i128; 4]>::try_from(monetary),
            );
            let (Ok(recency), Ok(frequency), Ok(monetary)) = arrays else {
                check.wrong(field, "must have four limits each");
                return;
            };
            if !recency.iter().rev().is_sorted() || !frequency.is_sorted() || !monetary.is_sorted()
            {
                check.wrong(field, "must fall for recency and grow for the others");
            }
            p.scoring = Scoring::Thresholds {
                recency,
                frequency,
                monetary,
            };
        }
    }
}

fn currency(code: &str) -> bool {
    code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase())
}

/// Parameters as used.
pub fn write(p: &Parameters) -> pb::MeasureParameters {
    let mut m = pb::MeasureParameters {
        time_zone: p.zone.name().to_owned(),
        currency: p.currency.clone(),
        rates: p
            .rates
            .iter()
            .map(|(currency, rate)| pb::ExchangeRate {
                currency: currency.clone(),
                rate: Some(decimal_out(*rate)),
            })
            .collect(),
        basis: match p.basis {
            kind::INVOICE => pb::RevenueBasis::Invoices,
            kind::PAYMENT => pb::RevenueBasis::Payments,
            _ => pb::RevenueBasis::Orders,
        }
        .into(),
        population: match p.population {
            Population::Organizations => pb::Population::Organizations,
            Population::Persons => pb::Population::Persons,
            Population::All => pb::Population::All,
        }
        .into(),
        margin: p.margin.map(decimal_out),
        lifetime_years: Some(decimal_out(p.lifetime_years)),
        discount_rate: Some(decimal_out(p.discount_rate)),
        discount_years: i32::try_from(p.discount_years).ok(),
        rfm_method: pb::RfmMethod::Quantiles.into(),
        rfm_thresholds: None,
        rfm_months: p.rfm_months,
        dormant_months: p.dormant_months,
        lost_months: p.lost_months,
        new_months: p.new_months,
        loyal_orders: i32::try_from(p.loyal_orders).unwrap_or(i32::MAX),
    };
    if let Scoring::Thresholds {
        recency,
        frequency,
        monetary,
    } = &p.scoring
    {
        m.rfm_method = pb::RfmMethod::Thresholds.into();
        m.rfm_thresholds = Some(pb::RfmThresholds {
            recency_days: recency.to_vec(),
            frequency: frequency.to_vec(),
            monetary: monetary.iter().map(|v| decimal_out(*v)).collect(),
        });
    }
    m
}

/// What an answer was computed from.
pub fn basis(
    frame: &crate::facts::Frame,
    p: &Parameters,
    as_of: chrono::NaiveDate,
    excluded: Vec<pb::Excluded>,
) -> pb::Basis {
    pb::Basis {
        parameters: Some(write(p)),
        as_of: Some(date_out(as_of)),
        customer_position: frame.positions[0],
        timeline_position: frame.positions[1],
        pipeline_position: frame.positions[2],
        excluded,
    }
}
