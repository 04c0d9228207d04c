//! A reminder reaches the right member of the company's chat platform, once: the whole suite with
//! a simulated WeCom, whose directory has people with ids that are not those of our users, and
//! which loses an answer.

use std::{collections::BTreeMap, time::Duration};

use jinke_kit::Peer;
use jinke_proto::jinke::{
    connector::v1::{
        Connection, CreateConnectionRequest, Delivery, ListDeadLettersRequest,
        ListDeliveriesRequest, RunConnectionRequest, SendMessageRequest,
        connection::SourceSettings, connector_service_client::ConnectorServiceClient, delivery,
    },
    identity::v1::{
        CreateUserRequest, GetUserRequest, LinkUserRequest, User,
        directory_service_client::DirectoryServiceClient,
        identity_service_client::IdentityServiceClient,
    },
    pipeline::v1::{
        CreateTaskRequest, ListFiringsRequest, Task, firing, task_service_client::TaskServiceClient,
    },
};
use jinke_tests::suite::{Options, Suite};
use jinke_types::{Clock as _, SystemClock};
use jinke_wecom::simulator::{AGENT_ID, CORP_ID, SECRET, Simulator};
use prost_types::{Struct, Timestamp, Value, value::Kind};
use serde_json::json;

const CONNECTION: &str = "connections/wecom";
const SETTINGS: [&str; 2] = [
    "pipeline.delivery.connection=connections/wecom",
    "pipeline.timers.poll_milliseconds=100",
];

/// The services as their administrator reaches them.
struct Hands {
    identity: IdentityServiceClient<Peer>,
    directories: DirectoryServiceClient<Peer>,
    connector: ConnectorServiceClient<Peer>,
    tasks: TaskServiceClient<Peer>,
}

/// Waits until something is there; two minutes at the longest.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..2_400 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what} did not come about in two minutes");
}

impl Hands {
    fn new(admin: &Peer) -> Self {
        Self {
            identity: IdentityServiceClient::new(admin.clone()),
            directories: DirectoryServiceClient::new(admin.clone()),
            connector: ConnectorServiceClient::new(admin.clone()),
            tasks: TaskServiceClient::new(admin.clone()),
        }
    }

    async fn user(&mut self, id: &str, display_name: &str) {
        let request = CreateUserRequest {
            user_id: id.to_owned(),
            user: Some(User {
                display_name: display_name.to_owned(),
                ..User::default()
            }),
            ..CreateUserRequest::default()
        };
        self.identity.create_user(request).await.expect("a user");
    }

    /// Connects to the simulator and pulls its directory.
    async fn connect(&mut self, chat: &Simulator) {
        let value = |kind| Value { kind: Some(kind) };
        let text = |text: &str| value(Kind::StringValue(text.to_owned()));
        let fields = [
            ("url", text(chat.server().url())),
            ("corp_id", text(CORP_ID)),
            ("agent_id", value(Kind::NumberValue(AGENT_ID as f64))),
            ("private_network", value(Kind::BoolValue(true))),
        ];
        let request = CreateConnectionRequest {
            connection_id: "wecom".to_owned(),
            connection: Some(Connection {
                display_name: "企业微信".to_owned(),
                connector: "connectors/wecom".to_owned(),
                settings: Some(Struct {
                    fields: fields.map(|(key, v)| (key.to_owned(), v)).into(),
                }),
                secrets: [("secret".to_owned(), SECRET.to_owned())].into(),
                source: Some(SourceSettings {
                    source: "sources/wecom".to_owned(),
                    ..SourceSettings::default()
                }),
                streams: vec!["directory".to_owned()],
                ..Connection::default()
            }),
            ..CreateConnectionRequest::default()
        };
        let made = self.connector.create_connection(request).await;
        made.expect("a connection");
        let request = RunConnectionRequest {
            name: CONNECTION.to_owned(),
            ..RunConnectionRequest::default()
        };
        self.connector.run_connection(request).await.expect("a run");
        for name in ["users/zhangsan.wecom", "users/wecom-10086"] {
            until(name, async || {
                let request = GetUserRequest {
                    name: name.to_owned(),
                };
                self.identity.get_user(request).await.ok()
            })
            .await;
        }
    }

    async fn deliveries(&mut self) -> Vec<Delivery> {
        let request = ListDeliveriesRequest {
            parent: CONNECTION.to_owned(),
            ..ListDeliveriesRequest::default()
        };
        let answer = self.connector.list_deliveries(request).await;
        answer.expect("deliveries").into_inner().deliveries
    }

    /// Waits until so many deliveries have come to their end.
    async fn ended(&mut self, count: usize) -> Vec<Delivery> {
        until("the end of all deliveries", async || {
            let all = self.deliveries().await;
            let done = all.iter().all(|d| d.state() != delivery::State::Pending);
            (all.len() == count && done).then_some(all)
        })
        .await
    }

    /// A task that was due a minute ago.
    async fn task(&mut self, owner: &str, subject: &str) -> Task {
        let due = SystemClock.now().secs() - 60;
        let request = CreateTaskRequest {
            task: Some(Task {
                subject: subject.to_owned(),
                owner: owner.to_owned(),
                due_time: Some(Timestamp {
                    seconds: due,
                    nanos: 0,
                }),
                ..Task::default()
            }),
            ..CreateTaskRequest::default()
        };
        let made = self.tasks.create_task(request).await;
        made.expect("a task").into_inner()
    }

    /// Waits until pipeline knows that its reminder was taken.
    async fn handed_over(&mut self, task: &Task) {
        until("the hand-over of a reminder", async || {
            let request = ListFiringsRequest {
                parent: task.name.clone(),
                ..ListFiringsRequest::default()
            };
            let answer = self.tasks.list_firings(request).await;
            let firings = answer.expect("firings").into_inner().firings;
            let sent = firing::Delivery::Sent;
            let taken = !firings.is_empty() && firings.iter().all(|f| f.delivery() == sent);
            taken.then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reminder_reaches_the_member_who_the_user_is_and_nobody_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        settings: &SETTINGS,
        ..Options::default()
    };
    let suite = Suite::start_as(&folder.path().join("data"), None, &options).await;
    let suite = suite.expect("the suite starts");
    let mut hands = Hands::new(&suite.login().await.expect("logged in"));

    // A user of ours bears the id that a member of WeCom would get.
    hands.user("zhangsan", "另一位张三").await;
    let chat = Simulator::start().await.expect("a port");
    chat.seed_team();
    chat.member("10086", "客服小王", &[1], json!({}));
    hands.connect(&chat).await;
    // A person says that two are one.
    hands.user("wang.gang", "王刚").await;
    let request = LinkUserRequest {
        parent: "directories/wecom".to_owned(),
        user: "users/wang.gang".to_owned(),
        external_id: "WangGang_2".to_owned(),
        ..LinkUserRequest::default()
    };
    hands.directories.link_user(request).await.expect("a link");
    chat.member("WangGang_2", "王刚", &[2], json!({}));

    // In the connector's own words as ever; from here on the session is open.
    let request = SendMessageRequest {
        name: CONNECTION.to_owned(),
        recipient: "lisi".to_owned(),
        text: "试发一条".to_owned(),
        request_id: "first".to_owned(),
        ..SendMessageRequest::default()
    };
    let sent = hands.connector.send_message(request).await;
    sent.expect("it is taken");
    hands.ended(1).await;
    chat.lose_answer();

    let mut tasks = Vec::new();
    for (owner, subject) in [
        ("users/zhangsan.wecom", "回访深圳星河电子"),
        ("users/wecom-10086", "回访苏州精密机械"),
        ("users/wang.gang", "回访青岛医疗器械"),
        ("users/zhangsan", "回访武汉新材料"),
    ] {
        tasks.push(hands.task(owner, subject).await);
    }
    for task in &tasks {
        hands.handed_over(task).await;
    }
    let ended = hands.ended(5).await;
    let failed: Vec<_> = ended
        .iter()
        .filter(|d| d.state() == delivery::State::Failed)
        .map(|d| d.recipient.as_str())
        .collect();
    assert_eq!(failed, ["users/zhangsan"], "{ended:?}");
    let request = ListDeadLettersRequest {
        parent: CONNECTION.to_owned(),
        ..ListDeadLettersRequest::default()
    };
    let letters = hands.connector.list_dead_letters(request).await;
    let letters = letters.expect("dead letters").into_inner().dead_letters;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].reason, "RECIPIENT_NOT_LINKED");

    // Three messages, and one of them twice because its answer was lost.
    assert!(chat.server().requests() >= 4);
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for message in chat.messages() {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let to = text(&message["touser"]);
        found
            .entry(to)
            .or_default()
            .push(text(&message["text"]["content"]));
    }
    for (member, subject) in [
        ("zhangsan", "回访深圳星河电子"),
        ("10086", "回访苏州精密机械"),
        ("WangGang_2", "回访青岛医疗器械"),
        ("lisi", "试发一条"),
    ] {
        let texts = found.remove(member).unwrap_or_default();
        assert_eq!(texts.len(), 1, "{member}: {texts:?}");
        assert!(texts[0].contains(subject), "{member}: {texts:?}");
    }
    assert!(found.is_empty(), "{found:?}");
}
