//! A merge never parts records that were one before it.

use std::collections::BTreeSet;

use jinke_customer::{
    domain::{Decision, Merge, NewJudgement},
    engine::Engine,
};
use jinke_types::{Code, Failure, RowScope};

use crate::support::*;

const CLOUD: [(&str, &str); 2] = [(NAME, "上海云峰科技有限公司"), (PHONE, "13812345678")];

async fn merged(engine: &Engine, a: i64, b: i64, over: bool) -> Result<i64, Failure> {
    let merge = Merge {
        override_exclusivity: over,
        ..merge(a, b)
    };
    engine.merge(merge, &RowScope::All, None).await
}

/// The customers that hold these records.
async fn holders(engine: &Engine, keys: &[&str]) -> BTreeSet<i64> {
    let mut out = BTreeSet::new();
    for key in keys {
        out.insert(holder(engine, key).await);
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn records_merged_with_one_do_not_take_it_from_its_own() {
    on_both(async |house| {
        let engine = house.engine().await;
        let same = ["erp/1", "erp/2", "erp/3", "erp/4"];
        let (_, first) = one(&engine, org(same[0], 1, &CLOUD)).await;
        for key in &same[1..] {
            one(&engine, org(key, 1, &CLOUD)).await;
        }
        // A record its source deleted goes on being evidence.
        one(&engine, deleted(org(same[0], 2, &[]))).await;
        let (_, blue) = one(&engine, org("erp/5", 1, &[(NAME, "北京蓝海餐饮有限公司")])).await;
        let (_, tea) = one(&engine, org("erp/6", 1, &[(NAME, "杭州西湖茶叶有限公司")])).await;
        let fourth = NewJudgement {
            decision: Decision::Positive,
            left: vec![key("erp/4")],
            right: vec![key("erp/5")],
            overrides_exclusivity: false,
            comment: String::new(),
            creator: "users/steward".to_owned(),
        };
        engine.create_judgement(fourth, false, None).await.unwrap();
        let before = engine.state_hash().await.unwrap();
        // Now three are held to be one by people, and the only one of them that looks like the
        // three others is the fourth record.
        assert_eq!(merged(&engine, blue, tea, false).await.unwrap(), first);
        let all = [&same[..], &["erp/5", "erp/6"]].concat();
        assert_eq!(holders(&engine, &all).await, BTreeSet::from([first]));
        assert_sound(&engine).await;
        let last = engine.list_judgements(0, 10, None, false).await.unwrap();
        engine.retract_judgement(last[1].id, None).await.unwrap();
        assert_eq!(engine.state_hash().await.unwrap(), before);
        assert_sound(&engine).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_would_part_others_is_refused() {
    on_both(async |house| {
        let engine = house.engine().await;
        let code = uscc(1);
        let held = [CLOUD[0], CLOUD[1], ("uscc", code.as_str())];
        let (_, cloud) = one(&engine, org("erp/1", 1, &held)).await;
        let (_, other) = one(&engine, org("erp/2", 1, &CLOUD)).await;
        assert_eq!(cloud, other);
        let at = key("erp/2");
        let second = engine.source_record(&at, None, &RowScope::All).await;
        let second = second.unwrap().record_no;
        let code = uscc(2);
        let held = [(NAME, "北京蓝海餐饮有限公司"), ("uscc", code.as_str())];
        let (_, blue) = one(&engine, org("crm/3", 1, &held)).await;
        let before = engine.state_hash().await.unwrap();
        // The second record bears no code: alone it could be one with the third.
        for over in [false, true] {
            let refused = merged(&engine, second, blue, over).await.unwrap_err();
            assert_eq!(
                (refused.code, refused.reason),
                (Code::FailedPrecondition, "MERGE_CONFLICT")
            );
            let said = |name: &str| refused.metadata[name].clone();
            assert_eq!(said("conflict"), "exclusive_identifier");
            assert_eq!(said("left"), "sources/erp/1");
            assert_eq!(said("right"), "sources/crm/3");
            assert_eq!(said("path"), "sources/erp/1 sources/erp/2 sources/crm/3");
        }
        assert_eq!(engine.state_hash().await.unwrap(), before);
        assert_eq!(engine.list_judgements(0, 10, None, true).await.unwrap(), []);
        // Overriding for the records that bear the codes takes the second with it.
        assert_eq!(
            merged(&engine, cloud, blue, true).await.unwrap(),
            cloud.min(blue)
        );
        let all = holders(&engine, &["erp/1", "erp/2", "crm/3"]).await;
        assert_eq!(all.len(), 1);
        assert_sound(&engine).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_suspends_no_older_one() {
    on_both(async |house| {
        let engine = house.engine().await;
        let (three, four) = (uscc(3), uscc(4));
        let tea = [(NAME, "杭州西湖茶叶有限公司"), ("uscc", four.as_str())];
        let fish = [(NAME, "青岛海风渔业有限公司"), ("uscc", three.as_str())];
        let (_, a) = one(&engine, org("erp/A", 1, &fish)).await;
        let (_, b) = one(&engine, org("erp/B", 1, &[(NAME, "广州天河贸易有限公司")])).await;
        let (_, c) = one(&engine, org("erp/C", 1, &tea)).await;
        merged(&engine, b, c, false).await.unwrap();
        let before = engine.state_hash().await.unwrap();
        // By its records it would be tried before the older one, and overriding before all others.
        for over in [false, true] {
            let refused = merged(&engine, b, a, over).await.unwrap_err();
            assert_eq!(refused.reason, "MERGE_CONFLICT");
            assert_eq!(refused.metadata["detail"], "uscc");
        }
        assert_eq!(engine.state_hash().await.unwrap(), before);
        assert_eq!(holders(&engine, &["erp/B", "erp/C"]).await.len(), 1);
        assert_sound(&engine).await;
    })
    .await;
}
