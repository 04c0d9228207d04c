//! Random histories: refunds, ties, month ends, leap days, several currencies, cancelled orders,
//! orders without amounts, persons beside organizations, opportunities that skip and come back.

use jinke_reporting::facts::{
    Customer, Frame, Interaction, Opportunity, Outcome, Source, Stage, Transaction, Transition,
    kind,
};
use jinke_types::{Entropy as _, SeededEntropy, Timestamp};

/// Dice.
pub struct Dice(SeededEntropy);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }
    pub fn below(&self, n: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes) % n
    }
    pub fn chance(&self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

const DAY: i64 = 86_400_000_000;

/// Instants that lie on edges: month ends, leap days, midnights here and elsewhere.
const EDGES: [&str; 14] = [
    "2024-02-28T16:00:00Z",
    "2024-02-29T15:59:59.999999Z",
    "2024-02-29T16:00:00Z",
    "2025-02-28T15:59:59Z",
    "2025-02-28T16:00:00Z",
    "2025-08-31T15:00:00Z",
    "2025-11-29T16:00:00Z",
    "2025-11-30T15:59:59.999999Z",
    "2025-12-31T15:59:59.999999Z",
    "2025-12-31T16:00:00Z",
    "2026-01-31T16:00:00Z",
    "2026-02-27T16:00:00Z",
    "2026-02-28T15:59:59.999999Z",
    "2026-02-28T16:00:00Z",
];

fn instant(dice: &Dice) -> Timestamp {
    if dice.chance(35) {
        let edge = EDGES[dice.below(EDGES.len() as u64) as usize];
        return Timestamp::parse(edge).unwrap();
    }
    let start = Timestamp::parse("2023-06-01").unwrap();
    Timestamp(start.0 + dice.below(1_040) as i64 * DAY + dice.below(DAY as u64) as i64)
}

/// A history.
pub fn frame(seed: u64) -> Frame {
    let dice = Dice::new(seed);
    let customers = 1 + dice.below(14) as u32;
    let mut frame = Frame {
        currencies: ["CNY", "EUR", "USD"].map(str::to_owned).to_vec(),
        sources: vec![Source {
            id: "erp".to_owned(),
            ..Source::default()
        }],
        persons: ["李雷", "王芳", "赵敏"].map(str::to_owned).to_vec(),
        ..Frame::default()
    };
    for n in 0..customers {
        let filled: Vec<&'static str> = ["name", "uscc", "phone", "owner"]
            .into_iter()
            .filter(|_| dice.chance(50))
            .collect();
        frame.customers.push(Customer {
            id: i64::from(n) * 3 + 1,
            person: dice.chance(20),
            deleted: dice.chance(5),
            create_time: instant(&dice),
            filled,
            ..Customer::default()
        });
        frame.addresses.insert(i64::from(n) * 3 + 1, n);
    }
    for id in 1..=dice.below(90) as i64 {
        let has_amount = !dice.chance(5);
        let negative = dice.chance(5);
        // Few distinct amounts, so that ties are common.
        let units = if dice.chance(40) {
            100
        } else {
            dice.below(5_000) as i64
        };
        let nanos = [0, 500_000_000, 10_000_000, 333_333_333][dice.below(4) as usize];
        let sign = if negative { -1 } else { 1 };
        frame.transactions.push(Transaction {
            id,
            customer: dice.below(u64::from(customers)) as u32,
            source: 0,
            currency: if dice.chance(75) {
                0
            } else {
                dice.below(3) as u16
            },
            kind: match dice.below(20) {
                0..9 => kind::ORDER,
                9..12 => kind::REFUND,
                12..15 => kind::INVOICE,
                15..18 => kind::PAYMENT,
                18 => kind::RECEIVABLE,
                _ => kind::TICKET,
            },
            cancelled: dice.chance(6),
            has_amount,
            nanos: if has_amount { sign as i32 * nanos } else { 0 },
            person: dice.below(4) as u32,
            units: if has_amount { sign * units } else { 0 },
            time: instant(&dice),
        });
    }
    for id in 1..=dice.below(25) as i64 {
        let rating = dice
            .chance(50)
            .then(|| (dice.chance(50), i128::from(dice.below(11)) * 1_000_000_000));
        frame.interactions.push(Interaction {
            id: 1_000 + id,
            customer: dice.below(u64::from(customers)) as u32,
            time: instant(&dice),
            channel: "wecom".to_owned(),
            employee: ["", "李雷", "users/lei"][dice.below(3) as usize].to_owned(),
            rating,
        });
    }
    sales(&dice, &mut frame, customers);
    frame.sort();
    frame
}

/// The versions of the generated pipeline: stages with whether they follow a win. One was taken out,
/// one came, two changed places.
const VERSIONS: [&[(&str, bool)]; 3] = [
    &[
        ("lead", false),
        ("contact", false),
        ("plan", false),
        ("sign", false),
        ("service", true),
        ("repeat", true),
    ],
    &[
        ("lead", false),
        ("plan", false),
        ("demo", false),
        ("sign", false),
        ("repeat", true),
    ],
    &[
        ("lead", false),
        ("demo", false),
        ("plan", false),
        ("bid", false),
        ("sign", false),
        ("service", true),
    ],
];

fn sales(dice: &Dice, frame: &mut Frame, customers: u32) {
    for (number, stages) in (1..).zip(VERSIONS) {
        let stages: Vec<Stage> = stages
            .iter()
            .map(|(id, after_win)| Stage {
                id: (*id).to_owned(),
                name: (*id).to_owned(),
                after_win: *after_win,
            })
            .collect();
        frame.stages.insert("default".to_owned(), stages.clone());
        frame
            .versions
            .insert(("default".to_owned(), number), stages);
    }
    // A stage of another pipeline must not be taken for one of this.
    let other = frame.versions[&("default".to_owned(), 1)].clone();
    frame.stages.insert("other".to_owned(), other);
    for n in 0..dice.below(18) as u32 {
        let create_time = instant(dice);
        let outcome = [Outcome::Open, Outcome::Won, Outcome::Lost][dice.below(3) as usize];
        let ended = Timestamp(create_time.0 + dice.below(200 * DAY as u64) as i64);
        let (mut version, mut stage) = (dice.below(3) as usize, "lead");
        for number in 1..=1 + dice.below(6) as i64 {
            if dice.chance(25) {
                // Moved to another version, back to an older one too.
                version = dice.below(3) as usize;
            }
            let stages: Vec<&str> = VERSIONS[version]
                .iter()
                .filter(|(_, after_win)| !after_win || outcome == Outcome::Won)
                .map(|s| s.0)
                .collect();
            stage = stages[dice.below(stages.len() as u64) as usize];
            let elsewhere = dice.chance(4);
            frame.transitions.push(Transition {
                opportunity: n,
                number,
                pipeline: if elsewhere { "other" } else { "default" }.to_owned(),
                version: version as i64 + 1,
                stage: stage.to_owned(),
                outcome: Outcome::Open,
                time: create_time,
            });
        }
        frame.opportunities.push(Opportunity {
            id: i64::from(n) + 1,
            customer: dice.below(u64::from(customers)) as u32,
            pipeline: "default".to_owned(),
            version: version as i64 + 1,
            stage: stage.to_owned(),
            outcome,
            amount: (!dice.chance(15)).then(|| {
                (
                    i128::from(dice.below(1_000_000)) * 10_000_000,
                    dice.below(3) as u16,
                )
            }),
            probability: dice.below(101) as i32,
            close_day: (!dice.chance(20)).then(|| 19_800 + dice.below(900) as i32),
            create_time,
            outcome_time: (outcome != Outcome::Open).then_some(ended),
            reason: String::new(),
            owner: ["", "users/lei", "users/min"][dice.below(3) as usize].to_owned(),
            org_unit: String::new(),
        });
    }
    frame.people = [("users/lei", "orgUnits/east"), ("users/min", "")]
        .map(|(user, unit)| (user.to_owned(), unit.to_owned()))
        .into();
}
