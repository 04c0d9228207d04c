//! A message to one of our users reaches the member who he is in the connection's directory, and
//! nobody else.

use jinke_proto::jinke::connector::v1::{self as pb, connection::SourceSettings, delivery::State};
use jinke_runner::{
    directory::Membership,
    rpc::{connections, errors, outbound},
};
use jinke_store::Database;
use tonic::Status;

use crate::world::{World, on_each, until, viewer};

/// A connection `chat` to the system, which keeps the directory `wecom`.
async fn world(db: &Database) -> World {
    let mut world = World::over(db);
    let mut request = world.request("chat");
    if let Some(connection) = &mut request.connection {
        connection.connector = "connectors/chat".to_owned();
        connection.source = Some(SourceSettings {
            source: "sources/wecom".to_owned(),
            ..SourceSettings::default()
        });
    }
    connections::create(world.api.clone(), viewer(), request)
        .await
        .unwrap();
    world.start();
    world
}

async fn send(world: &World, connection: &str, recipient: &str) -> pb::Delivery {
    let request = pb::SendMessageRequest {
        name: format!("connections/{connection}"),
        recipient: recipient.to_owned(),
        text: "跟进提醒：请回访".to_owned(),
        request_id: format!("to/{recipient}"),
        ..pb::SendMessageRequest::default()
    };
    let sent = outbound::send(world.api.clone(), viewer(), request).await;
    ended(world, &sent.unwrap().name).await
}

async fn ended(world: &World, name: &str) -> pb::Delivery {
    until(async || {
        let request = pb::GetDeliveryRequest {
            name: name.to_owned(),
        };
        let found = outbound::get(world.api.clone(), viewer(), request).await;
        let found = found.unwrap();
        (found.state() != State::Pending).then_some(found)
    })
    .await
}

/// Whom the foreign system was told to give messages to.
fn reached(world: &World) -> Vec<String> {
    let state = world.state();
    state.messages.iter().map(|m| m.recipient.clone()).collect()
}

/// The dead letter of a delivery.
async fn letter(world: &World, delivery: &pb::Delivery) -> pb::DeadLetter {
    let request = pb::ListDeadLettersRequest {
        parent: "connections/chat".to_owned(),
        ..pb::ListDeadLettersRequest::default()
    };
    let found = errors::list_letters(world.api.clone(), viewer(), request).await;
    let mut letters = found.unwrap().dead_letters.into_iter();
    letters
        .find(|letter| letter.delivery == delivery.name)
        .expect("a dead letter")
}

async fn again(world: &World, delivery: &pb::Delivery) -> pb::Delivery {
    let request = pb::RetryDeadLetterRequest {
        name: letter(world, delivery).await.name,
        ..pb::RetryDeadLetterRequest::default()
    };
    errors::retry_letter(world.api.clone(), viewer(), request)
        .await
        .unwrap();
    ended(world, &delivery.name).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_the_member_whom_the_directory_ties_to_him() {
    on_each(async |db| {
        let world = world(&db).await;
        {
            let mut links = world.directory.lock();
            links.link("wecom", "users/lisi", "LiSi");
            links.link("wecom", "users/wecom-10086", "10086");
            links.link("wecom", "users/wang.wu", "W5@corp");
            links.link("wecom", "users/robot", "robot");
            // Another person of that name, who is of another directory.
            links.link("dingtalk", "users/zhangsan", "zhangsan");
            links.link("wecom", "users/zhangsan.wecom", "zhangsan");
        }
        for (user, member) in [
            ("users/lisi", "user:LiSi"),
            ("users/wecom-10086", "user:10086"),
            ("users/wang.wu", "user:W5@corp"),
            ("users/robot", "user:robot"),
            ("users/zhangsan.wecom", "user:zhangsan"),
        ] {
            let done = send(&world, "chat", user).await;
            assert_eq!((done.state(), done.attempts), (State::Delivered, 1));
            assert_eq!(done.recipient, user, "what was asked for is shown");
            assert_eq!(reached(&world).last().map(String::as_str), Some(member));
        }
        assert_eq!(world.directory.lock().asked, 5);
        // The connector's own words are nobody's question.
        for word in ["zhangsan", "party:2", "user:LiSi", "robot"] {
            let done = send(&world, "chat", word).await;
            assert_eq!(done.state(), State::Delivered);
            assert_eq!(reached(&world).last().map(String::as_str), Some(word));
        }
        assert_eq!(world.directory.lock().asked, 5);
        // A connection that keeps no directory is told the name.
        world.connect().await;
        let done = send(&world, "demo", "users/zhangsan").await;
        assert_eq!(done.state(), State::Delivered);
        let last = reached(&world).pop();
        assert_eq!(last.as_deref(), Some("users/zhangsan"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_linked_gets_nothing_and_nobody_else_gets_it() {
    on_each(async |db| {
        let world = world(&db).await;
        {
            let mut links = world.directory.lock();
            links.link("dingtalk", "users/zhangsan", "zhangsan");
            links.link("wecom", "users/zhangsan.wecom", "zhangsan");
            let left = ("wecom".to_owned(), "users/leaver".to_owned());
            links.known.insert(left, Membership::Gone);
        }
        for user in ["users/zhangsan", "users/leaver", "users/admin"] {
            let done = send(&world, "chat", user).await;
            assert_eq!((done.state(), done.attempts), (State::Failed, 1), "{user}");
            let dead = letter(&world, &done).await;
            assert_eq!(dead.reason, "RECIPIENT_NOT_LINKED");
        }
        {
            let mut links = world.directory.lock();
            (links.away, links.answer) = (1, Some(Status::invalid_argument("no name")));
        }
        let done = send(&world, "chat", "users/").await;
        assert_eq!(letter(&world, &done).await.reason, "RECIPIENT_NOT_LINKED");
        assert_eq!(reached(&world), [""; 0]);
        // A person ties them; the same message goes out then.
        let done = send(&world, "chat", "users/admin").await;
        assert_eq!(done.state(), State::Failed, "the same request is the same");
        world.directory.lock().link("wecom", "users/admin", "boss");
        let done = again(&world, &done).await;
        assert_eq!(done.state(), State::Delivered);
        assert_eq!(reached(&world), ["user:boss"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_waits_for_an_identity_service_that_is_away() {
    on_each(async |db| {
        let world = world(&db).await;
        world.directory.lock().link("wecom", "users/lisi", "LiSi");
        for (n, answer) in [
            Status::unavailable("nobody answers"),
            Status::deadline_exceeded("late"),
            Status::unauthenticated("an old token"),
            Status::permission_denied("an identity service of before"),
        ]
        .into_iter()
        .enumerate()
        {
            {
                let mut links = world.directory.lock();
                (links.away, links.answer) = (3, Some(answer));
            }
            let request = pb::SendMessageRequest {
                name: "connections/chat".to_owned(),
                recipient: "users/lisi".to_owned(),
                text: "跟进提醒：请回访".to_owned(),
                request_id: format!("away-{n}"),
                ..pb::SendMessageRequest::default()
            };
            let sent = outbound::send(world.api.clone(), viewer(), request).await;
            let done = ended(&world, &sent.unwrap().name).await;
            assert_eq!((done.state(), done.attempts), (State::Delivered, 4));
            assert_eq!(reached(&world), vec!["user:LiSi"; n + 1]);
        }
        // It stays away: after all attempts a person sees it, and nothing is lost.
        {
            let mut links = world.directory.lock();
            (links.away, links.answer) = (4, None);
            links.link("wecom", "users/wang.wu", "W5");
        }
        let done = send(&world, "chat", "users/wang.wu").await;
        assert_eq!((done.state(), done.attempts), (State::Failed, 4));
        assert_eq!(letter(&world, &done).await.reason, "RECIPIENT_UNRESOLVED");
        let done = again(&world, &done).await;
        assert_eq!(done.state(), State::Delivered);
        let all = reached(&world);
        assert_eq!((all.len(), all[4].as_str()), (5, "user:W5"));
    })
    .await;
}
