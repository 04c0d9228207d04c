//! A customer and a sales order out into a simulated Kingdee, by the connector as it is: Save, Submit,
//! Audit, each done once, though the process dies between them and the request comes twice.

use std::{sync::Arc, time::Duration};

use jinke_kingdee::simulator::{self, Simulator};
use jinke_proto::jinke::connector::v1::{self as pb, delivery::State};
use jinke_runner::{
    rpc::{connections, outbound},
    work,
};
use jinke_sdk::testing::Fault;
use jinke_types::Failure;
use prost_types::{ListValue, Struct, Value, value::Kind};

use crate::world::{World, on_each, until, viewer};

fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

fn text(text: &str) -> Value {
    value(Kind::StringValue(text.to_owned()))
}

fn object<const N: usize>(fields: [(&str, Value); N]) -> Struct {
    Struct {
        fields: fields
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    }
}

async fn connect(world: &World, kingdee: &Simulator) {
    let request = pb::CreateConnectionRequest {
        connection_id: "demo".to_owned(),
        connection: Some(pb::Connection {
            connector: "connectors/kingdee".to_owned(),
            settings: Some(object([
                ("url", text(&kingdee.url())),
                ("account", text(simulator::ACCOUNT)),
                ("user", text(simulator::USER)),
                ("app_id", text(simulator::APP_ID)),
                ("private_network", value(Kind::BoolValue(true))),
            ])),
            secrets: [("app_secret".to_owned(), simulator::APP_SECRET.to_owned())].into(),
            ..pb::Connection::default()
        }),
        ..pb::CreateConnectionRequest::default()
    };
    connections::create(world.api.clone(), viewer(), request)
        .await
        .unwrap();
}

fn customer(id: &str) -> pb::PushRecordRequest {
    pb::PushRecordRequest {
        name: "connections/demo".to_owned(),
        record_kind: "customer".to_owned(),
        fields: Some(object([
            ("name", text("苏州远大新材料有限公司")),
            ("phone", text("0512-66666666")),
            ("create_org", text("100")),
            ("use_org", text("100")),
        ])),
        request_id: id.to_owned(),
    }
}

fn order(id: &str) -> pb::PushRecordRequest {
    let line = |product, quantity, price| {
        value(Kind::StructValue(object([
            ("product", text(product)),
            ("quantity", text(quantity)),
            ("price", text(price)),
        ])))
    };
    let lines = ListValue {
        values: vec![line("P001", "3", "100.10"), line("P002", "2", "0.05")],
    };
    pb::PushRecordRequest {
        name: "connections/demo".to_owned(),
        record_kind: "order".to_owned(),
        fields: Some(object([
            ("customer", text("CUST00001")),
            ("date", text("2026-11-20")),
            ("currency", text("PRE001")),
            ("lines", value(Kind::ListValue(lines))),
        ])),
        request_id: id.to_owned(),
    }
}

async fn push(world: &World, request: &pb::PushRecordRequest) -> Result<pb::Delivery, Failure> {
    outbound::push(world.api.clone(), viewer(), request.clone()).await
}

async fn get(world: &World, name: &str) -> pb::Delivery {
    let request = pb::GetDeliveryRequest {
        name: name.to_owned(),
    };
    outbound::get(world.api.clone(), viewer(), request)
        .await
        .unwrap()
}

async fn ended(world: &World, name: &str) -> pb::Delivery {
    until(async || {
        let found = get(world, name).await;
        (found.state() != State::Pending).then_some(found)
    })
    .await
}

/// Works until there are so many calls of `Save` and of `Submit` there, and the next request hangs;
/// then dies without a word.
async fn dies_after(world: &World, kingdee: &Arc<Simulator>, calls: (u64, u64)) {
    let inside = kingdee.clone();
    let here = move || (inside.calls("Save"), inside.calls("Submit")) == calls;
    kingdee
        .server()
        .script_every(move |_| here().then_some(Fault::Hang));
    let hung = kingdee.server().hung();
    let dying = tokio::spawn(work::supervise(world.api.core.clone()));
    tokio::time::timeout(Duration::from_secs(120), hung)
        .await
        .expect("it comes that far");
    dying.abort();
    let _ = dying.await;
    kingdee.server().script([]);
}

const STEPS: [&str; 3] = ["save", "submit", "audit"];

/// What stands there of a delivery: form and id, and that it is reviewed.
fn reviewed(kingdee: &Simulator, done: &pb::Delivery) -> jinke_kingdee::simulator::Bill {
    let (form, id) = done.foreign_id.split_once(',').expect("form,id");
    let bill = kingdee.bill(form, id.parse().expect("an id"));
    let bill = bill.expect("a bill");
    assert_eq!(
        bill.head["FDocumentStatus"],
        serde_json::json!("C"),
        "{done:?}"
    );
    bill
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_and_an_order_are_one_bill_each_though_the_process_dies_between_the_steps() {
    on_each(async |db| {
        let mut world = World::over(&db);
        let kingdee = Arc::new(Simulator::start().await.expect("a port"));
        kingdee.seed(3);
        connect(&world, &kingdee).await;
        let before = kingdee.ids("BD_Customer").len();
        let pushed = push(&world, &customer("p-1")).await.unwrap();
        // Dead before anything is done, behind the first step, behind the second one.
        for (calls, done) in [
            ((0, 0), &STEPS[..0]),
            ((1, 0), &STEPS[..1]),
            ((1, 1), &STEPS[..2]),
        ] {
            dies_after(&world, &kingdee, calls).await;
            let found = get(&world, &pushed.name).await;
            assert_eq!(
                (found.state(), found.done_steps.as_slice()),
                (
                    State::Pending,
                    &done.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()[..]
                )
            );
        }
        world.start();
        let done = ended(&world, &pushed.name).await;
        assert_eq!(done.state(), State::Delivered, "{done:?}");
        assert_eq!(done.done_steps, STEPS);
        reviewed(&kingdee, &done);
        assert_eq!(kingdee.ids("BD_Customer").len(), before + 1);
        assert_eq!(kingdee.calls("Save"), 1, "saved once");
        // Asked for again: the same delivery. Under another request id it is another customer.
        let again = push(&world, &customer("p-1")).await.unwrap();
        assert_eq!(again.name, pushed.name);
        let mut other = customer("p-1");
        other.record_kind = "order".to_owned();
        let reused = push(&world, &other).await.unwrap_err();
        assert_eq!(reused.reason, "REQUEST_ID_REUSED");
        assert_eq!(kingdee.calls("Save"), 1);
        // An order, whose Submit a rule refuses at first: a dead letter, and one bill in the end.
        kingdee.refuse("Submit", 1);
        let pushed = push(&world, &order("p-2")).await.unwrap();
        let refused = ended(&world, &pushed.name).await;
        assert_eq!(refused.state(), State::Failed, "{refused:?}");
        assert_eq!(refused.done_steps, ["save"]);
        let request = pb::ListDeadLettersRequest {
            parent: "connections/demo".to_owned(),
            ..pb::ListDeadLettersRequest::default()
        };
        let letters = jinke_runner::rpc::errors::list_letters(world.api.clone(), viewer(), request);
        let letter = letters.await.unwrap().dead_letters.remove(0);
        assert_eq!(letter.delivery, pushed.name);
        let request = pb::RetryDeadLetterRequest {
            name: letter.name,
            ..pb::RetryDeadLetterRequest::default()
        };
        jinke_runner::rpc::errors::retry_letter(world.api.clone(), viewer(), request)
            .await
            .unwrap();
        let done = ended(&world, &pushed.name).await;
        assert_eq!(
            (done.state(), done.done_steps.as_slice()),
            (State::Delivered, &STEPS.map(str::to_owned)[..])
        );
        let bill = reviewed(&kingdee, &done);
        assert_eq!(bill.head["FBillAllAmount"].to_string(), "300.4");
        assert_eq!(bill.entries.len(), 2);
        assert_eq!(kingdee.calls("Save"), 2, "one more bill");
    })
    .await;
}
