//! A server with the four services over a fresh database. Who calls is said in the metadata.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jinke_customer::{
    access::Viewer,
    convert::pb::{
        self, customer_service_client::CustomerServiceClient,
        customer_service_server::CustomerServiceServer, match_service_client::MatchServiceClient,
        match_service_server::MatchServiceServer, source_service_client::SourceServiceClient,
        source_service_server::SourceServiceServer,
        stewardship_service_client::StewardshipServiceClient,
        stewardship_service_server::StewardshipServiceServer,
    },
    engine::{Engine, EngineConfig},
    rpc::{Api, limits::Limits, numbers::Numbers, operations::Background, page::Pages},
    store::{MIGRATIONS, query},
};
use jinke_kit::{Grant, Metrics, Shutdown};
use jinke_resolution::{Rules, SurvivorshipPolicy};
use jinke_store::{Database, keys::KeyRing, testing};
use jinke_types::{
    Caller, Failure, FieldClass, FieldMask, ManualClock, RowScope, SeededEntropy, Timestamp,
};
use tonic::{
    Request, Status,
    service::{Interceptor, Routes, interceptor::InterceptedService},
};

/// Largest request: large enough that the service's own limits are what is tested.
const REQUEST_BYTES: usize = 64 * 1024 * 1024;

/// Says who calls.
#[derive(Clone)]
pub struct As(pub &'static str);

impl Interceptor for As {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request
            .metadata_mut()
            .insert("role", self.0.parse().expect("a role is ASCII"));
        Ok(request)
    }
}

/// Stands where the kit's layer stands: leaves the grant of the caller.
#[derive(Clone)]
struct Grants(Arc<BTreeMap<&'static str, Arc<Grant>>>);

impl Interceptor for Grants {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let role = request
            .metadata()
            .get("role")
            .and_then(|r| r.to_str().ok())
            .unwrap_or("");
        let grant = self.0.get(role).cloned();
        let grant = grant.ok_or_else(|| Status::permission_denied("no such role"))?;
        request.extensions_mut().insert(grant);
        Ok(request)
    }
}

/// The roles of the tests, in the order of the golden file.
pub const ROLES: [&str; 5] = ["admin", "sales", "finance", "reader", "west"];

fn grants() -> BTreeMap<&'static str, Arc<Grant>> {
    use FieldClass::{Contact, Financial, PersonName, Public};
    let units =
        |names: &[&str]| RowScope::OrgUnits(names.iter().map(|name| (*name).to_owned()).collect());
    let of = |name: &'static str, scope, mask| {
        let caller = Caller {
            name: format!("users/{name}"),
            actor: None,
        };
        (
            name,
            Arc::new(Grant {
                caller,
                permission: "test".to_owned(),
                scope,
                mask,
            }),
        )
    };
    BTreeMap::from([
        of("admin", RowScope::All, FieldMask::all()),
        of("other", RowScope::All, FieldMask::all()),
        of("finance", RowScope::All, FieldMask::of([Public, Financial])),
        of(
            "sales",
            units(&["orgUnits/east"]),
            FieldMask::of([Public, PersonName, Contact]),
        ),
        of("reader", units(&[]), FieldMask::of([Public])),
        of("west", units(&["orgUnits/west"]), FieldMask::all()),
        of("nobody", RowScope::None, FieldMask::default()),
        // The administrator after most of his rights were taken away.
        (
            "demoted",
            Arc::new(Grant {
                caller: Caller {
                    name: "users/admin".to_owned(),
                    actor: None,
                },
                permission: "test".to_owned(),
                scope: units(&[]),
                mask: FieldMask::of([Public]),
            }),
        ),
    ])
}

/// The server and what stands behind it.
#[derive(Clone)]
pub struct House {
    pub api: Api,
    pub routes: Routes,
}

type Door = InterceptedService<Routes, As>;

impl House {
    /// Over an open database. `seed` makes its id; the keys are the same for all.
    pub async fn over(db: Database, seed: u64) -> Self {
        // What the service logs shows beside the test that failed.
        let _ = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .with_test_writer()
            .try_init();
        let ring = Arc::new(KeyRing::in_memory(&SeededEntropy::new(1)));
        let entropy = Arc::new(SeededEntropy::new(seed));
        let id = query::database_id(&db, &*entropy)
            .await
            .expect("the database has an id");
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_790_000_000)));
        let background = Background::new(db.clone(), clock.clone(), &*entropy);
        let engine = Engine::new(
            db,
            ring.clone(),
            Arc::new(Rules::embedded()),
            Arc::new(SurvivorshipPolicy::embedded()),
            clock,
            entropy,
            EngineConfig::default(),
        )
        .await
        .expect("the engine starts");
        // It ends with the test's runtime.
        tokio::spawn(
            background
                .clone()
                .run(engine.clone(), std::future::pending()),
        );
        let api = Api {
            engine,
            background,
            pages: Arc::new(Pages::new(ring, id)),
            limits: Limits {
                stream_idle: Duration::from_millis(400),
                checkpoint: Duration::from_millis(100),
                poll: Duration::from_millis(50),
                watch_stalled: Duration::from_millis(400),
            },
            numbers: Numbers::new(&Metrics::new()).expect("the metrics are new"),
            shutdown: Shutdown::new(),
            regrant: Arc::new(|viewer: &Viewer, _| Ok::<_, Failure>(viewer.clone())),
        };
        Self {
            routes: routes(&api),
            api,
        }
    }

    pub fn customers(&self, role: &'static str) -> CustomerServiceClient<Door> {
        CustomerServiceClient::with_interceptor(self.routes.clone(), As(role))
            .max_decoding_message_size(REQUEST_BYTES)
    }
    pub fn sources(&self, role: &'static str) -> SourceServiceClient<Door> {
        SourceServiceClient::with_interceptor(self.routes.clone(), As(role))
            .max_encoding_message_size(REQUEST_BYTES)
    }
    pub fn matches(&self, role: &'static str) -> MatchServiceClient<Door> {
        MatchServiceClient::with_interceptor(self.routes.clone(), As(role))
    }
    pub fn stewards(&self, role: &'static str) -> StewardshipServiceClient<Door> {
        StewardshipServiceClient::with_interceptor(self.routes.clone(), As(role))
    }

    /// Creates sources: `erp` and `crm` shared, `east` and `west` walled.
    pub async fn with_sources(self) -> Self {
        use pb::source::Sharing::{Group, OrgUnit};
        for (id, org_unit, sharing, trust) in [
            ("erp", "", Group, 80),
            ("crm", "", Group, 50),
            ("east", "orgUnits/east", OrgUnit, 60),
            ("west", "orgUnits/west", OrgUnit, 90),
        ] {
            let source = pb::Source {
                display_name: id.to_owned(),
                org_unit: org_unit.to_owned(),
                sharing: sharing.into(),
                trust: Some(trust),
                ..Default::default()
            };
            self.sources("admin")
                .create_source(pb::CreateSourceRequest {
                    source_id: id.to_owned(),
                    source: Some(source),
                    request_id: String::new(),
                })
                .await
                .expect("the source is created");
        }
        self
    }

    /// Ingests as administrator; every record must be taken. The customers, in order.
    pub async fn ingest(&self, records: Vec<pb::SourceRecord>) -> Vec<String> {
        let request = pb::IngestSourceRecordsRequest {
            records,
            ..Default::default()
        };
        let results = self
            .sources("admin")
            .ingest_source_records(request)
            .await
            .expect("the batch is taken")
            .into_inner()
            .results;
        results
            .into_iter()
            .map(|result| {
                assert!(result.error.is_none(), "{result:?}");
                result.customer
            })
            .collect()
    }

    pub async fn get(&self, role: &'static str, name: &str) -> Result<pb::Customer, Status> {
        let request = pb::GetCustomerRequest {
            name: name.to_owned(),
            view: 0,
        };
        self.customers(role)
            .get_customer(request)
            .await
            .map(tonic::Response::into_inner)
    }
}

fn routes(api: &Api) -> Routes {
    let grants = Grants(Arc::new(grants()));
    macro_rules! server {
        ($server:ident) => {
            InterceptedService::new(
                $server::new(api.clone()).max_decoding_message_size(REQUEST_BYTES),
                grants.clone(),
            )
        };
    }
    Routes::new(server!(SourceServiceServer))
        .add_service(server!(CustomerServiceServer))
        .add_service(server!(MatchServiceServer))
        .add_service(server!(StewardshipServiceServer))
}

/// Runs a case on each engine, in a house with sources.
pub async fn on_each_engine(case: impl AsyncFn(House)) {
    testing::on_each_engine(&MIGRATIONS, async |db| {
        case(House::over(db, 1).await.with_sources().await).await;
    })
    .await;
}

/// The reason in an error.
pub fn reason(status: &Status) -> String {
    jinke_kit::failure(status).reason.to_owned()
}

pub fn key(source: &str, id: &str) -> pb::RecordKey {
    pb::RecordKey {
        source: format!("sources/{source}"),
        external_id: id.to_owned(),
    }
}

pub fn text(attribute: &str, text: &str) -> pb::Value {
    pb::Value {
        attribute: attribute.to_owned(),
        datum: Some(pb::value::Datum::Text(text.to_owned())),
        ..Default::default()
    }
}

pub fn identifier(scheme: &str, value: &str) -> pb::Value {
    pb::Value {
        scheme: scheme.to_owned(),
        ..text("identifier", value)
    }
}

pub fn address(line: &str) -> pb::Value {
    let address = pb::Address {
        text: line.to_owned(),
        ..Default::default()
    };
    pb::Value {
        datum: Some(pb::value::Datum::Address(address)),
        ..text("address", "")
    }
}

fn record(key: pb::RecordKey, body: pb::source_record::Body) -> pb::SourceRecord {
    pb::SourceRecord {
        key: Some(key),
        body: Some(body),
        ..Default::default()
    }
}

pub fn party(key: pb::RecordKey, kind: pb::PartyKind, values: Vec<pb::Value>) -> pb::SourceRecord {
    let party = pb::Party {
        kind: kind.into(),
        values,
    };
    record(key, pb::source_record::Body::Party(party))
}

pub fn organization(source: &str, id: &str, values: Vec<pb::Value>) -> pb::SourceRecord {
    party(key(source, id), pb::PartyKind::Organization, values)
}

pub fn person(source: &str, id: &str, values: Vec<pb::Value>) -> pb::SourceRecord {
    party(key(source, id), pb::PartyKind::Person, values)
}

pub fn time(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

pub fn money(currency: &str, units: i64) -> Option<jinke_proto::google::r#type::Money> {
    Some(jinke_proto::google::r#type::Money {
        currency_code: currency.to_owned(),
        units,
        nanos: 0,
    })
}

pub fn order(
    source: &str,
    id: &str,
    of: pb::RecordKey,
    units: i64,
    remark: &str,
) -> pb::SourceRecord {
    let transaction = pb::Transaction {
        kind: pb::transaction::Kind::Order.into(),
        party: Some(of),
        number: format!("SO-{id}"),
        status: "已发货".to_owned(),
        time: time(1_780_000_000 + units),
        amount: money("CNY", units),
        lines: Vec::new(),
        text: remark.to_owned(),
        ..pb::Transaction::default()
    };
    record(
        key(source, id),
        pb::source_record::Body::Transaction(transaction),
    )
}

pub fn message(source: &str, id: &str, of: pb::RecordKey, said: &str) -> pb::SourceRecord {
    let interaction = pb::Interaction {
        kind: pb::interaction::Kind::Message.into(),
        party: Some(of),
        time: time(1_781_000_000),
        channel: "wecom".to_owned(),
        inbound: true,
        subject: String::new(),
        text: said.to_owned(),
        employee: "u1".to_owned(),
    };
    record(
        key(source, id),
        pb::source_record::Body::Interaction(interaction),
    )
}

pub fn contact_of(
    source: &str,
    id: &str,
    from: pb::RecordKey,
    to: pb::RecordKey,
    title: &str,
) -> pb::SourceRecord {
    let relationship = pb::Relationship {
        kind: "contact_of".to_owned(),
        from: Some(from),
        to: Some(to),
        values: vec![text("title", title)],
        ..Default::default()
    };
    record(
        key(source, id),
        pb::source_record::Body::Relationship(relationship),
    )
}
