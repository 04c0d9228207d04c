//! Rows become exactly these records, however the tenant spells its fields.

use std::collections::BTreeMap;

use jinke_sdk::{
    Connector as _, SweepLimit,
    testing::{KnownList, collect, pull},
};
use jinke_types::{Body, Datum, PartyKind, SourceRecord, TransactionKind, Value, attribute};
use serde_json::json;

use crate::support::{CUSTOMERS, Kingdee, at};

const STREAMS: [&str; 5] = ["customers", "contacts", "orders", "receivables", "receipts"];

async fn read(kingdee: &Kingdee, stream: &str) -> BTreeMap<String, SourceRecord> {
    let pulled = pull(&kingdee.kingdee(), stream, None).await;
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
async fn a_customer_with_its_contact() {
    let kingdee = Kingdee::signed(CUSTOMERS).await;
    let customers = read(&kingdee, "customers").await;
    let first = &customers["BD_Customer,100001"];
    assert_eq!(texts(first, attribute::NAME), ["深圳第1电子科技有限公司"]);
    assert_eq!(texts(first, attribute::SHORT_NAME), ["深圳1"]);
    assert_eq!(texts(first, attribute::PHONE), ["021-60000001"]);
    assert_eq!(texts(first, attribute::TAG), ["重点客户"]);
    assert_eq!(texts(first, attribute::PAYMENT_TERMS), ["月结30天"]);
    assert_eq!(texts(first, attribute::BANK_ACCOUNT), ["6222000000000001"]);
    let ids: Vec<_> = values(first)
        .iter()
        .filter(|v| v.attribute == attribute::IDENTIFIER)
        .map(|v| (v.scheme.as_str(), v.datum.text().unwrap_or_default()))
        .collect();
    // Its tax number has a wrong check character, so it is no USCC.
    assert_eq!(
        ids,
        [
            ("foreign:k3", "100/CUST00001"),
            ("tax_no", "913100000000000001")
        ]
    );
    let address = values(first).iter().find_map(|v| match &v.datum {
        Datum::Address(a) => Some(a.text.as_str()),
        _ => None,
    });
    assert_eq!(address, Some("深圳市南山区科技路1号"));
    assert!(
        !first.deleted && customers["BD_Customer,100017"].deleted,
        "a ban"
    );
    let person = &customers["BD_Customer,100011"].body;
    assert!(matches!(
        person,
        Body::Party {
            kind: PartyKind::Person,
            ..
        }
    ));

    let contacts = read(&kingdee, "contacts").await;
    let link = &contacts["BD_CommonContact,100001#contact_of:customer"];
    let Body::Relationship(link) = &link.body else {
        panic!("a link");
    };
    assert_eq!(link.kind, "contact_of");
    assert_eq!(link.from.external_id, "BD_CommonContact,100001");
    assert_eq!(link.to.external_id, "BD_Customer,100001");
    assert_eq!(
        texts(&contacts["BD_CommonContact,100001"], attribute::PHONE),
        ["13900000001"]
    );
}

#[tokio::test]
async fn bills_with_their_lines() {
    let kingdee = Kingdee::start(CUSTOMERS).await;
    let orders = read(&kingdee, "orders").await;
    assert_eq!(orders.len(), CUSTOMERS, "drafts are left out");
    let Body::Transaction(order) = &orders["SAL_SaleOrder,100002"].body else {
        panic!("an order");
    };
    assert_eq!(order.party.external_id, "BD_Customer,100002");
    assert_eq!(order.amount.as_ref().unwrap().amount.to_string(), "210.1");
    assert_eq!(order.amount.as_ref().unwrap().currency, "CNY");
    assert_eq!(order.status, "C");
    let lines: Vec<_> = order
        .lines
        .iter()
        .map(|l| {
            (
                l.product.as_str(),
                l.quantity.to_string(),
                l.amount.as_ref().unwrap().amount.to_string(),
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            ("P001 变频器", "2".to_owned(), "200".to_owned()),
            ("P002 传感器", "2.5".to_owned(), "10.1".to_owned()),
        ]
    );
    let bills = read(&kingdee, "receivables").await;
    let Body::Transaction(bill) = &bills["AR_receivable,100007"].body else {
        panic!("a receivable");
    };
    // The first instalment is paid; what is left is 7 of 17.
    assert_eq!(bill.amount.as_ref().unwrap().amount.to_string(), "7");
    let receipts = read(&kingdee, "receipts").await;
    assert_eq!(receipts.len(), CUSTOMERS / 3 + 1, "suppliers' are left out");
    for receipt in receipts.values() {
        let Body::Transaction(paid) = &receipt.body else {
            panic!("a receipt");
        };
        assert_eq!(paid.kind, TransactionKind::Payment);
        assert_eq!(paid.amount.as_ref().unwrap().amount.to_string(), "10");
    }
}

/// A page boundary within a bill, and a bill longer than a page.
#[tokio::test]
async fn entries_are_never_cut() {
    let mut kingdee = Kingdee::start(CUSTOMERS).await;
    let entry = json!({"FMaterialId": 100_001, "FQty": 1, "FUnitID": 100_001, "FAllAmount": 3});
    let head =
        json!({"FCustId": 100_001, "FSettleCurrId": 100_001, "FDate": "2026-11-01T00:00:00"});
    let long = kingdee.simulator.create(
        "SAL_SaleOrder",
        head.clone(),
        &vec![entry.clone(); 137],
        at(1),
    );
    let want = read(&kingdee, "orders").await;
    let Body::Transaction(order) = &want[&format!("SAL_SaleOrder,{long}")].body else {
        panic!("an order");
    };
    assert_eq!(order.lines.len(), 137);
    assert_eq!(
        order.amount.as_ref().unwrap().amount.to_string(),
        "411",
        "summed without a total"
    );
    for rows in [1, 2, 3, 7, 2_000] {
        kingdee.config.page_rows = rows;
        assert_eq!(read(&kingdee, "orders").await, want, "{rows} rows a page");
    }
    let huge = kingdee
        .simulator
        .create("SAL_SaleOrder", head, &vec![entry; 2_001], at(2));
    let pulled = pull(&kingdee.kingdee(), "orders", None).await;
    assert_eq!(pulled.error, None);
    let errors = pulled.row_errors();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].location.row, u64::try_from(huge).unwrap());
    assert_eq!(errors[0].reason, "has more lines than the limit");
}

/// The same records from a tenant that spells everything in capitals.
#[tokio::test]
async fn spelling_is_the_tenants() {
    let kingdee = Kingdee::start(CUSTOMERS).await;
    for stream in STREAMS {
        let want = read(&kingdee, stream).await;
        kingdee.simulator.capitals(true);
        assert_eq!(read(&kingdee, stream).await, want, "{stream}");
        kingdee.simulator.capitals(false);
    }
}

/// A review moves only the time of review, and is still followed.
#[tokio::test]
async fn a_review_is_a_change() {
    let kingdee = Kingdee::start(CUSTOMERS).await;
    let connector = kingdee.kingdee();
    let whole = pull(&connector, "orders", None).await;
    kingdee.simulator.review("SAL_SaleOrder", 100_003, at(60));
    let next = pull(&connector, "orders", whole.cursor(None))
        .await
        .records();
    assert_eq!(next.len(), 1);
    assert_eq!(next[0].key.external_id, "SAL_SaleOrder,100003");
    assert_eq!(next[0].update_time, Some(at(60)));
}

/// A row whose customer is gone, a currency nobody knows: told, and the rest goes on.
#[tokio::test]
async fn what_cannot_be_read_is_told() {
    let kingdee = Kingdee::start(CUSTOMERS).await;
    let sim = &kingdee.simulator;
    sim.write("SAL_SaleOrder", 100_002, json!({"FCustId": 0}), at(1));
    let dong = sim.create(
        "BD_Currency",
        json!({"FNumber": "X", "FName": "贝壳"}),
        &[],
        at(1),
    );
    sim.write(
        "SAL_SaleOrder",
        100_003,
        json!({"FSettleCurrId": dong}),
        at(1),
    );
    sim.write(
        "SAL_SaleOrder",
        100_004,
        json!({"FBillAllAmount": "一百"}),
        at(1),
    );
    let pulled = pull(&kingdee.kingdee(), "orders", None).await;
    assert_eq!(pulled.error, None);
    let told: Vec<_> = pulled
        .row_errors()
        .into_iter()
        .map(|e| (e.location.row, e.column.unwrap_or_default(), e.reason))
        .collect();
    let want = [
        (100_002, "FCustId", "the customer is blank"),
        (
            100_003,
            "FSettleCurrId.FName",
            "is a currency whose code is not known, so amounts are left out",
        ),
        (
            100_004,
            "FBillAllAmount",
            "is no number that can be read exactly",
        ),
    ];
    assert_eq!(told, want.map(|(r, c, w)| (r, c.to_owned(), w.to_owned())));
    assert_eq!(pulled.records().len(), CUSTOMERS - 1);
}

/// A deleted contact takes its link along; one that changes its customer keeps it.
#[tokio::test]
async fn links_are_swept_with_their_contact() {
    let kingdee = Kingdee::start(CUSTOMERS).await;
    let connector = kingdee.kingdee();
    let all: Vec<_> = read(&kingdee, "contacts").await.into_values().collect();
    kingdee.simulator.delete("BD_CommonContact", 100_005);
    let left = json!({"FCompanyType": "", "FCompany": 0});
    kingdee
        .simulator
        .write("BD_CommonContact", 100_006, left, at(1));
    let swept = connector
        .sweep("contacts", KnownList::of(&all), SweepLimit::none())
        .await;
    let gone: Vec<_> = collect(swept)
        .await
        .records()
        .into_iter()
        .map(|r| r.key.external_id)
        .collect();
    assert_eq!(
        gone,
        [
            "BD_CommonContact,100005",
            "BD_CommonContact,100005#contact_of:customer",
            "BD_CommonContact,100006#contact_of:customer",
        ]
    );
}
