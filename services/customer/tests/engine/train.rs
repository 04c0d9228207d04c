//! Learning from few of many records, and from what stewards judged.

use std::sync::Arc;

use jinke_customer::{
    domain::{Decision, NewJudgement},
    engine::{Engine, evaluate::MistakeKind, rebuild::Progress, train::Learned},
};
use jinke_resolution::RuleSet;
use jinke_types::{PartyKind, SourceRecord};

use crate::support::*;

const COMPANIES: usize = 300;
const JUDGED: usize = 40;
/// Far fewer than there are.
const SAMPLE: usize = 400;

fn quiet() -> Progress {
    Arc::new(|_, _| Box::pin(async { Ok(()) }))
}

/// A company's name, like no other's.
fn name(n: usize) -> String {
    const SIGNS: [char; 20] = [
        '云', '峰', '蓝', '海', '锦', '江', '恒', '泰', '瑞', '安', '鼎', '盛', '宏', '远', '嘉',
        '禾', '卓', '越', '晨', '曦',
    ];
    let sign = |n: usize| SIGNS[n % SIGNS.len()];
    let (a, b, c) = (sign(n), sign(n / 20), sign(n / 400 + 7 * n));
    format!("上海{a}{b}{c}科技有限公司")
}

/// Three records of each company, of which two have one phone and, of every other one, the third
/// has another.
fn companies() -> Vec<SourceRecord> {
    (0..COMPANIES)
        .flat_map(|n| {
            let (name, code) = (name(n), uscc(u32::try_from(n).unwrap()));
            let phone = format!("138{:08}", 1_000 + 17 * n);
            let third = format!("139{:08}", 5_000 + 19 * n);
            let third = if n % 2 == 0 { &phone } else { &third };
            [
                org(
                    &format!("erp/{n}"),
                    1,
                    &[(NAME, &name), (PHONE, &phone), ("uscc", &code)],
                ),
                org(&format!("crm/{n}"), 1, &[(NAME, &name), (PHONE, &phone)]),
                org(&format!("chat/{n}"), 1, &[(NAME, &name), (PHONE, third)]),
            ]
        })
        .collect()
}

/// Two records each, of one name and with two phones: one company or two, who knows.
fn unclear() -> Vec<SourceRecord> {
    (0..JUDGED)
        .flat_map(|n| {
            let name = name(COMPANIES + n);
            let one = |source: &str, phone: usize| {
                let phone = format!("137{:08}", 3_000 + phone);
                org(
                    &format!("{source}/u{n}"),
                    1,
                    &[(NAME, &name), (PHONE, &phone)],
                )
            };
            [one("erp", 31 * n), one("crm", 31 * n + 7_000)]
        })
        .collect()
}

async fn judge(engine: &Engine, decision: Decision, left: &str, right: &str) {
    let new = NewJudgement {
        decision,
        left: vec![key(left)],
        right: vec![key(right)],
        overrides_exclusivity: false,
        comment: String::new(),
        creator: "users/steward".to_owned(),
    };
    engine.create_judgement(new, false, None).await.unwrap();
}

/// The file trained after all unclear pairs were judged so, or none was.
async fn trained(mut house: House, decision: Option<Decision>, reversed: bool) -> RuleSet {
    house.training_records = SAMPLE;
    let engine = house.engine().await;
    let mut records = companies();
    records.extend(unclear());
    let mut pairs: Vec<usize> = (0..JUDGED).collect();
    if reversed {
        records.reverse();
        pairs.reverse();
    }
    for chunk in records.chunks(250) {
        ingest(&engine, chunk.to_vec()).await;
    }
    for n in pairs {
        if let Some(decision) = decision {
            judge(
                &engine,
                decision,
                &format!("erp/u{n}"),
                &format!("crm/u{n}"),
            )
            .await;
        }
    }
    engine.settle().await.unwrap();
    let kind = PartyKind::Organization;
    let row = engine
        .train(kind, ("judged", "users/mei"), true, quiet())
        .await
        .unwrap();
    let learned = Learned::read(&row.text).unwrap();
    let total = 3 * COMPANIES + 2 * JUDGED;
    let records = usize::try_from(learned.records).unwrap();
    assert!(
        (SAMPLE / 2..=SAMPLE + 60).contains(&records) && records < total,
        "{learned:?}"
    );
    assert!(learned.candidate_pairs >= 200, "{learned:?}");
    let judged = if decision.is_some() { JUDGED } else { 0 };
    assert_eq!(learned.judged_pairs, i64::try_from(judged).unwrap());
    assert_eq!(learned.judged_pairs_left_out, 0);
    RuleSet::parse(&row.text).unwrap()
}

fn weight(set: &RuleSet, comparison: &str, level: &str) -> i32 {
    let comparison = set.comparisons.iter().find(|c| c.name == comparison);
    let levels = &comparison.expect("a comparison").levels;
    levels
        .iter()
        .find(|l| l.name == level)
        .expect("a level")
        .weight
}

async fn alone(case: impl AsyncFn(House) -> ()) {
    jinke_store::testing::on_engine(
        jinke_store::Engine::Sqlite,
        &jinke_customer::store::MIGRATIONS,
        async |db| {
            let house = House::new(db);
            sources(&house.engine().await).await;
            case(house).await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn judgements_move_a_weight_wherever_their_records_are() {
    let sets = std::sync::Mutex::new(Vec::new());
    for decision in [None, Some(Decision::Positive), Some(Decision::Negative)] {
        alone(async |house| {
            let set = trained(house, decision, false).await;
            sets.lock().unwrap().push(set);
        })
        .await;
    }
    let sets = sets.into_inner().unwrap();
    let other_phone: Vec<i32> = sets.iter().map(|s| weight(s, "phone", "else")).collect();
    // One company may well have two phones, people say, or that it may not.
    assert!(other_phone[1] > other_phone[0] + 50, "{other_phone:?}");
    assert!(other_phone[2] < other_phone[0] - 50, "{other_phone:?}");
    // What strangers look like is not learned from pairs that look alike.
    let same_name: Vec<i32> = sets.iter().map(|s| weight(s, "name", "exact")).collect();
    assert!((same_name[2] - same_name[0]).abs() < 1_000, "{same_name:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_is_the_same_for_any_order_and_database() {
    let texts = std::sync::Mutex::new(Vec::new());
    on_both(async |house| {
        let reversed = house.db.engine() == jinke_store::Engine::Postgres;
        let set = trained(house, Some(Decision::Positive), reversed).await;
        texts.lock().unwrap().push(set.to_toml().to_owned());
    })
    .await;
    alone(async |house| {
        let set = trained(house, Some(Decision::Positive), true).await;
        texts.lock().unwrap().push(set.to_toml().to_owned());
    })
    .await;
    let texts = texts.into_inner().unwrap();
    assert!(texts.len() >= 2 && texts.iter().all(|t| *t == texts[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn judgements_on_records_that_are_gone_are_left_out_and_counted() {
    alone(async |house| {
        let engine = house.engine().await;
        ingest(&engine, companies()).await;
        ingest(&engine, unclear()).await;
        for n in 0..5 {
            judge(
                &engine,
                Decision::Positive,
                &format!("erp/u{n}"),
                &format!("crm/u{n}"),
            )
            .await;
        }
        // One was deleted by its source, one never came, one is a person's.
        one(&engine, deleted(org("erp/u0", 2, &[]))).await;
        judge(&engine, Decision::Negative, "erp/u7", "crm/never").await;
        for at in ["erp/p1", "crm/p2"] {
            one(
                &engine,
                person(at, 1, &[(NAME, "张伟"), (PHONE, "13816997452")]),
            )
            .await;
        }
        judge(&engine, Decision::Positive, "erp/p1", "crm/p2").await;
        let kind = PartyKind::Organization;
        let row = engine
            .train(kind, ("", "users/mei"), true, quiet())
            .await
            .unwrap();
        let learned = Learned::read(&row.text).unwrap();
        assert_eq!(
            (learned.judged_pairs, learned.judged_pairs_left_out),
            (4, 2)
        );
        let without = engine
            .train(kind, ("", "users/mei"), false, quiet())
            .await
            .unwrap();
        let learned = Learned::read(&without.text).unwrap();
        assert_eq!(
            (learned.judged_pairs, learned.judged_pairs_left_out),
            (0, 0)
        );
        assert_ne!(row.version, without.version);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_told_by_kind_and_by_what_decided() {
    on_both(async |house| {
        let engine = house.engine().await;
        let code = uscc(1);
        let of = |name: &str, phone: &str| {
            vec![
                (NAME.to_owned(), name.to_owned()),
                (PHONE.to_owned(), phone.to_owned()),
            ]
        };
        let mut records = Vec::new();
        for (at, said, with_code) in [
            ("erp/a", of("上海云峰科技有限公司", "13800000001"), true),
            ("crm/a", of("上海云峰科技有限公司", "13800000001"), true),
            ("erp/b", of("北京蓝海餐饮有限公司", "13800000002"), false),
            ("crm/b", of("成都锦江物流有限公司", "13800000003"), false),
        ] {
            let mut said: Vec<(&str, &str)> =
                said.iter().map(|(a, t)| (a.as_str(), t.as_str())).collect();
            if with_code {
                said.push(("uscc", &code));
            }
            records.push(org(at, 1, &said));
        }
        ingest(&engine, records).await;
        judge(&engine, Decision::Negative, "erp/a", "crm/a").await;
        judge(&engine, Decision::Positive, "erp/b", "crm/b").await;
        let id = engine.rule_sets().await.unwrap()[0].0.id;
        let found = engine.evaluate(id, &[], quiet()).await.unwrap();
        let told: Vec<_> = found
            .mistakes
            .iter()
            .map(|m| {
                let (comparison, level) = m.decisive.clone().unwrap();
                (m.kind, m.same, format!("{comparison}:{level}"))
            })
            .collect();
        assert!(
            told.contains(&(MistakeKind::WronglyMerged, false, "uscc:equal".to_owned())),
            "{told:?}"
        );
        assert!(
            told.contains(&(MistakeKind::Missed, true, "name:different".to_owned())),
            "{told:?}"
        );
        assert_eq!(told.len(), 2);
        assert_eq!(found.kinds.values().sum::<i64>(), 2);
        // Whoever may not see credit codes is told the next.
        let hidden = ["uscc".to_owned()];
        let found = engine.evaluate(id, &hidden, quiet()).await.unwrap();
        let merged = found
            .mistakes
            .iter()
            .find(|m| m.kind == MistakeKind::WronglyMerged);
        assert_eq!(
            merged.unwrap().decisive,
            Some(("name".to_owned(), "exact".to_owned()))
        );
    })
    .await;
}
