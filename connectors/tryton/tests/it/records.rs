//! What the rows become: exact values, kinds, deletions, row errors.

use jinke_sdk::{Connector as _, Effect, PullErrorKind, testing::pull};
use jinke_tryton::{
    PaymentsFrom,
    simulator::{NOW, date, decimal},
};
use jinke_types::{Body, Datum, PartyKind, SourceRecord, Timestamp, Transaction, TransactionKind};
use rust_decimal::Decimal;
use serde_json::json;

use crate::support::Tryton;

async fn records(tryton: &Tryton, stream: &str) -> Vec<SourceRecord> {
    let pulled = pull(&tryton.tryton(), stream, None).await;
    assert_eq!(pulled.error, None);
    pulled.records()
}

async fn one(tryton: &Tryton, stream: &str, id: &str) -> SourceRecord {
    let all = records(tryton, stream).await;
    all.into_iter().find(|r| r.key.external_id == id).expect(id)
}

fn values(record: &SourceRecord) -> Vec<String> {
    let Body::Party { values, .. } = &record.body else {
        panic!("no party")
    };
    values
        .iter()
        .map(|v| {
            let text = match &v.datum {
                Datum::Text(text) => text.clone(),
                Datum::Address(a) => format!(
                    "{}|{}|{}|{}|{}",
                    a.country, a.province, a.city, a.text, a.postcode
                ),
                other => format!("{other:?}"),
            };
            format!("{}/{}/{}={text}", v.attribute, v.scheme, v.country)
        })
        .collect()
}

fn transaction(record: &SourceRecord) -> &Transaction {
    let Body::Transaction(t) = &record.body else {
        panic!("no transaction")
    };
    t
}

#[tokio::test]
async fn a_party_with_all_its_parts() {
    let tryton = Tryton::start(1).await;
    let sim = &tryton.simulator;
    let province = sim.create("country.subdivision", json!({"name": "上海"}), NOW);
    let delivery = json!({
        "party": 1, "street": "张江路\n1号", "country": 1, "subdivision": province,
        "delivery": 1, "invoice": null,
    });
    sim.create("party.address", delivery, NOW);
    for (kind, code) in [
        (json!("cn_uscc"), "91440300708461136T"),
        (json!("de_vat"), "DE123456789"),
        (json!("eu_vat"), "FR23334175221"),
        (json!("cn_other"), "X1"),
        (json!(""), "91440300708461136T"),
    ] {
        let row = json!({"party": 1, "type": kind, "code": code});
        sim.create("party.identifier", row, NOW);
    }
    let record = one(&tryton, "parties", "party.party,1").await;
    assert_eq!(record.update_time, Some(NOW));
    assert!(!record.deleted);
    let got = values(&record);
    let has_uscc = got
        .iter()
        .filter(|v| v.starts_with("identifier/uscc/"))
        .count();
    assert_eq!(has_uscc, 3, "its own and the two: {got:?}");
    let first: Vec<_> = got.iter().take(5).map(String::as_str).collect();
    assert_eq!(
        first,
        [
            "name//=长沙信诚信食品有限公司",
            "x_code//=C00001",
            "tag//=重点客户",
            "x_identifier//=REG000001",
            "identifier/uscc/=9143010490BYY9MXLX",
        ]
    );
    for want in [
        "identifier/vat/DE=DE123456789",
        "identifier/vat/=FR23334175221",
        "identifier/foreign:cn_other/=X1",
        "phone/phone/=0731-52325835",
        "phone/mobile/=13907954154",
        "contact_name//=郑雨建",
        "address/billing/=CN||长沙|雨花区滨河路483号|410067",
        "address/shipping/=CN|上海||张江路 1号|",
    ] {
        assert!(got.iter().any(|v| v == want), "{want} in {got:?}");
    }
    assert!(
        !got.iter().any(|v| v.starts_with("x_fax")),
        "an inactive part says nothing"
    );
}

#[tokio::test]
async fn persons_inactive_and_replaced_parties() {
    let tryton = Tryton::start(34).await;
    let sim = &tryton.simulator;
    sim.write(
        "party.party",
        2,
        json!({"replaced_by": 1, "active": 0}),
        NOW,
    );
    let all = records(&tryton, "parties").await;
    assert_eq!(all.len(), 34);
    for record in &all {
        let (_, id) = record.key.external_id.split_once(',').unwrap();
        let id: u64 = id.parse().unwrap();
        let Body::Party { kind, .. } = record.body else {
            panic!()
        };
        let want = if id.is_multiple_of(11) {
            PartyKind::Person
        } else {
            PartyKind::Organization
        };
        assert_eq!(kind, want, "{id}");
        assert_eq!(record.deleted, id.is_multiple_of(17) || id == 2, "{id}");
    }
    assert!(values(&all[1]).contains(&"x_replaced_by//=party.party,1".to_owned()));
}

#[tokio::test]
async fn a_part_that_becomes_inactive_moves_its_party_forward() {
    let tryton = Tryton::start(20).await;
    let first = pull(&tryton.tryton(), "parties", None).await;
    let sim = &tryton.simulator;
    let phone = sim.owned("party.contact_mechanism", "party", 3)[0];
    let later = Timestamp(NOW.0 + 5_000_000);
    sim.write(
        "party.contact_mechanism",
        phone,
        json!({"active": 0}),
        later,
    );
    let next = pull(&tryton.tryton(), "parties", first.cursor(None)).await;
    let records = next.records();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].key.external_id, "party.party,3");
    assert_eq!(records[0].update_time, Some(later));
    assert!(
        !values(&records[0])
            .iter()
            .any(|v| v.starts_with("phone/phone/"))
    );
}

#[tokio::test]
async fn documents_are_exact() {
    let tryton = Tryton::start(3).await;
    let china = |text| Timestamp::parse(text).unwrap();
    let order = one(&tryton, "orders", "sale.sale,2").await;
    let t = transaction(&order);
    assert_eq!(
        (t.kind, t.number.as_str(), t.status.as_str()),
        (TransactionKind::Order, "S2", "processing")
    );
    assert_eq!(t.party.to_string(), "erp/party.party,2");
    assert_eq!(t.time, china("2026-11-03T00:00:00+08:00"));
    let amount = t.amount.as_ref().unwrap();
    assert_eq!(
        (amount.currency.as_str(), amount.amount),
        ("CNY", Decimal::new(21, 1))
    );
    assert_eq!(t.lines[0].product, "[P001] 变频器");
    assert_eq!(
        (t.lines[0].quantity, t.lines[0].unit.as_str()),
        (Decimal::new(15, 1), "台")
    );
    let invoices = records(&tryton, "invoices").await;
    assert_eq!(invoices.len(), 3, "only invoices to customers");
    let receivables = records(&tryton, "receivables").await;
    let owed: Vec<_> = receivables
        .iter()
        .map(|r| {
            let t = transaction(r);
            (
                t.status.as_str(),
                t.amount.as_ref().unwrap().amount.to_string(),
            )
        })
        .collect();
    // The third is paid: its line and that of the payment are reconciled.
    assert_eq!(
        owed,
        [
            ("open", "1.1".to_owned()),
            ("open", "2.1".to_owned()),
            ("reconciled", "0".to_owned()),
            ("reconciled", "0".to_owned()),
        ]
    );
    let payments = records(&tryton, "payments").await;
    let t = transaction(&payments[0]);
    assert_eq!((payments.len(), t.kind), (1, TransactionKind::Payment));
    assert_eq!(t.amount.as_ref().unwrap().amount, Decimal::new(31, 1));
    assert_eq!(t.text, "FP3");
}

#[tokio::test]
async fn payments_may_come_from_account_payment() {
    let mut tryton = Tryton::start(1).await;
    tryton.config.payments_from = PaymentsFrom::Payments;
    for (kind, number) in [("receivable", "P1"), ("payable", "P2")] {
        let row = json!({
            "kind": kind, "number": number, "state": "succeeded", "party": 1, "currency": 1,
            "date": date(2026, 11, 3), "amount": decimal("99.90"),
        });
        tryton.simulator.create("account.payment", row, NOW);
    }
    let payments = records(&tryton, "payments").await;
    assert_eq!(payments.len(), 1);
    assert_eq!(payments[0].key.external_id, "account.payment,1");
    assert_eq!(transaction(&payments[0]).number, "P1");
}

#[tokio::test]
async fn what_cannot_be_read_is_told_and_the_rest_goes_on() {
    let tryton = Tryton::start(3).await;
    let sim = &tryton.simulator;
    sim.write("sale.sale", 1, json!({"party": null}), NOW);
    sim.write(
        "sale.sale",
        2,
        json!({"total_amount": decimal("NaN"), "number": [1]}),
        NOW,
    );
    sim.write("sale.sale", 3, json!({"sale_date": "2026-01-01"}), NOW);
    let pulled = pull(&tryton.tryton(), "orders", None).await;
    assert_eq!(pulled.error, None);
    let told: Vec<_> = pulled
        .row_errors()
        .iter()
        .map(|e| {
            assert_eq!(e.location.file, "sale.sale");
            (e.location.row, e.column.clone().unwrap(), e.effect)
        })
        .collect();
    let left_out = Effect::ValueLeftOut;
    assert_eq!(
        told,
        [
            (1, "party".to_owned(), Effect::RowSkipped),
            (2, "number".to_owned(), left_out),
            (2, "total_amount".to_owned(), left_out),
            (3, "sale_date".to_owned(), left_out),
        ]
    );
    let records = pulled.records();
    assert_eq!(records.len(), 2);
    assert_eq!(transaction(&records[0]).number, "PO-2");
    assert_eq!(transaction(&records[0]).amount, None);
    assert_eq!(
        transaction(&records[1]).time,
        NOW,
        "the time of creation stands in"
    );
    // Told once, not at every pull.
    let again = pull(&tryton.tryton(), "orders", pulled.cursor(None)).await;
    assert!(again.row_errors().is_empty() && again.records().is_empty());
}

#[tokio::test]
async fn wrong_credentials_are_told_after_one_try() {
    let mut tryton = Tryton::start(1).await;
    tryton.config.password = "wrong".to_owned();
    let connector = tryton.tryton();
    let failure = connector.check().await.unwrap_err();
    assert_eq!(failure.reason, "FOREIGN_UNAUTHORIZED");
    assert_eq!(
        tryton.simulator.server().requests(),
        1,
        "more would lock the account"
    );
    let error = pull(&connector, "parties", None).await.error.unwrap();
    assert_eq!(error.kind, PullErrorKind::Unauthorized);
    assert!(!format!("{error:?} {connector:?}").contains("wrong"));
}
