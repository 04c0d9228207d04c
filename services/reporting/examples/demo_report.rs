//! Writes the report of an invented company as HTML and XLSX, in Chinese and English:
//! `cargo run -p jinke-reporting --example demo_report -- FOLDER`. The pictures in `docs/` are of it.

use std::{fs, path::PathBuf, process::ExitCode};

use jinke_reporting::{
    facts::{
        Customer, Frame, Interaction, Opportunity, Outcome, Source, Stage, Transaction, Transition,
        kind,
    },
    number::ONE,
    parameters::Parameters,
    report::{Language, html, model, xlsx},
};
use jinke_types::{Entropy as _, SeededEntropy, Timestamp};

const PLACES: [(&str, &str); 8] = [
    ("浙江省", "杭州"),
    ("上海市", "上海"),
    ("江苏省", "苏州"),
    ("广东省", "深圳"),
    ("四川省", "成都"),
    ("湖北省", "武汉"),
    ("山东省", "青岛"),
    ("北京市", "北京"),
];
const WORDS: [&str; 16] = [
    "宏远", "启明", "恒信", "瑞丰", "天工", "海川", "金石", "云峰", "远航", "中联", "华泰", "嘉禾",
    "百川", "安科", "德润", "鼎新",
];
const TRADES: [&str; 6] = ["机械", "电子", "食品", "医药", "建材", "物流"];
const STAGES: [(&str, &str, bool); 8] = [
    ("lead", "线索发现", false),
    ("contact", "初步接触", false),
    ("need", "需求分析", false),
    ("plan", "方案制定", false),
    ("talk", "商务谈判", false),
    ("sign", "签约", false),
    ("service", "服务", true),
    ("repeat", "复购", true),
];
const DAY: i64 = 86_400_000_000;

struct Dice(SeededEntropy);

impl Dice {
    fn below(&self, n: i64) -> i64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        (u64::from_le_bytes(bytes) % n.unsigned_abs().max(1)) as i64
    }
    fn chance(&self, percent: i64) -> bool {
        self.below(100) < percent
    }
}

fn customers(dice: &Dice, frame: &mut Frame) {
    for n in 0..420_i64 {
        let (province, city) = PLACES[dice.below(8) as usize];
        let trade = TRADES[dice.below(6) as usize];
        let word = format!(
            "{}{}",
            WORDS[dice.below(16) as usize],
            ["", "达", "盛", "通"][dice.below(4) as usize]
        );
        let chances = [100, 92, 78, 55, 83, 70, 40, 66, 35, 74];
        let filled = jinke_reporting::measures::cohort::FIELDS
            .into_iter()
            .zip(chances)
            .filter(|(_, chance)| dice.chance(*chance))
            .map(|(field, _)| field)
            .collect();
        frame.customers.push(Customer {
            id: n * 7 + 3,
            create_time: Timestamp::parse("2024-01-01").unwrap_or_default(),
            name: format!("{city}示例{word}{trade}有限公司"),
            attributes: [
                ("province", province.to_owned()),
                ("industry", trade.to_owned()),
            ]
            .into(),
            filled,
            ..Customer::default()
        });
    }
}

fn facts(dice: &Dice, frame: &mut Frame, end: i64) {
    let mut id = 0;
    for place in 0..420_u32 {
        // A few buy much and often, most little and seldom, some never.
        let rank = dice.below(1_000);
        let (gap, size) = match rank {
            0..30 => (12, 180_000),
            30..150 => (28, 42_000),
            150..600 => (60, 12_000),
            600..880 => (130, 5_000),
            _ => continue,
        };
        let mut at = end - dice.below(820) * DAY;
        // Two in five stop at some time.
        let stop = if dice.chance(40) {
            end - dice.below(400) * DAY
        } else {
            end
        };
        while at < stop {
            id += 1;
            let order = Transaction {
                id,
                customer: place,
                source: 0,
                currency: 0,
                kind: kind::ORDER,
                cancelled: false,
                has_amount: true,
                nanos: (dice.below(100) * 10_000_000) as i32,
                person: 0,
                units: size / 3 + dice.below(size),
                time: Timestamp(at + dice.below(DAY)),
            };
            frame.transactions.push(order);
            for (chance, kind, part) in [(4, kind::REFUND, 5), (3, kind::TICKET, 1)] {
                if dice.chance(chance) {
                    id += 1;
                    frame.transactions.push(Transaction {
                        id,
                        kind,
                        units: order.units / part,
                        has_amount: kind == kind::REFUND,
                        time: Timestamp(at + 3 * DAY),
                        ..order
                    });
                }
            }
            if dice.chance(25) {
                id += 1;
                frame.interactions.push(Interaction {
                    id,
                    customer: place,
                    time: Timestamp(at + 5 * DAY),
                    channel: "survey:nps".to_owned(),
                    employee: String::new(),
                    rating: Some((dice.chance(70), i128::from(4 + dice.below(7)) * ONE)),
                });
            }
            at += (gap / 2 + dice.below(gap)) * DAY;
        }
    }
}

fn sales(dice: &Dice, frame: &mut Frame, end: i64) {
    frame.stages.insert(
        "default".to_owned(),
        STAGES
            .iter()
            .map(|(id, name, after_win)| Stage {
                id: (*id).to_owned(),
                name: (*name).to_owned(),
                after_win: *after_win,
            })
            .collect(),
    );
    for n in 0..520_u32 {
        let began = Timestamp(end - dice.below(360) * DAY);
        let far = [80, 74, 70, 62, 58, 70, 60]
            .iter()
            .take_while(|chance| dice.chance(**chance))
            .count();
        let won = far >= 5;
        for (number, stage) in STAGES.iter().enumerate().take(far + 1) {
            frame.transitions.push(Transition {
                opportunity: n,
                number: number as i64 + 1,
                pipeline: "default".to_owned(),
                version: 1,
                stage: stage.0.to_owned(),
                outcome: Outcome::Open,
                time: began,
            });
        }
        let lost = !won && dice.chance(45);
        let outcome = match (won, lost) {
            (true, _) => Outcome::Won,
            (_, true) => Outcome::Lost,
            _ => Outcome::Open,
        };
        frame.opportunities.push(Opportunity {
            id: i64::from(n) + 1,
            customer: dice.below(420) as u32,
            pipeline: "default".to_owned(),
            version: 1,
            stage: STAGES[far].0.to_owned(),
            outcome,
            amount: Some((i128::from(5_000 + dice.below(200_000)) * ONE, 0)),
            probability: 10 * far as i32,
            close_day: None,
            create_time: began,
            outcome_time: (outcome != Outcome::Open)
                .then(|| Timestamp((began.0 + (20 + dice.below(90)) * DAY).min(end))),
            reason: String::new(),
            owner: String::new(),
            org_unit: String::new(),
        });
    }
}

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return ExitCode::from(2);
    };
    let dice = Dice(SeededEntropy::new(2026));
    let end = Timestamp::parse("2026-03-31T15:00:00Z")
        .unwrap_or_default()
        .0;
    let mut frame = Frame {
        currencies: vec!["CNY".to_owned()],
        sources: vec![Source {
            id: "erp".to_owned(),
            ..Source::default()
        }],
        ..Frame::default()
    };
    customers(&dice, &mut frame);
    facts(&dice, &mut frame, end);
    sales(&dice, &mut frame, end);
    frame.sort();
    let parameters = Parameters {
        margin: Some(3 * ONE / 10),
        ..Parameters::default()
    };
    let Some(date) = chrono::NaiveDate::from_ymd_opt(2026, 3, 31) else {
        return ExitCode::FAILURE;
    };
    let written = (|| -> Result<(), Box<dyn std::error::Error>> {
        let report = model::build(&frame, &parameters, date)?;
        fs::create_dir_all(&folder)?;
        for (language, name) in [(Language::Zh, "zh"), (Language::En, "en")] {
            fs::write(
                folder.join(format!("report-{name}.html")),
                html::write(&report, language),
            )?;
            fs::write(
                folder.join(format!("report-{name}.xlsx")),
                xlsx::write(&report, language)?,
            )?;
        }
        Ok(())
    })();
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
