//! Every process is replaced, one at a time, while calls go on to every service: none fails.
//!
//! The house has two processes of each kind, with the production configuration and certificates on
//! both sides of every call. Callers write and read at each service, straight and through the
//! gateway. The next process is only replaced when every kind of call was answered again.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hyper::Method;
use jinke_kit::client::Credential;
use jinke_proto::jinke::{
    connector::v1::{
        Connection, CreateConnectionRequest, ListDeliveriesRequest, SendMessageRequest,
        connector_service_client::ConnectorServiceClient, delivery,
    },
    customer::v1::GetCustomerRequest,
    identity::v1::{ListUsersRequest, identity_service_client::IdentityServiceClient},
    pipeline::v1::{
        CreateLeadRequest, FirstTouch, Lead, ListLeadsRequest,
        lead_service_client::LeadServiceClient,
    },
    reporting::v1::{QueryMetricsRequest, analytics_service_client::AnalyticsServiceClient},
};
use jinke_store::{Engine, testing::Place};
use jinke_tests::{
    apart::{House, KINDS, Plan, Tls, http::Https},
    suite::{Authed, Clients},
};
use tokio::task::JoinHandle;

use crate::load::{nothing_happened, send_within, sources};

/// What is asked all the time: writes and reads of every service, and HTTP.
const ASKED: [&str; 7] = [
    "ingest", "get", "users", "lead", "measures", "message", "http",
];
/// How often each is answered between two replacements, at least.
const BETWEEN: u32 = 3;
/// Generous: on a machine that is not busy everything comes within a second or two.
const PATIENCE: Duration = Duration::from_secs(180);
/// The connection that messages go out by: it writes them into the log.
const OUT: &str = "connections/out";
/// What is asked over HTTP, one of each service behind the gateway.
const PATHS: [&str; 5] = [
    "/v1/customers/1",
    "/v1/pipelines",
    "/v1/measures",
    "/v1/connections",
    "/v1/caller",
];

/// How often each kind of call was answered, and what went wrong.
#[derive(Default)]
struct Tally {
    answered: BTreeMap<&'static str, u32>,
    failed: Vec<String>,
}

#[derive(Clone, Default)]
struct Callers {
    tally: Arc<Mutex<Tally>>,
    stop: Arc<AtomicBool>,
}

impl Callers {
    fn note(&self, kind: &'static str, outcome: Result<(), String>) {
        let mut tally = self.tally.lock().expect("no panic");
        match outcome {
            Ok(()) => *tally.answered.entry(kind).or_default() += 1,
            Err(why) => tally.failed.push(format!("{kind}: {why}")),
        }
    }

    fn answered(&self) -> BTreeMap<&'static str, u32> {
        let tally = self.tally.lock().expect("no panic");
        tally.answered.clone()
    }

    fn nothing_failed(&self, while_what: &str) {
        let tally = self.tally.lock().expect("no panic");
        assert!(tally.failed.is_empty(), "{while_what}: {:#?}", tally.failed);
    }

    /// Makes one kind of call again and again, with a count; how many were answered.
    fn repeat<F>(
        &self,
        kind: &'static str,
        pause: Duration,
        mut call: impl FnMut(u64) -> F + Send + 'static,
    ) -> JoinHandle<u64>
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let me = self.clone();
        tokio::spawn(async move {
            let mut good = 0;
            while !me.stop.load(Ordering::SeqCst) {
                let outcome = call(good).await;
                good += u64::from(outcome.is_ok());
                me.note(kind, outcome);
                tokio::time::sleep(pause).await;
            }
            good
        })
    }

    /// Waits until everything was answered some times more.
    async fn all_go_on(&self, after: &str) {
        let before = self.answered();
        let of = |counts: &BTreeMap<&str, u32>, kind| counts.get(kind).copied().unwrap_or(0);
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                self.nothing_failed(after);
                let now = self.answered();
                if ASKED
                    .iter()
                    .all(|kind| of(&now, *kind) >= of(&before, *kind) + BETWEEN)
                {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let came = waited.await.is_ok();
        assert!(came, "{after}: {before:?}, then {:?}", self.answered());
    }
}

fn told<T>(answer: Result<tonic::Response<T>, tonic::Status>) -> Result<(), String> {
    answer.map(drop).map_err(|s| s.to_string())
}

/// The services as the callers reach them.
struct Doors<'a> {
    house: &'a House,
    token: String,
}

impl Doors<'_> {
    fn to(&self, service: &str) -> Authed {
        let credential = Credential::Token(self.token.clone());
        self.house.connect(service, credential).expect("a channel")
    }
}

/// Reads of customer, identity and reporting.
fn reads(callers: &Callers, doors: &Doors<'_>) -> Vec<JoinHandle<u64>> {
    let customers = Clients::new(&doors.to("customer")).customers;
    let identity = IdentityServiceClient::new(doors.to("identity"));
    let analytics = AnalyticsServiceClient::new(doors.to("reporting"));
    vec![
        callers.repeat("get", Duration::from_millis(10), move |_| {
            let mut customers = customers.clone();
            async move {
                let request = GetCustomerRequest {
                    name: "customers/1".to_owned(),
                    ..GetCustomerRequest::default()
                };
                told(customers.get_customer(request).await)
            }
        }),
        callers.repeat("users", Duration::from_millis(20), move |_| {
            let mut identity = identity.clone();
            async move { told(identity.list_users(ListUsersRequest::default()).await) }
        }),
        callers.repeat("measures", Duration::from_millis(100), move |_| {
            let mut analytics = analytics.clone();
            async move { told(analytics.query_metrics(orders()).await) }
        }),
    ]
}

fn orders() -> QueryMetricsRequest {
    QueryMetricsRequest {
        measures: vec!["order_count".to_owned()],
        ..QueryMetricsRequest::default()
    }
}

/// Leads, each of which is compared with the customers; and a list of them now and then.
fn leads(callers: &Callers, doors: &Doors<'_>) -> JoinHandle<u64> {
    let leads = LeadServiceClient::new(doors.to("pipeline"));
    callers.repeat("lead", Duration::from_millis(100), move |n| {
        let mut leads = leads.clone();
        async move {
            let request = CreateLeadRequest {
                lead: Some(Lead {
                    company: format!("南昌清泉{n}餐饮管理有限公司"),
                    person_name: "欧阳修远".to_owned(),
                    first_touch: Some(FirstTouch {
                        channel: "expo".to_owned(),
                        ..FirstTouch::default()
                    }),
                    ..Lead::default()
                }),
                request_id: format!("lead-{n}"),
                ..CreateLeadRequest::default()
            };
            told(leads.create_lead(request).await)
        }
    })
}

fn messages(callers: &Callers, doors: &Doors<'_>) -> JoinHandle<u64> {
    let connector = ConnectorServiceClient::new(doors.to("connector"));
    callers.repeat("message", Duration::from_millis(250), move |n| {
        let mut connector = connector.clone();
        async move {
            let request = SendMessageRequest {
                name: OUT.to_owned(),
                recipient: "users/admin".to_owned(),
                text: format!("第{n}条"),
                request_id: format!("message-{n}"),
                ..SendMessageRequest::default()
            };
            told(connector.send_message(request).await)
        }
    })
}

/// Over HTTPS, as behind a load balancer that goes to the next gateway when one lets nobody in.
fn over_http(callers: &Callers, doors: &Doors<'_>) -> JoinHandle<u64> {
    let house = doors.house;
    let https = Https::new(&house.certificates.authority, &doors.token).expect("a client");
    let ports = [house.http("gateway-0"), house.http("gateway-1")];
    callers.repeat("http", Duration::from_millis(20), move |n| {
        let https = https.clone();
        async move {
            let at = |n: u64, many: usize| usize::try_from(n % many as u64).unwrap_or(0);
            let order = [ports[at(n, 2)], ports[at(n + 1, 2)]];
            let path = PATHS[at(n, PATHS.len())];
            match https.call_one_of(&order, Method::GET, path, None).await {
                Ok((code, _)) if code == 200 => Ok(()),
                Ok((code, said)) => Err(format!("{path}: {code} {said}")),
                Err(error) => Err(format!("{path}: {error:#}")),
            }
        }
    })
}

/// A connection for messages, and a first answer of reporting, whose tables are built by its
/// first look at the feeds.
async fn prepare(doors: &Doors<'_>) {
    let mut connector = ConnectorServiceClient::new(doors.to("connector"));
    let request = CreateConnectionRequest {
        connection_id: OUT.trim_start_matches("connections/").to_owned(),
        connection: Some(Connection {
            connector: "connectors/log".to_owned(),
            ..Connection::default()
        }),
        ..CreateConnectionRequest::default()
    };
    let made = connector.create_connection(request).await;
    made.expect("a connection");
    let mut analytics = AnalyticsServiceClient::new(doors.to("reporting"));
    let ready = tokio::time::timeout(PATIENCE, async {
        while analytics.query_metrics(orders()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    ready.await.expect("reporting answers");
}

/// Every lead that was acknowledged is there, and no other.
async fn leads_are(doors: &Doors<'_>, count: u64) {
    let mut client = LeadServiceClient::new(doors.to("pipeline"));
    let (mut found, mut page_token) = (0, String::new());
    loop {
        let request = ListLeadsRequest {
            page_size: 1_000,
            page_token,
            ..ListLeadsRequest::default()
        };
        let page = client.list_leads(request).await.expect("leads");
        let page = page.into_inner();
        found += page.leads.len() as u64;
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(found, count, "leads");
}

/// Every message that was taken went out, once.
async fn messages_went_out(doors: &Doors<'_>, count: u64) {
    let mut client = ConnectorServiceClient::new(doors.to("connector"));
    let gone = tokio::time::timeout(PATIENCE, async {
        loop {
            let (mut delivered, mut all, mut page_token) = (0, 0, String::new());
            loop {
                let request = ListDeliveriesRequest {
                    parent: OUT.to_owned(),
                    page_size: 1_000,
                    page_token,
                };
                let page = client.list_deliveries(request).await.expect("deliveries");
                let page = page.into_inner();
                all += page.deliveries.len() as u64;
                let out = page.deliveries.iter();
                let out = out.filter(|d| d.state() == delivery::State::Delivered);
                delivered += out.count() as u64;
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
            assert_eq!(all, count, "messages");
            if delivered == all {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    gone.await.expect("every message goes out");
}

/// Replaces one process as an orchestrator does: SIGTERM, its own end, a new one, ready.
async fn replace(house: &mut House, name: &str) {
    let process = house.at(name);
    let leaving = tokio::time::Instant::now();
    process.signal("TERM").await.expect("a signal");
    process
        .until_not_ready(PATIENCE)
        .await
        .expect("readiness says no first");
    let status = process.ends().await.expect("an end");
    assert!(
        status.success(),
        "{name} ended with {status}:\n{}",
        process.log_tail()
    );
    assert!(leaving.elapsed() >= Duration::from_secs(1), "{name} left");
    process.spawn().expect("the new one");
    let ready = process.until_ready(PATIENCE).await;
    ready.expect("the new one is ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_of_each_process_fails_no_call() {
    let dir = tempfile::tempdir().expect("a folder");
    let place = Place::new(Engine::Postgres).await;
    let mut plan = Plan::new(dir.path(), &place.config().url);
    plan.replicas = 2;
    plan.tls = Tls::Mutual;
    plan.production = true;
    for kind in KINDS {
        plan.settings
            .push((kind.name, "server.leave_seconds=1".to_owned()));
    }
    for rate in ["caller_per_second=0", "address_per_second=0"] {
        plan.settings
            .push(("gateway", format!("gateway.rate.{rate}")));
    }
    // One login lasts, also on a slow machine.
    let lasting = "identity.tokens.access_seconds=7200";
    plan.settings.push(("identity", lasting.to_owned()));
    let mut house = House::start(plan).await.expect("the house starts");
    let mut api = house.clients().await.expect("login");
    sources(&mut api).await;
    let first = send_within(&mut api, 0, 5, PATIENCE).await;
    first.expect("ingest");

    let token = house.token().await.expect("a token");
    let callers = Callers::default();
    let (mut tasks, writer, leads_made, messages_sent);
    {
        let house = &house;
        let token = token.clone();
        let doors = Doors { house, token };
        prepare(&doors).await;
        tasks = reads(&callers, &doors);
        tasks.push(over_http(&callers, &doors));
        leads_made = leads(&callers, &doors);
        messages_sent = messages(&callers, &doors);
        // Writes, which may not be sent twice by themselves.
        let customer = doors.to("customer");
        writer = callers.repeat("ingest", Duration::from_millis(50), move |n| {
            let mut api = Clients::new(&customer);
            async move {
                let sent = send_within(&mut api, 5 + n * 5, 5, PATIENCE).await;
                sent.map_err(|s| s.to_string())
            }
        });
    }
    callers.all_go_on("before the first is replaced").await;

    let names: Vec<String> = house.processes.keys().cloned().collect();
    assert_eq!(names.len(), 2 * KINDS.len());
    for name in &names {
        replace(&mut house, name).await;
        callers.all_go_on(name).await;
    }
    callers.stop.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await.expect("a caller");
    }
    let count = 5 + 5 * writer.await.expect("the writer");
    let leads_made = leads_made.await.expect("the leads");
    let messages_sent = messages_sent.await.expect("the messages");
    callers.nothing_failed("in the end");
    {
        let house = &house;
        let doors = Doors { house, token };
        leads_are(&doors, leads_made).await;
        messages_went_out(&doors, messages_sent).await;
    }
    let mut api = house.clients().await.expect("login");
    nothing_happened(&mut api, dir.path(), count).await;
    house.stop().await.expect("clean ends");
    place.remove().await;
}
