//! Records as tests send them, and what they ask.

use std::collections::BTreeSet;

use jinke_proto::{
    google::r#type::Money,
    jinke::customer::v1::{
        Customer, GetCustomerRequest, GetCustomerTotalsRequest, IngestSourceRecordsRequest,
        Interaction, ListTimelineEntriesRequest, Party, PartyKind, RecordKey, SourceRecord,
        Transaction, Value, ingest_result::Outcome, interaction, source_record::Body, transaction,
        value::Datum,
    },
};
use jinke_tests::suite::Clients;
use prost_types::Timestamp;

/// The key of a record.
pub fn key(source: &str, id: &str) -> RecordKey {
    RecordKey {
        source: format!("sources/{source}"),
        external_id: id.to_owned(),
    }
}

/// A text value.
pub fn text(attribute: &str, text: &str) -> Value {
    Value {
        attribute: attribute.to_owned(),
        datum: Some(Datum::Text(text.to_owned())),
        ..Value::default()
    }
}

/// A unified social credit code.
pub fn uscc(value: &str) -> Value {
    Value {
        scheme: "uscc".to_owned(),
        ..text("identifier", value)
    }
}

/// A record of a party.
pub fn party(source: &str, id: &str, kind: PartyKind, values: Vec<Value>) -> SourceRecord {
    SourceRecord {
        key: Some(key(source, id)),
        body: Some(Body::Party(Party {
            kind: kind.into(),
            values,
        })),
        ..SourceRecord::default()
    }
}

/// An order of a party.
pub fn order(source: &str, id: &str, of: RecordKey, yuan: i64) -> SourceRecord {
    SourceRecord {
        key: Some(key(source, id)),
        body: Some(Body::Transaction(Transaction {
            kind: transaction::Kind::Order.into(),
            party: Some(of),
            number: id.to_owned(),
            time: Some(Timestamp {
                seconds: 1_760_000_000,
                nanos: 0,
            }),
            amount: Some(Money {
                currency_code: "CNY".to_owned(),
                units: yuan,
                nanos: 0,
            }),
            ..Transaction::default()
        })),
        ..SourceRecord::default()
    }
}

/// A message of a party.
pub fn message(source: &str, id: &str, of: RecordKey, said: &str) -> SourceRecord {
    SourceRecord {
        key: Some(key(source, id)),
        body: Some(Body::Interaction(Interaction {
            kind: interaction::Kind::Message.into(),
            party: Some(of),
            time: Some(Timestamp {
                seconds: 1_760_000_100,
                nanos: 0,
            }),
            channel: "wecom".to_owned(),
            inbound: true,
            text: said.to_owned(),
            ..Interaction::default()
        })),
        ..SourceRecord::default()
    }
}

/// Sends records that must all be new; their customers.
pub async fn ingest(api: &mut Clients, records: Vec<SourceRecord>) -> Vec<String> {
    let request = IngestSourceRecordsRequest {
        records,
        ..IngestSourceRecordsRequest::default()
    };
    let answer = api
        .sources
        .ingest_source_records(request)
        .await
        .expect("ingest")
        .into_inner();
    answer
        .results
        .into_iter()
        .map(|r| {
            assert_eq!(r.outcome(), Outcome::Created, "{:?}", r.error);
            r.customer
        })
        .collect()
}

/// A customer.
pub async fn get(api: &mut Clients, name: &str) -> Customer {
    let request = GetCustomerRequest {
        name: name.to_owned(),
        ..GetCustomerRequest::default()
    };
    api.customers
        .get_customer(request)
        .await
        .expect("get")
        .into_inner()
}

/// Kind, count and units of each total of a customer.
pub async fn totals(api: &mut Clients, name: &str) -> Vec<(i32, i64, i64)> {
    let request = GetCustomerTotalsRequest {
        name: name.to_owned(),
    };
    let answer = api
        .customers
        .get_customer_totals(request)
        .await
        .expect("totals")
        .into_inner();
    answer
        .totals
        .iter()
        .map(|t| (t.kind, t.count, t.amount.as_ref().map_or(0, |m| m.units)))
        .collect()
}

/// The external ids in a customer's timeline.
pub async fn timeline(api: &mut Clients, name: &str) -> BTreeSet<String> {
    let request = ListTimelineEntriesRequest {
        parent: name.to_owned(),
        ..ListTimelineEntriesRequest::default()
    };
    let page = api
        .customers
        .list_timeline_entries(request)
        .await
        .expect("timeline")
        .into_inner();
    page.entries
        .into_iter()
        .map(|e| e.key.expect("key").external_id)
        .collect()
}
