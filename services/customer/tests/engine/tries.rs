//! Rule sets that are tried before they decide: built in the shadow while writers go on, activated
//! exactly as listed, refused when something moved, taken back.

use std::sync::Arc;

use jinke_customer::engine::{Engine, rebuild::Progress};
use jinke_resolution::RuleSet;
use jinke_types::{PartyKind, SourceRecord};

use crate::support::*;

fn quiet() -> Progress {
    Arc::new(|_, _| Box::pin(async { Ok(()) }))
}

/// The configured rule set for organizations with another merge threshold.
fn stricter(by: i32, version: &str) -> String {
    let base = RuleSet::organization();
    let merge = base.thresholds.merge;
    let text: String = base
        .to_toml()
        .lines()
        .map(
            |line| match line.split('=').next().unwrap_or_default().trim() {
                "merge" => format!("merge = {}\n", merge + by),
                "version" => format!("version = \"{version}\"\n"),
                _ => format!("{line}\n"),
            },
        )
        .collect();
    assert_eq!(RuleSet::parse(&text).unwrap().thresholds.merge, merge + by);
    text
}

const BRANDS: [&str; 6] = ["云峰", "蓝海", "金客", "锦江", "恒泰", "瑞安"];

/// Companies whose records match by more or less.
fn town(from: usize, count: usize) -> Vec<SourceRecord> {
    (from..from + count)
        .map(|n| {
            let brand = BRANDS[n / 4 % 6];
            let (full, short) = (format!("上海{brand}科技有限公司"), format!("{brand}科技"));
            let phone = format!("1380000{:04}", n / 4);
            let code = uscc(u32::try_from(n / 4).unwrap());
            let said: &[(&str, &str)] = match n % 4 {
                0 => &[(NAME, full.as_str()), ("uscc", code.as_str())],
                1 => &[
                    (NAME, full.as_str()),
                    (PHONE, phone.as_str()),
                    ("uscc", code.as_str()),
                ],
                2 => &[(NAME, short.as_str()), (PHONE, phone.as_str())],
                _ => &[(NAME, full.as_str())],
            };
            let source = ["erp", "crm", "chat"][n % 3];
            org(&format!("{source}/{n}"), 1, said)
        })
        .collect()
}

async fn sound(engine: &Engine) {
    engine.settle().await.unwrap();
    assert_eq!(engine.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_set_is_tried_activated_and_taken_back() {
    on_both(async |house| {
        let engine = house.engine().await;
        ingest(&engine, town(0, 40)).await;
        ingest(
            &engine,
            vec![
                person("crm/p1", 1, &[(NAME, "张伟"), (PHONE, "13816997452")]),
                person("erp/p2", 1, &[(NAME, "张伟"), (PHONE, "13816997452")]),
            ],
        )
        .await;
        sound(&engine).await;
        assert_eq!(
            holder(&engine, "crm/p1").await,
            holder(&engine, "erp/p2").await
        );
        let before = engine.state_hash().await.unwrap();
        let configured = engine.rule_sets().await.unwrap();
        assert!(configured[0].1 && configured[0].0.kind == PartyKind::Organization);
        let text = stricter(9_000, "organization-strict");
        let (kept, active) = engine
            .keep_rule_set(&text, "users/mei", false)
            .await
            .unwrap();
        assert!(!active);
        let again = engine
            .keep_rule_set(&text, "users/mei", false)
            .await
            .unwrap();
        assert_eq!(again.0.id, kept.id, "the same text is kept once");
        let taken = stricter(8_000, "organization-strict");
        let refused = engine.keep_rule_set(&taken, "users/mei", false).await;
        assert_eq!(refused.unwrap_err().reason, "RULE_SET_VERSION_TAKEN");
        let keys = text.replacen("max_records = 60", "max_records = 61", 1);
        let refused = engine.keep_rule_set(&keys, "users/mei", false).await;
        assert_eq!(refused.unwrap_err().reason, "RULE_SET_KEYS");

        let run = engine.dry_run(kept.id, "users/mei", quiet()).await.unwrap();
        assert!(run.splits > 0 && run.differences.0 > 0, "{run:?}");
        assert_eq!(run.differences.0, run.differences.1, "nobody saw them yet");
        assert!(run.counts[1] > run.counts[0]);
        assert_eq!(
            engine.state_hash().await.unwrap(),
            before,
            "nothing changed"
        );
        sound(&engine).await;
        // A restart forgets nothing, and what comes is resolved under both.
        drop(engine);
        let engine = house.engine().await;
        ingest(&engine, town(40, 3)).await;
        ingest(
            &engine,
            vec![org("erp/900", 1, &[(NAME, "杭州无关食品有限公司")])],
        )
        .await;
        let seen = (run.row.id, run.row.revision);
        let refused = engine.activate(kept.id, seen, None).await.unwrap_err();
        assert_eq!(refused.reason, "DRY_RUN_MOVED", "{refused}");
        let run = engine.dry_run_view(run.row.id).await.unwrap();
        assert_eq!(run.row.revision, seen.1 + 1);
        assert!(
            run.differences.1 >= 1 && run.differences.1 < run.differences.0,
            "{run:?}"
        );
        let refused = engine.activate(kept.id, seen, None).await.unwrap_err();
        assert_eq!(
            refused.reason, "DRY_RUN_MOVED",
            "the old list is approved no more"
        );
        let list = engine
            .dry_run_differences(run.row.id, None, 1_000)
            .await
            .unwrap();
        assert!(!list[0].approved && list.last().unwrap().approved);

        engine
            .activate(kept.id, (run.row.id, run.row.revision), None)
            .await
            .unwrap();
        sound(&engine).await;
        assert_eq!(
            engine.rules().await.unwrap().organization.version,
            "organization-strict"
        );
        // Exactly as listed.
        for d in &list {
            for (customer, records) in &d.after {
                for key in records {
                    let at = format!("{}/{}", key.source, key.external_id);
                    assert_eq!(holder(&engine, &at).await, *customer, "{at}");
                }
            }
        }
        assert_eq!(
            holder(&engine, "crm/p1").await,
            holder(&engine, "erp/p2").await
        );
        let gone = engine.dry_run_view(run.row.id).await.unwrap_err();
        assert_eq!(gone.reason, "NOT_FOUND");
        // What comes later is resolved under the new version alone, after a restart too.
        drop(engine);
        let engine = house.engine().await;
        ingest(&engine, town(43, 5)).await;
        sound(&engine).await;

        let back = configured[0].0.id;
        let run = engine.dry_run(back, "users/mei", quiet()).await.unwrap();
        assert!(run.merges > 0);
        engine
            .activate(back, (run.row.id, run.row.revision), None)
            .await
            .unwrap();
        sound(&engine).await;
        let never = jinke_store::testing::Place::new(jinke_store::Engine::Sqlite).await;
        let db = jinke_store::Database::open(never.config(), &jinke_customer::store::MIGRATIONS)
            .await
            .unwrap();
        let other = House::new(db.clone());
        let plain = other.engine().await;
        sources(&plain).await;
        let mut all = town(0, 48);
        all.push(org("erp/900", 1, &[(NAME, "杭州无关食品有限公司")]));
        all.push(person(
            "crm/p1",
            1,
            &[(NAME, "张伟"), (PHONE, "13816997452")],
        ));
        all.push(person(
            "erp/p2",
            1,
            &[(NAME, "张伟"), (PHONE, "13816997452")],
        ));
        ingest(&plain, all).await;
        assert_eq!(
            engine.state_hash().await.unwrap(),
            plain.state_hash().await.unwrap(),
            "as if the other version had never been in force"
        );
        drop(plain);
        db.close().await;
        never.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn training_gives_the_same_file_for_any_order() {
    let mut texts = Vec::new();
    for reversed in [false, true] {
        let place = jinke_store::testing::Place::new(jinke_store::Engine::Sqlite).await;
        let db = jinke_store::Database::open(place.config(), &jinke_customer::store::MIGRATIONS)
            .await
            .unwrap();
        let house = House::new(db.clone());
        let engine = house.engine().await;
        sources(&engine).await;
        let few = engine
            .train(PartyKind::Person, ("", "users/mei"), false, quiet())
            .await;
        assert_eq!(few.unwrap_err().reason, "TOO_FEW_RECORDS");
        let mut records = town(0, 240);
        if reversed {
            records.reverse();
        }
        for chunk in records.chunks(70) {
            ingest(&engine, chunk.to_vec()).await;
        }
        let a = holder(&engine, "erp/0").await;
        let b = holder(&engine, "chat/8").await;
        assert_ne!(a, b);
        let trained = engine
            .train(
                PartyKind::Organization,
                ("org-t", "users/mei"),
                true,
                quiet(),
            )
            .await
            .unwrap();
        assert_eq!(
            (trained.origin.as_str(), trained.version.as_str()),
            ("trained", "org-t")
        );
        let set = RuleSet::parse(&trained.text).unwrap();
        let base = RuleSet::organization();
        assert_eq!((&set.keys, set.thresholds), (&base.keys, base.thresholds));
        let furthest = set
            .comparisons
            .iter()
            .zip(&base.comparisons)
            .flat_map(|(x, y)| x.levels.iter().zip(&y.levels))
            .map(|(x, y)| (x.weight - y.weight).abs())
            .max()
            .unwrap();
        assert!(furthest > 0 && furthest <= 3_000, "{furthest}");
        // It can be tried and measured.
        let run = engine
            .dry_run(trained.id, "users/mei", quiet())
            .await
            .unwrap();
        assert!(run.row.built);
        engine.delete_dry_run(run.row.id).await.unwrap();
        engine
            .merge(merge(a, b), &jinke_types::RowScope::All, None)
            .await
            .ok();
        let measured = engine.evaluate(trained.id, &[], quiet()).await.unwrap();
        assert!(measured.judged <= 1);
        sound(&engine).await;
        texts.push(trained.text);
        drop(engine);
        db.close().await;
        place.remove().await;
    }
    assert_eq!(texts[0], texts[1]);
}
