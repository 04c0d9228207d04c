//! Two replicas of the customer service on one database, under ingest, merges and unmerges at the
//! same time: what clients saw can be explained by one house, and the customers in the end are
//! those that one client after the other would have made. The same house without the resolver's
//! lock is caught.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jinke_kit::client::Credential;
use jinke_proto::jinke::customer::v1::{
    Customer, GetCustomerRequest, IngestSourceRecordsRequest, ListCustomerChangesRequest,
    MergeCustomersRequest, PartyKind, SourceRecord, UnmergeCustomerRequest, ingest_result::Outcome,
};
use jinke_store::{Engine, testing::Place};
use jinke_tests::{
    apart::{House, Plan},
    history::{Call, Change, History, Seen},
    state::{difference, golden, short},
    suite::{Authed, Clients, Suite},
};
use jinke_types::{Entropy as _, SeededEntropy};

use crate::records::{key, party, text};

const SOURCES: [&str; 2] = ["erp", "crm"];

/// What was done that decides the end: records, and pairs that stayed merged or apart.
#[derive(Clone, Default)]
struct Done {
    records: BTreeMap<String, SourceRecord>,
    merged: BTreeSet<(String, String)>,
    unmerged: BTreeSet<(String, String)>,
}

#[derive(Clone)]
struct World {
    replicas: Vec<Authed>,
    history: Arc<History>,
    done: Arc<Mutex<Done>>,
    over: Arc<AtomicBool>,
}

/// Names that have nothing in common, from a number.
fn name(number: u64) -> String {
    const SYLLABLES: &str = "瑞恒泰宏鑫盛达华康嘉信诚德润丰源隆兴旺茂凯博远航天翔宇腾飞云海星辰光";
    let syllables: Vec<char> = SYLLABLES.chars().filter(|c| !c.is_whitespace()).collect();
    let count = syllables.len() as u64;
    let mut mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut brand = String::new();
    for _ in 0..4 {
        let at = usize::try_from(mixed % count).expect("a small number");
        brand.push(syllables[at]);
        mixed /= count;
    }
    format!("上海{brand}贸易有限公司")
}

fn phone(number: u64) -> String {
    format!("139{:08}", number.wrapping_mul(7919) % 100_000_000)
}

fn company(source: &str, id: &str, name: &str, phone: &str) -> SourceRecord {
    party(
        source,
        id,
        PartyKind::Organization,
        vec![text("name", name), text("phone", phone)],
    )
}

impl World {
    fn client(&self, replica: usize) -> Clients {
        Clients::new(&self.replicas[replica % self.replicas.len()])
    }

    async fn ingest(&self, replica: usize, record: SourceRecord) -> String {
        let key = short(record.key.as_ref().expect("a key"));
        let begin = self.history.begin();
        let customer = store(&mut self.client(replica), record.clone()).await;
        let call = Call::Ingest {
            key: key.clone(),
            customer: customer.clone(),
        };
        self.history.note(begin, call);
        let mut done = self.done.lock().expect("no panic");
        done.records.insert(key, record);
        customer
    }

    async fn get(&self, replica: usize, asked: &str) -> Seen {
        let begin = self.history.begin();
        let seen = read(&mut self.client(replica), asked).await;
        self.history.note(begin, Call::Get(seen.clone()));
        seen
    }

    /// Two records of one company reach two replicas at the same instant, and then a third, and
    /// a correction of the first that makes it another's.
    async fn twins(&self, n: u64) {
        let (a, b) = (format!("t{n}"), format!("u{n}"));
        let (same, number) = (name(n), phone(n));
        let (left, right) = tokio::join!(
            self.ingest(0, company("erp", &a, &same, &number)),
            self.ingest(1, company("crm", &b, &same, &number)),
        );
        tokio::join!(self.get(1, &left), self.get(0, &right));
        // Two records that had nothing in common are told at the same instant what makes them one.
        let (c, d) = (format!("v{n}"), format!("w{n}"));
        let (one, other) = (name(n + 1_000_003), name(n + 2_000_003));
        let (first, second) = tokio::join!(
            self.ingest(0, company("erp", &c, &one, &phone(n + 1_000_003))),
            self.ingest(1, company("crm", &d, &other, &phone(n + 2_000_003))),
        );
        let (now, number) = (name(n + 3_000_003), phone(n + 3_000_003));
        tokio::join!(
            self.ingest(0, company("erp", &c, &now, &number)),
            self.ingest(1, company("crm", &d, &now, &number)),
        );
        tokio::join!(self.get(1, &first), self.get(0, &second));
    }

    /// A person merges two customers, and takes them apart again unless he likes it.
    async fn pair(&self, n: u64, stays: bool) {
        let (left, right) = (format!("p{n}"), format!("q{n}"));
        let at = usize::try_from(n).unwrap_or(0);
        let a = self
            .ingest(
                at,
                company("erp", &left, &name(n + 5_000_003), &phone(n + 5_000_003)),
            )
            .await;
        let b = self
            .ingest(
                at + 1,
                company("crm", &right, &name(n + 6_000_003), &phone(n + 6_000_003)),
            )
            .await;
        let (left, right) = (format!("erp/{left}"), format!("crm/{right}"));
        let begin = self.history.begin();
        merge(&mut self.client(at), &a, &b).await;
        let call = Call::Merge(left.clone(), right.clone());
        self.history.note(begin, call);
        tokio::join!(self.get(at + 1, &a), self.get(at, &b));
        let pair = (left.clone(), right.clone());
        if stays {
            self.done.lock().expect("no panic").merged.insert(pair);
            return;
        }
        let begin = self.history.begin();
        unmerge(&mut self.client(at + 1), &a, &right).await;
        self.history.note(begin, Call::Unmerge(left, right));
        tokio::join!(self.get(at, &a), self.get(at + 1, &b));
        self.done.lock().expect("no panic").unmerged.insert(pair);
    }

    /// Two people merge at the same instant, each at a replica of his own, and one customer is in
    /// both merges: whoever comes second has to see what the first has made.
    async fn chain(&self, n: u64) {
        let ids = ["x", "y", "z"].map(|letter| format!("{letter}{n}"));
        let mut customers = Vec::new();
        for (at, id) in ids.iter().enumerate() {
            let own = n + 7_000_003 + 1_000_000 * at as u64;
            let record = company("erp", id, &name(own), &phone(own));
            customers.push(self.ingest(at, record).await);
        }
        let one = async |replica: usize, left: usize, right: usize| {
            let pair = (format!("erp/{}", ids[left]), format!("erp/{}", ids[right]));
            let begin = self.history.begin();
            merge(
                &mut self.client(replica),
                &customers[left],
                &customers[right],
            )
            .await;
            let call = Call::Merge(pair.0.clone(), pair.1.clone());
            self.history.note(begin, call);
            self.done.lock().expect("no panic").merged.insert(pair);
        };
        tokio::join!(one(0, 0, 1), one(1, 1, 2));
        tokio::join!(self.get(0, &customers[2]), self.get(1, &customers[0]));
    }

    /// Follows the feed at one replica until all is over and read.
    async fn follow(self, replica: usize) {
        let (mut api, mut token) = (self.client(replica), String::new());
        let reader = format!("reader {replica}");
        loop {
            let over = self.over.load(Ordering::SeqCst);
            let (changes, next) = feed(&mut api, &token).await;
            let quiet = changes.is_empty();
            self.history.read(&reader, changes);
            token = next;
            if quiet && over {
                return;
            }
            if quiet {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

async fn store(api: &mut Clients, record: SourceRecord) -> String {
    let request = IngestSourceRecordsRequest {
        records: vec![record],
        ..IngestSourceRecordsRequest::default()
    };
    let answer = api.sources.ingest_source_records(request).await;
    let result = answer.expect("ingest").into_inner().results.remove(0);
    assert!(
        matches!(
            result.outcome(),
            Outcome::Created | Outcome::Updated | Outcome::Unchanged
        ),
        "{:?}",
        result.error
    );
    result.customer
}

fn seen(asked: &str, customer: Customer) -> Seen {
    let keys = customer.records.iter().filter_map(|r| r.key.as_ref());
    Seen {
        asked: asked.to_owned(),
        name: customer.name.clone(),
        revision: customer.revision,
        records: keys.map(short).collect(),
    }
}

async fn read(api: &mut Clients, asked: &str) -> Seen {
    let request = GetCustomerRequest {
        name: asked.to_owned(),
        ..GetCustomerRequest::default()
    };
    let customer = api.customers.get_customer(request).await;
    seen(
        asked,
        customer.expect("an id resolves for ever").into_inner(),
    )
}

async fn merge(api: &mut Clients, a: &str, b: &str) {
    let request = MergeCustomersRequest {
        customer: a.to_owned(),
        other_customer: b.to_owned(),
        ..MergeCustomersRequest::default()
    };
    api.customers.merge_customers(request).await.expect("merge");
}

async fn unmerge(api: &mut Clients, from: &str, record: &str) {
    let (source, id) = record.split_once('/').expect("a key");
    let request = UnmergeCustomerRequest {
        name: from.to_owned(),
        records: vec![key(source, id)],
        ..UnmergeCustomerRequest::default()
    };
    let done = api.customers.unmerge_customer(request).await;
    done.expect("unmerge");
}

async fn feed(api: &mut Clients, token: &str) -> (Vec<Change>, String) {
    let request = ListCustomerChangesRequest {
        page_size: 50,
        page_token: token.to_owned(),
        ..ListCustomerChangesRequest::default()
    };
    let page = api.customers.list_customer_changes(request).await;
    let page = page.expect("the feed").into_inner();
    let changes = page.changes.into_iter().map(|c| Change {
        position: c.position,
        customer: c.customer,
        revision: c.revision,
    });
    (changes.collect(), page.next_page_token)
}

/// The customers that one client after the other would have made.
async fn calmly(done: &Done, dir: &std::path::Path) -> BTreeMap<String, String> {
    let suite = Suite::start(&dir.join("calm"), None)
        .await
        .expect("the suite starts");
    let mut api = Clients::new(&suite.login().await.expect("login"));
    for source in SOURCES {
        api.ensure_source(source).await.expect("a source");
    }
    let mut held = BTreeMap::new();
    for (key, record) in &done.records {
        // Versions before the last are no part of a full record; only their count shows.
        if key.contains("/v") || key.contains("/w") {
            let mut before = record.clone();
            if let Some(jinke_proto::jinke::customer::v1::source_record::Body::Party(party)) =
                before.body.as_mut()
            {
                party.values.truncate(1);
            }
            store(&mut api, before).await;
        }
        held.insert(key.clone(), store(&mut api, record.clone()).await);
    }
    for (a, b) in done.merged.iter().chain(&done.unmerged) {
        merge(&mut api, &held[a], &held[b]).await;
    }
    for (a, b) in &done.unmerged {
        unmerge(&mut api, &held[a], b).await;
    }
    let state = golden(&mut api).await.expect("state");
    suite.kill().await.expect("kill");
    state
}

/// Runs `rounds` rounds over two replicas; everything that is wrong with what came of it.
async fn anomalies(rounds: u64, seed: u64, locked: bool) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a folder");
    let place = Place::new(Engine::Postgres).await;
    let mut plan = Plan::new(dir.path(), &place.config().url);
    plan.replicas = 2;
    plan.proxies = true;
    let house = House::start(plan).await.expect("the house starts");
    let token = house.token().await.expect("a token");
    let replicas = ["customer-0", "customer-1"].map(|name| {
        let url = format!("https://127.0.0.1:{}", house.processes[name].grpc);
        let credential = Credential::Token(token.clone());
        house.connect_to(&url, credential).expect("a channel")
    });
    let world = World {
        replicas: replicas.to_vec(),
        history: Arc::default(),
        done: Arc::default(),
        over: Arc::default(),
    };
    for source in SOURCES {
        let made = world.client(0).ensure_source(source).await;
        made.expect("a source");
    }
    // The lock's row is made by the first who takes it; a lock that is not taken is the mutant.
    store(
        &mut world.client(0),
        company("erp", "first", &name(999_999_937), &phone(999_999_937)),
    )
    .await;
    let first = company("erp", "first", &name(999_999_937), &phone(999_999_937));
    world
        .done
        .lock()
        .expect("no panic")
        .records
        .insert("erp/first".to_owned(), first);
    if !locked {
        for replica in ["customer-0", "customer-1"] {
            house.link(&format!("{replica}>database")).lie(
                "SELECT 1 FROM jinke_locks WHERE name = $1 FOR UPDATE",
                "SELECT 1 FROM jinke_locks WHERE name = $1           ",
            );
        }
    }
    let readers: Vec<_> = (0..2)
        .map(|replica| tokio::spawn(world.clone().follow(replica)))
        .collect();
    let dice = SeededEntropy::new(seed);
    for _ in 0..rounds {
        let mut bytes = [0; 8];
        dice.fill(&mut bytes);
        let n = u64::from_le_bytes(bytes) % 1_000_000_000;
        let stays = bytes[7] % 2 == 0;
        tokio::join!(
            world.twins(n),
            world.twins(n + 17),
            world.pair(n + 29, stays),
            world.pair(n + 43, !stays),
            world.chain(n + 71),
        );
    }
    world.over.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await.expect("a reader");
    }
    if !locked {
        let told: u64 = house.proxies.values().map(|p| p.told()).sum();
        assert!(told > 0, "the lock was taken by another statement");
    }

    let mut last = BTreeMap::new();
    for (key, customer) in world.history.acknowledged() {
        last.insert(key, read(&mut world.client(0), &customer).await);
    }
    let (mut whole, mut token) = (Vec::new(), String::new());
    loop {
        let (changes, next) = feed(&mut world.client(1), &token).await;
        if changes.is_empty() {
            break;
        }
        whole.extend(changes);
        token = next;
    }
    let mut wrong = world.history.check(&last, &whole);
    let done = world.done.lock().expect("no panic").clone();
    match golden(&mut world.client(1)).await {
        Ok(found) => {
            let expected = calmly(&done, dir.path()).await;
            wrong.extend(difference(&expected, &found).map(|d| format!("8: {d}")));
        }
        Err(error) => wrong.push(format!("8: {error:#}")),
    }
    drop(house);
    place.remove().await;
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_behave_like_one() {
    let wrong = anomalies(12, 20_261_122, true).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_without_the_resolver_lock_are_caught() {
    for seed in 0..4 {
        let wrong = anomalies(12, seed, false).await;
        if !wrong.is_empty() {
            return;
        }
    }
    panic!("the checker would not notice that the lock is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn soak_two_replicas_for_long() {
    let Some(rounds) = std::env::var("JINKE_SOAK")
        .ok()
        .and_then(|n| n.parse().ok())
    else {
        return;
    };
    let seed = std::env::var("JINKE_SEED").ok();
    let seed = seed.and_then(|s| s.parse().ok()).unwrap_or(1);
    let _ = writeln!(
        std::io::stderr(),
        "histories: {rounds} rounds, JINKE_SEED={seed}"
    );
    let wrong = anomalies(rounds, seed, true).await;
    assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
}
