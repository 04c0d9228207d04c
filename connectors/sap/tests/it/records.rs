//! Rows become exactly these records.

use std::collections::BTreeMap;

use jinke_sap::Proof;
use jinke_sdk::{
    Connector as _, PullErrorKind, SweepLimit,
    testing::{KnownList, collect, party_of, pull},
};
use jinke_types::{Body, Datum, PartyKind, SourceRecord, Timestamp, Value, attribute};
use serde_json::json;

use crate::support::{PARTNERS, Sap, at};

async fn read(sap: &Sap, stream: &str) -> BTreeMap<String, SourceRecord> {
    let pulled = pull(&sap.sap(), stream, None).await;
    assert_eq!(pulled.error, None, "{stream}");
    assert_eq!(pulled.row_errors(), [], "{stream}");
    let by_id = |r: SourceRecord| (r.key.external_id.clone(), r);
    pulled.records().into_iter().map(by_id).collect()
}

fn values(record: &SourceRecord) -> &[Value] {
    match &record.body {
        Body::Party { values, .. } => values,
        _ => &[],
    }
}

fn texts<'a>(record: &'a SourceRecord, attribute: &str) -> Vec<&'a str> {
    let of = values(record).iter().filter(|v| v.attribute == attribute);
    of.filter_map(|v| v.datum.text()).collect()
}

#[tokio::test]
async fn a_partner_with_what_hangs_on_it() {
    let sap = Sap::start(PARTNERS).await;
    let partners = read(&sap, "partners").await;
    let first = &partners["A_BusinessPartner,0001000001"];
    assert_eq!(texts(first, attribute::NAME), ["北京第1电子科技有限公司"]);
    assert_eq!(
        texts(first, "x_code"),
        ["1000001"],
        "people leave out the zeros"
    );
    assert_eq!(texts(first, attribute::PHONE), ["021-50000001"]);
    assert_eq!(texts(first, attribute::EMAIL), ["c1@example.com"]);
    assert_eq!(texts(first, attribute::BANK_ACCOUNT), ["62220000000001"]);
    let tax = values(first)
        .iter()
        .find(|v| v.attribute == attribute::IDENTIFIER)
        .expect("a tax number");
    assert_eq!(
        (tax.scheme.as_str(), tax.country.as_str()),
        ("tax_no", "CN")
    );
    let Some(Datum::Address(address)) = values(first)
        .iter()
        .map(|v| &v.datum)
        .find(|d| matches!(d, Datum::Address(_)))
    else {
        panic!("an address");
    };
    assert_eq!(
        (address.city.as_str(), address.text.as_str()),
        ("北京", "人民路1号")
    );
    let back = Timestamp::parse("2026-11-20T00:00:00Z").expect("a time").0 - 100_001_000_000;
    assert_eq!(
        first.update_time,
        Some(Timestamp(back)),
        "date and time of day in the system's zone"
    );
    assert!(
        partners["A_BusinessPartner,0001000017"].deleted,
        "marked for archiving"
    );
    let never = &partners["A_BusinessPartner,0001000005"];
    assert!(
        never.update_time.is_some(),
        "never changed, so the creation counts"
    );
    let person = &partners["A_BusinessPartner,0001000010"];
    assert!(matches!(
        person.body,
        Body::Party {
            kind: PartyKind::Person,
            ..
        }
    ));
    let link = &partners["A_BusinessPartner,0001000009#contact_of:0001000010"];
    let Body::Relationship(link) = &link.body else {
        panic!("a link");
    };
    assert_eq!(link.from, person.key);
    assert_eq!(link.valid_from, Timestamp::parse("2024-12-31T16:00:00Z"));
    assert_eq!(link.valid_to, None, "9999-12-31 is open");
}

#[tokio::test]
async fn long_names_are_put_together() {
    let sap = Sap::start(3).await;
    let name = "中".repeat(40) + &"国".repeat(40) + "有限公司";
    let part = |from: usize, to: usize| name.chars().skip(from).take(to - from).collect::<String>();
    let changes = json!({
        "BusinessPartnerFullName": part(0, 81), "OrganizationBPName1": part(0, 40),
        "OrganizationBPName2": part(40, 80), "OrganizationBPName3": part(80, 84),
    });
    sap.simulator
        .write("A_BusinessPartner", "0001000001", changes, at(1));
    let latin = json!({
        "BusinessPartnerFullName": "", "OrganizationBPName1": "Acme Holding", "OrganizationBPName2": "Trading Ltd.",
    });
    sap.simulator
        .write("A_BusinessPartner", "0001000002", latin, at(1));
    let partners = read(&sap, "partners").await;
    assert_eq!(
        texts(&partners["A_BusinessPartner,0001000001"], attribute::NAME),
        [name.as_str()]
    );
    let latin = texts(&partners["A_BusinessPartner,0001000002"], attribute::NAME);
    assert_eq!(latin, ["Acme Holding Trading Ltd."]);
}

#[tokio::test]
async fn an_order_names_the_partner_behind_its_customer() {
    let sap = Sap::start(PARTNERS).await;
    let orders = read(&sap, "orders").await;
    let Body::Transaction(order) = &orders["A_SalesOrder,0005000003"].body else {
        panic!("an order");
    };
    assert_eq!(order.number, "5000003");
    assert_eq!(order.amount.as_ref().unwrap().amount.to_string(), "3.5");
    assert_eq!(order.amount.as_ref().unwrap().currency, "CNY");
    let lines: Vec<_> = order
        .lines
        .iter()
        .map(|l| (l.product.as_str(), l.quantity.to_string(), l.unit.as_str()))
        .collect();
    // In the order of their numbers, without the one that was refused.
    assert_eq!(
        lines,
        [
            ("TG11 传感器", "5".to_owned(), "PC"),
            ("TG13 电缆", "1.5".to_owned(), "M")
        ]
    );
    for (n, partner) in [(3, "0001000003"), (7, "0001000007"), (14, "0001000014")] {
        let order = &orders[&format!("A_SalesOrder,000500{n:04}")];
        let party = party_of(order).expect("a party");
        assert_eq!(
            party.external_id,
            format!("A_BusinessPartner,{partner}"),
            "customer {n}"
        );
    }
}

/// A partner that stops being somebody's contact loses its link in the next sweep.
#[tokio::test]
async fn links_are_swept() {
    let sap = Sap::start(PARTNERS).await;
    let all: Vec<_> = read(&sap, "partners").await.into_values().collect();
    let none = json!({"to_BusinessPartnerContact": []});
    sap.simulator
        .write("A_BusinessPartner", "0001000009", none, at(1));
    sap.simulator.delete("A_BusinessPartner", "0001000020");
    let swept = sap
        .sap()
        .sweep("partners", KnownList::of(&all), SweepLimit::none())
        .await;
    let gone: Vec<_> = collect(swept)
        .await
        .records()
        .into_iter()
        .map(|r| r.key.external_id)
        .collect();
    let want = [
        "A_BusinessPartner,0001000009#contact_of:0001000010",
        "A_BusinessPartner,0001000020",
    ];
    assert_eq!(gone, want);
}

#[tokio::test]
async fn wrong_credentials_are_tried_once() {
    for basic in [true, false] {
        let mut sap = Sap::start(2).await;
        sap.config.proof = if basic {
            Proof::Basic {
                user: "x".to_owned(),
                password: "y".to_owned(),
            }
        } else {
            Proof::Client {
                token_url: sap.simulator.token_url(),
                id: "x".to_owned(),
                secret: "y".to_owned(),
            }
        };
        sap.simulator.server().script([]);
        let error = pull(&sap.sap(), "partners", None)
            .await
            .error
            .expect("not let in");
        assert_eq!(error.kind, PullErrorKind::Unauthorized);
        assert!(sap.simulator.server().requests() <= 2);
    }
}
