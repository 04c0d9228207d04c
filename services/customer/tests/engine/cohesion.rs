//! What holds a customer together, and that what is said to split it splits it.

use std::collections::BTreeSet;

use jinke_customer::{
    domain::{Cohesion, Shown},
    engine::Engine,
};
use jinke_types::{RecordKey, RowScope, SourceRecord};

use crate::support::*;

const COMPANY: &str = "深圳前海金客软件有限公司";

/// Two groups of records with one name, each around a phone of its own, that one record joins.
fn two_halves() -> Vec<SourceRecord> {
    let one = |at: &str, phones: &[&str]| {
        let mut said = vec![(NAME, COMPANY)];
        said.extend(phones.iter().map(|p| (PHONE, *p)));
        org(at, 1, &said)
    };
    vec![
        one("erp/1", &["13900001111"]),
        one("crm/1", &["13900001111"]),
        one("erp/2", &["13900002222"]),
        one("crm/2", &["13900002222"]),
    ]
}

async fn cohesion(engine: &Engine, at: &str, scope: &RowScope) -> Cohesion {
    let id = holder(engine, at).await;
    engine.links(id, scope).await.expect("a customer").1
}

fn names(sides: &[Shown<RecordKey>]) -> BTreeSet<Vec<String>> {
    let text = |k: &RecordKey| format!("{}/{}", k.source, k.external_id);
    sides
        .iter()
        .map(|s| s.first.iter().map(text).collect())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_judgement_on_the_two_sides_splits_a_customer_there() {
    on_both(async |house| {
        let engine = house.engine().await;
        ingest(&engine, two_halves()).await;
        let id = holder(&engine, "erp/1").await;
        assert_eq!(holder(&engine, "crm/2").await, id);
        let (links, found) = engine.links(id, &RowScope::All).await.unwrap();
        assert_eq!((found.records, links.len()), (4, 3));
        let halves = [vec!["crm/1", "erp/1"], vec!["crm/2", "erp/2"]];
        let halves: BTreeSet<Vec<String>> = halves
            .iter()
            .map(|h| h.iter().map(|k| (*k).to_owned()).collect())
            .collect();
        assert_eq!(names(&found.sides), halves);
        let weakest = found.weakest.unwrap();
        let score: i32 = weakest.weights.iter().map(|w| w.1).sum();
        let lowest = links.iter().map(|l| l.score).min();
        assert_eq!(Some(score), lowest, "the link with the least score");
        assert!(found.holding.first.contains(&weakest));
        assert_eq!((found.holding.first.len(), found.holding.omitted), (4, 0));
        assert_eq!(found.judgements, Shown::default());

        engine
            .unmerge(unmerge(id, &["crm/2", "erp/2"]), &RowScope::All, None)
            .await
            .unwrap();
        assert_eq!(
            holder(&engine, "crm/1").await,
            holder(&engine, "erp/1").await
        );
        assert_eq!(
            holder(&engine, "crm/2").await,
            holder(&engine, "erp/2").await
        );
        assert_ne!(
            holder(&engine, "crm/1").await,
            holder(&engine, "erp/2").await
        );
        assert_sound(&engine).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_joined_alone_has_no_weakest_link() {
    on_both(async |house| {
        let engine = house.engine().await;
        let (_, a) = one(&engine, org("erp/A", 1, &[(NAME, "上海云峰科技有限公司")])).await;
        let found = cohesion(&engine, "erp/A", &RowScope::All).await;
        assert_eq!(
            found,
            Cohesion {
                records: 1,
                ..Cohesion::default()
            }
        );
        let (_, b) = one(&engine, org("erp/B", 1, &[(NAME, "北京蓝海餐饮有限公司")])).await;
        engine
            .merge(merge(a, b), &RowScope::All, None)
            .await
            .unwrap();
        let found = cohesion(&engine, "erp/A", &RowScope::All).await;
        let judgement = engine.list_judgements(0, 1, None, false).await.unwrap()[0].id;
        let held = Cohesion {
            records: 2,
            judgements: Shown::of([judgement].into_iter()),
            ..Cohesion::default()
        };
        assert_eq!(found, held);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_customer_is_told_in_part() {
    on_both(async |house| {
        let engine = house.engine().await;
        let code = uscc(1);
        let said = [(NAME, COMPANY), ("uscc", code.as_str())];
        let records = (0..150)
            .map(|n| org(&format!("erp/{n:03}"), 1, &said))
            .collect();
        ingest(&engine, records).await;
        engine.settle().await.unwrap();
        let id = holder(&engine, "erp/000").await;
        let (links, found) = engine.links(id, &RowScope::All).await.unwrap();
        assert_eq!((links.len(), found.records), (149, 150));
        let told = |s: &Shown<RecordKey>| (s.first.len(), s.omitted);
        let mut sides: Vec<_> = found.sides.iter().map(told).collect();
        sides.sort_unstable();
        assert!(sides.iter().all(|s| s.0 <= 50));
        assert_eq!(sides.iter().map(|s| s.0 + s.1).sum::<usize>(), 150);
        assert!(sides[1].1 > 0, "{sides:?}");
        assert!(found.holding.first.len() <= 50 && !found.holding.first.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_a_caller_does_not_see_change_nothing() {
    on_both(async |house| {
        let engine = house.engine().await;
        let walled = jinke_customer::domain::NewSource {
            id: "walled".to_owned(),
            display_name: String::new(),
            trust: 100,
            org_unit: "orgUnits/south".to_owned(),
            shared: false,
        };
        engine.create_source(walled, None).await.unwrap();
        ingest(&engine, two_halves()).await;
        let none = RowScope::OrgUnits(BTreeSet::new());
        let before = cohesion(&engine, "erp/1", &none).await;
        assert_eq!(before.records, 4);
        // It has both phones, so that it ties the halves.
        let tie = [
            (NAME, COMPANY),
            (PHONE, "13900001111"),
            (PHONE, "13900002222"),
        ];
        one(&engine, org("walled/3", 1, &tie)).await;
        assert_eq!(cohesion(&engine, "erp/1", &none).await, before);
        let all = cohesion(&engine, "erp/1", &RowScope::All).await;
        assert_eq!(all.records, 5);
        assert_ne!(names(&all.sides), names(&before.sides));

        // Who is one customer only by a record that is not shown.
        let (_, a) = one(&engine, org("erp/A", 1, &[(NAME, "上海云峰科技有限公司")])).await;
        let (_, b) = one(&engine, org("crm/B", 1, &[(NAME, "北京蓝海餐饮有限公司")])).await;
        let (_, h) = one(
            &engine,
            org("walled/H", 1, &[(NAME, "成都锦江物流有限公司")]),
        )
        .await;
        for other in [a, b] {
            engine
                .merge(merge(h, other), &RowScope::All, None)
                .await
                .unwrap();
        }
        let id = holder(&engine, "erp/A").await;
        let (links, found) = engine.links(id, &none).await.unwrap();
        assert_eq!(links, []);
        assert_eq!(
            found,
            Cohesion {
                records: 2,
                ..Cohesion::default()
            }
        );
        assert_eq!(
            engine
                .links(id, &RowScope::All)
                .await
                .unwrap()
                .1
                .judgements
                .first
                .len(),
            2
        );
    })
    .await;
}
