//! Long-running operations through the service: rebuild, rule sets, dry runs; who may start them.

use std::time::Duration;

use jinke_customer::convert::pb;
use jinke_kit::operations::unpack;
use jinke_proto::google::longrunning;
use jinke_store::operation;
use jinke_types::{Operation, OperationState};
use prost::{Message, Name};
use tonic::Code;

use crate::house::*;

async fn ended(house: &House, started: longrunning::Operation) -> Operation {
    let db = house.api.engine.database();
    let id = operation::parse_name(db, &started.name).unwrap();
    for _ in 0..400 {
        let mut reader = db.read().await.unwrap();
        let found = operation::get(&mut reader, id).await.unwrap();
        if found.state != OperationState::Running {
            return found;
        }
        drop(reader);
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the operation did not end");
}

pub async fn result<M: Message + Name + Default>(
    house: &House,
    started: longrunning::Operation,
) -> M {
    let found = ended(house, started).await;
    assert_eq!(found.failure, None);
    assert!(found.done > 0 || found.total == 0);
    let any = prost_types::Any::decode(found.result.unwrap().as_slice()).unwrap();
    unpack(&any).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_work_through_the_service() {
    on_each_engine(async |house| {
        let mut admin = house.matches("admin");
        let report: pb::RebuildReport = {
            let request = pb::RebuildCustomersRequest { repair: false };
            let started = admin.rebuild_customers(request).await.unwrap().into_inner();
            // The service of a test's database is called so. On an empty one the operation may be
            // done before the answer is written.
            assert!(
                started.name.starts_with("test/operations/"),
                "{}",
                started.name
            );
            result(&house, started).await
        };
        assert_eq!((report.difference_count, report.differences.len()), (0, 0));

        let list = admin
            .list_rule_sets(pb::ListRuleSetsRequest {})
            .await
            .unwrap()
            .into_inner()
            .rule_sets;
        assert_eq!(list.len(), 2);
        assert!(
            list.iter()
                .all(|s| s.state() == pb::rule_set::State::Active)
        );
        let name = list[0].name.clone();
        let request = pb::GetRuleSetRequest { name: name.clone() };
        let set = admin.get_rule_set(request).await.unwrap().into_inner();
        assert_eq!(set.text, list[0].text);
        let other = set.text.replacen("merge = ", "merge = 1", 1);
        let other = other.replacen(&set.version, "organization-other", 1);
        let request = pb::CreateRuleSetRequest {
            text: other,
            validate_only: false,
        };
        let kept = admin.create_rule_set(request).await.unwrap().into_inner();
        assert_eq!(kept.state(), pb::rule_set::State::Inactive);
        let request = pb::DryRunRuleSetRequest {
            name: kept.name.clone(),
        };
        let started = admin.dry_run_rule_set(request).await.unwrap().into_inner();
        let run: pb::DryRun = result(&house, started).await;
        assert_eq!((run.differences, run.revision), (0, 1));
        let request = pb::ListDryRunDifferencesRequest {
            parent: run.name.clone(),
            ..Default::default()
        };
        let page = admin.list_dry_run_differences(request).await.unwrap();
        assert_eq!(page.into_inner().differences, []);
        let request = pb::EvaluateRuleSetRequest {
            name: kept.name.clone(),
        };
        let started = admin.evaluate_rule_set(request).await.unwrap().into_inner();
        let measured: pb::RuleSetEvaluation = result(&house, started).await;
        assert_eq!((measured.judged, measured.present), (0, 0));
        let train = pb::TrainRuleSetRequest {
            kind: pb::PartyKind::Organization.into(),
            ..Default::default()
        };
        let started = admin.train_rule_set(train).await.unwrap().into_inner();
        let failed = ended(&house, started).await.failure.unwrap();
        assert_eq!(failed.reason, "TOO_FEW_RECORDS");
        // Another revision than the one that stands is not approved.
        let activate = |revision: i64| pb::ActivateRuleSetRequest {
            name: kept.name.clone(),
            dry_run: run.name.clone(),
            dry_run_revision: revision,
        };
        let started = admin
            .activate_rule_set(activate(9))
            .await
            .unwrap()
            .into_inner();
        let failed = ended(&house, started).await.failure.unwrap();
        assert_eq!(failed.reason, "DRY_RUN_MOVED");
        let started = admin
            .activate_rule_set(activate(1))
            .await
            .unwrap()
            .into_inner();
        let set: pb::RuleSet = result(&house, started).await;
        assert_eq!(set.state(), pb::rule_set::State::Active);
        assert_eq!(set.version, "organization-other");

        // Part of the enterprise is not enough for what concerns all of it.
        let mut west = house.matches("west");
        let request = pb::RebuildCustomersRequest { repair: true };
        let refused = west.rebuild_customers(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        let request = pb::GetDryRunRequest { name: run.name };
        let refused = west.get_dry_run(request.clone()).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        let refused = admin.get_dry_run(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound);
        for name in ["", "ruleSets/", "ruleSets/x", "ruleSets/-1", "customers/1"] {
            let request = pb::GetRuleSetRequest { name: name.into() };
            let refused = admin.get_rule_set(request).await.unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{name}");
        }
    })
    .await;
}
