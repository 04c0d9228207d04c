//! Every process is replaced, one at a time, while calls go on: none fails.

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
    customer::v1::GetCustomerRequest,
    identity::v1::{ListUsersRequest, identity_service_client::IdentityServiceClient},
};
use jinke_store::{Engine, testing::Place};
use jinke_tests::{
    apart::{House, KINDS, Plan, http::Https},
    suite::Clients,
};

use crate::load::{nothing_happened, send, sources};

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
    fn over(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_of_each_process_fails_no_call() {
    let dir = tempfile::tempdir().expect("a folder");
    let place = Place::new(Engine::Postgres).await;
    let mut plan = Plan::new(dir.path(), &place.config().url);
    plan.replicas = 2;
    for kind in KINDS {
        plan.settings
            .push((kind.name, "server.leave_seconds=1".to_owned()));
    }
    for rate in ["caller_per_second=0", "address_per_second=0"] {
        plan.settings
            .push(("gateway", format!("gateway.rate.{rate}")));
    }
    let mut house = House::start(plan).await.expect("the house starts");
    let mut api = house.clients().await.expect("login");
    sources(&mut api).await;
    send(&mut api, 0, 5).await.expect("ingest");

    let callers = Callers::default();
    let mut tasks = Vec::new();
    let token = house.token().await.expect("a token");
    let connect = |service: &str| {
        let credential = Credential::Token(token.clone());
        house.connect(service, credential).expect("a channel")
    };
    // Writes, which may not be sent twice by themselves.
    let (mut api, me) = (Clients::new(&connect("customer")), callers.clone());
    let writer = tokio::spawn(async move {
        let mut next = 5;
        while !me.over() {
            let sent = send(&mut api, next, 5).await;
            if sent.is_ok() {
                next += 5;
            }
            me.note("ingest", sent.map_err(|s| s.to_string()));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        next
    });
    let (mut api, me) = (Clients::new(&connect("customer")), callers.clone());
    tasks.push(tokio::spawn(async move {
        while !me.over() {
            let request = GetCustomerRequest {
                name: "customers/1".to_owned(),
                ..GetCustomerRequest::default()
            };
            let got = api.customers.get_customer(request).await;
            me.note("get", got.map(drop).map_err(|s| s.to_string()));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }));
    let (mut identity, me) = (
        IdentityServiceClient::new(connect("identity")),
        callers.clone(),
    );
    tasks.push(tokio::spawn(async move {
        while !me.over() {
            let listed = identity.list_users(ListUsersRequest::default()).await;
            me.note("users", listed.map(drop).map_err(|s| s.to_string()));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }));
    // A load balancer that goes to the next when it is not let in.
    let https = Https::new(&house.certificates.authority, &token).expect("a client");
    let (ports, me) = (
        [house.http("gateway-0"), house.http("gateway-1")],
        callers.clone(),
    );
    tasks.push(tokio::spawn(async move {
        let mut turn = 0;
        while !me.over() {
            turn += 1;
            let order = [ports[turn % 2], ports[(turn + 1) % 2]];
            let got = https
                .call_one_of(&order, Method::GET, "/v1/customers/1", None)
                .await;
            me.note(
                "http",
                match got {
                    Ok((code, _)) if code == 200 => Ok(()),
                    Ok((code, said)) => Err(format!("{code} {said}")),
                    Err(error) => Err(format!("{error:#}")),
                },
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }));

    let names: Vec<String> = house.processes.keys().cloned().collect();
    for name in &names {
        let process = house.at(name);
        let leaving = tokio::time::Instant::now();
        process.signal("TERM").await.expect("a signal");
        process
            .until_not_ready(Duration::from_secs(60))
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
        process
            .until_ready(Duration::from_secs(120))
            .await
            .expect("the new one is ready");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    callers.stop.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await.expect("a caller");
    }
    let count = writer.await.expect("the writer");
    {
        let tally = callers.tally.lock().expect("no panic");
        assert!(tally.failed.is_empty(), "{:#?}", tally.failed);
        for kind in ["ingest", "get", "users", "http"] {
            assert!(tally.answered[kind] > 30, "{:?}", tally.answered);
        }
    }
    let mut api = house.clients().await.expect("login");
    nothing_happened(&mut api, dir.path(), count).await;
    house.stop().await.expect("clean ends");
    place.remove().await;
}
