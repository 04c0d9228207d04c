//! Rows that are no parties: orders, messages, relationships.

use jinke_sdk::Effect;
use jinke_types::{Body, Interaction, Transaction};

use super::read;

#[test]
fn orders_gather_their_lines_and_sum_them() {
    let mapping = r#"
kind = "order"
external_id = [{ constant = "SO" }, "单号"]
party = "客户"
party_source = "crm"
party_contact = "联系人"
currency = "币种"
[transaction]
number = "单号"
time = "日期"
[transaction.lines]
product = "物料"
quantity = "数量"
amount = "金额"
"#;
    let names = [
        "单号",
        "客户",
        "联系人",
        "日期",
        "币种",
        "物料",
        "数量",
        "金额",
    ];
    let out = read(
        mapping,
        &names,
        &[
            &["1", "C1", "", "2024-01-05", "美元", "a", "2", "$10.50"],
            &["1", "C1", "", "2024-01-05", "美元", "b", "", "0.5"],
            &["2|3", "C1", "7", "2024/1/6", "", "a", "1", "5"],
            &["4", "C1", "", "2024/1/6", "人民币", "a", "1", "$5"],
            &["5", "C1", "", "2024/1/6", "金币", "a", "1", "5"],
        ],
    );
    let orders: Vec<&Transaction> = out
        .records
        .iter()
        .map(|r| match &r.body {
            Body::Transaction(t) => t,
            _ => panic!(),
        })
        .collect();
    assert_eq!(orders.len(), 2);
    let total = |t: &Transaction| {
        t.amount
            .as_ref()
            .map(|m| (m.currency.clone(), m.amount.to_string()))
    };
    assert_eq!(total(orders[0]), Some(("USD".to_owned(), "11".to_owned())));
    assert_eq!(
        (orders[0].lines.len(), orders[0].party.to_string()),
        (2, "crm/C1".to_owned())
    );
    assert_eq!(orders[1].party.external_id, "C1#contact:7");
    assert_eq!(out.records[1].key.external_id, "SO|2%7C3");
    let told: Vec<_> = out
        .errors
        .iter()
        .map(|e| (e.location.row, e.reason.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (5, "carries the mark of another currency"),
            (6, "is not a currency")
        ]
    );
}

#[test]
fn interactions_and_relationships() {
    let out = read(
        "kind = 'call'\nexternal_id = 'id'\nparty = 'c'\n[interaction]\ntime = 't'\n\
         channel = { constant = 'phone' }\ninbound = { column = 'in' }\ntext = 'x'\n",
        &["id", "c", "t", "in", "x"],
        &[
            &["1", "C1", "1704431106", "是", "问价"],
            &["2", "C1", "", "否", ""],
            &["3", "C1", "20240105", "?", ""],
        ],
    );
    let Body::Interaction(Interaction {
        inbound,
        channel,
        text,
        time,
        ..
    }) = &out.records[0].body
    else {
        panic!()
    };
    assert_eq!(
        (*inbound, channel.as_str(), text.as_str()),
        (true, "phone", "问价")
    );
    assert_eq!(time.to_rfc3339(), "2024-01-05T05:05:06Z");
    let told: Vec<_> = out
        .errors
        .iter()
        .map(|e| (e.location.row, e.effect))
        .collect();
    assert_eq!(told, [(3, Effect::RowSkipped), (4, Effect::ValueLeftOut)]);
    let out = read(
        "kind = 'relationship'\nexternal_id = ['a', 'b']\nparty = 'a'\n[relationship]\n\
         kind = { constant = 'parent_of' }\nto = 'b'\nvalid_from = 'from'\n",
        &["a", "b", "from"],
        &[&["C1", "C2", "2020-01-01"], &["C1", "C3", "早"]],
    );
    let Body::Relationship(link) = &out.records[0].body else {
        panic!()
    };
    assert_eq!(
        (link.from.external_id.as_str(), link.to.external_id.as_str()),
        ("C1", "C2")
    );
    assert!(link.valid_from.is_some());
    assert_eq!((out.records.len(), out.errors.len()), (1, 1));
}
