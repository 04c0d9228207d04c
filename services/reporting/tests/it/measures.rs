//! Every measure equals the oracle; rows add up; retention and churn are one.

use std::collections::BTreeSet;

use chrono_tz::Tz;
use jinke_reporting::{
    calendar::{Period, Zone},
    facts::kind,
    measures::{self, Context, profile::profiles, registry::MEASURES},
    number::ONE,
    parameters::{Parameters, Population, Scoring},
    query::{self, Question},
};

use crate::{
    generate::{Dice, frame},
    oracle::Oracle,
};

/// Histories looked at.
const HISTORIES: u64 = 400;

fn parameters(dice: &Dice) -> Parameters {
    let mut p = Parameters::default();
    let zone = ["Asia/Shanghai", "UTC", "America/New_York", "Pacific/Apia"][dice.below(4) as usize];
    p.zone = Zone::parse(zone).unwrap();
    if dice.chance(70) {
        p.rates.insert("USD".to_owned(), 7_123_456_789);
    }
    p.margin = dice
        .chance(50)
        .then(|| i128::from(dice.below(100)) * 10_000_000);
    p.discount_rate = [0, 100_000_000, 33_333_333, -200_000_000][dice.below(4) as usize];
    p.discount_years = dice.below(6) as usize;
    p.lifetime_years = [3 * ONE, ONE / 3][dice.below(2) as usize];
    p.rfm_months = [12, 5, 7][dice.below(3) as usize];
    p.loyal_orders = 3;
    p.basis = [
        kind::ORDER,
        kind::ORDER,
        kind::ORDER,
        kind::INVOICE,
        kind::PAYMENT,
    ][dice.below(5) as usize];
    (p.dormant_months, p.lost_months) = [(3, 12), (1, 2), (6, 9), (4, 4)][dice.below(4) as usize];
    p.new_months = [3, 1, 12][dice.below(3) as usize];
    if dice.chance(40) {
        p.scoring = thresholds(dice);
    }
    p.population = [
        Population::Organizations,
        Population::All,
        Population::Persons,
    ][dice.below(3) as usize];
    p
}

/// Limits on which generated values lie exactly now and then.
fn thresholds(dice: &Dice) -> Scoring {
    let days = [10, 30, 90, 180][dice.below(4) as usize];
    let unit = [ONE, 100 * ONE, 250 * ONE + ONE / 3][dice.below(3) as usize];
    Scoring::Thresholds {
        recency: [2 * days, days, days / 2, days / 5],
        frequency: [[1, 2, 3, 4], [2, 4, 6, 9], [1, 2, 4, 20]][dice.below(3) as usize],
        monetary: [unit, 2 * unit, 10 * unit, 40 * unit],
    }
}

fn period(dice: &Dice) -> Period {
    let days = [
        ("2025-12-01", "2025-12-31"),
        ("2026-02-28", "2026-02-28"),
        ("2025-03-01", "2026-02-28"),
        ("2024-02-29", "2024-03-31"),
        ("2025-01-15", "2025-09-03"),
    ];
    let (start, end) = days[dice.below(days.len() as u64) as usize];
    Period {
        start: start.parse().unwrap(),
        end: end.parse().unwrap(),
    }
}

#[test]
fn every_measure_equals_the_oracle() {
    let mut known = std::collections::BTreeMap::new();
    let mut scored = BTreeSet::new();
    let mut bare = 0;
    for seed in 0..HISTORIES {
        let dice = Dice::new(seed ^ 0xA5A5);
        let (frame, p, period) = (frame(seed), parameters(&dice), period(&dice));
        let zone: Tz = p.zone.name().parse().unwrap();
        let oracle = Oracle {
            frame: &frame,
            p: &p,
            zone,
            start: period.start,
            end: period.end,
        };
        let context = Context::new(&frame, &p, period);
        for measure in MEASURES {
            let list = measures::contributions(measure, &context);
            let got = measures::aggregate(measure, &list).value.ok();
            let right = oracle.value(measure.id);
            assert_eq!(
                got, right,
                "{} of history {seed}, {period:?}, {p:?}",
                measure.id
            );
            *known.entry(measure.id).or_insert(0) += u64::from(right.is_some_and(|v| v != 0));
        }
        for (place, profile) in (0..).zip(profiles(&frame, &p, period.end)) {
            assert_eq!(
                profile.stage.as_str(),
                oracle.stage(place),
                "history {seed}"
            );
            assert_eq!(
                profile.window_orders,
                oracle.window_orders(place),
                "history {seed}"
            );
            bare += u64::from(profile.rfm.is_none() && profile.window_orders > 0);
            if !p.counts(frame.customers[place as usize].person) {
                continue;
            }
            let right = oracle.scores(place);
            let got = profile
                .rfm
                .map(|x| (x.r, x.f, x.m, profile.points.unwrap(), profile.grade));
            let right = right.map(|x| (x.r, x.f, x.m, x.points, x.grade));
            if let Some((r, f, m, ..)) = right {
                let fixed = p.scoring != Scoring::Quantiles;
                scored.extend([(fixed, 'R', r), (fixed, 'F', f), (fixed, 'M', m)]);
            }
            assert_eq!(got, right, "history {seed}, customer {place}");
            assert_eq!(
                profile.clv_simple,
                oracle.clv_simple(place),
                "history {seed}"
            );
            assert_eq!(
                profile.clv_discounted,
                oracle.clv_discounted(place),
                "history {seed}"
            );
        }
    }
    assert!(bare > 0, "nobody has orders without amounts alone");
    // Every score was given, by quantiles and by fixed limits.
    assert_eq!(scored.len(), 30, "{scored:?}");
    // A test whose answers are all empty would prove nothing.
    for measure in MEASURES {
        assert!(
            known[measure.id] > HISTORIES / 20,
            "{}: {known:?}",
            measure.id
        );
    }
}

#[test]
fn groups_and_rows_add_up_to_the_whole() {
    for seed in 0..60 {
        let dice = Dice::new(seed ^ 0x5A5A);
        let (frame, p, period) = (frame(seed), parameters(&dice), period(&dice));
        for measure in MEASURES {
            let question = Question {
                measures: vec![measure],
                dimensions: ["grade", "lifecycle_stage"]
                    .iter()
                    .filter_map(|d| measures::find_dimension(d))
                    .collect(),
                filter: Vec::new(),
            };
            let answer = query::answer(&frame, &p, period, &question).unwrap();
            let total = &answer.total[0];
            let sum = |of: fn(&measures::Value) -> Option<i128>| -> i128 {
                answer.groups.values().filter_map(|g| of(&g[0])).sum()
            };
            assert_eq!(
                sum(|v| v.num),
                total.num.unwrap_or_default(),
                "{}",
                measure.id
            );
            assert_eq!(
                sum(|v| v.den),
                total.den.unwrap_or_default(),
                "{}",
                measure.id
            );
            // Each group alone, by its filter, is what it is among the others.
            for (key, group) in &answer.groups {
                let filter = format!(
                    "grade = \"{}\" AND lifecycle_stage = \"{}\"",
                    key[0], key[1]
                );
                let context = Context::new(&frame, &p, period);
                let list = query::rows(&context, measure, &query::parse_filter(&filter).unwrap());
                assert_eq!(
                    measures::aggregate(measure, &list),
                    group[0],
                    "{}",
                    measure.id
                );
            }
        }
    }
}

#[test]
fn retention_and_churn_of_a_cohort_are_one() {
    let rate = |context: &Context<'_>, id: &str| {
        let measure = measures::find(id).unwrap();
        measures::aggregate(measure, &measures::contributions(measure, context))
    };
    for seed in 0..60 {
        let dice = Dice::new(seed);
        let (frame, p) = (frame(seed), parameters(&dice));
        let context = Context::new(&frame, &p, period(&dice));
        let (kept, lost) = (
            rate(&context, "retention_rate"),
            rate(&context, "churn_rate"),
        );
        assert_eq!(kept.den, lost.den);
        if let (Some(a), Some(b), Some(den)) = (kept.num, lost.num, kept.den) {
            assert_eq!(a + b, den);
        }
    }
}
