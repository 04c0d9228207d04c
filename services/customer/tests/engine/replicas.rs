//! Several callers and several engines on one database.

use jinke_customer::{domain::Outcome, store::MIGRATIONS};
use jinke_store::{
    Database, Engine as Kind,
    testing::{Place, on_engine},
};
use jinke_types::RowScope;

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn two_records_of_one_customer_on_two_replicas_end_as_one() {
    let place = Place::new(Kind::Postgres).await;
    let open = || Database::open(place.config(), &MIGRATIONS);
    let first = House::new(open().await.unwrap());
    let mut second = House::new(open().await.unwrap());
    second.ring = std::sync::Arc::clone(&first.ring);
    let (a, b) = (first.engine().await, second.engine().await);
    sources(&a).await;
    for i in 0..20 {
        let phone = format!("138{:08}", 10_000_000 + i * 7919);
        let name = format!(
            "上海{}云峰{}科技有限公司",
            char::from_u32(0x4e00 + i * 37).unwrap(),
            i
        );
        let said = [(NAME, name.as_str()), (PHONE, phone.as_str())];
        let (left, right) = (format!("erp/{i}"), format!("crm/{i}"));
        let (x, y) = tokio::join!(
            one(&a, org(&left, 1, &said)),
            one(&b, org(&right, 1, &said))
        );
        assert_eq!((x.0, y.0), (Outcome::Created, Outcome::Created));
        assert_eq!(holder(&a, &left).await, holder(&b, &right).await);
    }
    assert_sound(&a).await;
    first.db.close().await;
    second.db.close().await;
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_calls_share_transactions_and_none_is_lost() {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        on_engine(kind, &MIGRATIONS, async |db| {
            let house = House::new(db);
            let engine = house.engine().await;
            sources(&engine).await;
            let calls = (0..200).map(|i| {
                let engine = engine.clone();
                tokio::spawn(async move {
                    let said = [(NAME, "上海云峰科技有限公司"), (PHONE, "13812345678")];
                    one(&engine, org(&format!("erp/{i}"), 1, &said[..1 + i % 2])).await
                })
            });
            let calls: Vec<_> = calls.collect();
            for call in calls {
                assert_eq!(call.await.unwrap().0, Outcome::Created);
            }
            assert_sound(&engine).await;
            let head = jinke_store::changelog::head(&mut house.db.read().await.unwrap()).await;
            assert!(head.unwrap() >= 1);
            assert!(engine.golden(1, &RowScope::All).await.is_ok());
        })
        .await;
    }
}
