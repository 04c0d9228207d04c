//! What happens to one process or one link while a connector runs must not matter in the end. In the
//! middle of one run over several thousand records, each process on its way is killed, stopped, cut
//! from its database and from its peers, and so is the foreign system: the run and every readiness
//! tell the truth, all goes on without hands, and at the end stands what a run that nothing happened
//! to leaves.
//!
//! `make soak` stops for the full half minute, in an order drawn from `SEED`.

use std::{collections::BTreeMap, io::Write as _, path::Path, time::Duration};

use jinke_kit::client::Credential;
use jinke_proto::jinke::connector::v1::run::State;
use jinke_runner::simulate::Simulation;
use jinke_store::{Engine, testing::Place};
use jinke_tests::{
    apart::{House, Mode, Plan, Proxy, proxy},
    suite::Clients,
};
use jinke_types::{Entropy as _, SeededEntropy};

use crate::runs::{Connector, Left, calmly, delivered, left, taken};

/// Customers of the foreign system; each brings himself, a contact, an order, an invoice, what is
/// open of it, and every third a payment.
const ROWS: usize = 1_000;
/// Within this everything must be well again.
const HEALS: Duration = Duration::from_secs(120);
/// Each piece of an answer of the foreign system takes so long, so that a run has a middle.
const PACE: Duration = Duration::from_millis(110);
/// A fault comes when so many more records were taken since the last one was over.
const BETWEEN: i64 = 25;

/// What happens to one process or link.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// SIGKILL, and a new process soon after.
    Kill(&'static str),
    /// SIGSTOP for a while.
    Stop(&'static str),
    /// A process without its database.
    Database(&'static str, Mode),
    /// Two processes apart.
    Peer(&'static str, Mode),
    /// The connector service without the foreign system.
    Foreign(Mode),
}

const FAULTS: [Fault; 14] = [
    Fault::Kill("connector-0"),
    Fault::Stop("connector-0"),
    Fault::Database("connector-0", Mode::Cut),
    Fault::Database("connector-0", Mode::Stalled),
    Fault::Kill("customer-0"),
    Fault::Stop("customer-0"),
    Fault::Database("customer-0", Mode::Cut),
    Fault::Peer("connector-0>customer-0", Mode::Cut),
    Fault::Peer("connector-0>customer-0", Mode::Stalled),
    Fault::Kill("identity-0"),
    Fault::Stop("identity-0"),
    Fault::Peer("connector-0>identity-0", Mode::Cut),
    Fault::Peer("customer-0>identity-0", Mode::Stalled),
    Fault::Foreign(Mode::Cut),
];

struct Scene {
    house: House,
    place: Place,
    foreign: Proxy,
    connector: Connector,
    api: Clients,
    run: String,
}

impl Scene {
    /// A house with proxies everywhere, and a run that has begun.
    async fn set(dir: &Path, simulation: &Simulation) -> Self {
        let place = Place::new(Engine::Postgres).await;
        let mut plan = Plan::new(dir, &place.config().url);
        plan.proxies = true;
        let set = |of: &'static str, text: &str| (of, text.to_owned());
        plan.settings = vec![
            set("identity", "identity.tokens.access_seconds=7200"),
            set("customer", "customer.database.idle_seconds=2"),
            set("customer", "customer.database.acquire_seconds=5"),
            set("connector", "connector.database.acquire_seconds=5"),
            set("connector", "connector.runs.poll_milliseconds=100"),
            set("connector", "connector.runs.lease_seconds=3"),
            set("connector", "connector.runs.first_wait_seconds=1"),
            set("connector", "connector.runs.longest_wait_seconds=3"),
        ];
        let house = House::start(plan).await.expect("the house starts");
        let token = house.token().await.expect("a token");
        let channel = house.connect("connector", Credential::Token(token));
        let mut connector = Connector::new(&channel.expect("a channel"));
        let host = proxy::host_of(&simulation.url).expect("a URL");
        let foreign = Proxy::start(&host).await.expect("a proxy");
        foreign.pace(PACE);
        let url = simulation
            .url
            .replacen(&host, &foreign.address().to_string(), 1);
        connector.create(simulation, &url, 20).await;
        let run = connector.begin().await;
        let api = house.clients().await.expect("login");
        let mut scene = Self {
            house,
            place,
            foreign,
            connector,
            api,
            run,
        };
        scene.goes_on("the start").await;
        scene
    }

    /// Waits until the run has taken more records than it had.
    async fn goes_on(&mut self, after: &str) {
        let began = tokio::time::Instant::now();
        let mut goal = None;
        loop {
            // A call may meet what is just getting well.
            if let Ok(run) = self.connector.get(&self.run).await {
                assert!(
                    run.end_time.is_none(),
                    "it ended too soon, after {after}: {run:?}"
                );
                let now = taken(&run);
                if now >= *goal.get_or_insert(now + BETWEEN) {
                    return;
                }
            }
            let waited = began.elapsed();
            assert!(
                waited < HEALS,
                "the run did not go on within {HEALS:?} after {after}: {:?}\n{}",
                self.connector.get(&self.run).await,
                self.house.processes["connector-0"].log_tail()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The run says that it is under way, or that it waits and for what; and it says of no record
    /// that it was taken which the customer service does not have.
    async fn says_the_truth(&mut self, during: &str) {
        let run = self.connector.get(&self.run).await.expect(during);
        match run.state() {
            State::Queued | State::Running => {}
            State::Waiting => assert!(
                run.error.is_some() && run.retry_time.is_some(),
                "{during}: {run:?}"
            ),
            _ => panic!("{during}: {run:?}"),
        }
        assert!(run.end_time.is_none(), "{during}: {run:?}");
        // Asked behind the run, so there may be more by now; nobody answers while it is stopped.
        let there = tokio::time::timeout(Duration::from_secs(2), delivered(&mut self.api)).await;
        if let Ok(Ok(there)) = there {
            let created: i64 = run.streams.iter().map(|s| s.created).sum();
            assert!(created <= there, "{during}: {there} of {run:?}");
        }
    }

    async fn others_are_ready(&self, but: &str) {
        for (name, process) in &self.house.processes {
            let ready = async {
                while name != but && !process.is_ready().await {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            assert!(
                tokio::time::timeout(HEALS, ready).await.is_ok(),
                "{name} has no part in what happened to {but}: {:?}",
                process.readyz().await
            );
        }
    }

    async fn happens(&mut self, fault: Fault, length: Duration) {
        match fault {
            Fault::Kill(name) => {
                let process = self.house.at(name);
                process.kill().await.expect("kill");
                assert!(process.is_silent().await, "{name} is dead");
                self.others_are_ready(name).await;
                tokio::time::sleep(Duration::from_millis(300)).await;
                self.house.at(name).spawn().expect("a new process");
            }
            Fault::Stop(name) => {
                let process = self.house.at(name);
                process.signal("STOP").await.expect("stop");
                assert!(process.is_silent().await, "{name} is stopped and speaks");
                self.others_are_ready(name).await;
                tokio::time::sleep(length).await;
                if name != "connector-0" {
                    self.says_the_truth(name).await;
                }
                self.house.at(name).signal("CONT").await.expect("continue");
            }
            Fault::Database(name, mode) => {
                let link = format!("{name}>database");
                self.house.link(&link).set(mode);
                let process = self.house.at(name);
                process.until_not_ready(HEALS).await.expect("the truth");
                let (code, why) = process.readyz().await.expect("an answer");
                assert!(code == 503 && why.contains("database"), "{code} {why}");
                self.others_are_ready(name).await;
                tokio::time::sleep(length).await;
                if name != "connector-0" {
                    self.says_the_truth(&link).await;
                }
                self.house.link(&link).set(Mode::Open);
            }
            Fault::Peer(link, mode) => {
                self.house.link(link).set(mode);
                tokio::time::sleep(length).await;
                self.says_the_truth(link).await;
                self.house.link(link).set(Mode::Open);
            }
            Fault::Foreign(mode) => {
                self.foreign.set(mode);
                tokio::time::sleep(length).await;
                self.says_the_truth("the foreign system was cut off").await;
                self.foreign.set(Mode::Open);
            }
        }
        let after = format!("{fault:?}");
        for process in self.house.processes.values_mut() {
            process.until_ready(HEALS).await.expect(&after);
        }
        self.goes_on(&after).await;
        self.says_the_truth(&after).await;
    }

    /// The end of the run, and what it left.
    async fn ends(mut self) -> Left {
        self.foreign.pace(Duration::ZERO);
        let run = self.connector.ended(&self.run).await;
        assert_eq!(run.state(), State::Succeeded, "{run:?}");
        let mut api = self.house.clients().await.expect("login");
        let found = left(&mut self.connector, &mut api, &run).await;
        // Another run finds nothing new.
        let again = self.connector.begin().await;
        let again = self.connector.ended(&again).await;
        assert_eq!(again.state(), State::Succeeded, "{again:?}");
        let news = again
            .streams
            .iter()
            .map(|s| s.created + s.updated)
            .sum::<i64>();
        assert_eq!(news, 0, "{again:?}");
        self.house.stop().await.expect("clean ends");
        self.place.remove().await;
        found
    }
}

async fn nothing_mattered(faults: &[Fault], length: Duration, rows: usize) {
    let dir = tempfile::tempdir().expect("a folder");
    let simulation = Simulation::start("tryton", "127.0.0.1:0", rows)
        .await
        .expect("a foreign system");
    let disturbed = async {
        let mut scene = Scene::set(dir.path(), &simulation).await;
        for fault in faults {
            let began = tokio::time::Instant::now();
            scene.happens(*fault, length).await;
            let _ = writeln!(std::io::stderr(), "pulls: {fault:?} {:?}", began.elapsed());
        }
        scene.ends().await
    };
    let (found, expected) = tokio::join!(disturbed, calmly(dir.path(), &simulation));
    assert!(
        expected.records.len() > rows * 4,
        "several thousand records"
    );
    found.is(&expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_the_same_whatever_happens_in_its_middle() {
    nothing_mattered(&FAULTS, Duration::from_millis(700), ROWS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn soak_faults_of_half_a_minute_during_a_run() {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let Some(cases) = number("JINKE_SOAK") else {
        return;
    };
    let seed = number("JINKE_SEED").unwrap_or(1);
    let dice = SeededEntropy::new(seed);
    let mut drawn = BTreeMap::new();
    for fault in FAULTS {
        let mut bytes = [0; 8];
        dice.fill(&mut bytes);
        drawn.insert(bytes, fault);
    }
    let cases = usize::try_from(cases).unwrap_or(usize::MAX);
    let faults: Vec<Fault> = drawn.into_values().take(cases).collect();
    let _ = writeln!(
        std::io::stderr(),
        "pulls: {} faults, JINKE_SEED={seed}: {faults:?}",
        faults.len()
    );
    nothing_mattered(&faults, Duration::from_secs(30), ROWS * 3).await;
}
