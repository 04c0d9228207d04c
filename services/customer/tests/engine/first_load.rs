//! First loads: records that are only stored when the call returns, and resolved in the background
//! many at a time, end as if they had been resolved one after the other.

use jinke_customer::{
    domain::{Decision, NewJudgement, Outcome},
    engine::{Engine, rebuild::Progress},
    store::MIGRATIONS,
};
use jinke_store::{Database, testing};
use jinke_types::{Body, RowScope, SourceRecord};

use crate::support::*;

const BRANDS: [&str; 7] = ["云峰", "蓝海", "金客", "锦江", "恒泰", "瑞安", "宏图"];
const TRADES: [&str; 5] = ["科技", "餐饮管理", "软件", "物流", "食品"];

/// Records of some companies in several spellings, and of people who work there.
fn town(count: usize) -> Vec<SourceRecord> {
    let chance = Chance::new(5);
    (0..count)
        .map(|n| {
            let company = chance.below(count / 4 + 1);
            let at = format!("{}/{n}", ["erp", "crm", "chat"][n % 3]);
            let brand = format!("{}{}", BRANDS[company % 7], BRANDS[company / 7 % 7]);
            let trade = TRADES[company % 5];
            let full = format!("上海{brand}{trade}有限公司");
            let phone = format!("1380000{:04}", company % 10_000);
            let code = uscc(u32::try_from(company).unwrap());
            match n % 5 {
                0 => org(&at, 1, &[(NAME, &full), ("uscc", &code)]),
                1 => org(&at, 1, &[(NAME, &full), (PHONE, &phone)]),
                2 => org(
                    &at,
                    1,
                    &[(NAME, &format!("{brand}{trade}")), (PHONE, &phone)],
                ),
                3 => org(
                    &at,
                    1,
                    &[(NAME, &full), (PHONE, "021-61234567"), ("uscc", &code)],
                ),
                _ => person(
                    &at,
                    1,
                    &[
                        (NAME, ["张伟", "王芳", "李娜"][company % 3]),
                        (PHONE, &phone),
                        ("employer", &full),
                    ],
                ),
            }
        })
        .collect()
}

async fn later(engine: &Engine, records: &[SourceRecord]) {
    for chunk in records.chunks(200) {
        let results = engine.ingest_later(chunk.to_vec(), None).await.unwrap();
        for r in results {
            assert_eq!((r.outcome, r.customer), (Outcome::Created, None));
        }
    }
}

/// The hash of the outcome when everything is resolved as it comes.
async fn one_after_the_other(records: &[SourceRecord], more: &[SourceRecord]) -> String {
    let place = testing::Place::new(jinke_store::Engine::Sqlite).await;
    let db = Database::open(place.config(), &MIGRATIONS).await.unwrap();
    let house = House::new(db.clone());
    let engine = house.engine().await;
    sources(&engine).await;
    for chunk in records.chunks(37).chain(more.chunks(11)) {
        ingest(&engine, chunk.to_vec()).await;
    }
    assert_sound(&engine).await;
    let hash = engine.state_hash().await.unwrap();
    drop(engine);
    db.close().await;
    place.remove().await;
    hash
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_load_ends_as_if_resolved_one_after_the_other() {
    let records = town(900);
    // What comes while records wait: changes of waiting ones, of resolved ones, and new ones.
    let mut more: Vec<SourceRecord> = town(960).split_off(900);
    for n in [3, 150, 450, 899] {
        let mut changed = records[n].clone();
        changed.source_revision = Some(2);
        if let Body::Party { values, .. } = &mut changed.body {
            values.truncate(1);
        }
        more.push(changed);
        let mut gone = records[n - 1].clone();
        gone.source_revision = Some(3);
        more.push(deleted(gone));
    }
    let expected = one_after_the_other(&records, &more).await;
    on_both(async |house| {
        let engine = house.engine().await;
        let (some, rest) = records.split_at(250);
        ingest(&engine, some.to_vec()).await;
        later(&engine, rest).await;
        // A restart forgets nothing.
        drop(engine);
        let engine = house.engine().await;
        for chunk in more.chunks(7) {
            for r in ingest(&engine, chunk.to_vec()).await {
                assert_ne!(r.outcome, Outcome::Rejected, "{:?}", r.error);
            }
        }
        engine.settle().await.unwrap();
        assert_eq!(engine.pending().await.unwrap(), 0);
        assert_eq!(engine.verify().await.unwrap(), Vec::<String>::new());
        assert_eq!(engine.state_hash().await.unwrap(), expected);
        // Whoever looks again finds nothing else to do.
        let again = engine
            .ingest_later(rest[..200].to_vec(), None)
            .await
            .unwrap();
        assert!(again.iter().all(|r| {
            r.customer.is_some() && matches!(r.outcome, Outcome::Unchanged | Outcome::Superseded)
        }));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn judgements_repairs_and_dry_runs_go_on_beside_a_first_load() {
    let quiet: Progress = std::sync::Arc::new(|_, _| Box::pin(async { Ok(()) }));
    let records = town(600);
    on_both(async |house| {
        let engine = house.engine().await;
        let (some, rest) = records.split_at(100);
        ingest(&engine, some.to_vec()).await;
        let kept = engine.rule_sets().await.unwrap();
        let run = engine
            .dry_run(kept[0].0.id, "users/mei", quiet.clone())
            .await
            .unwrap();
        assert_eq!(run.differences.0, 0, "the same rules");
        later(&engine, rest).await;
        let judgement = |left: usize, right: usize, decision| NewJudgement {
            decision,
            left: vec![records[left].key.clone()],
            right: vec![records[right].key.clone()],
            overrides_exclusivity: true,
            comment: String::new(),
            creator: "users/steward".to_owned(),
        };
        for (left, right, decision) in [
            (596, 592, Decision::Positive),
            (0, 590, Decision::Positive),
            (5, 10, Decision::Negative),
        ] {
            engine
                .create_judgement(judgement(left, right, decision), false, None)
                .await
                .unwrap();
        }
        let found = engine.rebuild(true, quiet.clone()).await.unwrap();
        assert_eq!(found.count, 0, "{:?}", found.differences);
        assert_sound(&engine).await;
        let name = |n: usize| format!("{}/{}", records[n].key.source, records[n].key.external_id);
        assert_eq!(
            holder(&engine, &name(0)).await,
            holder(&engine, &name(590)).await
        );
        // The dry run has seen all of them as well.
        let run = engine.dry_run_view(run.row.id).await.unwrap();
        assert_eq!(run.counts[0], run.counts[1]);
        assert_eq!(run.counts[2], run.counts[3]);
        engine
            .activate(kept[0].0.id, (run.row.id, run.row.revision), None)
            .await
            .unwrap();
        assert_sound(&engine).await;
        let golden = engine.golden(holder(&engine, &name(0)).await, &RowScope::All);
        assert!(golden.await.unwrap().records.len() > 1);
    })
    .await;
}
