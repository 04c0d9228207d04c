//! Values that too many share: crossing the limit either way resolves anew.

use jinke_customer::store::{MIGRATIONS, state};
use jinke_store::{args, testing};

use crate::support::*;

async fn generic_keys(house: &House) -> usize {
    state::generic(&mut house.db.read().await.unwrap())
        .await
        .unwrap()
        .len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_phone_stops_and_starts_to_count() {
    testing::on_each_engine(&MIGRATIONS, async |db| {
        let house = House::with_rules(db, narrow_rules(3, 2));
        let engine = house.engine().await;
        sources(&engine).await;
        let shared = (PHONE, "13816997452");
        let names = [
            "上海云峰科技有限公司",
            "云峰科技有限公司",
            "北京蓝海餐饮有限公司",
            "成都锦江物流有限公司",
        ];
        one(&engine, org("erp/1", 1, &[(NAME, names[0]), shared])).await;
        one(&engine, org("crm/1", 1, &[(NAME, names[1]), shared])).await;
        let together = holder(&engine, "erp/1").await == holder(&engine, "crm/1").await;
        assert!(
            together,
            "a phone and a name that agree hold two records together"
        );
        assert_sound(&engine).await;
        let before = generic_keys(&house).await;
        one(&engine, org("erp/2", 1, &[(NAME, names[2]), shared])).await;
        one(&engine, org("erp/3", 1, &[(NAME, names[3]), shared])).await;
        assert!(
            generic_keys(&house).await > before,
            "three companies with one phone are too many"
        );
        assert_ne!(
            holder(&engine, "erp/1").await,
            holder(&engine, "crm/1").await
        );
        assert_sound(&engine).await;
        // One of them gives the phone up: it counts again.
        one(
            &engine,
            org("erp/3", 2, &[(NAME, names[3]), (PHONE, "13900001111")]),
        )
        .await;
        assert_eq!(generic_keys(&house).await, before);
        assert_eq!(
            holder(&engine, "erp/1").await,
            holder(&engine, "crm/1").await
        );
        assert_sound(&engine).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_rules_make_everything_anew() {
    testing::on_each_engine(&MIGRATIONS, async |db| {
        let mut house = House::with_rules(db, narrow_rules(3, 2));
        let engine = house.engine().await;
        sources(&engine).await;
        // Without the phone the first two are not the same for sure, and four names have it.
        let phone = (PHONE, "13816997452");
        for (at, name) in [
            ("erp/1", "上海云峰科技有限公司"),
            ("crm/1", "云峰科技有限公司"),
            ("chat/1", "成都锦江物流有限公司"),
            ("crm/2", "深圳市前海金客软件有限公司"),
        ] {
            one(&engine, org(at, 1, &[(NAME, name), phone])).await;
        }
        one(&engine, org("erp/2", 1, &[(NAME, "北京蓝海餐饮有限公司")])).await;
        assert_ne!(
            holder(&engine, "erp/1").await,
            holder(&engine, "crm/1").await
        );
        drop(engine);
        house.rules = std::sync::Arc::new(jinke_resolution::Rules::embedded());
        let engine = house.engine().await;
        assert_eq!(
            holder(&engine, "erp/1").await,
            holder(&engine, "crm/1").await
        );
        assert_ne!(
            holder(&engine, "erp/1").await,
            holder(&engine, "chat/1").await
        );
        assert_eq!(generic_keys(&house).await, 0);
        let untouched = holder(&engine, "erp/2").await;
        let view = engine
            .golden(untouched, &jinke_types::RowScope::All)
            .await
            .unwrap();
        assert_eq!(view.revision, 1, "who stays the same gets no revision");
        assert_sound(&engine).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_program_makes_everything_anew() {
    on_both(async |house| {
        let engine = house.engine().await;
        let said = [(NAME, "上海云峰科技有限公司"), (PHONE, "13812345678")];
        one(&engine, org("erp/1", 1, &said)).await;
        drop(engine);
        // As an earlier program left it: it derived a token more, and did not say that it was it.
        let stale = 0x0100_0000_0000_0007_i64;
        house
            .db
            .write(async |mut tx| {
                tx.execute(
                    "INSERT INTO tokens (token, record_no) SELECT $1, MIN(record_no) FROM tokens",
                    args![stale],
                )
                .await?;
                tx.execute(
                    "UPDATE engine_state SET value = $1 WHERE name = 'made_with'",
                    args![format!("{} token-key-1", house.rules.version())],
                )
                .await
            })
            .await
            .unwrap();
        let engine = house.engine().await;
        let mut left = house.db.read().await.unwrap();
        let row = left
            .fetch_one(
                "SELECT COUNT(*) AS n FROM tokens WHERE token = $1",
                args![stale],
            )
            .await
            .unwrap();
        assert_eq!(row.i64("n").unwrap(), 0);
        drop(left);
        one(&engine, org("erp/1", 2, &[(NAME, "上海云峰科技有限公司")])).await;
        assert_sound(&engine).await;
    })
    .await;
}
