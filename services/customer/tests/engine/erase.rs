//! Erasing: what is left is as if the erased records had never come, ids pass on or say so, and no
//! data key of theirs stays.

use jinke_customer::{
    domain::{Decision, Erase, NewJudgement, Outcome},
    engine::Engine,
    store::MIGRATIONS,
};
use jinke_store::{Database, args, testing};
use jinke_types::{RowScope, SourceRecord};

use crate::{attach::order, support::*};

fn erase(customer: i64) -> Erase {
    Erase {
        customer,
        etag: None,
        validate_only: false,
    }
}

/// Companies who share a switchboard, so that it becomes generic and ceases to be.
fn town() -> Vec<SourceRecord> {
    let mut out = Vec::new();
    for n in 0..40 {
        let name = format!("杭州第{n}示例电子有限公司");
        let code = uscc(n);
        let phone = format!("1380000{n:04}");
        let said = [(NAME, name.as_str()), ("uscc", code.as_str())];
        out.push(org(&format!("erp/{n}"), 1, &said));
        let said = [(NAME, name.as_str()), (PHONE, phone.as_str())];
        out.push(org(&format!("crm/{n}"), 1, &said));
        let said = [
            (PHONE, phone.as_str()),
            ("uscc", code.as_str()),
            (NAME, name.as_str()),
            (EMAIL, "office@park.example"),
        ];
        out.push(org(&format!("chat/{n}"), 1, &said));
    }
    out
}

async fn hash_of(house: House, records: Vec<SourceRecord>) -> String {
    let engine = house.engine().await;
    sources(&engine).await;
    for chunk in records.chunks(50) {
        ingest(&engine, chunk.to_vec()).await;
    }
    assert_sound(&engine).await;
    engine.state_hash().await.unwrap()
}

async fn count(engine: &Engine, sql: &'static str) -> i64 {
    let mut reader = engine.database().read().await.unwrap();
    let row = reader.fetch_one(sql, args![]).await.unwrap();
    row.i64("n").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_is_as_if_the_erased_had_never_come() {
    for rules in [narrow_rules(4, 3), jinke_resolution::Rules::embedded()] {
        let place = testing::Place::new(jinke_store::Engine::Sqlite).await;
        let db = Database::open(place.config(), &MIGRATIONS).await.unwrap();
        let rest = town().split_off(3);
        let expected = hash_of(House::with_rules(db.clone(), rules.clone()), rest).await;
        db.close().await;
        place.remove().await;
        testing::on_each_engine(&MIGRATIONS, async |db| {
            let house = House::with_rules(db, rules.clone());
            let engine = house.engine().await;
            sources(&engine).await;
            ingest(&engine, town()).await;
            let orders = vec![
                order("erp/o1", 1, "crm/0", "12.50"),
                order("erp/o2", 1, "crm/1", "7"),
            ];
            ingest(&engine, orders).await;
            let gone: Vec<i64> = [
                holder(&engine, "erp/0").await,
                holder(&engine, "crm/0").await,
                holder(&engine, "chat/0").await,
            ]
            .into_iter()
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect();
            let judgement = NewJudgement {
                decision: Decision::Negative,
                left: vec![key("erp/0")],
                right: vec![key("erp/1")],
                overrides_exclusivity: false,
                comment: "张三说不是".to_owned(),
                creator: "users/steward".to_owned(),
            };
            engine
                .create_judgement(judgement, false, None)
                .await
                .unwrap();
            let dry = Erase {
                validate_only: true,
                ..erase(gone[0])
            };
            let seen = engine.erase(dry, &RowScope::All, None).await.unwrap();
            assert!(engine.golden(gone[0], &RowScope::All).await.is_ok());
            let (mut records, mut activities) = (0, 0);
            for id in &gone {
                let done = engine.erase(erase(*id), &RowScope::All, None).await.unwrap();
                if *id == gone[0] {
                    assert_eq!(done, seen);
                }
                records += done.records;
                activities += done.activities;
            }
            assert_eq!((records, activities), (3, 1));
            assert_sound(&engine).await;
            assert_eq!(engine.state_hash().await.unwrap(), expected);
            for id in &gone {
                let failure = engine.golden(*id, &RowScope::All).await.unwrap_err();
                assert_eq!(failure.reason, "CUSTOMER_ERASED");
                let some = RowScope::OrgUnits([String::new()].into());
                let failure = engine.golden(*id, &some).await.unwrap_err();
                assert_eq!(failure.reason, "NOT_FOUND", "who sees little learns little");
            }
            for sql in [
                "SELECT COUNT(*) AS n FROM judgements",
                "SELECT COUNT(*) AS n FROM judgement_records",
                "SELECT COUNT(*) AS n FROM versions WHERE record_no IN (SELECT record_no FROM erasures)",
                "SELECT COUNT(*) AS n FROM records WHERE record_no IN (SELECT record_no FROM erasures)",
                "SELECT COUNT(*) AS n FROM tokens WHERE record_no IN (SELECT record_no FROM erasures)",
                "SELECT COUNT(*) AS n FROM blocks WHERE record_no IN (SELECT record_no FROM erasures)",
            ] {
                assert_eq!(count(&engine, sql).await, 0, "{sql}");
            }
            assert_eq!(
                count(&engine, "SELECT COUNT(*) AS n FROM activities").await,
                1
            );
            // Sent again, they are new records of a new customer.
            let again = one(&engine, town().remove(0)).await;
            assert_eq!(again.0, Outcome::Created);
            assert!(!gone.contains(&again.1));
            assert_sound(&engine).await;
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ids_of_erased_records_pass_to_the_earliest_that_remains() {
    on_both(async |house| {
        let engine = house.engine().await;
        let wall = jinke_customer::domain::NewSource {
            id: "east".to_owned(),
            display_name: "East".to_owned(),
            trust: 60,
            org_unit: "orgUnits/east".to_owned(),
            shared: false,
        };
        engine.create_source(wall, None).await.unwrap();
        let code = uscc(9);
        let said = [(NAME, "杭州示例电子有限公司"), ("uscc", code.as_str())];
        let (_, first) = one(&engine, org("erp/1", 1, &said)).await;
        let second = one(&engine, org("east/2", 1, &said)).await.1;
        let third = one(&engine, org("crm/3", 1, &said)).await.1;
        assert_eq!((first, first), (second, third));
        engine
            .add_tag(first, "重点", "users/mei", &RowScope::All, None)
            .await
            .unwrap();
        // Who does not see the walled source erases the other records alone.
        let west = RowScope::OrgUnits(["orgUnits/west".to_owned()].into());
        let done = engine.erase(erase(first), &west, None).await.unwrap();
        assert_eq!(done.records, 2);
        assert_sound(&engine).await;
        let failure = engine.golden(first, &west).await.unwrap_err();
        assert_eq!(failure.reason, "NOT_FOUND");
        let view = engine.golden(first, &RowScope::All).await.unwrap();
        assert_ne!(view.id, first);
        assert_eq!(view.id, holder(&engine, "east/2").await);
        assert!(view.tags.is_empty());
        // The old id still takes what is attached to it.
        engine
            .add_tag(first, "老号", "users/mei", &RowScope::All, None)
            .await
            .unwrap();
        let view = engine.golden(view.id, &RowScope::All).await.unwrap();
        assert_eq!(view.tags.len(), 1);
        engine
            .erase(erase(first), &RowScope::All, None)
            .await
            .unwrap();
        let failure = engine.golden(first, &RowScope::All).await.unwrap_err();
        assert_eq!(failure.reason, "CUSTOMER_ERASED");
        assert_sound(&engine).await;
    })
    .await;
}
