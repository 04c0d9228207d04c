//! A connection of the running house, its runs, and what they leave.

use std::{collections::BTreeMap, path::Path, time::Duration};

use jinke_proto::jinke::{
    connector::v1::{self as pb, connector_service_client::ConnectorServiceClient, run::State},
    customer::v1::{
        GetCustomerStatsRequest, GetCustomerTotalsRequest, ListCustomersRequest,
        ListSourceRecordsRequest,
    },
};
use jinke_runner::simulate::Simulation;
use jinke_tests::{
    state::{difference, golden, short},
    suite::{Authed, Clients, Suite},
};
use prost_types::{Struct, Value, value::Kind};
use tonic::Status;

/// The source of the records, and the id of the connection.
pub const SOURCE: &str = "erp";
/// Within this a run that nothing disturbs any more ends.
const ENDS: Duration = Duration::from_secs(300);

/// The connector service, as a user of one connection.
pub struct Connector {
    /// The client.
    pub client: ConnectorServiceClient<Authed>,
}

/// What a run leaves, in a form that two can be compared by.
#[derive(Debug, PartialEq, Eq)]
pub struct Left {
    /// Of each stream: records taken, refused, rows that could not be read, and its state.
    pub streams: BTreeMap<String, (i64, i64, i64, i32)>,
    /// Of each stream: its cursor and how many records are known.
    pub cursors: BTreeMap<String, (String, i64)>,
    /// Every record with its last version.
    pub records: BTreeMap<String, i64>,
    /// Every customer by its smallest record.
    pub golden: BTreeMap<String, String>,
    /// The totals of each customer, by its smallest record.
    pub totals: BTreeMap<String, String>,
}

impl Left {
    /// Panics with the first difference.
    pub fn is(&self, expected: &Self) {
        assert_eq!(
            self.streams, expected.streams,
            "what the run says of itself"
        );
        assert_eq!(self.cursors, expected.cursors);
        assert_eq!(self.records, expected.records);
        assert_eq!(self.totals, expected.totals);
        if let Some(difference) = difference(&expected.golden, &self.golden) {
            panic!("{difference}");
        }
    }
}

fn value(found: &toml::Value) -> Value {
    let kind = match found {
        toml::Value::Boolean(truth) => Kind::BoolValue(*truth),
        toml::Value::Integer(n) => Kind::NumberValue(*n as f64),
        other => Kind::StringValue(other.as_str().unwrap_or_default().to_owned()),
    };
    Value { kind: Some(kind) }
}

/// How many records a run has taken.
pub fn taken(run: &pb::Run) -> i64 {
    let of = |s: &pb::run::StreamProgress| s.created + s.updated + s.unchanged + s.superseded;
    run.streams.iter().map(of).sum()
}

impl Connector {
    /// Over this channel.
    pub fn new(channel: &Authed) -> Self {
        Self {
            client: ConnectorServiceClient::new(channel.clone()),
        }
    }

    /// Creates the connection [`SOURCE`] to a simulated system that is reached at `url`.
    pub async fn create(&mut self, simulation: &Simulation, url: &str, page_rows: i64) {
        let mut connection = pb::Connection {
            connector: "connectors/tryton".to_owned(),
            settings: Some(Struct::default()),
            ..pb::Connection::default()
        };
        let own = [
            ("page_rows", toml::Value::Integer(page_rows)),
            ("calls_per_minute", toml::Value::Integer(60_000)),
        ];
        let settings = simulation.settings.iter().cloned().chain(own);
        for (key, found) in settings {
            let text = found.as_str().unwrap_or_default().to_owned();
            match key {
                "password" => {
                    connection.secrets.insert(key.to_owned(), text);
                }
                _ => {
                    let found = if key == "url" {
                        toml::Value::String(url.to_owned())
                    } else {
                        found
                    };
                    let fields = &mut connection.settings.as_mut().expect("made above").fields;
                    fields.insert(key.to_owned(), value(&found));
                }
            }
        }
        let request = pb::CreateConnectionRequest {
            connection_id: SOURCE.to_owned(),
            connection: Some(connection),
            ..pb::CreateConnectionRequest::default()
        };
        let made = self.client.create_connection(request).await;
        made.expect("a connection");
    }

    /// Begins a run; its name.
    pub async fn begin(&mut self) -> String {
        let request = pb::RunConnectionRequest {
            name: format!("connections/{SOURCE}"),
            ..pb::RunConnectionRequest::default()
        };
        let begun = self.client.run_connection(request).await;
        begun.expect("a run").into_inner().name
    }

    /// A run as it stands.
    pub async fn get(&mut self, name: &str) -> Result<pb::Run, Status> {
        let mut request = tonic::Request::new(pb::GetRunRequest {
            name: name.to_owned(),
        });
        request.set_timeout(Duration::from_secs(15));
        Ok(self.client.get_run(request).await?.into_inner())
    }

    /// A run when it has ended.
    pub async fn ended(&mut self, name: &str) -> pb::Run {
        let waited = tokio::time::timeout(ENDS, async {
            loop {
                match self.get(name).await {
                    Ok(run) if run.end_time.is_some() => return run,
                    _ => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        });
        match waited.await {
            Ok(run) => run,
            Err(_) => panic!("the run does not end: {:?}", self.get(name).await),
        }
    }
}

/// How many records of [`SOURCE`] the customer service has.
pub async fn delivered(api: &mut Clients) -> Result<i64, Status> {
    let stats = api.customers.get_customer_stats(GetCustomerStatsRequest {});
    let stats = stats.await?.into_inner();
    let ours = stats
        .sources
        .iter()
        .filter(|s| s.source == format!("sources/{SOURCE}"));
    Ok(ours
        .map(|s| s.parties + s.relationships + s.transactions + s.interactions)
        .sum())
}

/// What a run that has ended left in both services. Nothing may wait for a person.
pub async fn left(connector: &mut Connector, api: &mut Clients, run: &pb::Run) -> Left {
    let parent = format!("connections/{SOURCE}");
    let request = pb::ListCursorsRequest {
        parent: parent.clone(),
    };
    let cursors = connector.client.list_cursors(request).await;
    let cursors = cursors.expect("cursors").into_inner().cursors;
    let request = pb::ListRecordErrorsRequest {
        parent: parent.clone(),
        ..pb::ListRecordErrorsRequest::default()
    };
    let errors = connector.client.list_record_errors(request).await;
    assert_eq!(errors.expect("errors").into_inner().record_errors, []);
    let request = pb::ListDeadLettersRequest {
        parent: parent.clone(),
        ..pb::ListDeadLettersRequest::default()
    };
    let letters = connector.client.list_dead_letters(request).await;
    assert_eq!(letters.expect("letters").into_inner().dead_letters, []);
    let request = pb::GetConnectionRequest { name: parent };
    let connection = connector.client.get_connection(request).await;
    let connection = connection.expect("a connection").into_inner();
    assert_eq!(connection.problem, None);
    assert_eq!(connection.last_run_state(), run.state());
    let streams = run.streams.iter().map(|s| {
        let taken = s.created + s.updated + s.unchanged + s.superseded;
        let told = (taken, s.rejected, s.row_errors, s.state);
        (s.stream.clone(), told)
    });
    let cursors = cursors.into_iter().map(|c| {
        // Which list it is of holds the address, and that of a proxy is another one.
        let mut cursor: serde_json::Value = serde_json::from_str(&c.cursor).expect("JSON");
        cursor.as_object_mut().expect("an object").remove("list");
        (c.stream, (cursor.to_string(), c.known_records))
    });
    Left {
        streams: streams.collect(),
        cursors: cursors.collect(),
        records: records(api).await,
        golden: golden(api).await.expect("state"),
        totals: totals(api).await,
    }
}

async fn records(api: &mut Clients) -> BTreeMap<String, i64> {
    let (mut found, mut page_token) = (BTreeMap::new(), String::new());
    loop {
        let request = ListSourceRecordsRequest {
            parent: format!("sources/{SOURCE}"),
            page_size: 1000,
            page_token,
        };
        let page = api.sources.list_source_records(request).await;
        let page = page.expect("a list").into_inner();
        for record in page.records {
            let key = short(record.key.as_ref().expect("a key"));
            let before = found.insert(key.clone(), record.version);
            assert_eq!(before, None, "{key} is there twice");
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return found;
        }
    }
}

async fn totals(api: &mut Clients) -> BTreeMap<String, String> {
    let (mut found, mut page_token) = (BTreeMap::new(), String::new());
    loop {
        let request = ListCustomersRequest {
            page_size: 500,
            page_token,
            view: jinke_proto::jinke::customer::v1::CustomerView::Full.into(),
            ..ListCustomersRequest::default()
        };
        let page = api.customers.list_customers(request).await;
        let page = page.expect("a list").into_inner();
        for customer in page.customers {
            let keys = customer.records.iter().filter_map(|r| r.key.as_ref());
            let smallest = keys.map(short).min().expect("a record");
            let name = customer.name.clone();
            let request = GetCustomerTotalsRequest { name };
            let totals = api.customers.get_customer_totals(request).await;
            let totals = totals.expect("totals").into_inner().totals;
            found.insert(smallest, format!("{totals:?}"));
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return found;
        }
    }
}

/// What a run leaves that nothing happened to, in one process on the other engine.
pub async fn calmly(dir: &Path, simulation: &Simulation) -> Left {
    let suite = Suite::start(&dir.join("calm"), None)
        .await
        .expect("the suite starts");
    let channel = suite.login().await.expect("login");
    let mut connector = Connector::new(&channel);
    connector.create(simulation, &simulation.url, 200).await;
    let run = connector.begin().await;
    let run = connector.ended(&run).await;
    assert_eq!(run.state(), State::Succeeded, "{run:?}");
    let mut api = Clients::new(&channel);
    let found = left(&mut connector, &mut api, &run).await;
    suite.kill().await.expect("kill");
    found
}
