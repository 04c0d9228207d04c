//! Merge, unmerge, judgements, reviews, ids.

use jinke_customer::domain::{ChangeKind, Decision, NewJudgement, ReviewReason, etag};
use jinke_types::{Code, RowScope};

use crate::support::*;

fn judgement(decision: Decision, left: &str, right: &str) -> NewJudgement {
    NewJudgement {
        decision,
        left: vec![key(left)],
        right: vec![key(right)],
        overrides_exclusivity: false,
        comment: String::new(),
        creator: "users/steward".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn merge_then_unmerge_returns_everything() {
    on_both(async |house| {
        let engine = house.engine().await;
        let (_, a) = one(
            &engine,
            org(
                "erp/A",
                1,
                &[(NAME, "上海云峰科技有限公司"), (PHONE, "13812345678")],
            ),
        )
        .await;
        let (_, b) = one(
            &engine,
            org(
                "crm/B",
                1,
                &[(NAME, "北京蓝海餐饮有限公司"), (EMAIL, "blue@lanhai.cn")],
            ),
        )
        .await;
        assert_ne!(a, b);
        engine
            .add_tag(b, "大客户", "users/u1", &RowScope::All, None)
            .await
            .unwrap();
        let before = engine.state_hash().await.unwrap();
        let view = engine.golden(b, &RowScope::All).await.unwrap();

        let live = engine
            .merge(merge(b, a), &RowScope::All, None)
            .await
            .unwrap();
        assert_eq!(live, a);
        assert_sound(&engine).await;
        let merged = engine.golden(b, &RowScope::All).await.unwrap();
        assert_eq!(
            (merged.id, merged.records.len(), merged.tags.len()),
            (a, 2, 1)
        );
        assert_eq!(merged.tags[0].record_no, b);
        let again = engine
            .merge(merge(a, b), &RowScope::All, None)
            .await
            .unwrap_err();
        assert_eq!(again.reason, "SAME_CUSTOMER");

        let held = engine
            .unmerge(unmerge(a, &["crm/B"]), &RowScope::All, None)
            .await
            .unwrap();
        assert_eq!(held, [a, b]);
        assert_sound(&engine).await;
        assert_eq!(engine.state_hash().await.unwrap(), before);
        let back = engine.golden(b, &RowScope::All).await.unwrap();
        assert_eq!(
            (&back.values, &back.records, &back.tags),
            (&view.values, &view.records, &view.tags)
        );
        // The id's revisions went on while another answered for it.
        let kinds: Vec<_> = engine
            .revisions(b, None, 10, &RowScope::All)
            .await
            .unwrap()
            .iter()
            .map(|r| (r.revision, r.kind, r.related.clone()))
            .collect();
        assert_eq!(
            kinds,
            [
                (4, ChangeKind::Created, vec![a]),
                (3, ChangeKind::Redirected, vec![a]),
                (2, ChangeKind::Updated, vec![]),
                (1, ChangeKind::Created, vec![]),
            ]
        );
        let kinds: Vec<_> = engine
            .revisions(a, None, 10, &RowScope::All)
            .await
            .unwrap()
            .iter()
            .map(|r| (r.kind, r.related.clone()))
            .collect();
        assert_eq!(
            kinds,
            [
                (ChangeKind::Unmerged, vec![b]),
                (ChangeKind::Merged, vec![b]),
                (ChangeKind::Created, vec![]),
            ]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_hold_is_refused_and_what_broke_is_suspended() {
    on_both(async |house| {
        let engine = house.engine().await;
        let (_, a) = one(
            &engine,
            org(
                "erp/A",
                1,
                &[(NAME, "上海云峰科技有限公司"), ("uscc", &uscc(1))],
            ),
        )
        .await;
        let (_, b) = one(
            &engine,
            org(
                "erp/B",
                1,
                &[(NAME, "北京蓝海餐饮有限公司"), ("uscc", &uscc(2))],
            ),
        )
        .await;
        let refused = engine
            .merge(merge(a, b), &RowScope::All, None)
            .await
            .unwrap_err();
        assert_eq!(
            (refused.code, refused.reason),
            (Code::FailedPrecondition, "MERGE_CONFLICT")
        );
        assert_eq!(refused.metadata["conflict"], "exclusive_identifier");
        assert_eq!(refused.metadata["detail"], "uscc");
        assert!(refused.metadata["path"].contains("sources/erp/A"));
        assert_eq!(engine.list_judgements(0, 10, None, true).await.unwrap(), []);
        assert_sound(&engine).await;

        // A judgement that overrides holds; one that does not is suspended by later evidence.
        let over = jinke_customer::domain::Merge {
            override_exclusivity: true,
            ..merge(a, b)
        };
        assert_eq!(engine.merge(over, &RowScope::All, None).await.unwrap(), a);
        let (_, c) = one(&engine, org("crm/C", 1, &[(NAME, "广州天河贸易有限公司")])).await;
        let (_, d) = one(
            &engine,
            org(
                "crm/D",
                1,
                &[(NAME, "成都锦江物流有限公司"), ("uscc", &uscc(4))],
            ),
        )
        .await;
        engine
            .merge(merge(c, d), &RowScope::All, None)
            .await
            .unwrap();
        one(
            &engine,
            org(
                "crm/C",
                2,
                &[(NAME, "广州天河贸易有限公司"), ("uscc", &uscc(3))],
            ),
        )
        .await;
        assert_ne!(
            holder(&engine, "crm/C").await,
            holder(&engine, "crm/D").await
        );
        let suspended: Vec<bool> = engine
            .list_judgements(0, 10, None, false)
            .await
            .unwrap()
            .iter()
            .map(|j| j.suspended)
            .collect();
        assert_eq!(suspended, [false, true]);
        let reviews = engine.list_reviews(None, 10, &RowScope::All).await.unwrap();
        assert!(reviews.iter().any(|r| r.reason == ReviewReason::Suspended
            && r.left == key("crm/C")
            && r.right == key("crm/D")));
        assert_sound(&engine).await;
        // Evidence gone, the judgement holds again.
        one(&engine, org("crm/C", 3, &[(NAME, "广州天河贸易有限公司")])).await;
        assert_eq!(
            holder(&engine, "crm/C").await,
            holder(&engine, "crm/D").await
        );
        assert_sound(&engine).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn judgements_may_come_before_their_records_and_can_be_taken_back() {
    on_both(async |house| {
        let engine = house.engine().await;
        let positive = engine
            .create_judgement(judgement(Decision::Positive, "erp/A", "crm/B"), false, None)
            .await
            .unwrap();
        let same = [(NAME, "深圳前海金客软件有限公司"), (PHONE, "13900001111")];
        engine
            .create_judgement(
                judgement(Decision::Negative, "erp/A", "chat/C"),
                false,
                None,
            )
            .await
            .unwrap();
        let (_, a) = one(&engine, org("erp/A", 1, &same)).await;
        let (_, b) = one(&engine, org("crm/B", 1, &[(NAME, "杭州西湖茶叶有限公司")])).await;
        let (_, c) = one(&engine, org("chat/C", 1, &same)).await;
        assert_eq!(a, b);
        assert_ne!(a, c);
        assert_sound(&engine).await;
        let back = engine.retract_judgement(positive.id, None).await.unwrap();
        assert!(back.retract_time.is_some());
        assert_ne!(
            holder(&engine, "erp/A").await,
            holder(&engine, "crm/B").await
        );
        engine
            .retract_judgement(positive.id + 1, None)
            .await
            .unwrap();
        assert_eq!(
            holder(&engine, "erp/A").await,
            holder(&engine, "chat/C").await
        );
        assert_eq!(
            engine.list_judgements(0, 10, None, false).await.unwrap(),
            []
        );
        assert_eq!(
            engine
                .list_judgements(0, 10, Some(&key("crm/B")), true)
                .await
                .unwrap()
                .len(),
            1
        );
        assert_sound(&engine).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_never_given_again_and_always_answers() {
    on_both(async |house| {
        let engine = house.engine().await;
        let same = [(NAME, "深圳前海金客软件有限公司"), (PHONE, "13900001111")];
        let (_, first) = one(&engine, org("erp/A", 1, &same)).await;
        let (_, second) = one(&engine, org("crm/B", 1, &[(NAME, "杭州西湖茶叶有限公司")])).await;
        // The second record turns out to be the first customer.
        one(&engine, org("crm/B", 2, &same)).await;
        assert_eq!(
            engine.golden(second, &RowScope::All).await.unwrap().id,
            first
        );
        let (_, third) = one(&engine, org("crm/D", 1, &[(NAME, "成都锦江物流有限公司")])).await;
        assert!(third > second);
        // The first record leaves: the id of the second is live again.
        one(&engine, org("erp/A", 2, &[(NAME, "青岛海风渔业有限公司")])).await;
        assert_eq!(holder(&engine, "crm/B").await, second);
        assert_eq!(holder(&engine, "erp/A").await, first);
        assert_sound(&engine).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_etag_and_a_dry_run_change_nothing() {
    on_both(async |house| {
        let engine = house.engine().await;
        let (_, a) = one(&engine, org("erp/A", 1, &[(NAME, "上海云峰科技有限公司")])).await;
        let (_, b) = one(&engine, org("erp/B", 1, &[(NAME, "北京蓝海餐饮有限公司")])).await;
        let stale = jinke_customer::domain::Merge {
            etag: Some(etag(9)),
            ..merge(a, b)
        };
        let refused = engine.merge(stale, &RowScope::All, None).await.unwrap_err();
        assert_eq!(
            (refused.code, refused.reason),
            (Code::Aborted, "ETAG_MISMATCH")
        );
        let dry = jinke_customer::domain::Merge {
            etag: Some(etag(1)),
            other_etag: Some(etag(1)),
            validate_only: true,
            ..merge(a, b)
        };
        assert_eq!(engine.merge(dry, &RowScope::All, None).await.unwrap(), a);
        assert_eq!(holder(&engine, "erp/B").await, b);
        let person = one(&engine, person("chat/P", 1, &[(NAME, "张伟")])).await.1;
        let kinds = engine
            .merge(merge(a, person), &RowScope::All, None)
            .await
            .unwrap_err();
        assert_eq!(kinds.reason, "KIND_MISMATCH");
        let all = engine
            .unmerge(unmerge(a, &["erp/A"]), &RowScope::All, None)
            .await
            .unwrap_err();
        assert_eq!(all.code, Code::InvalidArgument);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_sees_the_customer_over_his_sources() {
    on_both(async |house| {
        let engine = house.engine().await;
        let new = jinke_customer::domain::NewSource {
            id: "walled".to_owned(),
            display_name: String::new(),
            trust: 100,
            org_unit: "orgUnits/south".to_owned(),
            shared: false,
        };
        engine.create_source(new, None).await.unwrap();
        let said = |phone| {
            [
                (NAME, "深圳前海金客软件有限公司"),
                ("uscc", "x"),
                (PHONE, phone),
            ]
        };
        let (uscc, mut shown, mut hidden) = (uscc(5), said("13900001111"), said("13900002222"));
        shown[1].1 = &uscc;
        hidden[1].1 = &uscc;
        let (_, a) = one(&engine, org("walled/A", 1, &hidden)).await;
        let (_, b) = one(&engine, org("erp/A", 1, &shown)).await;
        assert_eq!(a, b);
        let none = RowScope::OrgUnits(std::collections::BTreeSet::new());
        let view = engine.golden(a, &none).await.unwrap();
        assert_eq!(view.records.len(), 1);
        assert!(
            view.values
                .iter()
                .all(|v| v.value.datum.text() != Some("13900002222"))
        );
        assert_eq!(
            engine
                .golden(a, &RowScope::All)
                .await
                .unwrap()
                .records
                .len(),
            2
        );
        assert_eq!(
            engine.golden(a, &RowScope::None).await.unwrap_err().code,
            Code::NotFound
        );
        // Sharing it gives the customer a revision and shows everything.
        let update = jinke_customer::domain::SourceUpdate {
            shared: Some(true),
            ..Default::default()
        };
        engine
            .update_source("walled", update, None, None)
            .await
            .unwrap();
        let open = engine.golden(a, &none).await.unwrap();
        assert_eq!((open.records.len(), open.revision), (2, view.revision + 1));
        assert_sound(&engine).await;
    })
    .await;
}
