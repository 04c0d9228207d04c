//! `bench serve [records] [seconds] [callers]`: customers read as a sales person reads them (values
//! unsealed, masked by his role, every call written to the log with its caller, and to the audit
//! trail before its answer leaves; once more with no class guarded, to see what that costs), and a mixed
//! workload, over gRPC and over REST, on both engines, beside a bare tonic server that sends a
//! customer back as it came. The load and the server share the machine's cores, in two processes.
//!
//! Each is measured twice: as fast as the callers can ask one after the other, and at half of that
//! rate, each call timed from the moment it was due.

#[path = "serve/calls.rs"]
mod calls;
#[path = "serve/echo.rs"]
pub mod echo;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use jinke_kit::client::{self, Credential};
use jinke_proto::jinke::{
    customer::v1::{
        IngestSourceRecordsRequest, ListCustomersRequest,
        customer_service_client::CustomerServiceClient, source_service_client::SourceServiceClient,
    },
    identity::v1::{
        CreateRoleBindingRequest, CreateServiceAccountKeyRequest, CreateServiceAccountRequest,
        ListAuditEventsRequest, RoleBinding, ServiceAccount,
        access_service_client::AccessServiceClient, audit_event::Kind,
        audit_service_client::AuditServiceClient, identity_service_client::IdentityServiceClient,
    },
};
use jinke_store::{Engine, testing::Place};
use jinke_tests::{
    companies::{SOURCES, record},
    suite::{self, Authed, Clients, Options, Suite},
};
use jinke_types::SystemClock;

use super::SEED;
use calls::{Book, Getter, Mixed, MixedRest, Rest, RestGetter};

/// Records of one call while filling.
const BATCH: u64 = 1_000;
/// The account that reads.
const SALES: &str = "bench-sales";
/// Callers that share one connection of gRPC.
const CALLERS_PER_CONNECTION: usize = 8;
/// The gateway's allowance is for one caller, and here one stands for many.
const SETTINGS: &[&str] = &[
    "gateway.rate.caller_per_second=0",
    "gateway.rate.address_per_second=0",
    "telemetry.level=info",
];
/// The same, and reads leave nothing in the audit trail.
const UNGUARDED: &[&str] = &[
    "gateway.rate.caller_per_second=0",
    "gateway.rate.address_per_second=0",
    "telemetry.level=info",
    "audit.field_classes=[]",
];

/// Somebody who makes one call after the other.
trait Caller: Send + 'static {
    /// Makes call number `n` of the whole run.
    fn call(&mut self, n: u64) -> impl Future<Output = Result<()>> + Send;
}

/// Runs all of it on both engines.
pub async fn run(mut numbers: impl Iterator<Item = u64>) -> Result<()> {
    let records = numbers.next().unwrap_or(20_000).max(100);
    let time = Duration::from_secs(numbers.next().unwrap_or(8).max(1));
    let callers = usize::try_from(numbers.next().unwrap_or(16))?.max(1);
    let cores = std::thread::available_parallelism()?;
    println!(
        "{records} records, {callers} callers, {} s each, {cores} cores for load and server; times \
         in ms as 50 % / 99 % / 99.9 %, at full speed and at half of it",
        time.as_secs()
    );
    for engine in [Engine::Sqlite, Engine::Postgres] {
        unguarded(engine, records, time, callers).await?;
        one(engine, records, time, callers).await?;
    }
    Ok(())
}

/// What `GetCustomer` is without the audit trail.
async fn unguarded(engine: Engine, records: u64, time: Duration, callers: usize) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let place = Place::new(engine).await;
    let postgres = (engine == Engine::Postgres).then(|| place.config().url);
    let options = Options {
        settings: UNGUARDED,
        ..Options::default()
    };
    let suite = Suite::start_as(&dir.path().join("data"), postgres.as_deref(), &options).await?;
    let admin = suite.login().await?;
    let book = fill(&admin, records).await?;
    let token = sales(&suite, &admin).await?;
    let each = (0..callers.div_ceil(CALLERS_PER_CONNECTION))
        .map(|_| connect(&suite.endpoint, Credential::Token(token.clone())))
        .collect::<Result<Vec<_>>>()?;
    let each = (0..callers).map(|n| Getter {
        api: CustomerServiceClient::new(each[n % each.len()].clone()),
        book: Arc::clone(&book),
    });
    let found = measure(each.collect(), time).await?;
    report(engine, "GetCustomer, no audit", &found, found.rate);
    let noted = disclosures(&admin).await?;
    ensure!(noted == 0, "{noted} reads stand in the audit trail");
    suite.kill().await?;
    place.remove().await;
    Ok(())
}

async fn one(engine: Engine, records: u64, time: Duration, callers: usize) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let place = Place::new(engine).await;
    let postgres = (engine == Engine::Postgres).then(|| place.config().url);
    let options = Options {
        settings: SETTINGS,
        ..Options::default()
    };
    let suite = Suite::start_as(&dir.path().join("data"), postgres.as_deref(), &options).await?;
    let admin = suite.login().await?;
    let book = fill(&admin, records).await?;
    let token = sales(&suite, &admin).await?;
    let connections = callers.div_ceil(CALLERS_PER_CONNECTION);
    let peers = (0..connections)
        .map(|_| connect(&suite.endpoint, Credential::Token(token.clone())))
        .collect::<Result<Vec<_>>>()?;
    let api = |caller: usize| CustomerServiceClient::new(peers[caller % connections].clone());

    let example = calls::example(&mut api(0), &book).await?;
    let echo = {
        let server = echo::Server::start().await?;
        let peers = (0..connections)
            .map(|_| connect(&server.endpoint, Credential::None))
            .collect::<Result<Vec<_>>>()?;
        let peer = |caller: usize| peers[caller % connections].clone();
        let each = (0..callers).map(|n| echo::EchoCaller::new(peer(n), example.clone()));
        measure(each.collect(), time).await?
    };
    let base = echo.rate;
    report(engine, "bare tonic echo", &echo, base);

    let each = (0..callers).map(|n| Getter {
        api: api(n),
        book: Arc::clone(&book),
    });
    let found = measure(each.collect(), time).await?;
    report(engine, "GetCustomer, gRPC", &found, base);
    ensure!(
        disclosures(&admin).await? > 0,
        "no read stands in the audit trail"
    );

    let mut each = Vec::new();
    for _ in 0..callers {
        each.push(RestGetter {
            line: Rest::open(suite.http, &token).await?,
            book: Arc::clone(&book),
        });
    }
    let found = measure(each, time).await?;
    report(engine, "GetCustomer, REST", &found, base);

    let next = Arc::new(AtomicU64::new(records));
    let each = (0..callers).map(|n| Mixed {
        api: api(n),
        writer: SourceServiceClient::new(admin.clone()),
        book: Arc::clone(&book),
        next: Arc::clone(&next),
    });
    let found = measure(each.collect(), time).await?;
    report(engine, "mixed, gRPC", &found, base);

    let admin_token = suite.token().await?;
    let mut each = Vec::new();
    for _ in 0..callers {
        each.push(MixedRest {
            line: Rest::open(suite.http, &token).await?,
            writer: Rest::open(suite.http, &admin_token).await?,
            book: Arc::clone(&book),
            next: Arc::clone(&next),
        });
    }
    let found = measure(each, time).await?;
    report(engine, "mixed, REST", &found, base);
    suite.kill().await?;
    place.remove().await;
    Ok(())
}

fn connect(endpoint: &str, credential: Credential) -> Result<Authed> {
    let clock = Arc::new(SystemClock);
    Ok(client::connect(endpoint, credential, None, clock)?)
}

/// Stores the records and lists the customers they became.
async fn fill(admin: &Authed, records: u64) -> Result<Arc<Book>> {
    let mut api = Clients::new(admin);
    for source in SOURCES {
        api.ensure_source(source).await?;
    }
    let mut from = 0;
    while from < records {
        let until = (from + BATCH).min(records);
        let request = IngestSourceRecordsRequest {
            records: (from..until).map(|n| record(SEED, n)).collect(),
            ..IngestSourceRecordsRequest::default()
        };
        api.sources.ingest_source_records(request).await?;
        from = until;
    }
    let mut book = Book::default();
    let mut page_token = String::new();
    loop {
        let request = ListCustomersRequest {
            page_size: 1_000,
            page_token,
            ..ListCustomersRequest::default()
        };
        let page = api.customers.list_customers(request).await?.into_inner();
        for customer in page.customers {
            book.add(customer.name, &customer.display_name);
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    ensure!(book.len() > 10, "there are no customers");
    Ok(Arc::new(book))
}

/// The token of somebody with the role of a sales person, who does not see everything.
async fn sales(suite: &Suite, admin: &Authed) -> Result<String> {
    let mut identity = IdentityServiceClient::new(admin.clone());
    let request = CreateServiceAccountRequest {
        service_account_id: SALES.to_owned(),
        service_account: Some(ServiceAccount::default()),
        ..CreateServiceAccountRequest::default()
    };
    let account = identity.create_service_account(request).await?.into_inner();
    let request = CreateRoleBindingRequest {
        role_binding: Some(RoleBinding {
            member: account.name.clone(),
            role: "roles/sales".to_owned(),
            ..RoleBinding::default()
        }),
        ..CreateRoleBindingRequest::default()
    };
    AccessServiceClient::new(admin.clone())
        .create_role_binding(request)
        .await?;
    let request = CreateServiceAccountKeyRequest {
        parent: account.name,
        key: None,
    };
    let key = identity.create_service_account_key(request).await?;
    let secret = key.into_inner().secret;
    let token = suite::token(connect(&suite.endpoint, Credential::None)?, &secret).await?;
    // Services hear of a new binding by their feed, a moment later.
    let peer = connect(&suite.endpoint, Credential::Token(token.clone()))?;
    let mut api = CustomerServiceClient::new(peer);
    for _ in 0..200 {
        if api
            .list_customers(ListCustomersRequest::default())
            .await
            .is_ok()
        {
            return Ok(token);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    api.list_customers(ListCustomersRequest::default())
        .await
        .context("a sales person cannot list customers")?;
    Ok(token)
}

/// How many reads of one customer by the sales person stand in the audit trail, as far as a page
/// tells. Identity hears of them a moment later.
async fn disclosures(admin: &Authed) -> Result<usize> {
    let mut trail = AuditServiceClient::new(admin.clone());
    let mut found = 0;
    for _ in 0..50 {
        let request = ListAuditEventsRequest {
            caller: format!("serviceAccounts/{SALES}"),
            method: "GetCustomer".to_owned(),
            kind: Kind::Disclosure.into(),
            ..ListAuditEventsRequest::default()
        };
        found = trail
            .list_audit_events(request)
            .await?
            .into_inner()
            .events
            .len();
        if found > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(found)
}

/// What a run showed. Times are sorted.
struct Figures {
    /// Calls per second, as fast as possible.
    rate: f64,
    full: Vec<Duration>,
    half: Vec<Duration>,
}

/// Measures at full speed, then at half of it. A call that fails ends the run.
async fn measure<C: Caller>(callers: Vec<C>, time: Duration) -> Result<Figures> {
    // Connections, caches and pools are as they are in use.
    let (callers, _) = drive(callers, time / 8, None).await?;
    let (callers, full) = drive(callers, time, None).await?;
    let rate = full.len() as f64 / time.as_secs_f64();
    let (_, half) = drive(callers, time, Some(rate / 2.0)).await?;
    Ok(Figures { rate, full, half })
}

/// Lets everybody call for some time, at a rate when one is given.
async fn drive<C: Caller>(
    callers: Vec<C>,
    time: Duration,
    rate: Option<f64>,
) -> Result<(Vec<C>, Vec<Duration>)> {
    let start = Instant::now();
    let next = Arc::new(AtomicU64::new(0));
    let mut running = Vec::new();
    for mut caller in callers {
        let next = Arc::clone(&next);
        running.push(tokio::spawn(async move {
            let mut took = Vec::new();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                let mut due = Instant::now();
                if let Some(rate) = rate {
                    due = start + Duration::from_secs_f64(n as f64 / rate);
                    if due.duration_since(start) >= time {
                        return anyhow::Ok((caller, took));
                    }
                    tokio::time::sleep_until(due.into()).await;
                } else if start.elapsed() >= time {
                    return Ok((caller, took));
                }
                caller.call(n).await?;
                took.push(due.elapsed());
            }
        }));
    }
    let (mut callers, mut all) = (Vec::new(), Vec::new());
    for task in running {
        let (caller, took) = task.await??;
        callers.push(caller);
        all.extend(took);
    }
    all.sort_unstable();
    Ok((callers, all))
}

fn report(engine: Engine, what: &str, found: &Figures, base: f64) {
    let ms = |sorted: &[Duration], per_mille: usize| {
        let at = (sorted.len() * per_mille / 1_000).min(sorted.len().saturating_sub(1));
        sorted.get(at).map_or(0.0, |d| d.as_secs_f64() * 1_000.0)
    };
    let times = |sorted: &[Duration]| {
        format!(
            "{:>7.2} / {:>7.2} / {:>7.2}",
            ms(sorted, 500),
            ms(sorted, 990),
            ms(sorted, 999)
        )
    };
    println!(
        "{engine:?}: {what:<21} {:>8.0} calls/s   {}   half: {}   echo : this = {:.1} : 1",
        found.rate,
        times(&found.full),
        times(&found.half),
        base / found.rate
    );
}
