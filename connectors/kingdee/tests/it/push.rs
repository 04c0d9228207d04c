//! Writing: three steps, each resumable wherever it broke off.

use jinke_kingdee::{Until, number_of};
use jinke_sdk::{
    Connector as _, Push, PushState, PushStep, SendError, SendErrorKind, Sent, testing::Fault,
};
use serde_json::{Value, json};

use crate::support::Kingdee;

fn push(key: &str, kind: &str, fields: Value) -> Push {
    Push {
        key: key.to_owned(),
        kind: kind.to_owned(),
        fields: fields.as_object().cloned().unwrap_or_default(),
    }
}

fn customer(key: &str) -> Push {
    push(
        key,
        "customer",
        json!({"name": "苏州远大新材料有限公司", "phone": "0512-66666666", "create_org": "100", "use_org": "100"}),
    )
}

fn order(key: &str) -> Push {
    let lines = json!([
        {"product": "P001", "quantity": "3", "unit": "Pcs", "price": "100.10"},
        {"product": "P002", "quantity": 2, "price": "0.05"},
    ]);
    push(
        key,
        "order",
        json!({"customer": "CUST00001", "date": "2026-11-20", "currency": "PRE001", "lines": lines}),
    )
}

/// Runs a push as the runner does: each step by a new process, its state saved in between, and
/// what may pass tried again.
async fn run(kingdee: &Kingdee, push: &Push) -> Result<(PushState, Sent), SendError> {
    let mut state = PushState::default();
    let mut tries = 0;
    loop {
        let connector = kingdee.kingdee();
        let outbound = connector.outbound().expect("it writes");
        match outbound.push(push, &state).await {
            Ok(PushStep::Next(next)) => state = next,
            Ok(PushStep::Done(state, sent)) => return Ok((state, sent)),
            Err(error) if error.kind == SendErrorKind::Unavailable && tries < 10 => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

fn status(kingdee: &Kingdee, form: &str, sent: &Sent) -> Value {
    let id = sent
        .foreign_id
        .as_deref()
        .and_then(|id| id.split_once(','))
        .expect("an id")
        .1;
    let bill = kingdee
        .simulator
        .bill(form, id.parse().expect("a number"))
        .expect("a bill");
    bill.head["FDocumentStatus"].clone()
}

#[tokio::test]
async fn a_customer_and_an_order_are_saved_submitted_and_reviewed() {
    let kingdee = Kingdee::signed(3).await;
    let (state, sent) = run(&kingdee, &customer("k-1")).await.expect("written");
    assert_eq!(state.done, ["save", "submit", "audit"]);
    assert_eq!(status(&kingdee, "BD_Customer", &sent), json!("C"));
    let (_, sent) = run(&kingdee, &order("k-2")).await.expect("written");
    let id = sent.foreign_id.clone().unwrap_or_default();
    let bill = kingdee
        .simulator
        .bill("SAL_SaleOrder", id[14..].parse().expect("id"))
        .expect("a bill");
    assert_eq!(bill.head["FBillAllAmount"].to_string(), "300.4");
    assert_eq!(bill.head["FBillNo"], json!(number_of("k-2")));
    assert_eq!(bill.entries.len(), 2);
    // The same push again finds everything done.
    let before = kingdee.simulator.calls("Save");
    let (_, again) = run(&kingdee, &order("k-2")).await.expect("done");
    assert_eq!(again, sent);
    assert_eq!(kingdee.simulator.calls("Save"), before);
}

/// Every request fails once in each way: the answer is lost after the server did it, cut in the
/// middle, refused for the moment. One bill comes of it, reviewed.
#[tokio::test]
async fn whatever_breaks_there_is_one_bill() {
    for fault in [
        Fault::Lost,
        Fault::Cut,
        Fault::Status(503, None),
        Fault::Status(429, Some(0)),
    ] {
        for number in 1..=14 {
            let kingdee = Kingdee::start(1).await;
            let before = kingdee.simulator.ids("BD_Customer").len();
            kingdee.simulator.server().script([(number, fault.clone())]);
            let (state, sent) = run(&kingdee, &customer("k-3"))
                .await
                .expect("written at last");
            assert_eq!(
                state.done,
                ["save", "submit", "audit"],
                "{fault:?} at {number}"
            );
            assert_eq!(status(&kingdee, "BD_Customer", &sent), json!("C"));
            assert_eq!(
                kingdee.simulator.ids("BD_Customer").len(),
                before + 1,
                "{fault:?} at {number}"
            );
        }
    }
}

/// The process dies after any step without its state being saved.
#[tokio::test]
async fn a_lost_state_is_found_again() {
    for lost in 0..3 {
        let kingdee = Kingdee::start(1).await;
        let push = customer("k-4");
        let connector = kingdee.kingdee();
        let outbound = connector.outbound().expect("it writes");
        let mut state = PushState::default();
        for step in 0..=lost {
            let next = outbound.push(&push, &state).await.expect("a step");
            if step < lost
                && let PushStep::Next(next) = next
            {
                state = next;
            }
        }
        let before = kingdee.simulator.ids("BD_Customer").len();
        let (state, sent) = run(&kingdee, &push).await.expect("written");
        assert_eq!(state.done, ["save", "submit", "audit"]);
        assert_eq!(status(&kingdee, "BD_Customer", &sent), json!("C"));
        assert_eq!(
            kingdee.simulator.ids("BD_Customer").len(),
            before,
            "no second bill"
        );
        assert_eq!(kingdee.simulator.calls("Save"), 1);
    }
}

/// Sessions end between the steps; a person submits the bill meanwhile; a rule refuses.
#[tokio::test]
async fn half_done_is_picked_up() {
    let kingdee = Kingdee::start(1).await;
    let push = customer("k-5");
    let connector = kingdee.kingdee();
    let outbound = connector.outbound().expect("it writes");
    let PushStep::Next(saved) = outbound
        .push(&push, &PushState::default())
        .await
        .expect("saved")
    else {
        panic!("one step");
    };
    assert_eq!(saved.done, ["save"]);
    kingdee.simulator.end_sessions();
    kingdee.simulator.refuse("Submit", 1);
    let refused = outbound.push(&push, &saved).await.unwrap_err();
    assert_eq!(refused.kind, SendErrorKind::Refused);
    assert_eq!(refused.failure.reason, "FOREIGN_REFUSED");
    assert_eq!(refused.failure.metadata["fields"], "FCustId");
    assert!(
        !format!("{refused:?}").contains("张三"),
        "no message of theirs is passed on"
    );
    // A person puts it right and submits it by hand; we go on with the review.
    let id: i64 = saved.memory["id"].as_i64().expect("an id");
    kingdee.simulator.write(
        "BD_Customer",
        id,
        json!({"FDocumentStatus": "B"}),
        crate::support::at(5),
    );
    let PushStep::Done(state, _) = outbound.push(&push, &saved).await.expect("reviewed") else {
        panic!("the last step");
    };
    assert_eq!(state.done, ["save", "submit", "audit"]);
    assert_eq!(kingdee.simulator.calls("Submit"), 1, "only the refused one");
    // Deleted there: not saved again behind a person's back.
    kingdee.simulator.delete("BD_Customer", id);
    let gone = outbound.push(&push, &saved).await.unwrap_err();
    assert_eq!(gone.failure.reason, "FOREIGN_GONE");
}

#[tokio::test]
async fn a_tenants_own_field_carries_the_key_and_people_may_review() {
    let mut kingdee = Kingdee::start(1).await;
    kingdee.config.key_field = Some("F_JK_KEY".to_owned());
    kingdee.config.write_until = Until::Submit;
    let (state, sent) = run(&kingdee, &customer("k-6")).await.expect("written");
    assert_eq!(state.done, ["save", "submit"]);
    assert_eq!(status(&kingdee, "BD_Customer", &sent), json!("B"));
    let id: i64 = state.memory["id"].as_i64().expect("an id");
    let bill = kingdee.simulator.bill("BD_Customer", id).expect("a bill");
    assert_eq!(bill.head["F_JK_KEY"], json!("k-6"));
    assert!(
        bill.head["FNumber"]
            .as_str()
            .expect("a number")
            .starts_with("CUST")
    );
    let (_, again) = run(&kingdee, &customer("k-6")).await.expect("found");
    assert_eq!(again, sent);
}

/// A reviewed customer is opened, changed, submitted and reviewed again.
#[tokio::test]
async fn a_reviewed_customer_is_changed() {
    let kingdee = Kingdee::start(3).await;
    let change = push(
        "k-7",
        "customer",
        json!({"id": "BD_Customer,100002", "phone": "021-1"}),
    );
    let (state, sent) = run(&kingdee, &change).await.expect("changed");
    assert_eq!(state.done, ["unaudit", "save", "submit", "audit"]);
    assert_eq!(sent.foreign_id.as_deref(), Some("BD_Customer,100002"));
    let bill = kingdee
        .simulator
        .bill("BD_Customer", 100_002)
        .expect("a bill");
    assert_eq!(bill.head["FTEL"], json!("021-1"));
    assert_eq!(bill.head["FDocumentStatus"], json!("C"));
    assert!(
        bill.head["FName"].as_str().expect("a name").contains("第2"),
        "the rest stays"
    );
}

#[tokio::test]
async fn wrong_fields_are_told_before_anything_is_sent() {
    let kingdee = Kingdee::start(1).await;
    kingdee.simulator.server().script([]);
    let wrong = push(
        "k-8",
        "order",
        json!({
            "customer": "CUST00001", "colour": "red", "id": null, "F_PAEZ_Text": "passed on",
            "lines": [{"product": "P001", "quantity": "many"}, 7],
        }),
    );
    let error = run(&kingdee, &wrong).await.unwrap_err();
    let fields: Vec<_> = error
        .failure
        .violations
        .iter()
        .map(|v| v.field.as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "fields.date",
            "fields.colour",
            "fields.lines[0].quantity",
            "fields.lines[1]"
        ]
    );
    assert_eq!(kingdee.simulator.calls("Save"), 0);
    let kind = run(&kingdee, &push("k", "invoice", json!({})))
        .await
        .unwrap_err();
    assert_eq!(kind.failure.reason, "PUSH_KIND_UNKNOWN");
}
