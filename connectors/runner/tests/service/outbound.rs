//! What goes out: once for a request, again when it may help, a dead letter when not.

use jinke_proto::jinke::connector::v1::{self as pb, delivery::State};
use jinke_runner::{
    rpc::{errors, outbound},
    work,
};
use jinke_sdk::SendErrorKind;
use jinke_types::{Failure, FieldMask};

use crate::world::{World, on_each, until, viewer};

fn message(id: &str) -> pb::SendMessageRequest {
    pb::SendMessageRequest {
        name: "connections/demo".to_owned(),
        recipient: "zhang.san".to_owned(),
        title: "提醒".to_owned(),
        text: "客户三天未跟进".to_owned(),
        request_id: id.to_owned(),
        ..pb::SendMessageRequest::default()
    }
}

async fn send(world: &World, id: &str) -> Result<pb::Delivery, Failure> {
    outbound::send(world.api.clone(), viewer(), message(id)).await
}

async fn ended(world: &World, name: &str) -> pb::Delivery {
    until(async || {
        let request = pb::GetDeliveryRequest {
            name: name.to_owned(),
        };
        let found = outbound::get(world.api.clone(), viewer(), request)
            .await
            .unwrap();
        (found.state() != State::Pending).then_some(found)
    })
    .await
}

async fn letters(world: &World) -> Vec<pb::DeadLetter> {
    let request = pb::ListDeadLettersRequest {
        parent: "connections/demo".to_owned(),
        ..pb::ListDeadLettersRequest::default()
    };
    let found = errors::list_letters(world.api.clone(), viewer(), request).await;
    found.unwrap().dead_letters
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_delivered_once_for_its_request() {
    on_each(async |db| {
        let mut world = World::over(&db);
        world.connect().await;
        world.state().sends = vec![SendErrorKind::Unavailable, SendErrorKind::Unauthorized];
        let sent = send(&world, "r-1").await.unwrap();
        assert_eq!(send(&world, "r-1").await.unwrap().name, sent.name);
        let mut other = message("r-1");
        other.text = "别的".to_owned();
        let reused = outbound::send(world.api.clone(), viewer(), other)
            .await
            .unwrap_err();
        assert_eq!(reused.reason, "REQUEST_ID_REUSED");
        world.start();
        let done = ended(&world, &sent.name).await;
        assert_eq!((done.state(), done.attempts), (State::Delivered, 3));
        let seen = world.state().messages.clone();
        assert_eq!(seen.len(), 3);
        assert!(
            seen.iter()
                .all(|m| m.key == seen[0].key && m.text == "客户三天未跟进")
        );
        assert_eq!(done.foreign_id, format!("m-{}", seen[0].key));
        // Recipient and text are for those who may see them.
        let mut masked = viewer();
        masked.mask = FieldMask::of([]);
        let request = pb::ListDeliveriesRequest {
            parent: "connections/demo".to_owned(),
            ..pb::ListDeliveriesRequest::default()
        };
        let list = outbound::list(world.api.clone(), masked, request)
            .await
            .unwrap();
        let shown = &list.deliveries[0];
        assert_eq!((shown.recipient.as_str(), shown.text.as_str()), ("", ""));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_message_is_a_dead_letter_that_can_be_sent_again_or_discarded() {
    on_each(async |db| {
        let mut world = World::over(&db);
        world.connect().await;
        world.start();
        world.state().sends = vec![SendErrorKind::Refused, SendErrorKind::Refused];
        let (one, two) = (
            send(&world, "a").await.unwrap(),
            send(&world, "b").await.unwrap(),
        );
        assert_eq!(ended(&world, &one.name).await.state(), State::Failed);
        assert_eq!(ended(&world, &two.name).await.state(), State::Failed);
        let dead = letters(&world).await;
        assert_eq!(dead.len(), 2);
        assert_eq!(dead[0].delivery, one.name);
        let again = pb::RetryDeadLetterRequest {
            name: dead[0].name.clone(),
            ..pb::RetryDeadLetterRequest::default()
        };
        errors::retry_letter(world.api.clone(), viewer(), again)
            .await
            .unwrap();
        assert_eq!(ended(&world, &one.name).await.state(), State::Delivered);
        let gone = pb::DiscardDeadLetterRequest {
            name: dead[1].name.clone(),
            ..pb::DiscardDeadLetterRequest::default()
        };
        errors::discard_letter(world.api.clone(), viewer(), gone.clone())
            .await
            .unwrap();
        assert_eq!(ended(&world, &two.name).await.state(), State::Discarded);
        let late = errors::discard_letter(world.api.clone(), viewer(), gone)
            .await
            .unwrap_err();
        assert_eq!(late.reason, "NOT_FOUND");
        assert_eq!(letters(&world).await, vec![]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_process_died_in_the_sending_is_not_sent_twice_by_itself() {
    on_each(async |db| {
        let mut world = World::over(&db);
        world.connect().await;
        world.state().hang = true;
        let sent = send(&world, "a").await.unwrap();
        let dying = tokio::spawn(work::supervise(world.api.core.clone()));
        until(async || (world.state().messages.len() == 1).then_some(())).await;
        dying.abort();
        world.state().hang = false;
        world.start();
        let done = ended(&world, &sent.name).await;
        assert_eq!(done.state(), State::Failed);
        assert_eq!(world.state().messages.len(), 1);
        assert_eq!(letters(&world).await[0].reason, "DELIVERY_UNCERTAIN");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_goes_on_behind_the_steps_that_were_done() {
    on_each(async |db| {
        let mut world = World::over(&db);
        world.connect().await;
        world.state().die_after = Some("submit".to_owned());
        let request = pb::PushRecordRequest {
            name: "connections/demo".to_owned(),
            record_kind: "customer".to_owned(),
            fields: Some(prost_types::Struct::default()),
            request_id: "p-1".to_owned(),
        };
        let pushed = outbound::push(world.api.clone(), viewer(), request)
            .await
            .unwrap();
        let dying = tokio::spawn(work::supervise(world.api.core.clone()));
        until(async || (world.state().steps.len() == 2).then_some(())).await;
        dying.abort();
        let request = pb::GetDeliveryRequest {
            name: pushed.name.clone(),
        };
        let half = outbound::get(world.api.clone(), viewer(), request)
            .await
            .unwrap();
        assert_eq!(half.done_steps, ["save"], "what was told is saved");
        world.state().die_after = None;
        world.start();
        let done = ended(&world, &pushed.name).await;
        assert_eq!(done.state(), State::Delivered);
        assert_eq!(done.done_steps, ["save", "submit", "audit"]);
        assert_eq!(done.foreign_id, "7");
        let steps = world.state().steps.clone();
        assert_eq!(
            steps,
            ["save customer", "submit customer", "audit customer"]
        );
    })
    .await;
}
