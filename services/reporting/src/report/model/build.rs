//! How a report is computed.

use std::collections::BTreeMap;

use chrono::{Datelike as _, NaiveDate};
use jinke_types::Failure;

use super::{AtRisk, Cohort, FunnelStage, Kpi, Month, Number, Part, Report, Top, VERSION};
use crate::{
    calendar::{Grain, Period, add_months, cut, next, previous},
    churn::{self, Sign},
    facts::Frame,
    measures::{
        self, Context,
        cohort::FIELDS,
        profile::{CLASSES, Stage},
        registry::MEASURES,
    },
    number::{self, ONE},
    parameters::{Parameters, Scoring},
};

/// Months of trend and cohorts.
const MONTHS: i32 = 12;
/// Customers named.
const TOP: usize = 10;

fn out(value: Option<i128>) -> Number {
    value.map(number::text)
}

/// The measures of the first page.
const KPIS: [&str; 18] = [
    "customer_count",
    "clv_discounted_total",
    "clv_simple_total",
    "net_revenue",
    "order_count",
    "average_order_value",
    "retention_rate",
    "churn_rate",
    "activity_rate",
    "reactivation_rate",
    "reactivated_value_share",
    "repurchase_rate",
    "repurchase_interval_days",
    "new_customer_count",
    "win_rate",
    "sales_cycle_days_median",
    "sales_cycle_days_p90",
    "nps",
];

/// Computes the report for a day.
///
/// # Errors
/// None of its own; cutting the window into months cannot fail.
pub fn build(frame: &Frame, p: &Parameters, date: NaiveDate) -> Result<Report, Failure> {
    let year = Period {
        start: next(add_months(date, -12)),
        end: date,
    };
    let now = Context::new(frame, p, year);
    let before = Context::new(
        frame,
        p,
        Period {
            start: next(add_months(date, -24)),
            end: previous(year.start),
        },
    );
    let revenue = revenue_by_customer(&now);
    let (signs, warned, at_risk) = risk(&now);
    let (pipeline, funnel) = funnel(&now);
    let (top, pareto, concentration) = concentration(&now, &revenue);
    Ok(Report {
        version: VERSION,
        date,
        start: year.start,
        time_zone: p.zone.name().to_owned(),
        currency: p.currency.clone(),
        parameters: parameters(p),
        positions: frame.positions,
        kpis: kpis(&now, &before),
        grades: grades(&now, &revenue),
        stages: stages(&now, &revenue),
        classes: classes(&now, &revenue),
        matrix: matrix(&now),
        months: months(frame, p, date)?,
        cohorts: cohorts(&now),
        pipeline,
        funnel,
        top,
        pareto,
        concentration,
        signs,
        warned,
        at_risk,
        coverage: coverage(&now),
        excluded: excluded(&now),
        methods: MEASURES
            .iter()
            .map(|m| (m.id.to_owned(), m.version))
            .collect(),
    })
}

fn kpis(now: &Context<'_>, before: &Context<'_>) -> Vec<Kpi> {
    KPIS.iter()
        .filter_map(|id| {
            let measure = measures::find(id)?;
            let value = |context: &Context<'_>| {
                let list = measures::contributions(measure, context);
                measures::aggregate(measure, &list).value.ok()
            };
            Some(Kpi {
                measure: (*id).to_owned(),
                value: out(value(now)),
                before: out(value(before)),
            })
        })
        .collect()
}

/// Net revenue of the year by place.
fn revenue_by_customer(c: &Context<'_>) -> BTreeMap<u32, i128> {
    let mut revenue = BTreeMap::new();
    let Some(measure) = measures::find("net_revenue") else {
        return revenue;
    };
    for one in measures::contributions(measure, c) {
        *revenue.entry(one.customer).or_default() += one.num;
    }
    revenue
}

fn parts<K: Ord + Copy>(
    c: &Context<'_>,
    revenue: &BTreeMap<u32, i128>,
    keys: &[(K, &str)],
    of: impl Fn(u32) -> Option<K>,
) -> Vec<Part> {
    type Sums = (i64, Option<i128>, Option<i128>);
    let mut sums: BTreeMap<K, Sums> = keys
        .iter()
        .map(|(key, _)| (*key, (0, None, None)))
        .collect();
    // What nobody has is not known: it stays none and is not 0.
    let add = |sum: &mut Option<i128>, value: Option<i128>| {
        if let Some(value) = value {
            *sum = Some(sum.unwrap_or_default() + value);
        }
    };
    for place in c.population() {
        let Some(sum) = of(place).and_then(|key| sums.get_mut(&key)) else {
            continue;
        };
        sum.0 += 1;
        add(&mut sum.1, revenue.get(&place).copied());
        add(&mut sum.2, c.profiles()[place as usize].clv_discounted);
    }
    keys.iter()
        .map(|(key, label)| {
            let (customers, revenue, clv) = sums[key];
            Part {
                label: (*label).to_owned(),
                customers,
                revenue: out(revenue),
                clv: out(clv),
            }
        })
        .collect()
}

fn grades(c: &Context<'_>, revenue: &BTreeMap<u32, i128>) -> Vec<Part> {
    let keys = [(1, "A"), (2, "B"), (3, "C"), (0, "")];
    parts(c, revenue, &keys, |p| Some(c.profiles()[p as usize].grade))
}

fn stages(c: &Context<'_>, revenue: &BTreeMap<u32, i128>) -> Vec<Part> {
    let keys = Stage::ALL.map(|s| (s, s.as_str()));
    parts(c, revenue, &keys, |p| Some(c.profiles()[p as usize].stage))
}

fn classes(c: &Context<'_>, revenue: &BTreeMap<u32, i128>) -> Vec<Part> {
    let keys: Vec<(usize, &str)> = CLASSES.into_iter().enumerate().collect();
    parts(c, revenue, &keys, |p| {
        c.profiles()[p as usize].rfm.map(|rfm| rfm.class())
    })
}

fn matrix(c: &Context<'_>) -> Vec<Vec<i64>> {
    let mut matrix = vec![vec![0; 5]; 5];
    for place in c.population() {
        if let Some(rfm) = c.profiles()[place as usize].rfm {
            let row = usize::try_from(5 - rfm.r).unwrap_or_default().min(4);
            let column = usize::try_from(rfm.f - 1).unwrap_or_default().min(4);
            matrix[row][column] += 1;
        }
    }
    matrix
}

fn months(frame: &Frame, p: &Parameters, date: NaiveDate) -> Result<Vec<Month>, Failure> {
    let first = date.with_day(1).unwrap_or(date);
    let window = Period {
        start: add_months(first, 1 - MONTHS),
        end: date,
    };
    let periods = cut(window, Grain::Month, 24)
        .ok_or_else(|| Failure::internal("a year has more than 24 months"))?;
    let value = |c: &Context<'_>, id: &str| {
        let measure = measures::find(id)?;
        measures::aggregate(measure, &measures::contributions(measure, c))
            .value
            .ok()
    };
    let whole = |v: Option<i128>| i64::try_from(v.unwrap_or_default() / ONE).unwrap_or(i64::MAX);
    Ok(periods
        .into_iter()
        .map(|period| {
            let c = Context::new(frame, p, period);
            let active = frame
                .by_customer()
                .filter(|(place, all)| {
                    c.counts(*place) && all.iter().any(|t| c.within(t.time) && c.purchase(t))
                })
                .count();
            Month {
                month: label(period.start),
                revenue: out(value(&c, "net_revenue")),
                orders: whole(value(&c, "order_count")),
                active: i64::try_from(active).unwrap_or(i64::MAX),
                new: whole(value(&c, "new_customer_count")),
            }
        })
        .collect())
}

fn label(day: NaiveDate) -> String {
    format!("{:04}-{:02}", day.year(), day.month())
}

/// Months from `a` to `b`.
fn months_between(a: NaiveDate, b: NaiveDate) -> i32 {
    (b.year() - a.year()) * 12 + b.month0() as i32 - a.month0() as i32
}

fn cohorts(c: &Context<'_>) -> Vec<Cohort> {
    let zone = c.parameters.zone;
    let last = c.period.end.with_day(1).unwrap_or(c.period.end);
    let first = add_months(last, 1 - MONTHS);
    let mut list: Vec<Cohort> = (0..MONTHS)
        .map(|n| Cohort {
            month: label(add_months(first, n)),
            size: 0,
            kept: vec![0; usize::try_from(MONTHS - n).unwrap_or_default()],
        })
        .collect();
    for (place, all) in c.frame.by_customer() {
        if !c.counts(place) {
            continue;
        }
        let days: Vec<NaiveDate> = all
            .iter()
            .filter(|t| t.time < c.to && c.purchase(t))
            .map(|t| zone.day(t.time))
            .collect();
        let Some(began) = days.first() else { continue };
        let Ok(row) = usize::try_from(months_between(first, *began)) else {
            continue;
        };
        let cohort = &mut list[row];
        cohort.size += 1;
        let mut seen = vec![false; cohort.kept.len()];
        for day in &days {
            if let Ok(n) = usize::try_from(months_between(*began, *day)) {
                seen[n] = true;
            }
        }
        for (count, seen) in cohort.kept.iter_mut().zip(seen) {
            *count += i64::from(seen);
        }
    }
    list
}

fn funnel(c: &Context<'_>) -> (String, Vec<FunnelStage>) {
    let mut by_pipeline: BTreeMap<&str, i64> = BTreeMap::new();
    for o in &c.frame.opportunities {
        *by_pipeline.entry(&o.pipeline).or_default() += 1;
    }
    // The one with the most opportunities; of equals the first by name.
    let chosen = by_pipeline
        .iter()
        .max_by_key(|(name, count)| (**count, std::cmp::Reverse(**name)))
        .map(|(name, _)| *name);
    let Some((pipeline, stages)) = chosen.and_then(|name| c.frame.stages.get_key_value(name))
    else {
        return (String::new(), Vec::new());
    };
    let conversion = measures::find("stage_conversion_rate");
    let list = conversion.map_or_else(Vec::new, |m| measures::contributions(m, c));
    let of_pipeline = |o: u32| c.frame.opportunities[o as usize].pipeline == *pipeline;
    let mut reached = vec![0_i64; stages.len()];
    for (n, o) in (0..).zip(&c.frame.opportunities) {
        if o.pipeline == *pipeline && c.within(o.create_time) && c.counts(o.customer) {
            let ids = measures::sales::reached(c, n, o);
            for (count, stage) in reached.iter_mut().zip(stages) {
                *count += i64::from(ids.contains(stage.id.as_str()));
            }
        }
    }
    let stages = stages
        .iter()
        .zip(reached)
        .map(|(stage, reached)| {
            let mine = list.iter().filter(|x| {
                x.label.as_deref() == Some(stage.id.as_str())
                    && matches!(x.subject, measures::Subject::Opportunity(o) if of_pipeline(o))
            });
            let value = conversion.and_then(|m| measures::aggregate(m, mine).value.ok());
            FunnelStage {
                name: stage.name.clone(),
                reached,
                conversion: out(value),
            }
        })
        .collect();
    (pipeline.clone(), stages)
}

type Concentration = (Vec<Top>, Vec<Number>, Number);

fn concentration(c: &Context<'_>, revenue: &BTreeMap<u32, i128>) -> Concentration {
    let mut sorted: Vec<(u32, i128)> = revenue
        .iter()
        .filter(|(_, amount)| **amount > 0)
        .map(|(place, amount)| (*place, *amount))
        .collect();
    sorted.sort_by_key(|(place, amount)| (std::cmp::Reverse(*amount), *place));
    let total: i128 = sorted.iter().map(|s| s.1).sum();
    let mut sum = 0;
    let mut running = Vec::with_capacity(sorted.len());
    for (_, amount) in &sorted {
        sum += amount;
        running.push(sum);
    }
    let top = sorted
        .iter()
        .zip(&running)
        .take(TOP)
        .map(|((place, amount), running)| {
            let customer = c.frame.customer(*place);
            let profile = &c.profiles()[*place as usize];
            Top {
                customer: format!("customers/{}", customer.id),
                name: customer.name.clone(),
                revenue: number::text(*amount),
                share: out(number::ratio(*amount, total)),
                cumulative: out(number::ratio(*running, total)),
                grade: profile.grade_letter().to_owned(),
                stage: profile.stage.as_str().to_owned(),
            }
        })
        .collect();
    let pareto = (1..=10)
        .map(|tenth| {
            let upto = (running.len() * tenth).div_ceil(10);
            let reached = upto.checked_sub(1).and_then(|n| running.get(n))?;
            out(number::ratio(*reached, total))
        })
        .collect();
    let squares = sorted.iter().try_fold(0_i128, |sum, (_, amount)| {
        let share = number::ratio(*amount, total)?;
        sum.checked_add(number::product(share, share)?)
    });
    let index = (!sorted.is_empty()).then_some(squares).flatten();
    (top, pareto, out(index))
}

fn risk(c: &Context<'_>) -> (Vec<(Sign, i64)>, i64, Vec<AtRisk>) {
    let mut counts: BTreeMap<Sign, i64> = Sign::ALL.iter().map(|s| (*s, 0)).collect();
    let mut warned = Vec::new();
    for place in c.population() {
        let reasons = churn::reasons(c, place);
        for reason in &reasons {
            *counts.entry(reason.sign).or_default() += 1;
        }
        if !reasons.is_empty() {
            warned.push((place, reasons));
        }
    }
    let total = i64::try_from(warned.len()).unwrap_or(i64::MAX);
    let revenue = |place: u32| c.profiles()[place as usize].revenue.unwrap_or_default();
    warned.sort_by_key(|(place, _)| (std::cmp::Reverse(revenue(*place)), *place));
    let list = warned
        .into_iter()
        .take(TOP)
        .map(|(place, reasons)| AtRisk {
            customer: format!("customers/{}", c.frame.customer(place).id),
            name: c.frame.customer(place).name.clone(),
            revenue: number::text(revenue(place)),
            reasons: reasons.into_iter().map(|r| (r.text_zh, r.text)).collect(),
        })
        .collect();
    (counts.into_iter().collect(), total, list)
}

fn coverage(c: &Context<'_>) -> Vec<(String, i64, i64)> {
    let all: Vec<u32> = c.population().collect();
    let total = i64::try_from(all.len()).unwrap_or(i64::MAX);
    FIELDS
        .iter()
        .map(|field| {
            let filled = all
                .iter()
                .filter(|place| c.frame.customer(**place).filled.contains(field))
                .count();
            (
                (*field).to_owned(),
                i64::try_from(filled).unwrap_or(i64::MAX),
                total,
            )
        })
        .collect()
}

fn excluded(c: &Context<'_>) -> Vec<(String, String, i64)> {
    let (bare, by_currency) = measures::value::excluded(c.frame, c.parameters, c.from, c.to);
    let mut list: Vec<_> = by_currency
        .into_iter()
        .map(|(currency, count)| ("NO_EXCHANGE_RATE".to_owned(), currency, count))
        .collect();
    for (reason, count) in [("NO_AMOUNT", bare), ("NO_CUSTOMER", c.frame.orphans)] {
        if count > 0 {
            list.push((reason.to_owned(), String::new(), count));
        }
    }
    list
}

fn parameters(p: &Parameters) -> Vec<(String, String)> {
    let mut list = vec![
        ("time_zone", p.zone.name().to_owned()),
        ("currency", p.currency.clone()),
        ("basis", p.basis.to_string()),
        (
            "margin",
            p.margin.map_or_else(|| "—".to_owned(), number::text),
        ),
        ("lifetime_years", number::text(p.lifetime_years)),
        ("discount_rate", number::text(p.discount_rate)),
        ("discount_years", p.discount_years.to_string()),
        ("rfm_months", p.rfm_months.to_string()),
        ("dormant_months", p.dormant_months.to_string()),
        ("lost_months", p.lost_months.to_string()),
        ("new_months", p.new_months.to_string()),
        ("loyal_orders", p.loyal_orders.to_string()),
        (
            "rfm_method",
            match p.scoring {
                Scoring::Quantiles => "quantiles".to_owned(),
                Scoring::Thresholds { .. } => "thresholds".to_owned(),
            },
        ),
        (
            "grading",
            format!(
                "{}R + {}F + {}M; A ≥ {}, B ≥ {}",
                p.grading.recency,
                p.grading.frequency,
                p.grading.monetary,
                p.grading.a,
                p.grading.b
            ),
        ),
    ];
    for (currency, rate) in &p.rates {
        list.push((
            "rate",
            format!("1 {currency} = {} {}", number::text(*rate), p.currency),
        ));
    }
    list.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
}
