//! Who leaves the company's chat platform is out here too: the whole suite, a simulated DingTalk
//! over Stream mode and a simulated WeCom by its rounds, from the leaver to the refused token.

use std::time::Duration;

use jinke_dingtalk::simulator as dingtalk;
use jinke_kit::{
    Peer,
    client::{self, Credential},
};
use jinke_proto::jinke::{
    connector::v1::{
        Connection, CreateConnectionRequest, RunConnectionRequest, connection::SourceSettings,
        connector_service_client::ConnectorServiceClient,
    },
    identity::v1::{
        GetCallerRequest, GetUserRequest, LoginRequest, ResetPasswordRequest, User,
        identity_service_client::IdentityServiceClient, token_service_client::TokenServiceClient,
    },
};
use jinke_tests::suite::Suite;
use jinke_types::SystemClock;
use jinke_wecom::simulator as wecom;
use prost_types::{Struct, Value, value::Kind};

const PASSWORD: &str = "correct horse battery";

fn settings(pairs: &[(&str, &str)], flags: &[&str], numbers: &[(&str, f64)]) -> Struct {
    let value = |kind| Value { kind: Some(kind) };
    let mut fields = std::collections::BTreeMap::new();
    for (key, text) in pairs {
        fields.insert(
            (*key).to_owned(),
            value(Kind::StringValue((*text).to_owned())),
        );
    }
    for key in flags {
        fields.insert((*key).to_owned(), value(Kind::BoolValue(true)));
    }
    for (key, number) in numbers {
        fields.insert((*key).to_owned(), value(Kind::NumberValue(*number)));
    }
    Struct {
        fields: fields.into_iter().collect(),
    }
}

fn channel(suite: &Suite, credential: Credential) -> Peer {
    let clock = std::sync::Arc::new(SystemClock);
    client::connect(&suite.endpoint, credential, None, clock).expect("a channel")
}

/// One company's suite, as its administrator sees it.
struct House {
    suite: Suite,
    admin: Peer,
}

impl House {
    async fn user(&self, name: &str) -> Option<User> {
        let request = GetUserRequest {
            name: name.to_owned(),
        };
        let mut identity = IdentityServiceClient::new(self.admin.clone());
        identity
            .get_user(request)
            .await
            .ok()
            .map(tonic::Response::into_inner)
    }

    async fn until(&self, name: &str, what: &str, holds: impl Fn(&User) -> bool) -> User {
        for _ in 0..2_400 {
            if let Some(user) = self.user(name).await
                && holds(&user)
            {
                return user;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{name}: {what} did not come about in two minutes");
    }

    async fn connect(&self, kind: &str, settings: Struct, secret: (&str, &str)) {
        let request = CreateConnectionRequest {
            connection_id: kind.to_owned(),
            connection: Some(Connection {
                display_name: kind.to_owned(),
                connector: format!("connectors/{kind}"),
                settings: Some(settings),
                secrets: [(secret.0.to_owned(), secret.1.to_owned())].into(),
                source: Some(SourceSettings {
                    source: format!("sources/{kind}"),
                    ..SourceSettings::default()
                }),
                streams: vec!["directory".to_owned()],
                ..Connection::default()
            }),
            ..CreateConnectionRequest::default()
        };
        let mut connector = ConnectorServiceClient::new(self.admin.clone());
        connector
            .create_connection(request)
            .await
            .expect("a connection");
        self.pull(kind).await;
    }

    async fn pull(&self, kind: &str) {
        let request = RunConnectionRequest {
            name: format!("connections/{kind}"),
            ..RunConnectionRequest::default()
        };
        let mut connector = ConnectorServiceClient::new(self.admin.clone());
        connector.run_connection(request).await.expect("a run");
    }

    /// The user logs in for the first time; his token.
    async fn log_in(&self, name: &str) -> String {
        let request = ResetPasswordRequest {
            name: name.to_owned(),
        };
        let mut identity = IdentityServiceClient::new(self.admin.clone());
        let reset = identity.reset_password(request).await.expect("a password");
        let request = LoginRequest {
            user: name.trim_start_matches("users/").to_owned(),
            password: reset.into_inner().one_time_password,
            new_password: PASSWORD.to_owned(),
            ..LoginRequest::default()
        };
        let mut tokens = TokenServiceClient::new(channel(&self.suite, Credential::None));
        let answer = tokens.login(request).await.expect("logged in").into_inner();
        answer.tokens.expect("tokens").access_token
    }

    async fn is_accepted(&self, token: &str) -> bool {
        let peer = channel(&self.suite, Credential::Token(token.to_owned()));
        let mut tokens = TokenServiceClient::new(peer);
        tokens.get_caller(GetCallerRequest {}).await.is_ok()
    }

    /// Waits until a token is refused: it is, once the service goes by what was just written.
    async fn until_refused(&self, token: &str) {
        for _ in 0..1_200 {
            if !self.is_accepted(token).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the session goes on");
    }

    async fn may_log_in(&self, name: &str) -> bool {
        let request = LoginRequest {
            user: name.trim_start_matches("users/").to_owned(),
            password: PASSWORD.to_owned(),
            ..LoginRequest::default()
        };
        let mut tokens = TokenServiceClient::new(channel(&self.suite, Credential::None));
        tokens.login(request).await.is_ok()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaver_in_dingtalk_or_wecom_is_disabled_and_his_sessions_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let suite = Suite::start(&folder.path().join("data"), None).await;
    let suite = suite.expect("the suite starts");
    let admin = suite.login().await.expect("logged in");
    let house = House { suite, admin };

    let ding = dingtalk::Simulator::start().await.expect("a port");
    ding.seed_team();
    let url = ding.server().url();
    let given = settings(
        &[
            ("url", url),
            ("old_url", url),
            ("app_key", dingtalk::APP_KEY),
        ],
        &["private_network", "stream_mode"],
        &[],
    );
    house
        .connect("dingtalk", given, ("app_secret", dingtalk::APP_SECRET))
        .await;
    let user = house.until("users/zhangsan", "made", |_| true).await;
    assert_eq!(
        (user.display_name.as_str(), user.org_unit.as_str()),
        ("张三", "orgUnits/dingtalk-20")
    );
    let token = house.log_in("users/zhangsan").await;
    assert!(house.is_accepted(&token).await);
    // Nobody pulls: the event comes over the channel.
    ding.leave("zhangsan");
    house
        .until("users/zhangsan", "disabled", |u| u.disabled)
        .await;
    house.until_refused(&token).await;
    assert!(!house.may_log_in("users/zhangsan").await);
    ding.member("zhangsan", "张三", &[30], serde_json::json!({}));
    let back = house
        .until("users/zhangsan", "enabled", |u| !u.disabled)
        .await;
    assert_eq!(back.org_unit, "orgUnits/dingtalk-30");
    assert!(house.may_log_in("users/zhangsan").await);
    assert!(
        !house.is_accepted(&token).await,
        "the old session stays ended"
    );

    let chat = wecom::Simulator::start().await.expect("a port");
    chat.seed_team();
    let given = settings(
        &[("url", chat.server().url()), ("corp_id", wecom::CORP_ID)],
        &["private_network"],
        &[("directory_minutes", 0.0)],
    );
    house
        .connect("wecom", given, ("secret", wecom::SECRET))
        .await;
    // The same id is somebody else until a person links both.
    house.until("users/zhangsan.wecom", "made", |_| true).await;
    house.until("users/zhouba", "made", |_| true).await;
    let token = house.log_in("users/zhouba").await;
    chat.leave("zhouba");
    chat.drop_events();
    // No callback came: the next round tells.
    house.pull("wecom").await;
    house
        .until("users/zhouba", "disabled", |u| u.disabled)
        .await;
    house.until_refused(&token).await;
    assert!(!house.may_log_in("users/zhouba").await);
    let stays = house.user("users/sunqi").await.expect("a user");
    assert!(!stays.disabled);
}
