//! The words of `jinke-types` as messages of `jinke.customer.v1`. Pure; a value that proto
//! cannot say is refused with the path of its field.

use jinke_proto::{
    google::r#type::{Date, Decimal as ProtoDecimal, Money as ProtoMoney},
    jinke::customer::v1 as pb,
};
use jinke_types::{
    Address, Body, Completeness, Datum, Failure, Interaction, InteractionKind, Money, PartyKind,
    RecordKey, Relationship, SourceRecord, Timestamp, Transaction, TransactionKind, Value,
};
use rust_decimal::Decimal;

/// A source record as a message. Fails when an amount does not fit `google.type.Money`
/// (64-bit units, nine decimals).
pub fn source_record(record: &SourceRecord) -> Result<pb::SourceRecord, Failure> {
    let body = match &record.body {
        Body::Party { kind, values } => pb::source_record::Body::Party(pb::Party {
            kind: party_kind(*kind).into(),
            values: values.iter().map(value).collect(),
        }),
        Body::Relationship(r) => pb::source_record::Body::Relationship(relationship(r)),
        Body::Transaction(t) => pb::source_record::Body::Transaction(transaction(t)?),
        Body::Interaction(i) => pb::source_record::Body::Interaction(interaction(i)),
    };
    let completeness = match record.completeness {
        Completeness::Full => pb::source_record::Completeness::Full,
        Completeness::Partial => pb::source_record::Completeness::Partial,
    };
    Ok(pb::SourceRecord {
        key: Some(record_key(&record.key)),
        source_revision: record.source_revision,
        source_update_time: record.update_time.map(timestamp),
        completeness: completeness.into(),
        deleted: record.deleted,
        body: Some(body),
        ..pb::SourceRecord::default()
    })
}

/// A record key; the source becomes a resource name.
pub fn record_key(key: &RecordKey) -> pb::RecordKey {
    pb::RecordKey {
        source: format!("sources/{}", key.source),
        external_id: key.external_id.clone(),
    }
}

/// A time as a message.
pub const fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.secs(),
        nanos: time.subsec_nanos(),
    }
}

const fn party_kind(kind: PartyKind) -> pb::PartyKind {
    match kind {
        PartyKind::Organization => pb::PartyKind::Organization,
        PartyKind::Person => pb::PartyKind::Person,
    }
}

fn value(value: &Value) -> pb::Value {
    use pb::value::Datum as D;
    let datum = match &value.datum {
        Datum::Text(text) => D::Text(text.clone()),
        Datum::Number(number) => D::Number(decimal(*number)),
        Datum::Date(year, month, day) => D::Date(Date {
            year: *year,
            month: i32::from(*month),
            day: i32::from(*day),
        }),
        Datum::Address(a) => D::Address(address(a)),
        Datum::Null => D::Null(true),
    };
    pb::Value {
        attribute: value.attribute.clone(),
        scope: value.scope.clone(),
        datum: Some(datum),
        scheme: value.scheme.clone(),
        country: value.country.clone(),
        unit: value.unit.clone(),
        valid_from: value.valid_from.map(timestamp),
        valid_to: value.valid_to.map(timestamp),
    }
}

fn address(a: &Address) -> pb::Address {
    pb::Address {
        country: a.country.clone(),
        province: a.province.clone(),
        city: a.city.clone(),
        district: a.district.clone(),
        text: a.text.clone(),
        postcode: a.postcode.clone(),
    }
}

fn relationship(r: &Relationship) -> pb::Relationship {
    pb::Relationship {
        kind: r.kind.clone(),
        from: Some(record_key(&r.from)),
        to: Some(record_key(&r.to)),
        valid_from: r.valid_from.map(timestamp),
        valid_to: r.valid_to.map(timestamp),
        values: r.values.iter().map(value).collect(),
    }
}

fn transaction(t: &Transaction) -> Result<pb::Transaction, Failure> {
    use pb::transaction::Kind;
    let kind = match t.kind {
        TransactionKind::Order => Kind::Order,
        TransactionKind::Invoice => Kind::Invoice,
        TransactionKind::Payment => Kind::Payment,
        TransactionKind::Refund => Kind::Refund,
        TransactionKind::Receivable => Kind::Receivable,
        TransactionKind::Ticket => Kind::Ticket,
    };
    let mut lines = Vec::with_capacity(t.lines.len());
    for (i, line) in t.lines.iter().enumerate() {
        lines.push(pb::TransactionLine {
            product: line.product.clone(),
            code: line.code.clone(),
            category: line.category.clone(),
            quantity: Some(decimal(line.quantity)),
            unit: line.unit.clone(),
            amount: optional_money(line.amount.as_ref(), || {
                format!("transaction.lines[{i}].amount")
            })?,
        });
    }
    Ok(pb::Transaction {
        kind: kind.into(),
        party: Some(record_key(&t.party)),
        number: t.number.clone(),
        status: t.status.clone(),
        time: Some(timestamp(t.time)),
        amount: optional_money(t.amount.as_ref(), || "transaction.amount".to_owned())?,
        lines,
        text: t.text.clone(),
        employee: t.employee.clone(),
    })
}

fn interaction(i: &Interaction) -> pb::Interaction {
    use pb::interaction::Kind;
    let kind = match i.kind {
        InteractionKind::Message => Kind::Message,
        InteractionKind::Call => Kind::Call,
        InteractionKind::Visit => Kind::Visit,
        InteractionKind::Meeting => Kind::Meeting,
        InteractionKind::Note => Kind::Note,
        InteractionKind::Event => Kind::Event,
    };
    pb::Interaction {
        kind: kind.into(),
        party: Some(record_key(&i.party)),
        time: Some(timestamp(i.time)),
        channel: i.channel.clone(),
        inbound: i.inbound,
        subject: i.subject.clone(),
        text: i.text.clone(),
        employee: i.employee.clone(),
    }
}

fn decimal(number: Decimal) -> ProtoDecimal {
    ProtoDecimal {
        value: number.to_string(),
    }
}

/// An amount as a message; `path` names its field when it does not fit.
pub(crate) fn optional_money(
    money: Option<&Money>,
    path: impl Fn() -> String,
) -> Result<Option<ProtoMoney>, Failure> {
    let Some(money) = money else { return Ok(None) };
    let nano = Decimal::from(1_000_000_000);
    let whole = money.amount.trunc();
    let nanos = (money.amount - whole)
        .checked_mul(nano)
        .filter(Decimal::is_integer);
    let (Ok(units), Some(Ok(nanos))) = (i64::try_from(whole), nanos.map(i32::try_from)) else {
        return Err(Failure::field(
            path(),
            "needs 64-bit units and at most nine decimals",
        ));
    };
    Ok(Some(ProtoMoney {
        currency_code: money.currency.clone(),
        units,
        nanos,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Money {
        Money {
            currency: "CNY".into(),
            amount: text.parse().unwrap(),
        }
    }

    #[test]
    fn money_keeps_sign_and_every_decimal() {
        let of = |text| {
            let m = optional_money(Some(&amount(text)), String::new)
                .unwrap()
                .unwrap();
            (m.units, m.nanos)
        };
        assert_eq!(of("12.34"), (12, 340_000_000));
        assert_eq!(of("-0.01"), (0, -10_000_000));
        assert_eq!(of("-12.5"), (-12, -500_000_000));
        assert_eq!(of("0.000000001"), (0, 1));
        assert_eq!(of("9223372036854775807"), (i64::MAX, 0));
    }

    #[test]
    fn money_that_does_not_fit_is_refused_with_its_path() {
        for text in ["0.0000000001", "9223372036854775808"] {
            let failure =
                optional_money(Some(&amount(text)), || "transaction.amount".into()).unwrap_err();
            assert_eq!(failure.violations[0].field, "transaction.amount", "{text}");
        }
    }

    #[test]
    fn a_party_keeps_all_its_values() {
        let mut from = Value::identifier("uscc", "91310000MA1FL0000X");
        from.valid_from = Some(Timestamp(-1));
        let record = SourceRecord {
            key: RecordKey::new("erp", "C-1"),
            source_revision: Some(3),
            update_time: Some(Timestamp::from_secs(5)),
            completeness: Completeness::Partial,
            deleted: true,
            body: Body::Party {
                kind: PartyKind::Organization,
                values: vec![
                    Value::text("name", "甲公司"),
                    from,
                    Value::of("date_of_birth", Datum::Date(1999, 2, 3)),
                    Value::of("credit_limit", Datum::Number("1.50".parse().unwrap())),
                    Value::of("phone", Datum::Null),
                ],
            },
        };
        let message = source_record(&record).unwrap();
        assert_eq!(message.key.unwrap().source, "sources/erp");
        assert_eq!(message.source_revision, Some(3));
        assert!(message.deleted);
        assert_eq!(
            message.completeness,
            i32::from(pb::source_record::Completeness::Partial)
        );
        let Some(pb::source_record::Body::Party(party)) = message.body else {
            panic!("a party")
        };
        assert_eq!(party.values.len(), 5);
        assert_eq!(
            party.values[1].valid_from,
            Some(prost_types::Timestamp {
                seconds: -1,
                nanos: 999_999_000
            })
        );
        assert_eq!(
            party.values[3].datum,
            Some(pb::value::Datum::Number(ProtoDecimal {
                value: "1.50".into()
            }))
        );
        assert_eq!(party.values[4].datum, Some(pb::value::Datum::Null(true)));
    }
}
