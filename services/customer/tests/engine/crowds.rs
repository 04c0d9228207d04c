//! Blocks of more records than are compared with each other: of one name core, of many, crossing
//! every limit both ways. What is stored equals resolving from scratch, in any order; a customer
//! with any number of records stays one.

use jinke_customer::{domain::Outcome, engine::Engine, store::MIGRATIONS};
use jinke_store::testing;
use jinke_types::SourceRecord;

use crate::support::*;

/// Records that say the same of one company, at different external ids.
fn crowd(from: usize, count: usize, name: &str, code: &str) -> Vec<SourceRecord> {
    (from..from + count)
        .map(|n| {
            let source = ["erp", "crm", "chat"][n % 3];
            org(&format!("{source}/{n}"), 1, &[(NAME, name), ("uscc", code)])
        })
        .collect()
}

async fn all(engine: &Engine, records: Vec<SourceRecord>) {
    for chunk in records.chunks(500) {
        let results = ingest(engine, chunk.to_vec()).await;
        assert!(results.iter().all(|r| r.outcome != Outcome::Rejected));
    }
}

fn shuffle<T>(list: &mut [T], chance: &Chance) {
    for i in (1..list.len()).rev() {
        list.swap(i, chance.below(i + 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_with_many_records_under_one_code_stays_one() {
    on_both(async |house| {
        let engine = house.engine().await;
        let code = uscc(1);
        all(&engine, crowd(0, 70, "上海云峰科技有限公司", &code)).await;
        let whole = holder(&engine, "erp/0").await;
        for at in ["crm/1", "chat/2", "erp/69"] {
            assert_eq!(holder(&engine, at).await, whole, "{at}");
        }
        assert_sound(&engine).await;
        // Beyond every limit of every key, and back again.
        all(&engine, crowd(70, 230, "上海云峰科技有限公司", &code)).await;
        assert_sound(&engine).await;
        assert_eq!(holder(&engine, "chat/299").await, whole);
        let view = engine
            .golden(whole, &jinke_types::RowScope::All)
            .await
            .unwrap();
        assert_eq!(view.records.len(), 300);
        let moved: Vec<SourceRecord> = (0..250)
            .map(|n| {
                let source = ["erp", "crm", "chat"][n % 3];
                let name = format!("杭州第{n}餐饮有限公司");
                org(&format!("{source}/{n}"), 2, &[(NAME, name.as_str())])
            })
            .collect();
        all(&engine, moved).await;
        assert_sound(&engine).await;
        assert_ne!(
            holder(&engine, "erp/0").await,
            holder(&engine, "chat/299").await
        );
        assert_eq!(
            holder(&engine, "erp/252").await,
            holder(&engine, "chat/299").await
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crowds_of_one_core_and_of_many_do_not_depend_on_order() {
    let names = [
        "上海云峰科技有限公司",
        "云峰科技",
        "北京蓝海餐饮管理有限公司",
        "深圳市前海金客软件有限公司",
        "成都锦江物流有限公司",
        "广州粤海食品有限公司",
    ];
    for seed in 0..4_u64 {
        let chance = Chance::new(seed);
        // Many of one core, and several cores that share a phone or a code.
        let mut steps: Vec<SourceRecord> = Vec::new();
        let phones = ["13812345678", "13900001111"];
        let codes = [uscc(1), uscc(2)];
        for n in 0..90 {
            let name = if chance.once_in(3) {
                *chance.pick(&names)
            } else {
                names[0]
            };
            let source = ["erp", "crm", "chat"][n % 3];
            for revision in 1..=1 + i64::try_from(chance.below(3)).unwrap() {
                let mut said = vec![(NAME, name)];
                if !chance.once_in(3) {
                    said.push((PHONE, *chance.pick(&phones)));
                }
                if chance.once_in(2) {
                    said.push(("uscc", chance.pick(&codes).as_str()));
                }
                let mut record = org(&format!("{source}/{n}"), revision, &said);
                if chance.once_in(9) {
                    record = deleted(org(&format!("{source}/{n}"), revision, &[]));
                }
                steps.push(record);
            }
        }
        let mut hashes = Vec::new();
        for (records, cores) in [(12, 3), (12, 3), (12, 3)] {
            shuffle(&mut steps, &chance);
            let size = 1 + chance.below(40);
            let steps = steps.clone();
            let place = testing::Place::new(jinke_store::Engine::Sqlite).await;
            let db = jinke_store::Database::open(place.config(), &MIGRATIONS)
                .await
                .unwrap();
            let house = House::with_rules(db.clone(), narrow_rules(records, cores));
            let engine = house.engine().await;
            sources(&engine).await;
            for chunk in steps.chunks(size) {
                ingest(&engine, chunk.to_vec()).await;
            }
            engine.settle().await.unwrap();
            assert_eq!(
                engine.verify().await.unwrap(),
                Vec::<String>::new(),
                "seed {seed}"
            );
            hashes.push(engine.state_hash().await.unwrap());
            drop(engine);
            db.close().await;
            place.remove().await;
        }
        assert!(
            hashes.windows(2).all(|w| w[0] == w[1]),
            "seed {seed}: {hashes:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_concerns_too_many_is_done_in_the_background() {
    on_both(async |house| {
        let engine = house.engine().await;
        let code = uscc(3);
        all(&engine, crowd(0, 2_600, "上海云峰科技有限公司", &code)).await;
        engine.settle().await.unwrap();
        let whole = holder(&engine, "erp/0").await;
        // One more is noted, and is a customer of its own until then.
        let more = crowd(2_600, 1, "上海云峰科技有限公司", &code).remove(0);
        assert_ne!(one(&engine, more).await.1, whole);
        engine.settle().await.unwrap();
        assert_eq!(engine.pending().await.unwrap(), 0);
        assert_eq!(holder(&engine, "chat/2600").await, whole);
        assert_eq!(engine.verify().await.unwrap(), Vec::<String>::new());
    })
    .await;
}
