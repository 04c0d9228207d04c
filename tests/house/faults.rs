//! What happens to one process or one link must not matter in the end. In the middle of ingest,
//! each process is killed, stopped, cut from its database and from its peers: readiness tells the
//! truth, all recovers without hands, nothing acknowledged is lost, nothing doubles.
//!
//! `make soak` stops for the full half minute.

use std::time::Duration;

use hyper::Method;
use jinke_kit::client::Credential;
use jinke_store::{Engine, testing::Place};
use jinke_tests::{
    apart::{GATEWAY, House, Mode, Plan, http, http::Https},
    suite::Clients,
};

use crate::load::{Load, nothing_happened, sources};

/// Within this everything must be well again.
const HEALS: Duration = Duration::from_secs(120);
/// How long without identity a service goes on deciding about access by what it knows.
const STALE: u64 = 15;

struct Scene {
    house: House,
    load: Load,
    place: Place,
    dir: tempfile::TempDir,
}

impl Scene {
    /// A house with proxies everywhere, and ingest over it: straight, and through the gateway.
    async fn set() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let place = Place::new(Engine::Postgres).await;
        let mut plan = Plan::new(dir.path(), &place.config().url);
        plan.proxies = true;
        let setting = |text: &str| ("customer", text.to_owned());
        plan.settings = vec![
            setting("customer.database.idle_seconds=2"),
            setting("customer.database.acquire_seconds=5"),
            setting(&format!("access.max_staleness_seconds={STALE}")),
            // Half a minute for each fault is longer than the usual token holds.
            ("identity", "identity.tokens.access_seconds=7200".to_owned()),
            (GATEWAY, "gateway.rate.caller_per_second=0".to_owned()),
            (GATEWAY, "gateway.rate.address_per_second=0".to_owned()),
        ];
        let house = House::start(plan).await.expect("the house starts");
        let mut straight = house.clients().await.expect("login");
        sources(&mut straight).await;
        let through = format!("https://127.0.0.1:{}", house.http("gateway-0"));
        let token = Credential::Token(house.token().await.expect("a token"));
        let through = Clients::new(&house.connect_to(&through, token).expect("a channel"));
        let load = Load::start(vec![straight, through]);
        load.goes_on(4, HEALS, "the start").await;
        Self {
            house,
            load,
            place,
            dir,
        }
    }

    /// Ingest goes on over both ways, and every process is ready.
    async fn well_again(&mut self, after: &str) {
        for process in self.house.processes.values_mut() {
            process.until_ready(HEALS).await.expect(after);
        }
        self.load.goes_on(4, HEALS, after).await;
    }

    async fn end(mut self) {
        self.well_again("the last").await;
        let count = self.load.end().await;
        let mut api = self.house.clients().await.expect("login");
        nothing_happened(&mut api, self.dir.path(), count).await;
        self.house.stop().await.expect("clean ends");
        self.place.remove().await;
    }
}

/// Kills and stops each process.
async fn processes_fail(stopped: Duration) {
    let mut scene = Scene::set().await;
    let names: Vec<String> = scene.house.processes.keys().cloned().collect();
    for name in &names {
        let process = scene.house.at(name);
        process.kill().await.expect("kill");
        assert!(process.is_silent().await, "{name} is dead");
        tokio::time::sleep(Duration::from_millis(300)).await;
        process.spawn().expect("a new process");
        scene.well_again(&format!("the death of {name}")).await;

        let process = scene.house.at(name);
        process.signal("STOP").await.expect("stop");
        assert!(process.is_silent().await, "{name} is stopped and speaks");
        if name.starts_with(GATEWAY) || name.starts_with("identity") {
            // What does not need it goes on at once.
            let after = format!("{name} was stopped");
            scene.load.goes_on(2, HEALS, &after).await;
        }
        tokio::time::sleep(stopped).await;
        scene.house.at(name).signal("CONT").await.expect("continue");
        scene.well_again(&format!("the sleep of {name}")).await;
    }
    scene.end().await;
}

/// Cuts and stalls what lies between processes, and between them and their databases.
async fn links_fail(cut: Duration) {
    let mut scene = Scene::set().await;
    let names: Vec<String> = scene.house.processes.keys().cloned().collect();
    for name in names.iter().filter(|n| !n.starts_with(GATEWAY)) {
        for mode in [Mode::Cut, Mode::Stalled] {
            scene.house.link(&format!("{name}>database")).set(mode);
            let process = scene.house.at(name);
            process.until_not_ready(HEALS).await.expect("the truth");
            let (code, why) = process.readyz().await.expect("an answer");
            assert!(code == 503 && why.contains("database"), "{code} {why}");
            for other in names.iter().filter(|other| *other != name) {
                let process = scene.house.at(other);
                process
                    .until_ready(HEALS)
                    .await
                    .expect("it has no part in it");
            }
            tokio::time::sleep(cut).await;
            scene
                .house
                .link(&format!("{name}>database"))
                .set(Mode::Open);
            let what = format!("{name} had no database ({mode:?})");
            scene.well_again(&what).await;
        }
    }

    // Without identity the customer service decides by what it knows, until that is too old.
    let link = "customer-0>identity-0";
    scene.house.link(link).set(Mode::Stalled);
    scene.load.goes_on(4, HEALS, "identity fell silent").await;
    let customer = scene.house.at("customer-0");
    customer.until_not_ready(HEALS).await.expect("the truth");
    let (_, why) = customer.readyz().await.expect("an answer");
    assert!(why.contains("access"), "{why}");
    tokio::time::sleep(cut).await;
    scene.house.link(link).set(Mode::Open);
    scene.well_again("identity was silent").await;

    // A gateway without the customer service says so, and serves the others.
    let token = scene.house.token().await.expect("a token");
    let https = Https::new(&scene.house.certificates.authority, &token).expect("a client");
    let (port, metrics) = (
        scene.house.http("gateway-0"),
        scene.house.at("gateway-0").admin,
    );
    let call = async |path: &str| https.call(port, Method::GET, path, None).await;
    let link = "gateway-0>customer-0";
    for mode in [Mode::Cut, Mode::Stalled] {
        scene.house.link(link).set(mode);
        let gauge = "jinke_gateway_peer_serves{peer=\"customer\"} 0";
        let noticed = tokio::time::timeout(HEALS, async {
            while !http::get_plain(metrics, "/metrics")
                .await
                .is_ok_and(|(_, text)| text.contains(gauge))
            {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        noticed.await.expect("the metric tells");
        let (code, _) = call("/v1/caller").await.expect("an answer");
        assert_eq!(code, 200, "identity is there");
        assert!(scene.house.at("gateway-0").is_ready().await);
        if mode == Mode::Cut {
            let (code, said) = call("/v1/customers/1").await.expect("an answer");
            assert_eq!(code, 503, "{said}");
        }
        tokio::time::sleep(cut).await;
        scene.house.link(link).set(Mode::Open);
        scene
            .well_again("the gateway had no customer service")
            .await;
        let (code, said) = call("/v1/customers/1").await.expect("an answer");
        assert_eq!(code, 200, "{said}");
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_or_sleeps_costs_nothing() {
    processes_fail(Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_breaks_costs_nothing() {
    links_fail(Duration::from_millis(500)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn soak_faults_of_half_a_minute() {
    if std::env::var_os("JINKE_SOAK").is_none() {
        return;
    }
    processes_fail(Duration::from_secs(30)).await;
    links_fail(Duration::from_secs(30)).await;
}
