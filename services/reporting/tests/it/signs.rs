//! Churn signs on the days around their edges, in several time zones, and against the oracle.

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate};
use chrono_tz::Tz;
use jinke_reporting::{
    calendar::{Period, Zone},
    churn::{self, Reason, Sign},
    facts::{Customer, Frame, Interaction, Transaction, kind},
    measures::Context,
    number::ONE,
    parameters::{Parameters, Warning},
};
use jinke_types::Timestamp;

use crate::{
    generate::{Dice, frame},
    oracle::Oracle,
};

/// Facts of one customer.
struct History(Frame);

impl History {
    fn new() -> Self {
        Self(Frame {
            customers: vec![Customer {
                id: 1,
                ..Customer::default()
            }],
            currencies: vec!["CNY".to_owned()],
            ..Frame::default()
        })
    }

    fn of(kind: u8, times: &[&str]) -> Self {
        times.iter().fold(Self::new(), |h, time| h.and(kind, time))
    }

    /// A transaction; its record number is its place in the telling, from 1.
    fn and(mut self, kind: u8, time: &str) -> Self {
        self.0.transactions.push(Transaction {
            id: self.0.transactions.len() as i64 + 1,
            customer: 0,
            source: 0,
            currency: 0,
            kind,
            cancelled: false,
            has_amount: true,
            nanos: 0,
            person: 0,
            units: 10,
            time: Timestamp::parse(time).unwrap(),
        });
        self.0.sort();
        self
    }

    /// The transaction with this number was called off.
    fn cancelled(mut self, id: i64) -> Self {
        let found = self.0.transactions.iter_mut().find(|t| t.id == id);
        found.unwrap().cancelled = true;
        self
    }

    /// A rating in billionths; its record number is 100 and its place in the telling.
    fn rated(mut self, time: &str, nps: bool, rating: i128) -> Self {
        self.0.interactions.push(Interaction {
            id: self.0.interactions.len() as i64 + 101,
            customer: 0,
            time: Timestamp::parse(time).unwrap(),
            channel: "wecom".to_owned(),
            employee: String::new(),
            rating: Some((nps, rating)),
        });
        self.0.sort();
        self
    }

    fn sign(&self, sign: Sign, p: &Parameters, day: &str) -> Option<Reason> {
        self.signs(p, day.parse().unwrap())
            .into_iter()
            .find(|r| r.sign == sign)
    }

    fn signs(&self, p: &Parameters, day: NaiveDate) -> Vec<Reason> {
        let period = Period {
            start: day,
            end: day,
        };
        churn::reasons(&Context::new(&self.0, p, period), 0)
    }

    /// The sign is there from `first` to `last`, both included, and on no day of the twenty before
    /// and after.
    fn warns(&self, sign: Sign, p: &Parameters, first: &str, last: &str, why: &str) {
        let parse = |day: &str| day.parse::<NaiveDate>().unwrap();
        let (first, last) = (parse(first), parse(last));
        let mut day = first - Days::new(20);
        while day <= last + Days::new(20) {
            let found = self.signs(p, day).iter().any(|r| r.sign == sign);
            let right = (first..=last).contains(&day);
            assert_eq!(found, right, "{why}: {sign:?} on {day}");
            day = day + Days::new(1);
        }
    }
}

fn zoned(zone: &str) -> Parameters {
    Parameters {
        zone: Zone::parse(zone).unwrap(),
        ..Parameters::default()
    }
}

fn warning(change: impl FnOnce(&mut Warning)) -> Parameters {
    let mut p = Parameters::default();
    change(&mut p.warning);
    p
}

#[test]
fn a_complaint_warns_for_its_days_in_the_zone_of_the_question() {
    // Zone, instant, first and last day of thirty.
    for (zone, time, first, last) in [
        (
            "Asia/Shanghai",
            "2026-03-01T15:59:59.999999Z",
            "2026-03-01",
            "2026-03-30",
        ),
        (
            "Asia/Shanghai",
            "2026-03-01T16:00:00Z",
            "2026-03-02",
            "2026-03-31",
        ),
        ("UTC", "2026-03-01T16:00:00Z", "2026-03-01", "2026-03-30"),
        (
            "Pacific/Kiritimati",
            "2026-03-01T10:00:00Z",
            "2026-03-02",
            "2026-03-31",
        ),
        (
            "Pacific/Midway",
            "2026-03-01T10:59:59Z",
            "2026-02-28",
            "2026-03-29",
        ),
        // A leap day, and the turn of a year.
        (
            "Asia/Shanghai",
            "2024-02-28T16:00:00Z",
            "2024-02-29",
            "2024-03-29",
        ),
        (
            "Asia/Shanghai",
            "2025-12-31T15:59:59Z",
            "2025-12-31",
            "2026-01-29",
        ),
        // The last second before and after clocks spring forward.
        (
            "America/New_York",
            "2026-03-08T04:59:59Z",
            "2026-03-07",
            "2026-04-05",
        ),
        (
            "America/New_York",
            "2026-03-09T03:59:59Z",
            "2026-03-08",
            "2026-04-06",
        ),
        // Samoa left 30 December 2011 out; its calendar counts it nevertheless.
        (
            "Pacific/Apia",
            "2011-12-30T09:59:59Z",
            "2011-12-29",
            "2012-01-27",
        ),
        (
            "Pacific/Apia",
            "2011-12-30T10:00:00Z",
            "2011-12-31",
            "2012-01-29",
        ),
    ] {
        let history = History::of(kind::TICKET, &[time]);
        history.warns(Sign::Complaint, &zoned(zone), first, last, zone);
        let found = history.sign(Sign::Complaint, &zoned(zone), last).unwrap();
        assert_eq!(found.since, Timestamp::parse(time).unwrap());
        assert_eq!(found.key(), "Complaint:1");
        assert!(found.text_zh.contains("1 次投诉") && found.text_zh.contains(first));
    }
    let ticket = History::of(kind::TICKET, &["2026-03-01T04:00:00Z"]);
    let one = warning(|w| w.complaint_days = 1);
    ticket.warns(Sign::Complaint, &one, "2026-03-01", "2026-03-01", "one day");
    let none = warning(|w| w.complaint_days = 0);
    assert_eq!(ticket.sign(Sign::Complaint, &none, "2026-03-01"), None);
}

#[test]
fn what_is_a_complaint_and_what_is_not() {
    let p = Parameters::default();
    let noon = "2026-03-01T04:00:00Z";
    for other in [
        kind::ORDER,
        kind::INVOICE,
        kind::PAYMENT,
        kind::REFUND,
        kind::RECEIVABLE,
    ] {
        let history = History::of(other, &[noon]);
        assert_eq!(history.sign(Sign::Complaint, &p, "2026-03-02"), None);
    }
    let withdrawn = History::of(kind::TICKET, &[noon]).cancelled(1);
    assert_eq!(withdrawn.sign(Sign::Complaint, &p, "2026-03-02"), None);
    // The newest is the anchor; those of the window are counted, later ones are not known yet.
    let three = [
        "2026-01-15T04:00:00Z",
        "2026-02-20T04:00:00Z",
        "2026-03-01T04:00:00Z",
    ];
    let history = History::of(kind::TICKET, &three);
    for (day, anchor, count) in [
        ("2026-01-31", 1, 1),
        ("2026-02-20", 2, 1),
        ("2026-02-28", 2, 1),
        ("2026-03-01", 3, 2),
        ("2026-03-21", 3, 2),
        ("2026-03-22", 3, 1),
    ] {
        let found = history.sign(Sign::Complaint, &p, day).expect(day);
        assert_eq!(found.anchor, anchor, "{day}");
        let text = format!("{count} 次投诉");
        assert!(found.text_zh.contains(&text), "{day}: {}", found.text_zh);
    }
    // A customer who is lost and complains is heard; that he does not order is known already.
    let lost = History::of(kind::ORDER, &["2024-01-10T04:00:00Z"]).and(kind::TICKET, noon);
    let signs = lost.signs(&p, "2026-03-02".parse().unwrap());
    let signs: Vec<Sign> = signs.into_iter().map(|r| r.sign).collect();
    assert_eq!(signs, [Sign::Complaint]);
}

#[test]
fn satisfaction_falls_from_one_rating_to_the_next_and_for_its_days() {
    let p = Parameters::default();
    let fall = History::new()
        .rated("2026-01-01T04:00:00Z", false, 5 * ONE)
        .rated("2026-01-31T16:00:00Z", false, 4 * ONE + ONE / 2);
    let sign = Sign::SatisfactionFalls;
    // Ninety days from 1 February on; in UTC it was 31 January still.
    fall.warns(sign, &p, "2026-02-01", "2026-05-01", "ninety days");
    fall.warns(sign, &zoned("UTC"), "2026-01-31", "2026-04-30", "in UTC");
    let few = warning(|w| w.rating_days = 7);
    fall.warns(sign, &few, "2026-02-01", "2026-02-07", "seven days");
    let found = fall.sign(sign, &p, "2026-05-01").unwrap();
    assert_eq!(found.text_zh, "满意度由 5 降到 4.5");
    assert_eq!(found.text, "satisfaction fell from 5 to 4.5");
    assert_eq!(found.key(), "SatisfactionFalls:102");
    assert_eq!(
        found.since,
        Timestamp::parse("2026-01-31T16:00:00Z").unwrap()
    );

    // Ratings in order, and whether the last one is a fall.
    for (ratings, falls) in [
        (&[][..], false),
        (&[ONE], false),
        (&[5 * ONE, 5 * ONE], false),
        (&[4 * ONE, 5 * ONE], false),
        (&[5 * ONE, 5 * ONE - 1], true),
        (&[5 * ONE, 3 * ONE, 4 * ONE], false),
        (&[3 * ONE, 5 * ONE, 4 * ONE], true),
        (&[5 * ONE, 3 * ONE, 3 * ONE], false),
        (&[ONE, 0], true),
    ] {
        let told = (1..).zip(ratings).fold(History::new(), |h, (day, rating)| {
            h.rated(&format!("2026-01-{day:02}T04:00:00Z"), false, *rating)
        });
        let found = told.sign(sign, &p, "2026-01-10").is_some();
        assert_eq!(found, falls, "{ratings:?}");
    }
    // Of one instant, the record that came later is the newer one.
    let noon = "2026-01-01T04:00:00Z";
    let at_once = |a, b| History::new().rated(noon, false, a).rated(noon, false, b);
    let falls = |h: &History| h.sign(sign, &p, "2026-01-02").is_some();
    assert!(falls(&at_once(5 * ONE, 4 * ONE)) && !falls(&at_once(4 * ONE, 5 * ONE)));
    // Recommendation is another question: it neither falls nor stands between.
    let mixed = |first, between, last| {
        History::new()
            .rated("2026-01-01T04:00:00Z", false, first)
            .rated("2026-01-02T04:00:00Z", true, between)
            .rated("2026-01-03T04:00:00Z", false, last)
    };
    let day = "2026-01-03";
    assert!(
        mixed(4 * ONE, 9 * ONE, 5 * ONE)
            .sign(sign, &p, day)
            .is_none()
    );
    assert!(mixed(4 * ONE, ONE, 3 * ONE).sign(sign, &p, day).is_some());
    assert!(
        mixed(4 * ONE, 9 * ONE, 4 * ONE)
            .sign(sign, &p, day)
            .is_none()
    );
    // A rating of tomorrow is not known today.
    assert!(!falls(&mixed(5 * ONE, ONE, 4 * ONE)));
}

#[test]
fn overdue_by_so_much_of_the_own_cycle() {
    let sign = Sign::Overdue;
    // Days of January 2026 on which was ordered (in China), percent, first day of the warning.
    for (days, percent, first) in [
        (&[1, 11, 21][..], 200, "2026-02-10"),
        (&[1, 11, 21], 100, "2026-01-31"),
        (&[1, 11, 21], 150, "2026-02-05"),
        (&[1, 2, 21], 200, "2026-02-10"),
        // Mean days between orders of 10.5, 1.5 and 4/3: never rounded down.
        (&[1, 11, 22], 200, "2026-02-12"),
        (&[1, 11, 22], 100, "2026-02-02"),
        (&[1, 2, 4], 200, "2026-01-07"),
        (&[1, 2, 4], 150, "2026-01-07"),
        (&[1, 2, 4], 100, "2026-01-06"),
        (&[1, 2, 3, 5], 225, "2026-01-08"),
        (&[1, 2, 3, 5], 226, "2026-01-09"),
        // Two orders on one day are two orders, without days between them.
        (&[1, 1, 5], 200, "2026-01-09"),
    ] {
        let told = days.iter().fold(History::new(), |h, day| {
            h.and(kind::ORDER, &format!("2026-01-{day:02}T04:00:00Z"))
        });
        let p = warning(|w| w.cycle_percent = percent);
        // Until the customer is lost, twelve months after the last order.
        let last = format!("2027-01-{:02}", days.last().unwrap() - 1);
        told.warns(sign, &p, first, &last, &format!("{days:?} at {percent} %"));
        let found = told.sign(sign, &p, first).unwrap();
        let start = p.zone.start(first.parse().unwrap());
        assert_eq!(found.since, start, "{days:?} at {percent} %");
        assert_eq!(found.anchor, days.len() as i64);
    }
    // One instant, different days: eleven days between the first and the last order in China, ten
    // in Greenwich.
    let times = [
        "2026-01-01T15:00:00Z",
        "2026-01-06T04:00:00Z",
        "2026-01-11T16:00:00Z",
    ];
    let told = History::of(kind::ORDER, &times);
    let from = |zone, first, last| {
        told.warns(sign, &zoned(zone), first, last, zone);
        let found = told.sign(sign, &zoned(zone), first).unwrap();
        assert_eq!(found.since, zoned(zone).zone.start(first.parse().unwrap()));
    };
    from("Asia/Shanghai", "2026-01-23", "2027-01-11");
    from("UTC", "2026-01-21", "2027-01-10");
}

#[test]
fn what_makes_no_cycle() {
    let p = Parameters::default();
    let sign = Sign::Overdue;
    let times = [
        "2026-01-01T04:00:00Z",
        "2026-01-03T04:00:00Z",
        "2026-01-05T04:00:00Z",
    ];
    let three = History::of(kind::ORDER, &times);
    assert!(three.sign(sign, &p, "2026-03-01").is_some());
    let two = History::of(kind::ORDER, &times[..2]);
    assert_eq!(two.sign(sign, &p, "2026-03-01"), None);
    let enough = warning(|w| w.cycle_orders = 2);
    assert!(two.sign(sign, &enough, "2026-03-01").is_some());
    // All on one day: there is no cycle, and no division by it.
    let once = History::of(kind::ORDER, &[times[0]; 4]);
    assert_eq!(once.sign(sign, &p, "2026-03-01"), None);
    // What was called off or given back is no order; under another basis, neither is an order.
    let off = History::of(kind::ORDER, &times).cancelled(2);
    assert_eq!(off.sign(sign, &p, "2026-03-01"), None);
    let back = History::of(kind::ORDER, &times[..2]).and(kind::REFUND, times[2]);
    assert_eq!(back.sign(sign, &p, "2026-03-01"), None);
    let invoices = Parameters {
        basis: kind::INVOICE,
        ..Parameters::default()
    };
    assert_eq!(three.sign(sign, &invoices, "2026-03-01"), None);
    // A later order begins to count on its own day.
    let four = History::of(kind::ORDER, &times).and(kind::ORDER, "2026-01-09T04:00:00Z");
    assert!(four.sign(sign, &p, "2026-01-09").is_none());
    assert_eq!(three.sign(sign, &p, "2026-01-09").unwrap().anchor, 3);
}

#[test]
fn no_order_warns_until_the_customer_is_lost() {
    let sign = Sign::NoOrder;
    for (zone, time, months, first, last) in [
        (
            "Asia/Shanghai",
            "2025-11-30T15:59:59Z",
            3,
            "2026-02-28",
            "2026-11-29",
        ),
        (
            "Pacific/Kiritimati",
            "2025-11-30T15:59:59Z",
            3,
            "2026-03-01",
            "2026-11-30",
        ),
        (
            "Asia/Shanghai",
            "2023-11-30T04:00:00Z",
            3,
            "2024-02-29",
            "2024-11-29",
        ),
        (
            "Asia/Shanghai",
            "2024-02-28T16:00:00Z",
            1,
            "2024-03-29",
            "2025-02-27",
        ),
        ("UTC", "2024-02-28T16:00:00Z", 1, "2024-03-28", "2025-02-27"),
        (
            "Asia/Shanghai",
            "2025-12-31T15:59:59Z",
            6,
            "2026-06-30",
            "2026-12-30",
        ),
    ] {
        let mut p = zoned(zone);
        p.warning.no_order_months = months;
        let told = History::of(kind::ORDER, &[time]);
        told.warns(sign, &p, first, last, zone);
        let found = told.sign(sign, &p, last).unwrap();
        assert_eq!(found.since, p.zone.start(first.parse().unwrap()));
    }
    // Never ordered is no sign, and neither is what is no order.
    let p = Parameters::default();
    assert_eq!(History::new().sign(sign, &p, "2026-03-01"), None);
    let paid = History::of(kind::PAYMENT, &["2025-10-01T04:00:00Z"]);
    assert_eq!(paid.sign(sign, &p, "2026-03-01"), None);
}

#[test]
fn signs_of_random_histories_equal_the_oracle() {
    let mut seen = BTreeSet::new();
    for seed in 0..200 {
        let dice = Dice::new(seed ^ 0xC0DE);
        let frame = frame(seed);
        let zones = ["Asia/Shanghai", "UTC", "America/New_York", "Pacific/Apia"];
        let mut p = zoned(zones[dice.below(4) as usize]);
        p.basis = [kind::ORDER, kind::ORDER, kind::INVOICE][dice.below(3) as usize];
        p.warning = Warning {
            no_order_months: 1 + dice.below(6) as i32,
            complaint_days: 1 + dice.below(200) as i64,
            rating_days: 1 + dice.below(200) as i64,
            cycle_percent: 50 + dice.below(300) as i64,
            cycle_orders: 2 + dice.below(3) as usize,
        };
        let zone: Tz = p.zone.name().parse().unwrap();
        for day in ["2024-02-29", "2025-08-31", "2025-11-30", "2026-02-28"] {
            let end: NaiveDate = day.parse().unwrap();
            let oracle = Oracle {
                frame: &frame,
                p: &p,
                zone,
                start: end,
                end,
            };
            let period = Period { start: end, end };
            let context = Context::new(&frame, &p, period);
            for place in 0..frame.customers.len() as u32 {
                let got: Vec<_> = churn::reasons(&context, place)
                    .iter()
                    .map(|r| (r.sign, r.anchor))
                    .collect();
                let right = oracle.signs(place);
                assert_eq!(got, right, "history {seed}, customer {place} on {day}");
                seen.extend(right.iter().map(|s| s.0));
            }
        }
    }
    // A test in which a sign never shows would prove nothing of it.
    assert_eq!(seen, BTreeSet::from(Sign::ALL));
}
