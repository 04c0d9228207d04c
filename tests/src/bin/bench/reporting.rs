//! `bench reporting [customers] [transactions] [opportunities]`: RFM and both CLVs of all customers on
//! both engines, beside the same questions in DuckDB in the same run.
//!
//! Loading counts: a question reads its facts from the database and computes on them. DuckDB reads
//! its own file, filled before the clock starts. Both must find the same customers, grades and sums,
//! in less than ten seconds; otherwise the benchmark fails, after it has printed everything.

use std::{collections::BTreeSet, path::Path, process::Command, time::Instant};

use anyhow::{Context as _, Result, bail, ensure};
use jinke_reporting::{
    feed::{Change, CustomerState, OpportunityState, TransactionState, TransitionState},
    measures::profile::profiles,
    number,
    parameters::Parameters,
    store::{MIGRATIONS, load, project, projection},
};
use jinke_store::{Database, Engine, testing::Place};
use jinke_types::{Entropy as _, RowScope, SeededEntropy, Timestamp};

const SEED: u64 = 20_261_122;
const AS_OF: &str = "2026-03-31";
/// Seconds the questions may take on either engine.
const PATIENCE: f64 = 10.0;
/// Changes of one transaction.
const PAGE: usize = 5_000;

/// One transaction: id, customer, refund, microseconds, cents.
type Fact = (i64, i64, bool, i64, i64);

fn facts(customers: u64, transactions: u64) -> Vec<Fact> {
    let dice = SeededEntropy::new(SEED);
    let end = Timestamp::parse("2026-03-31T16:00:00Z")
        .unwrap_or_default()
        .0;
    let mut bytes = [0; 32];
    (0..transactions)
        .map(|n| {
            dice.fill(&mut bytes);
            let draw = |i: usize| {
                let mut part = [0; 8];
                part.copy_from_slice(&bytes[i * 8..i * 8 + 8]);
                u64::from_le_bytes(part)
            };
            // Some customers buy often: the square of a fraction crowds at its beginning.
            let share = draw(0) % 1_000_000;
            let customer = share * share / 1_000_000 * customers / 1_000_000;
            let age = draw(1) % (3 * 365 * 86_400);
            (
                n as i64 + 1,
                customer as i64 + 1,
                draw(2) % 20 == 0,
                end - 1 - age as i64 * 1_000_000,
                (draw(3) % 1_000_000) as i64 + 1,
            )
        })
        .collect()
}

/// What both must agree on: customers by grade, sums of the two CLVs in cents.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    grades: [i64; 3],
    simple: i128,
    discounted: i128,
}

/// An opportunity with the move that began it.
fn sale(id: i64, customer: i64) -> [Change; 2] {
    let time = Timestamp::from_secs(1_760_000_000 + id);
    let opportunity = OpportunityState {
        id,
        address: customer,
        pipeline: "default".to_owned(),
        version: 1,
        stage: "discovery".to_owned(),
        outcome: 1,
        amount: Some(("CNY".to_owned(), 1_000 + id, 0)),
        probability: 10,
        close_day: Some(20_800),
        owner: format!("users/o{}", id % 100),
        create_time: time,
        ..OpportunityState::default()
    };
    let transition = TransitionState {
        opportunity: id,
        number: 1,
        outcome: 1,
        pipeline: "default".to_owned(),
        version: 1,
        stage: "discovery".to_owned(),
        time,
    };
    [
        Change::Opportunity(Box::new(opportunity)),
        Change::Transition(Box::new(transition)),
    ]
}

async fn fill(db: &Database, customers: u64, facts: &[Fact], opportunities: u64) -> Result<()> {
    let now = Timestamp::from_secs(0);
    db.write(async |mut tx| projection::begin_first(&mut tx, now).await)
        .await?;
    let none = BTreeSet::new();
    let mut changes = Vec::with_capacity(PAGE);
    let put = async |changes: &[Change]| {
        db.write(async |mut tx| project::apply(&mut tx, 1, changes, &none).await)
            .await
    };
    for id in 1..=customers as i64 {
        changes.push(Change::Customer(
            id,
            Some(Box::new(CustomerState {
                name: format!("示例{id}有限公司"),
                name_source: "erp".to_owned(),
                records: vec![("erp".to_owned(), id.to_string(), id)],
                ..CustomerState::default()
            })),
        ));
        if changes.len() == PAGE {
            put(&changes).await?;
            changes.clear();
        }
    }
    for (id, customer, refund, time, cents) in facts {
        changes.push(Change::Transaction(Box::new(TransactionState {
            id: *id,
            key: ("erp".to_owned(), format!("T{id}")),
            party: ("erp".to_owned(), customer.to_string()),
            kind: if *refund { 4 } else { 1 },
            time: Timestamp(*time),
            amount: Some((
                "CNY".to_owned(),
                cents / 100,
                (cents % 100) as i32 * 10_000_000,
            )),
            employee: format!("销售{}", id % 50),
            ..TransactionState::default()
        })));
        if changes.len() >= PAGE {
            put(&changes).await?;
            changes.clear();
        }
    }
    for id in 1..=opportunities as i64 {
        changes.extend(sale(id, id % customers as i64 + 1));
        if changes.len() >= PAGE {
            put(&changes).await?;
            changes.clear();
        }
    }
    put(&changes).await?;
    Ok(())
}

async fn ours(db: &Database) -> Result<(Found, f64, f64)> {
    let start = Instant::now();
    let (_, frame) = load::frame(db, &RowScope::All, false, 10_000_000).await?;
    let loaded = start.elapsed().as_secs_f64();
    let day = AS_OF.parse()?;
    let all = profiles(&frame, &Parameters::default(), day);
    let total = start.elapsed().as_secs_f64();
    let grade = |g: u8| {
        all.iter()
            .filter(|p| p.rfm.is_some() && p.grade == g)
            .count() as i64
    };
    let cents = |of: fn(&jinke_reporting::measures::profile::Profile) -> Option<i128>| {
        let sum: i128 = all.iter().filter_map(of).sum();
        sum * 100 / number::ONE
    };
    let found = Found {
        grades: [grade(1), grade(2), grade(3)],
        simple: cents(|p| p.clv_simple),
        discounted: cents(|p| p.clv_discounted),
    };
    Ok((found, loaded, total))
}

/// Runs the questions in DuckDB: what it found and how long it took.
fn duckdb(folder: &Path, facts: &[Fact]) -> Result<(Found, f64)> {
    let csv = folder.join("facts.csv");
    let mut out = csv::Writer::from_path(&csv)?;
    out.write_record(["id", "customer", "refund", "time", "amount"])?;
    for (id, customer, refund, time, cents) in facts {
        out.write_record([
            id.to_string(),
            customer.to_string(),
            u8::from(*refund).to_string(),
            time.to_string(),
            format!("{}.{:02}", cents / 100, cents % 100),
        ])?;
    }
    out.flush()?;
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let done = Command::new(tests.join("with-python.sh"))
        .env("JINKE_PYTHON", "analysis")
        .arg("python")
        .arg(tests.join("python/duckdb_reporting.py"))
        .arg(&csv)
        .arg(folder.join("facts.duckdb"))
        .arg(AS_OF)
        .output()
        .context("with-python.sh")?;
    if !done.status.success() {
        bail!("DuckDB: {}", String::from_utf8_lossy(&done.stderr));
    }
    let text = String::from_utf8(done.stdout)?;
    let line = text.lines().last().unwrap_or_default();
    let mut parts = line.split_whitespace();
    let mut next = || parts.next().context("a number of DuckDB's");
    let found = Found {
        grades: [next()?.parse()?, next()?.parse()?, next()?.parse()?],
        simple: next()?.parse()?,
        discounted: next()?.parse()?,
    };
    Ok((found, next()?.parse()?))
}

/// Runs the benchmark.
pub async fn run(mut numbers: impl Iterator<Item = u64>) -> Result<()> {
    let customers = numbers.next().unwrap_or(100_000).max(1);
    let transactions = numbers.next().unwrap_or(1_000_000);
    let opportunities = numbers.next().unwrap_or(100_000);
    println!(
        "{customers} customers, {transactions} transactions, {opportunities} opportunities: RFM and \
         both CLVs of all"
    );
    let facts = facts(customers, transactions);
    let folder = tempfile::tempdir()?;
    let (right, theirs) = duckdb(folder.path(), &facts)?;
    println!("DuckDB: {theirs:>7.2} s");
    let mut wrong = Vec::new();
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let place = Place::new(engine).await;
        let db = Database::open(place.config(), &MIGRATIONS).await?;
        let start = Instant::now();
        fill(&db, customers, &facts, opportunities).await?;
        let filled = start.elapsed().as_secs_f64();
        let (found, loaded, total) = ours(&db).await?;
        println!(
            "{engine:?}: {total:>7.2} s (loading {loaded:.2} s), {:.1} times DuckDB; projected at \
             {:.0} rows/s; A {} B {} C {}",
            total / theirs,
            (customers + transactions + 2 * opportunities) as f64 / filled,
            found.grades[0],
            found.grades[1],
            found.grades[2],
        );
        // DuckDB discounts with floats: a cent in ten million may differ.
        let near = (found.discounted - right.discounted).abs() <= right.discounted / 10_000_000 + 1;
        if found.grades != right.grades || found.simple != right.simple || !near {
            wrong.push(format!("{engine:?}: {found:?} is not {right:?}"));
        }
        if total > PATIENCE {
            wrong.push(format!("{engine:?}: took more than {PATIENCE} s"));
        }
        db.close().await;
        place.remove().await;
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}
