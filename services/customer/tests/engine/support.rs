//! An engine, records in few words, and repeatable chance.

use std::{sync::Arc, time::Duration};

use jinke_customer::{
    domain::{IngestResult, Merge, NewSource, Outcome, Unmerge},
    engine::{Engine, EngineConfig},
    store::MIGRATIONS,
};
use jinke_resolution::{RuleSet, Rules, SurvivorshipPolicy};
use jinke_store::{Database, keys::KeyRing, testing};
use jinke_types::{
    Body, Completeness, Datum, Entropy as _, ManualClock, PartyKind, RecordKey, RowScope,
    SeededEntropy, SourceRecord, Timestamp, Value, attribute,
};

/// What outlives an engine: the database, the keys, the clock.
pub struct House {
    pub db: Database,
    pub ring: Arc<KeyRing>,
    pub clock: Arc<ManualClock>,
    pub rules: Arc<Rules>,
    /// As [`EngineConfig::training_records`].
    pub training_records: usize,
}

impl House {
    pub fn new(db: Database) -> Self {
        Self::with_rules(db, Rules::embedded())
    }
    pub fn with_rules(db: Database, rules: Rules) -> Self {
        Self {
            db,
            ring: Arc::new(KeyRing::in_memory(&SeededEntropy::new(7))),
            clock: Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000))),
            rules: Arc::new(rules),
            training_records: EngineConfig::default().training_records,
        }
    }
    /// A new engine, as after a restart.
    pub async fn engine(&self) -> Engine {
        self.clock.advance(Duration::from_secs(1));
        Engine::new(
            self.db.clone(),
            Arc::clone(&self.ring),
            Arc::clone(&self.rules),
            Arc::new(SurvivorshipPolicy::embedded()),
            Arc::clone(&self.clock) as _,
            Arc::new(jinke_types::OsEntropy),
            EngineConfig {
                cached_records: 64,
                training_records: self.training_records,
                ..EngineConfig::default()
            },
        )
        .await
        .expect("an engine")
    }
}

/// The default rules with small limits, so that few records make a value generic.
pub fn narrow_rules(records: usize, cores: usize) -> Rules {
    let narrow = |rules: RuleSet| {
        let text: String = rules
            .to_toml()
            .lines()
            .map(
                |line| match line.split('=').next().unwrap_or_default().trim() {
                    "max_records" => format!("max_records = {records}\n"),
                    "max_cores" => format!("max_cores = {cores}\n"),
                    _ => format!("{line}\n"),
                },
            )
            .collect();
        RuleSet::parse(&text).expect("rules")
    };
    Rules::new(narrow(RuleSet::organization()), narrow(RuleSet::person()))
}

/// Runs a case on both engines with the sources `erp` (trust 80), `crm` (50) and `chat` (20).
pub async fn on_both(case: impl AsyncFn(House) -> ()) {
    testing::on_each_engine(&MIGRATIONS, async |db| {
        let house = House::new(db);
        sources(&house.engine().await).await;
        case(house).await;
    })
    .await;
}

pub async fn sources(engine: &Engine) {
    for (id, trust, shared) in [("erp", 80, true), ("crm", 50, true), ("chat", 20, true)] {
        let new = NewSource {
            id: id.to_owned(),
            display_name: id.to_uppercase(),
            trust,
            org_unit: String::new(),
            shared,
        };
        engine.create_source(new, None).await.expect("a source");
    }
}

pub fn key(text: &str) -> RecordKey {
    let (source, id) = text.split_once('/').expect("source/id");
    RecordKey::new(source, id)
}

fn value(said: &(&str, &str)) -> Value {
    match *said {
        ("uscc", text) => Value::identifier("uscc", text),
        (attribute, "∅") => Value::of(attribute, Datum::Null),
        (attribute, text) => Value::text(attribute, text),
    }
}

/// A party: `revision` 0 means that neither revision nor time is stated.
pub fn party(kind: PartyKind, at: &str, revision: i64, said: &[(&str, &str)]) -> SourceRecord {
    SourceRecord {
        key: key(at),
        source_revision: (revision != 0).then_some(revision),
        update_time: (revision != 0).then(|| Timestamp::from_secs(revision * 86_400)),
        completeness: Completeness::Full,
        deleted: false,
        body: Body::Party {
            kind,
            values: said.iter().map(value).collect(),
        },
    }
}

pub fn org(at: &str, revision: i64, said: &[(&str, &str)]) -> SourceRecord {
    party(PartyKind::Organization, at, revision, said)
}

pub fn person(at: &str, revision: i64, said: &[(&str, &str)]) -> SourceRecord {
    party(PartyKind::Person, at, revision, said)
}

pub fn partial(mut r: SourceRecord) -> SourceRecord {
    r.completeness = Completeness::Partial;
    r
}

pub fn deleted(mut r: SourceRecord) -> SourceRecord {
    r.deleted = true;
    r
}

/// A USCC with the right check character: 18 characters from a number.
pub fn uscc(n: u32) -> String {
    const SIGNS: &[u8] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
    let org = format!("{:08}", 10_000_000 + n);
    let weights = [3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = org
        .bytes()
        .zip(weights)
        .map(|(b, w)| u32::from(b - b'0') * w)
        .sum();
    let c9 = match 11 - sum % 11 {
        10 => 'X',
        11 => '0',
        d => char::from(b'0' + u8::try_from(d).unwrap()),
    };
    let body = format!("91310000{org}{c9}");
    let mut weight = 1;
    let mut sum = 0;
    for b in body.bytes() {
        sum += SIGNS.iter().position(|s| *s == b).unwrap() * weight;
        weight = weight * 3 % 31;
    }
    format!("{body}{}", char::from(SIGNS[(31 - sum % 31) % 31]))
}

pub async fn ingest(engine: &Engine, records: Vec<SourceRecord>) -> Vec<IngestResult> {
    engine.ingest(records, None).await.expect("a batch")
}

/// Ingests one record that must not be refused; its outcome and customer.
pub async fn one(engine: &Engine, record: SourceRecord) -> (Outcome, i64) {
    let result = ingest(engine, vec![record]).await.pop().expect("a result");
    assert_eq!(result.error, None);
    (result.outcome, result.customer.unwrap_or(0))
}

/// The customer that holds a record.
pub async fn holder(engine: &Engine, at: &str) -> i64 {
    let view = engine
        .source_record(&key(at), None, &RowScope::All)
        .await
        .expect("a record");
    view.customer.expect("a party")
}

pub fn merge(customer: i64, other: i64) -> Merge {
    Merge {
        customer,
        other,
        override_exclusivity: false,
        comment: "同一家公司".to_owned(),
        etag: None,
        other_etag: None,
        validate_only: false,
        creator: "users/steward".to_owned(),
    }
}

pub fn unmerge(customer: i64, leaving: &[&str]) -> Unmerge {
    Unmerge {
        customer,
        leaving: leaving.iter().map(|k| key(k)).collect(),
        comment: "不是一家".to_owned(),
        etag: None,
        validate_only: false,
        creator: "users/steward".to_owned(),
    }
}

pub async fn assert_sound(engine: &Engine) {
    engine.settle().await.expect("the background");
    assert_eq!(
        engine.verify().await.expect("a check"),
        Vec::<String>::new()
    );
}

/// The texts of a golden attribute.
pub async fn golden(engine: &Engine, id: i64, name: &str) -> Vec<String> {
    let view = engine.golden(id, &RowScope::All).await.expect("a customer");
    view.values
        .iter()
        .filter(|v| v.value.attribute == name)
        .filter_map(|v| v.value.datum.text().map(str::to_owned))
        .collect()
}

pub const NAME: &str = attribute::NAME;
pub const PHONE: &str = attribute::PHONE;
pub const EMAIL: &str = attribute::EMAIL;

/// Repeatable chance.
pub struct Chance(SeededEntropy);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }
    /// A number below `n`.
    pub fn below(&self, n: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % u64::try_from(n.max(1)).unwrap()).unwrap()
    }
    pub fn pick<'a, T>(&self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
    /// True once in `n`.
    pub fn once_in(&self, n: usize) -> bool {
        self.below(n) == 0
    }
}
