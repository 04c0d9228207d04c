//! Rebuilding: nothing differs in a sound database, every planted difference is told, and repaired.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use jinke_customer::engine::{
    Engine,
    rebuild::{Progress, Rebuilt},
};
use jinke_store::args;
use jinke_types::SourceRecord;

use crate::{attach::order, support::*};

async fn rebuild(engine: &Engine, repair: bool) -> Rebuilt {
    let last = Arc::new(AtomicI64::new(0));
    let told = Arc::clone(&last);
    let progress: Progress = Arc::new(move |done, total| {
        assert!(done <= total, "{done} of {total}");
        told.store(done, Ordering::Relaxed);
        Box::pin(async { Ok(()) })
    });
    let found = engine.rebuild(repair, progress).await.unwrap();
    assert!(last.load(Ordering::Relaxed) > 0);
    found
}

fn town() -> Vec<SourceRecord> {
    let names = [
        "上海云峰科技有限公司",
        "北京蓝海餐饮管理有限公司",
        "深圳市前海金客软件有限公司",
        "成都锦江物流有限公司",
    ];
    let mut out = Vec::new();
    for n in 0..40_usize {
        let source = ["erp", "crm", "chat"][n % 3];
        let name = names[n % 4];
        let phone = format!("1380000{:04}", n % 5);
        let code = uscc(u32::try_from(n % 4).unwrap());
        let mut said = vec![(NAME, name), (PHONE, phone.as_str())];
        if n % 3 == 0 {
            said.push(("uscc", code.as_str()));
        }
        out.push(org(&format!("{source}/{n}"), 1, &said));
        out.push(order(
            &format!("erp/o{n}"),
            1,
            &format!("{source}/{n}"),
            "12.50",
        ));
    }
    out.push(person(
        "crm/p1",
        1,
        &[(NAME, "张伟"), (PHONE, "13912345678")],
    ));
    out.push(person(
        "erp/p2",
        1,
        &[(NAME, "张伟"), (PHONE, "13912345678")],
    ));
    out
}

/// A planted fault, and what the rebuild is to call it.
const FAULTS: [(&str, &str); 13] = [
    (
        "UPDATE records SET customer = (SELECT MAX(customer) FROM records) WHERE record_no = 1",
        "customer of record",
    ),
    (
        "DELETE FROM pairs WHERE a = (SELECT MIN(a) FROM pairs)",
        "pair",
    ),
    (
        "UPDATE pairs SET score = score + 1 WHERE a = (SELECT MIN(a) FROM pairs)",
        "pair",
    ),
    (
        "INSERT INTO pairs (a, b, score) VALUES (7, 90000, 9000)",
        "pair",
    ),
    (
        "INSERT INTO pairs (a, b, score) VALUES (90000, 7, 9000)",
        "pair",
    ),
    ("DELETE FROM tokens WHERE record_no = 3", "token"),
    (
        "INSERT INTO tokens (token, record_no) VALUES (77, 3)",
        "token",
    ),
    ("DELETE FROM blocks WHERE record_no = 5", "blocking key"),
    (
        "INSERT INTO blocks (token, core, place, record_no) SELECT token, 5, 5, 9 FROM blocks WHERE record_no = 3",
        "blocking key",
    ),
    (
        "INSERT INTO generic_keys (token) SELECT MIN(token) FROM blocks",
        "generic key",
    ),
    (
        "UPDATE customers SET display_name = 'x', record_count = 99 WHERE id = 1",
        "customer",
    ),
    (
        "INSERT INTO reviews (a, b, score, reason) VALUES (1, 2, 5, 1)",
        "review",
    ),
    ("UPDATE totals SET count = count + 1", "total"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_finds_nothing_or_exactly_what_was_planted() {
    on_both(async |house| {
        let engine = house.engine().await;
        ingest(&engine, town()).await;
        assert_sound(&engine).await;
        let right = engine.state_hash().await.unwrap();
        let clean = rebuild(&engine, false).await;
        assert_eq!(clean.differences, []);
        assert_eq!((clean.count, clean.records), (0, 82));
        for (plant, about) in FAULTS {
            house
                .db
                .write(async |mut tx| {
                    // The generic keys are known to the engine by their revision.
                    tx.execute("UPDATE engine_state SET value = CAST(CAST(value AS BIGINT) + 1 AS TEXT) WHERE name = 'generic'", args![]).await?;
                    tx.execute("INSERT INTO engine_state (name, value) VALUES ('generic', '1') ON CONFLICT (name) DO NOTHING", args![]).await?;
                    tx.execute(plant, args![]).await
                })
                .await
                .unwrap();
            let told = rebuild(&engine, false).await;
            assert!(told.count > 0, "{plant}");
            assert!(!told.repaired);
            assert!(
                told.differences.iter().any(|d| d.about == about),
                "{plant}: {:?}",
                told.differences
            );
            let repaired = rebuild(&engine, true).await;
            assert_eq!(repaired.differences, told.differences, "a dry look changes nothing");
            assert!(repaired.repaired, "{plant}: {:?}", rebuild(&engine, false).await);
            assert_eq!(engine.verify().await.unwrap(), Vec::<String>::new(), "{plant}");
            assert_eq!(engine.state_hash().await.unwrap(), right, "{plant}");
        }
    })
    .await;
}
