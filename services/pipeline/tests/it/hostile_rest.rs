//! What the other requests may hold that is wrong: pipelines, tasks, activities.

use jinke_pipeline::convert::pb;
use tonic::Code;

use crate::{
    hostile::long,
    house::{House, lasting, on_each_engine, reason, time},
};

#[tokio::test(flavor = "multi_thread")]
async fn bad_pipelines_tasks_and_activities_are_refused() {
    on_each_engine(async |house: House| {
        let stage = |id: &str| pb::Stage {
            stage: id.into(),
            display_name: "阶段".into(),
            allows_win: true,
            ..Default::default()
        };
        let bad = [
            vec![],
            vec![stage("a"), stage("a")],
            vec![stage("A")],
            vec![pb::Stage {
                probability: 101,
                ..stage("a")
            }],
            vec![pb::Stage {
                required_fields: vec!["phone".into()],
                ..stage("a")
            }],
            vec![pb::Stage {
                next_stages: vec!["b".into()],
                ..stage("a")
            }],
            vec![pb::Stage {
                allows_win: false,
                ..stage("a")
            }],
            vec![pb::Stage {
                after_win: true,
                ..stage("a")
            }],
            vec![
                pb::Stage {
                    allows_win: false,
                    after_win: true,
                    ..stage("a")
                },
                stage("b"),
            ],
            (0..51).map(|n| stage(&format!("s{n}"))).collect(),
        ];
        for (i, stages) in bad.into_iter().enumerate() {
            let request = pb::CreatePipelineRequest {
                pipeline_id: "mine".into(),
                pipeline: Some(pb::Pipeline {
                    display_name: "我的".into(),
                    stages,
                    ..Default::default()
                }),
                ..Default::default()
            };
            let refused = house
                .pipelines("admin")
                .create_pipeline(request)
                .await
                .unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{i}");
        }
        let task = || pb::Task {
            subject: "打电话".into(),
            due_time: time(1_800_000_000),
            ..Default::default()
        };
        let escalation = |after: i64, to: &str| pb::task::Escalation {
            after: lasting(after),
            to: to.into(),
            reassign: false,
        };
        let recurs = |frequency: i32, interval: i32, offset: i32| {
            Some(pb::task::Recurrence {
                frequency,
                interval,
                utc_offset_minutes: Some(offset),
                ..Default::default()
            })
        };
        let bad = [
            pb::Task {
                subject: String::new(),
                ..task()
            },
            pb::Task {
                due_time: None,
                ..task()
            },
            pb::Task {
                remind_before: lasting(-1),
                ..task()
            },
            pb::Task {
                remind_before: lasting(i64::MAX),
                ..task()
            },
            pb::Task {
                recurrence: recurs(0, 1, 0),
                ..task()
            },
            pb::Task {
                recurrence: recurs(9, 1, 0),
                ..task()
            },
            pb::Task {
                recurrence: recurs(1, -1, 0),
                ..task()
            },
            pb::Task {
                recurrence: recurs(1, 1, 9_999),
                ..task()
            },
            pb::Task {
                escalations: vec![escalation(1, "boss")],
                ..task()
            },
            pb::Task {
                escalations: vec![escalation(2, "users/b"), escalation(1, "users/c")],
                ..task()
            },
            pb::Task {
                opportunity: "leads/1".into(),
                ..task()
            },
            pb::Task { kind: 99, ..task() },
        ];
        for (i, task) in bad.into_iter().enumerate() {
            let request = pb::CreateTaskRequest {
                task: Some(task),
                ..Default::default()
            };
            let refused = house.tasks("admin").create_task(request).await.unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{i}: {refused}");
        }
        let request = pb::CreateTaskRequest {
            task: Some(pb::Task {
                opportunity: "opportunities/404".into(),
                ..task()
            }),
            ..Default::default()
        };
        assert_eq!(
            house
                .tasks("admin")
                .create_task(request)
                .await
                .unwrap_err()
                .code(),
            Code::NotFound
        );
        for activity in [
            pb::Activity {
                kind: 1,
                ..Default::default()
            },
            pb::Activity {
                customer: "customers/7".into(),
                ..Default::default()
            },
            pb::Activity {
                kind: 1,
                customer: "customers/7".into(),
                text: long(20_001),
                ..Default::default()
            },
        ] {
            let request = pb::CreateActivityRequest {
                activity: Some(activity),
                ..Default::default()
            };
            let refused = house
                .activities("admin")
                .create_activity(request)
                .await
                .unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument);
        }
        for token in [long(5), "x".repeat(100_000), "AAAA".into()] {
            let request = pb::ListPipelineChangesRequest {
                page_token: token,
                ..Default::default()
            };
            let refused = house
                .pipelines("admin")
                .list_pipeline_changes(request)
                .await
                .unwrap_err();
            assert_eq!(reason(&refused), "PAGE_TOKEN_INVALID");
        }
    })
    .await;
}
