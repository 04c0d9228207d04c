//! Who calls, and what.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use anyhow::{Result, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use jinke_proto::jinke::customer::v1::{
    Customer, GetCustomerRequest, IngestSourceRecordsRequest, ListCustomersRequest,
    ListTimelineEntriesRequest, LookupCustomersRequest, SearchCustomersRequest, SourceRecord,
    customer_service_client::CustomerServiceClient, lookup_customers_request as lookup,
    source_record::Body, source_service_client::SourceServiceClient, value::Datum,
};
use jinke_tests::{companies::record, suite::Authed};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::{Caller, SEED};

/// Customers that are asked for, and words that find them.
#[derive(Default)]
pub struct Book {
    names: Vec<String>,
    words: Vec<String>,
}

impl Book {
    /// Notes a customer.
    pub fn add(&mut self, name: String, display_name: &str) {
        let words: String = display_name.chars().skip(2).take(3).collect();
        if words.chars().count() == 3 {
            self.words.push(words);
        }
        self.names.push(name);
    }
    /// How many can be asked for by their words.
    pub fn len(&self) -> usize {
        self.words.len().min(self.names.len())
    }
    /// A stride that is prime walks over all of them before it comes back.
    fn name(&self, n: u64) -> &str {
        &self.names[at(n, self.names.len())]
    }
    fn words(&self, n: u64) -> &str {
        &self.words[at(n, self.words.len())]
    }
}

fn at(n: u64, of: usize) -> usize {
    usize::try_from(n.wrapping_mul(7_919) % of as u64).unwrap_or(0)
}

/// A customer as the callers see it. It must have values, and some must be hidden: otherwise less
/// than a real answer would be measured.
pub async fn example(api: &mut CustomerServiceClient<Authed>, book: &Book) -> Result<Customer> {
    for n in 0..200 {
        let request = GetCustomerRequest {
            name: book.name(n).to_owned(),
            ..GetCustomerRequest::default()
        };
        let customer = api.get_customer(request).await?.into_inner();
        let hidden = !customer.hidden_classes.is_empty();
        if hidden && customer.values.len() > 3 && customer.record_count > 1 {
            return Ok(customer);
        }
    }
    anyhow::bail!("no customer has values of which some are hidden from a sales person")
}

/// Reads customers over gRPC.
pub struct Getter {
    /// As a sales person.
    pub api: CustomerServiceClient<Authed>,
    /// Whom.
    pub book: Arc<Book>,
}

impl Caller for Getter {
    async fn call(&mut self, n: u64) -> Result<()> {
        let request = GetCustomerRequest {
            name: self.book.name(n).to_owned(),
            ..GetCustomerRequest::default()
        };
        self.api.get_customer(request).await?;
        Ok(())
    }
}

/// Reads customers over HTTP.
pub struct RestGetter {
    /// As a sales person.
    pub line: Rest,
    /// Whom.
    pub book: Arc<Book>,
}

impl Caller for RestGetter {
    async fn call(&mut self, n: u64) -> Result<()> {
        let path = format!("/v1/{}", self.book.name(n));
        self.line.call(Method::GET, &path, None).await
    }
}

/// What call `n` of a mixed workload is: of twenty, twelve read a customer, three search, two look
/// up, one lists, one reads a timeline, one brings a record.
enum Kind {
    Get,
    Search,
    Lookup,
    List,
    Timeline,
    Ingest,
}

const fn kind(n: u64) -> Kind {
    match n % 20 {
        0..=11 => Kind::Get,
        12..=14 => Kind::Search,
        15 | 16 => Kind::Lookup,
        17 => Kind::List,
        18 => Kind::Timeline,
        _ => Kind::Ingest,
    }
}

/// The identifier of a company that is there.
fn identifier(n: u64, book: &Book) -> String {
    // Every fifth record is the first of a company, which bears its identifier.
    let first = at(n, book.names.len()) as u64 / 2 * 5;
    let Some(Body::Party(party)) = record(SEED, first).body else {
        return String::new();
    };
    let found = party.values.into_iter().find(|v| v.scheme == "uscc");
    match found.and_then(|v| v.datum) {
        Some(Datum::Text(text)) => text,
        _ => String::new(),
    }
}

/// The mixed workload over gRPC.
pub struct Mixed {
    /// As a sales person.
    pub api: CustomerServiceClient<Authed>,
    /// As one who may bring records.
    pub writer: SourceServiceClient<Authed>,
    /// Whom.
    pub book: Arc<Book>,
    /// Number of the next record.
    pub next: Arc<AtomicU64>,
}

impl Caller for Mixed {
    async fn call(&mut self, n: u64) -> Result<()> {
        match kind(n) {
            Kind::Get => {
                let request = GetCustomerRequest {
                    name: self.book.name(n).to_owned(),
                    ..GetCustomerRequest::default()
                };
                self.api.get_customer(request).await?;
            }
            Kind::Search => {
                let request = SearchCustomersRequest {
                    query: self.book.words(n).to_owned(),
                    page_size: 10,
                    ..SearchCustomersRequest::default()
                };
                self.api.search_customers(request).await?;
            }
            Kind::Lookup => {
                let request = LookupCustomersRequest {
                    by: Some(lookup::By::Identifier(lookup::Identifier {
                        scheme: "uscc".to_owned(),
                        value: identifier(n, &self.book),
                    })),
                    ..LookupCustomersRequest::default()
                };
                let found = self.api.lookup_customers(request).await?;
                ensure!(!found.get_ref().customers.is_empty(), "nobody is looked up");
            }
            Kind::List => {
                let request = ListCustomersRequest {
                    page_size: 20,
                    ..ListCustomersRequest::default()
                };
                self.api.list_customers(request).await?;
            }
            Kind::Timeline => {
                let request = ListTimelineEntriesRequest {
                    parent: self.book.name(n).to_owned(),
                    page_size: 20,
                    ..ListTimelineEntriesRequest::default()
                };
                self.api.list_timeline_entries(request).await?;
            }
            Kind::Ingest => {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                let request = IngestSourceRecordsRequest {
                    records: vec![record(SEED, number)],
                    ..IngestSourceRecordsRequest::default()
                };
                self.writer.ingest_source_records(request).await?;
            }
        }
        Ok(())
    }
}

/// The mixed workload over HTTP.
pub struct MixedRest {
    /// As a sales person.
    pub line: Rest,
    /// As one who may bring records.
    pub writer: Rest,
    /// Whom.
    pub book: Arc<Book>,
    /// Number of the next record.
    pub next: Arc<AtomicU64>,
}

impl Caller for MixedRest {
    async fn call(&mut self, n: u64) -> Result<()> {
        let name = self.book.name(n);
        match kind(n) {
            Kind::Get => {
                self.line
                    .call(Method::GET, &format!("/v1/{name}"), None)
                    .await
            }
            Kind::Search => {
                let query = encoded(self.book.words(n));
                let path = format!("/v1/customers:search?pageSize=10&query={query}");
                self.line.call(Method::GET, &path, None).await
            }
            Kind::Lookup => {
                let by = json!({"identifier": {
                    "scheme": "uscc", "value": identifier(n, &self.book),
                }});
                let path = "/v1/customers:lookup";
                self.line.call(Method::POST, path, Some(&by)).await
            }
            Kind::List => {
                let path = "/v1/customers?pageSize=20";
                self.line.call(Method::GET, path, None).await
            }
            Kind::Timeline => {
                let path = format!("/v1/{name}/timeline?pageSize=20");
                self.line.call(Method::GET, &path, None).await
            }
            Kind::Ingest => {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                let body = json!({"records": [as_json(&record(SEED, number))]});
                let path = "/v1/sourceRecords:ingest";
                self.writer.call(Method::POST, path, Some(&body)).await
            }
        }
    }
}

/// A record of the stream, of which only text is used.
fn as_json(record: &SourceRecord) -> Value {
    let Some(Body::Party(party)) = &record.body else {
        return Value::Null;
    };
    let values: Vec<Value> = party
        .values
        .iter()
        .filter_map(|v| match &v.datum {
            Some(Datum::Text(text)) => {
                Some(json!({"attribute": v.attribute, "scheme": v.scheme, "text": text}))
            }
            _ => None,
        })
        .collect();
    let key = record.key.clone().unwrap_or_default();
    json!({
        "key": {"source": key.source, "externalId": key.external_id},
        "party": {"kind": "PARTY_KIND_ORGANIZATION", "values": values},
    })
}

fn encoded(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02X}")).collect()
}

/// A connection to the gateway that stays open.
pub struct Rest {
    sender: http1::SendRequest<Full<Bytes>>,
    token: String,
}

impl Rest {
    /// Connects.
    pub async fn open(port: u16, token: &str) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self {
            sender,
            token: format!("Bearer {token}"),
        })
    }

    /// One request, whose answer is read whole and must be 200.
    async fn call(&mut self, method: Method, path: &str, body: Option<&Value>) -> Result<()> {
        let text = body.map(Value::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost")
            .header(header::AUTHORIZATION, &self.token)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(text)))?;
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let code = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        ensure!(
            code == 200,
            "{path} answered {code}: {}",
            String::from_utf8_lossy(&body)
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_the_stream_is_the_same_as_json() {
        let record = record(SEED, 5);
        let told = as_json(&record);
        let key = record.key.unwrap();
        assert_eq!(told["key"]["externalId"], key.external_id.as_str());
        assert_eq!(encoded("华a"), "%E5%8D%8E%61");
    }
}
