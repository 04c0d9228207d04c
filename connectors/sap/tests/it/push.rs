//! Writing: the token against forged requests, one row whatever breaks, changes that meet others.

use jinke_sap::number_of;
use jinke_sdk::{
    Connector as _, Push, PushState, PushStep, SendError, SendErrorKind, Sent, testing::Fault,
};
use serde_json::{Value, json};

use crate::support::Sap;

fn push(key: &str, kind: &str, fields: Value) -> Push {
    Push {
        key: key.to_owned(),
        kind: kind.to_owned(),
        fields: fields.as_object().cloned().unwrap_or_default(),
    }
}

fn order(key: &str) -> Push {
    let lines = json!([{"product": "TG11", "quantity": "3", "unit": "PC"}]);
    push(
        key,
        "order",
        json!({"customer": "1000001", "organization": "1010", "channel": "10", "division": "00", "date": "2026-11-20", "lines": lines}),
    )
}

/// Runs a push as the runner does: what may pass is tried again by a new process.
async fn run(sap: &Sap, push: &Push) -> Result<(PushState, Sent), SendError> {
    let mut tries = 0;
    loop {
        let connector = sap.sap();
        let outbound = connector.outbound().expect("it writes");
        match outbound.push(push, &PushState::default()).await {
            Ok(PushStep::Done(state, sent)) => return Ok((state, sent)),
            Ok(PushStep::Next(_)) => panic!("one step"),
            Err(error) if error.kind == SendErrorKind::Unavailable && tries < 10 => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

#[tokio::test]
async fn a_partner_and_an_order_are_created_once() {
    let sap = Sap::start(3).await;
    let partner = push(
        "k-1",
        "partner",
        json!({"name": "苏州远大新材料有限公司", "city": "苏州", "phone": "0512-1", "tax_no": "91320500MA1N00000X"}),
    );
    let (state, sent) = run(&sap, &partner).await.expect("written");
    assert_eq!(state.done, ["create"]);
    let id = sent.foreign_id.clone().expect("an id");
    let row = sap
        .simulator
        .row("A_BusinessPartner", &id["A_BusinessPartner,".len()..])
        .expect("a row");
    assert_eq!(row["OrganizationBPName1"], "苏州远大新材料有限公司");
    assert_eq!(row["BusinessPartnerIDByExtSystem"], json!(number_of("k-1")));
    assert_eq!(
        row["to_BusinessPartnerAddress"][0]["to_PhoneNumber"][0]["PhoneNumber"],
        "0512-1"
    );
    assert_eq!(run(&sap, &partner).await.expect("found").1, sent);
    let (_, sent) = run(&sap, &order("k-2")).await.expect("written");
    assert_eq!(run(&sap, &order("k-2")).await.expect("found").1, sent);
    assert_eq!(sap.simulator.creations(), 2);
}

/// Each request of a push fails once in each way; one order comes of it.
#[tokio::test]
async fn whatever_breaks_there_is_one_order() {
    for fault in [
        Fault::Lost,
        Fault::Cut,
        Fault::Status(503, None),
        Fault::Status(429, Some(0)),
    ] {
        for number in 1..=5 {
            let sap = Sap::start(1).await;
            sap.simulator.server().script([(number, fault.clone())]);
            run(&sap, &order("k-3")).await.expect("written at last");
            assert_eq!(sap.simulator.creations(), 1, "{fault:?} at {number}");
        }
    }
}

/// A change carries the row's `ETag`; sessions that end are opened again.
#[tokio::test]
async fn a_partner_is_changed() {
    let sap = Sap::start(3).await;
    let change = |name: &str| {
        push(
            "k-4",
            "partner",
            json!({"id": "A_BusinessPartner,0001000002", "name": name}),
        )
    };
    let (state, _) = run(&sap, &change("新名有限公司")).await.expect("changed");
    assert_eq!(state.done, ["change"]);
    sap.simulator.end_sessions();
    for number in 1..=5 {
        sap.simulator.server().script([(number, Fault::Lost)]);
        run(&sap, &change(&format!("新名{number}有限公司")))
            .await
            .expect("changed at last");
    }
    let row = sap
        .simulator
        .row("A_BusinessPartner", "0001000002")
        .expect("a row");
    assert_eq!(row["OrganizationBPName1"], "新名5有限公司");
    let order = push(
        "k-5",
        "order",
        json!({"id": "A_SalesOrder,0005000001", "customer_reference": "PO-77"}),
    );
    run(&sap, &order).await.expect("changed");
    let row = sap.simulator.row("A_SalesOrder", "5000001").expect("a row");
    assert_eq!(row["PurchaseOrderByCustomer"], "PO-77");
    let gone = push("k-6", "partner", json!({"id": "0009999999", "name": "甲"}));
    assert_eq!(
        run(&sap, &gone).await.unwrap_err().failure.reason,
        "FOREIGN_GONE"
    );
}

#[tokio::test]
async fn wrong_fields_and_refusals_are_told() {
    let sap = Sap::start(1).await;
    let wrong = push(
        "k-7",
        "order",
        json!({
            "customer": "1", "organization": "1010", "channel": "10", "colour": "red", "date": "tomorrow",
            "lines": [{"product": "TG11", "quantity": "many"}],
        }),
    );
    let error = run(&sap, &wrong).await.unwrap_err();
    let fields: Vec<_> = error
        .failure
        .violations
        .iter()
        .map(|v| v.field.as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "fields.colour",
            "fields.lines[0].quantity",
            "fields.division",
            "fields.date"
        ]
    );
    let mut nobody = order("k-8");
    nobody.fields.insert("customer".to_owned(), json!("424242"));
    let error = run(&sap, &nobody).await.unwrap_err();
    assert_eq!(
        (error.kind, error.failure.reason),
        (SendErrorKind::Refused, "FOREIGN_REFUSED")
    );
    assert_eq!(sap.simulator.creations(), 0);
}
