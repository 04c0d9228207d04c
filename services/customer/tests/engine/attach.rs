//! Transactions, interactions, relationships and tags.

use jinke_customer::{
    domain::{Outcome, key_text},
    store::activities,
};
use jinke_types::{
    Body, Completeness, Interaction, InteractionKind, Money, Relationship, RowScope, SourceRecord,
    Timestamp, Transaction, TransactionKind,
};
use rust_decimal::Decimal;

use crate::support::*;

fn record(at: &str, revision: i64, body: Body) -> SourceRecord {
    SourceRecord {
        key: key(at),
        source_revision: Some(revision),
        update_time: None,
        completeness: Completeness::Full,
        deleted: false,
        body,
    }
}

pub fn order(at: &str, revision: i64, party: &str, amount: &str) -> SourceRecord {
    let transaction = Transaction {
        kind: TransactionKind::Order,
        party: key(party),
        number: "SO-1".to_owned(),
        status: "已付".to_owned(),
        time: Timestamp::from_secs(1_600_000_000),
        amount: Some(Money {
            currency: "CNY".to_owned(),
            amount: amount.parse().unwrap(),
        }),
        lines: Vec::new(),
        text: String::new(),
        employee: String::new(),
    };
    record(at, revision, Body::Transaction(transaction))
}

async fn sum(house: &House, party: &str) -> (i64, Decimal) {
    let mut reader = house.db.read().await.unwrap();
    let totals = activities::totals(&mut reader, &[key_text(&key(party))])
        .await
        .unwrap();
    totals
        .values()
        .fold((0, Decimal::ZERO), |(n, s), t| (n + t.count, s + t.amount))
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_follow_every_version_and_wait_for_their_party() {
    on_both(async |house| {
        let engine = house.engine().await;
        let results = ingest(
            &engine,
            vec![
                order("erp/o1", 1, "erp/A", "0.10"),
                order("erp/o2", 1, "erp/A", "0.20"),
            ],
        )
        .await;
        assert!(
            results
                .iter()
                .all(|r| r.outcome == Outcome::Created && r.customer.is_none())
        );
        assert_eq!(sum(&house, "erp/A").await, (2, "0.3".parse().unwrap()));
        // Another amount, another party, a deletion, an old version, the same one again.
        one(&engine, order("erp/o1", 3, "erp/A", "5")).await;
        one(&engine, order("erp/o2", 2, "erp/B", "7.5")).await;
        assert_eq!(
            one(&engine, order("erp/o1", 2, "erp/A", "99")).await.0,
            Outcome::Superseded
        );
        assert_eq!(
            one(&engine, order("erp/o1", 3, "erp/A", "5")).await.0,
            Outcome::Unchanged
        );
        assert_eq!(sum(&house, "erp/A").await, (1, "5".parse().unwrap()));
        assert_eq!(sum(&house, "erp/B").await, (1, "7.5".parse().unwrap()));
        one(&engine, deleted(order("erp/o1", 4, "erp/A", "5"))).await;
        assert_eq!(sum(&house, "erp/A").await, (0, Decimal::ZERO));
        let (_, id) = one(&engine, org("erp/A", 1, &[(NAME, "上海云峰科技有限公司")])).await;
        assert!(id > 0);
        assert_sound(&engine).await;
        // Too large an amount is refused alone.
        let huge = order("erp/o3", 1, "erp/A", "79228162514264337593543950335");
        let results = ingest(&engine, vec![huge, order("erp/o4", 1, "erp/A", "1")]).await;
        assert_eq!(results[0].outcome, Outcome::Rejected);
        assert_eq!(sum(&house, "erp/A").await, (1, Decimal::ONE));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn interactions_and_relationships_are_kept_and_opened() {
    on_both(async |house| {
        let engine = house.engine().await;
        let said = Interaction {
            kind: InteractionKind::Message,
            party: key("chat/P"),
            time: Timestamp::from_secs(1_600_000_000),
            channel: "wecom".to_owned(),
            inbound: true,
            subject: String::new(),
            text: "请尽快发货".to_owned(),
            employee: "u9".to_owned(),
        };
        let tie = Relationship {
            kind: "contact_of".to_owned(),
            from: key("chat/P"),
            to: key("erp/A"),
            valid_from: None,
            valid_to: None,
            values: Vec::new(),
        };
        let records = vec![
            record("chat/m1", 1, Body::Interaction(said.clone())),
            record("chat/r1", 1, Body::Relationship(tie.clone())),
        ];
        ingest(&engine, records).await;
        let opened = engine.open_records(&[1, 2, 99]).await.unwrap();
        let bodies: Vec<_> = opened.into_iter().map(|v| v.record.body).collect();
        assert_eq!(bodies, [Body::Interaction(said), Body::Relationship(tie)]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_stay_where_they_were_given() {
    on_both(async |house| {
        let engine = house.engine().await;
        let (_, a) = one(&engine, org("erp/A", 1, &[(NAME, "上海云峰科技有限公司")])).await;
        let (_, b) = one(&engine, org("erp/B", 1, &[(NAME, "北京蓝海餐饮有限公司")])).await;
        let all = RowScope::All;
        engine.merge(merge(a, b), &all, None).await.unwrap();
        assert_eq!(
            engine
                .add_tag(b, "重点", "users/u1", &all, None)
                .await
                .unwrap(),
            a
        );
        let revision = engine.golden(a, &all).await.unwrap().revision;
        engine
            .add_tag(b, "重点", "users/u2", &all, None)
            .await
            .unwrap();
        assert_eq!(engine.golden(a, &all).await.unwrap().revision, revision);
        engine
            .unmerge(unmerge(a, &["erp/B"]), &all, None)
            .await
            .unwrap();
        assert_eq!(engine.golden(a, &all).await.unwrap().tags, []);
        assert_eq!(engine.golden(b, &all).await.unwrap().tags.len(), 1);
        engine.remove_tag(b, "重点", &all, None).await.unwrap();
        assert_eq!(engine.golden(b, &all).await.unwrap().tags, []);
        for i in 0..200 {
            engine
                .add_tag(b, &format!("标签{i}"), "users/u1", &all, None)
                .await
                .unwrap();
        }
        let full = engine
            .add_tag(b, "再一个", "users/u1", &all, None)
            .await
            .unwrap_err();
        assert_eq!(full.reason, "TAG_LIMIT");
    })
    .await;
}
