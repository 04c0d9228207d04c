//! The funnel and the forecast. Sums are exact: nothing is rounded but what a message cannot hold.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike as _, NaiveDate};
use jinke_types::{Failure, Timestamp};
use rust_decimal::Decimal;

use super::{Api, opportunities::many};
use crate::{
    access::Viewer,
    convert::{
        Check,
        number::{money_out, time_out},
        pb,
        pipeline::{pipeline_out, stage_out},
    },
    domain::{Money, join, outcome},
    store::{
        funnel::{self, Sum},
        pipelines,
    },
};

/// Most cards of one column.
pub const MAX_CARDS: i32 = 50;
/// Months before this one for which the forecast says what was won.
const MONTHS_BACK: u32 = 11;
/// Months are those of the wall clock in China, in microseconds.
const OFFSET: i64 = 8 * 3_600 * 1_000_000;

type Amounts = BTreeMap<String, Decimal>;

fn add(to: &mut Amounts, currency: &str, amount: Decimal) {
    if !currency.is_empty() {
        let sum = to.entry(currency.to_owned()).or_default();
        *sum = sum.checked_add(amount).unwrap_or(Decimal::MAX);
    }
}

fn amounts_out(amounts: Amounts) -> Vec<jinke_proto::google::r#type::Money> {
    amounts
        .into_iter()
        .map(|(currency, amount)| money_out(&Money { currency, amount }))
        .collect()
}

fn amount(sum: &Sum) -> Decimal {
    join(sum.currency.clone(), sum.units, sum.nanos).map_or(Decimal::ZERO, |m| m.amount)
}

/// An amount times a probability in percent, exactly.
pub fn weighted(amount: Decimal, percent: i32) -> Decimal {
    amount
        .checked_mul(Decimal::from(percent))
        .and_then(|product| product.checked_div(Decimal::ONE_HUNDRED))
        .unwrap_or(Decimal::MAX)
}

#[derive(Default)]
struct Column {
    count: i64,
    amounts: Amounts,
    weighted: Amounts,
}

/// `GetBoard`.
pub async fn board(
    api: Api,
    viewer: Viewer,
    request: pb::GetBoardRequest,
) -> Result<pb::GetBoardResponse, Failure> {
    let mut check = Check::new();
    let id = check.named("pipeline", &request.pipeline, "pipelines");
    let owner = check.member("owner", &request.owner, true);
    if !(0..=MAX_CARDS).contains(&request.cards_per_stage) {
        let why = format!("is not between 0 and {MAX_CARDS}");
        check.wrong::<()>("cards_per_stage", why);
    }
    let (id, owner) = check.finish(id.zip(owner))?;
    let (sight, now) = (viewer.sight(), api.core.now());
    // All of it at one moment: the columns add up.
    let mut reader = api.core.db.snapshot().await?;
    let row = pipelines::get(&mut reader, &id)
        .await?
        .ok_or_else(|| Failure::not_found(format!("pipelines/{id}")))?;
    let newest = api
        .core
        .processes
        .get(&mut reader, &id, row.version)
        .await?;
    let sums = funnel::sums(&mut reader, &id, &sight, &owner).await?;
    let [stale, overdue] = funnel::late(&mut reader, &id, &sight, &owner, now).await?;

    let mut columns = BTreeMap::<String, Column>::new();
    let mut reached = BTreeMap::<String, i64>::new();
    let mut stages = BTreeMap::new();
    let (mut won, mut lost) = ((0, Amounts::new()), 0);
    for sum in &sums {
        let process = api
            .core
            .processes
            .get(&mut reader, &id, sum.version)
            .await?;
        if sum.reached {
            // How far it came, by the order of its own version, as stages of the newest one.
            let at = process.index(&sum.stage).unwrap_or_default();
            for stage in &process.0[..=at.min(process.0.len() - 1)] {
                *reached.entry(stage.stage.clone()).or_default() += sum.count;
            }
            continue;
        }
        let Some(stage) = process.get(&sum.stage).cloned() else {
            continue;
        };
        if sum.outcome == outcome::LOST {
            lost += sum.count;
            continue;
        }
        if sum.outcome == outcome::WON {
            won.0 += sum.count;
            add(&mut won.1, &sum.currency, amount(sum));
            if !stage.after_win {
                continue;
            }
        }
        let column = columns.entry(stage.stage.clone()).or_default();
        column.count += sum.count;
        add(&mut column.amounts, &sum.currency, amount(sum));
        let part = weighted(amount(sum), stage.probability);
        add(&mut column.weighted, &sum.currency, part);
        stages.entry(stage.stage.clone()).or_insert(stage);
    }
    let mut order: Vec<(crate::domain::Stage, bool)> =
        newest.0.iter().map(|s| (s.clone(), false)).collect();
    let known: BTreeSet<&str> = newest.0.iter().map(|s| s.stage.as_str()).collect();
    let former = stages
        .values()
        .filter(|s| !known.contains(s.stage.as_str()));
    order.extend(former.map(|s| (s.clone(), true)));

    let mut out = Vec::with_capacity(order.len());
    for (stage, former) in order {
        let column = columns.remove(&stage.stage).unwrap_or_default();
        let outcome = if stage.after_win {
            outcome::WON
        } else {
            outcome::OPEN
        };
        let cards = if request.cards_per_stage > 0 {
            let at = (id.as_str(), outcome, stage.stage.as_str());
            let limit = u32::try_from(request.cards_per_stage).unwrap_or_default();
            let ring = &api.core.ring;
            let cards = funnel::cards(&mut reader, ring, at, &sight, &owner, limit).await?;
            many(&api, &mut reader, &cards).await?
        } else {
            Vec::new()
        };
        let late = |of: &BTreeMap<String, i64>| of.get(&stage.stage).copied().unwrap_or_default();
        out.push(pb::get_board_response::Column {
            count: column.count,
            amounts: amounts_out(column.amounts),
            weighted_amounts: amounts_out(column.weighted),
            stale_count: late(&stale),
            overdue_count: late(&overdue),
            reached_count: late(&reached),
            cards,
            former,
            stage: Some(stage_out(&stage)),
        });
    }
    Ok(pb::GetBoardResponse {
        pipeline: Some(pipeline_out(&row, row.version, &newest)),
        columns: out,
        won_count: won.0,
        won_amounts: amounts_out(won.1),
        lost_count: lost,
        read_time: Some(time_out(now)),
    })
}

#[derive(Default)]
struct Month {
    count: i64,
    amount: Decimal,
    weighted: Decimal,
    won_count: i64,
    won: Decimal,
}

/// `GetForecast`.
pub async fn forecast(
    api: Api,
    viewer: Viewer,
    request: pb::GetForecastRequest,
) -> Result<pb::GetForecastResponse, Failure> {
    let mut check = Check::new();
    let pipeline = if request.pipeline.is_empty() {
        Some(String::new())
    } else {
        check.named("pipeline", &request.pipeline, "pipelines")
    };
    let owner = check.member("owner", &request.owner, true);
    let (pipeline, owner) = check.finish(pipeline.zip(owner))?;
    let (sight, now) = (viewer.sight(), api.core.now());
    let mut reader = api.core.db.snapshot().await?;
    let mut months = BTreeMap::<(String, String), Month>::new();
    for sum in funnel::forecast(&mut reader, &pipeline, &sight, &owner).await? {
        let process = api
            .core
            .processes
            .get(&mut reader, &sum.pipeline, sum.version)
            .await?;
        let percent = process.get(&sum.stage).map_or(0, |s| s.probability);
        let amount =
            join(sum.currency.clone(), sum.units, sum.nanos).map_or(Decimal::ZERO, |m| m.amount);
        // Without a date last: `~` comes after every digit.
        let key = if sum.month.is_empty() {
            "~".to_owned()
        } else {
            sum.month
        };
        let month = months.entry((key, sum.currency)).or_default();
        month.count += sum.count;
        month.amount += amount;
        month.weighted += weighted(amount, percent);
    }
    for (name, from, to) in past_months(now) {
        let won = funnel::won_between(&mut reader, &pipeline, &sight, &owner, from, to).await?;
        for (currency, count, units, nanos) in won {
            let amount = join(currency.clone(), units, nanos).map_or(Decimal::ZERO, |m| m.amount);
            let month = months.entry((name.clone(), currency)).or_default();
            month.won_count += count;
            month.won += amount;
        }
    }
    let months = months
        .into_iter()
        .map(|((month, currency), m)| {
            let money = |amount: Decimal| {
                (!currency.is_empty()).then(|| {
                    money_out(&Money {
                        currency: currency.clone(),
                        amount,
                    })
                })
            };
            pb::get_forecast_response::Month {
                month: if month == "~" { String::new() } else { month },
                count: m.count,
                amount: money(m.amount),
                weighted_amount: money(m.weighted),
                won_count: m.won_count,
                won_amount: money(m.won),
                currency: currency.clone(),
            }
        })
        .collect();
    Ok(pb::GetForecastResponse { months })
}

/// The present month and those before it: name, first moment, first moment of the next.
fn past_months(now: Timestamp) -> Vec<(String, Timestamp, Timestamp)> {
    let Some(local) = chrono::DateTime::from_timestamp_micros(now.0.saturating_add(OFFSET)) else {
        return Vec::new();
    };
    let first = local.date_naive().with_day(1).unwrap_or_default();
    let start = |date: NaiveDate| {
        let midnight = date.and_hms_opt(0, 0, 0).unwrap_or_default();
        Timestamp(midnight.and_utc().timestamp_micros() - OFFSET)
    };
    (0..=MONTHS_BACK)
        .filter_map(|back| {
            let from = first.checked_sub_months(chrono::Months::new(back))?;
            let to = from.checked_add_months(chrono::Months::new(1))?;
            Some((from.format("%Y-%m").to_string(), start(from), start(to)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_those_of_the_wall_clock_in_china() {
        // 23:30 on 31 January in Greenwich is February in China.
        let now = Timestamp::parse("2026-01-31T23:30:00Z").unwrap();
        let months = past_months(now);
        assert_eq!(months.len(), 12);
        assert_eq!(months[0].0, "2026-02");
        assert_eq!(months[0].1.to_rfc3339(), "2026-01-31T16:00:00Z");
        assert_eq!(months[0].1, months[1].2);
        assert_eq!(months[11].0, "2025-03");
    }

    #[test]
    fn weighting_loses_nothing() {
        let amount: Decimal = "0.000000001".parse().unwrap();
        assert_eq!(weighted(amount, 35).to_string(), "0.00000000035");
        assert_eq!(
            weighted("1234567.89".parse().unwrap(), 70)
                .normalize()
                .to_string(),
            "864197.523"
        );
    }
}
