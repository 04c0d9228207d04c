//! Tasks, activities and what happens to them by hand.

use jinke_pipeline::convert::pb;
use tonic::Status;

use crate::house::{DAY, House, START, lasting, on_each_engine, reason, time};

fn task(subject: &str, due: i64) -> pb::Task {
    pb::Task {
        subject: subject.to_owned(),
        due_time: time(due),
        ..Default::default()
    }
}

async fn make(house: &House, task: pb::Task, id: &str) -> pb::Task {
    let request = pb::CreateTaskRequest {
        task: Some(task),
        request_id: id.to_owned(),
    };
    let answer = house.tasks("admin").create_task(request).await;
    answer.expect("the task is made").into_inner()
}

async fn firings(house: &House, name: &str) -> Vec<pb::Firing> {
    let request = pb::ListFiringsRequest {
        parent: name.to_owned(),
        ..Default::default()
    };
    let answer = house.tasks("admin").list_firings(request).await;
    answer.expect("firings").into_inner().firings
}

async fn fire(house: &House) {
    while house.core.fire_due().await.expect("timers fire") > 0 {}
}

async fn make_as(house: &House, role: &'static str, task: pb::Task) -> Result<pb::Task, Status> {
    let request = pb::CreateTaskRequest {
        task: Some(task),
        ..Default::default()
    };
    let answer = house.tasks(role).create_task(request).await;
    answer.map(tonic::Response::into_inner)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_never_owns_the_task_it_makes() {
    on_each_engine(async |house: House| {
        let of = |customer: &str| pb::Task {
            customer: customer.to_owned(),
            ..task("挽留", START + 86_400)
        };
        // Nobody owns the customer: a person who makes a task does it himself, a service cannot.
        let own = make_as(&house, "admin", of("customers/8")).await.unwrap();
        assert_eq!(own.owner, "users/admin");
        let refused = make_as(&house, "reporting", of("customers/8")).await;
        let refused = jinke_kit::failure(&refused.unwrap_err());
        assert_eq!(refused.violations[0].field, "task.owner");
        // A rule for everything chooses.
        let request = pb::CreateAssignmentRuleRequest {
            assignment_rule_id: "all".to_owned(),
            assignment_rule: Some(pb::AssignmentRule {
                display_name: "轮流".to_owned(),
                strategy: pb::assignment_rule::Strategy::RoundRobin.into(),
                owners: vec!["users/li".to_owned(), "users/wu".to_owned()],
                org_unit: "orgUnits/east".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let mut leads = house.leads("admin");
        leads.create_assignment_rule(request).await.unwrap();
        let chosen = make_as(&house, "reporting", of("customers/8"))
            .await
            .unwrap();
        assert_eq!(
            (chosen.owner.as_str(), chosen.org_unit.as_str()),
            ("users/li", "orgUnits/east")
        );
        // Whoever has an opportunity comes before the rules, and the golden owner before him.
        house.opportunity("老客户").await;
        let has = make_as(&house, "reporting", of("customers/7"))
            .await
            .unwrap();
        assert_eq!(has.owner, "users/ana");
        house.customers.owner(7, "users/zhao");
        let golden = make_as(&house, "reporting", of("customers/7"))
            .await
            .unwrap();
        assert_eq!(golden.owner, "users/zhao");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_origin_is_one_task_with_one_owner() {
    on_each_engine(async |house: House| {
        house.opportunity("老客户").await;
        let churn = pb::Task {
            kind: pb::task::Kind::Retention.into(),
            customer: "customers/7".to_owned(),
            origin: "churnEpisodes/1".to_owned(),
            ..task("挽留", START + 86_400)
        };
        let first = make(&house, churn.clone(), "episode-1").await;
        assert_eq!(
            first.owner, "users/ana",
            "whoever has the customer's opportunity"
        );
        assert_eq!(
            make(&house, churn.clone(), "episode-1").await.name,
            first.name
        );
        assert_eq!(make(&house, churn, "another-id").await.name, first.name);
        // Closing it needs an outcome.
        let complete = |outcome: &str| pb::CompleteTaskRequest {
            name: first.name.clone(),
            outcome: outcome.to_owned(),
            comment: "已回访".to_owned(),
            ..Default::default()
        };
        let mut client = house.tasks("admin");
        let refused = client.complete_task(complete("")).await.unwrap_err();
        assert_eq!(reason(&refused), "INVALID_FIELD");
        let done = client
            .complete_task(complete("retained"))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(
            (done.state(), done.outcome.as_str()),
            (pb::task::State::Done, "retained")
        );
        let refused = client
            .complete_task(complete("retained"))
            .await
            .unwrap_err();
        assert_eq!(reason(&refused), "TASK_CLOSED");
        let fired = firings(&house, &first.name).await;
        assert_eq!(fired.len(), 1);
        assert_eq!(
            (fired[0].result(), fired[0].reason.as_str()),
            (pb::firing::Result::Skipped, "task_done")
        );
        house.clock.advance(DAY * 3);
        fire(&house).await;
        assert_eq!(firings(&house, &first.name).await.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_message_of_the_longest_task_is_one_that_chat_platforms_take() {
    on_each_engine(async |house: House| {
        let t = pb::Task {
            owner: "users/u0".to_owned(),
            text: "请尽快回访".repeat(800),
            remind_before: lasting(3_600),
            ..task(&"回".repeat(200), START + 7_200)
        };
        make(&house, t, "").await;
        house.clock.advance(DAY);
        fire(&house).await;
        house.core.deliver_due().await.unwrap();
        let sent = house.messenger.sent();
        assert_eq!(sent.len(), 1);
        for (message, _) in sent.values() {
            assert!(message.text.contains("请尽快回访"), "{}", message.text);
            let bytes = 2 * message.title.len() + message.text.len();
            assert!(bytes + 2 <= 2_048, "{bytes}: {message:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reminder_reaches_its_owner_once_though_the_answer_is_lost() {
    on_each_engine(async |house: House| {
        house.messenger.loses_every(2);
        let mut names = Vec::new();
        for n in 0..3 {
            let t = pb::Task {
                owner: format!("users/u{n}"),
                remind_before: lasting(3_600),
                escalations: vec![pb::task::Escalation {
                    after: lasting(7_200),
                    to: "users/boss".to_owned(),
                    reassign: n == 0,
                }],
                ..task(&format!("回访{n}"), START + 7_200)
            };
            names.push(make(&house, t, "").await.name);
        }
        house
            .clock
            .advance(DAY / 24 - std::time::Duration::from_secs(1));
        fire(&house).await;
        assert!(
            firings(&house, &names[0]).await.is_empty(),
            "a second too early"
        );
        house.clock.advance(std::time::Duration::from_secs(1));
        fire(&house).await;
        for _ in 0..30 {
            house.core.deliver_due().await.unwrap();
            house.clock.advance(std::time::Duration::from_secs(60));
        }
        fire(&house).await;
        house.clock.advance(DAY);
        fire(&house).await;
        for _ in 0..30 {
            house.core.deliver_due().await.unwrap();
            house.clock.advance(std::time::Duration::from_secs(60));
        }
        let sent = house.messenger.sent();
        assert_eq!(sent.len(), 6, "three reminders and three escalations");
        let first = &sent["pipeline-task-1-firing-1"].0;
        assert_eq!(
            (first.recipient.as_str(), first.title.as_str()),
            ("users/u0", "跟进提醒:回访0")
        );
        assert!(first.text.contains("2026-01-05 11:00"), "{}", first.text);
        assert!(
            sent.values().any(|(_, times)| *times > 1),
            "an answer was lost"
        );
        for name in &names {
            let fired = firings(&house, name).await;
            assert_eq!(fired.len(), 2);
            assert!(
                fired
                    .iter()
                    .all(|f| f.delivery() == pb::firing::Delivery::Sent)
            );
            assert_eq!(fired[1].recipient, "users/boss");
        }
        let get = pb::GetTaskRequest {
            name: names[0].clone(),
        };
        let task = house
            .tasks("admin")
            .get_task(get)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(task.owner, "users/boss", "the task changed hands");
        assert!(task.overdue);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_that_lasts_too_long_makes_one_task() {
    on_each_engine(async |house: House| {
        let slow = house.opportunity("慢").await;
        let quick = house.opportunity("快").await;
        house.advance(&quick.name, "proposal").await.unwrap();
        house.clock.advance(DAY * 8);
        fire(&house).await;
        let inbox = |filter: &str| pb::ListTasksRequest {
            filter: filter.to_owned(),
            ..Default::default()
        };
        let mut client = house.tasks("admin");
        let list = client
            .list_tasks(inbox("kind = OVERDUE AND owner = \"users/ana\""))
            .await;
        let list = list.unwrap().into_inner().tasks;
        assert_eq!(list.len(), 1);
        assert_eq!(list[0].opportunity, slow.name);
        assert!(list[0].text.contains("线索发现"));
        // Back and forth is another stay with another limit.
        house.advance(&slow.name, "contact").await.unwrap();
        house.clock.advance(DAY * 8);
        fire(&house).await;
        let list = client
            .list_tasks(inbox("kind = OVERDUE"))
            .await
            .unwrap()
            .into_inner()
            .tasks;
        assert_eq!(
            list.iter().filter(|t| t.opportunity == slow.name).count(),
            2
        );
        // Giving the opportunity away takes its tasks along.
        let assign = pb::AssignOpportunityRequest {
            name: slow.name.clone(),
            owner: "users/ben".to_owned(),
            with_tasks: true,
            ..Default::default()
        };
        house
            .opportunities("admin")
            .assign_opportunity(assign)
            .await
            .unwrap();
        let list = client
            .list_tasks(inbox("owner = \"users/ben\" AND state = OPEN"))
            .await;
        assert_eq!(list.unwrap().into_inner().tasks.len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn activities_are_versions_that_stay() {
    on_each_engine(async |house: House| {
        let o = house.opportunity("拜访").await;
        let visit = pb::Activity {
            kind: pb::activity::Kind::Visit.into(),
            opportunity: o.name.clone(),
            subject: "初访".to_owned(),
            text: "聊了三个需求".to_owned(),
            source: "sources/wecom".to_owned(),
            external_id: "m-1".to_owned(),
            ..Default::default()
        };
        let request = pb::CreateActivityRequest {
            activity: Some(visit),
            ..Default::default()
        };
        let mut client = house.activities("admin");
        let a = client
            .create_activity(request.clone())
            .await
            .unwrap()
            .into_inner();
        assert_eq!((a.customer.as_str(), a.version), ("customers/7", 1));
        let again = client.create_activity(request).await.unwrap().into_inner();
        assert_eq!(again.name, a.name, "one foreign key is one activity");
        house.clock.advance(DAY);
        let amend = pb::AmendActivityRequest {
            activity: Some(pb::Activity {
                name: a.name.clone(),
                subject: "初访".to_owned(),
                text: "聊了四个需求".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let amended = client.amend_activity(amend).await.unwrap().into_inner();
        assert_eq!(
            (amended.version, amended.activity_time),
            (2, a.activity_time)
        );
        let retract = pb::RetractActivityRequest {
            name: a.name.clone(),
            ..Default::default()
        };
        assert!(
            client
                .retract_activity(retract.clone())
                .await
                .unwrap()
                .into_inner()
                .retracted
        );
        let refused = client.retract_activity(retract).await.unwrap_err();
        assert_eq!(reason(&refused), "ACTIVITY_RETRACTED");
        let versions = pb::ListActivityVersionsRequest {
            parent: a.name.clone(),
            ..Default::default()
        };
        let all = client
            .list_activity_versions(versions)
            .await
            .unwrap()
            .into_inner()
            .activities;
        let texts: Vec<_> = all.iter().map(|v| (v.version, v.text.as_str())).collect();
        assert_eq!(
            texts,
            [
                (3, "聊了四个需求"),
                (2, "聊了四个需求"),
                (1, "聊了三个需求")
            ]
        );
        let first = pb::GetActivityRequest {
            name: a.name.clone(),
            version: 1,
        };
        assert_eq!(
            client.get_activity(first).await.unwrap().into_inner().text,
            "聊了三个需求"
        );
        let list = pb::ListActivitiesRequest {
            filter: format!("opportunity = \"{}\"", o.name),
            ..Default::default()
        };
        assert!(
            client
                .list_activities(list)
                .await
                .unwrap()
                .into_inner()
                .activities
                .is_empty()
        );
    })
    .await;
}
