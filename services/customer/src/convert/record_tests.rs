use super::*;

fn key(id: &str) -> Option<pb::RecordKey> {
    Some(pb::RecordKey {
        source: "sources/erp".to_owned(),
        external_id: id.to_owned(),
    })
}

fn record(body: pb::source_record::Body) -> pb::SourceRecord {
    pb::SourceRecord {
        key: key("1"),
        body: Some(body),
        completeness: 1,
        ..Default::default()
    }
}

fn order() -> pb::Transaction {
    let money = |units| {
        Some(jinke_proto::google::r#type::Money {
            currency_code: "CNY".to_owned(),
            units,
            nanos: 500_000_000,
        })
    };
    pb::Transaction {
        kind: 1,
        party: key("C-1"),
        number: "SO-2026-0001".to_owned(),
        status: "已发货".to_owned(),
        time: Some(prost_types::Timestamp {
            seconds: 1_767_225_600,
            nanos: 0,
        }),
        amount: money(300),
        lines: vec![pb::TransactionLine {
            product: "轴承 6204".to_owned(),
            code: "6204-2RS".to_owned(),
            category: "轴承".to_owned(),
            quantity: Some(jinke_proto::google::r#type::Decimal {
                value: "3".to_owned(),
            }),
            unit: "件".to_owned(),
            amount: money(300),
        }],
        text: "加急".to_owned(),
        employee: "王芳".to_owned(),
    }
}

fn first_field(record: pb::SourceRecord) -> String {
    let mut check = Check::new();
    assert_eq!(source_record(&mut check, "records[3]", record), None);
    check.done().unwrap_err().violations.remove(0).field
}

#[test]
fn all_four_bodies_come_back_as_they_went_in() {
    use pb::source_record::Body as B;
    let value = pb::Value {
        attribute: "title".to_owned(),
        datum: Some(pb::value::Datum::Text("经理".to_owned())),
        ..Default::default()
    };
    let bodies = [
        B::Party(pb::Party {
            kind: 2,
            values: vec![value.clone()],
        }),
        B::Relationship(pb::Relationship {
            kind: "contact_of".to_owned(),
            from: key("P-1"),
            to: key("C-1"),
            values: vec![value],
            ..Default::default()
        }),
        B::Transaction(order()),
        B::Interaction(pb::Interaction {
            kind: 2,
            party: key("C-1"),
            time: Some(prost_types::Timestamp {
                seconds: -5,
                nanos: 1_000,
            }),
            channel: "wecom".to_owned(),
            inbound: true,
            subject: "询价".to_owned(),
            text: "请报价".to_owned(),
            employee: "u1".to_owned(),
        }),
    ];
    for body in bodies {
        let parsed = source_record(&mut Check::new(), "", record(body.clone())).expect("is valid");
        assert_eq!(body_out(&parsed.body), body);
    }
}

#[test]
fn wrong_records_name_the_field() {
    use pb::source_record::Body as B;
    let party = |kind| {
        B::Party(pb::Party {
            kind,
            values: Vec::new(),
        })
    };
    assert_eq!(first_field(record(party(0))), "records[3].party.kind");
    assert_eq!(first_field(record(party(77))), "records[3].party.kind");
    assert_eq!(
        first_field(pb::SourceRecord {
            body: None,
            ..record(party(1))
        }),
        "records[3]"
    );
    assert_eq!(
        first_field(pb::SourceRecord {
            completeness: 9,
            ..record(party(1))
        }),
        "records[3].completeness"
    );
    assert_eq!(
        first_field(pb::SourceRecord {
            key: None,
            ..record(party(1))
        }),
        "records[3].key"
    );
    let mut t = order();
    t.lines = vec![t.lines[0].clone(), t.lines[0].clone()];
    t.lines[1].quantity = Some(jinke_proto::google::r#type::Decimal {
        value: "x".to_owned(),
    });
    assert_eq!(
        first_field(record(B::Transaction(t))),
        "records[3].transaction.lines[1].quantity"
    );
    let r = pb::Relationship {
        kind: "Contact Of".to_owned(),
        ..Default::default()
    };
    assert_eq!(
        first_field(record(B::Relationship(r))),
        "records[3].relationship.kind"
    );
}

#[test]
fn a_record_of_many_small_parts_is_refused_by_its_size() {
    let value = pb::Value {
        attribute: "remark".to_owned(),
        datum: Some(pb::value::Datum::Text("字".repeat(1_000))),
        ..Default::default()
    };
    let party = pb::Party {
        kind: 1,
        values: vec![value; 100],
    };
    assert_eq!(
        first_field(record(pb::source_record::Body::Party(party))),
        "records[3]"
    );
}
