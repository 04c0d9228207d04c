//! `make quality`: accuracy of the service on labelled Chinese data, through the gRPC API.
//!
//! Argument: the folder of the labelled data (it holds `cn-easy-100k`, or `data/cn-easy-100k`,
//! or the archive `data/cn-100k.tar.gz` it comes in). The records of the 8,000 smallest entity
//! ids go in; pairwise precision, recall and F1 come out, and the number of customers that hold
//! two simultaneously valid USCC (there must be none).

#![expect(clippy::print_stdout, reason = "the figures are the output")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use jinke_proto::jinke::customer::v1::{
    Address, CustomerView, IngestSourceRecordsRequest, ListCustomersRequest, Party, PartyKind,
    RecordKey, SourceRecord, Value, source_record::Body, value::Datum,
};
use jinke_tests::suite::{Clients, Suite};

const ENTITIES: usize = 8_000;

#[tokio::main]
async fn main() -> Result<()> {
    let root = PathBuf::from(
        std::env::args()
            .nth(1)
            .context("the folder of the labelled data")?,
    );
    let scratch = tempfile::tempdir()?;
    let data = find(&root, scratch.path())?;
    let (records, truth) = load(&data)?;
    let sources: BTreeSet<String> = truth.keys().map(|(s, _)| s.clone()).collect();
    println!(
        "{} records of {ENTITIES} entities from {}",
        records.len(),
        sources.len()
    );

    let suite = Suite::start(&scratch.path().join("suite"), None).await?;
    let mut api = Clients::new(&suite.login().await?);
    for source in &sources {
        api.ensure_source(source).await?;
    }
    let start = Instant::now();
    for batch in records.chunks(1000) {
        let request = IngestSourceRecordsRequest {
            records: batch.to_vec(),
            ..IngestSourceRecordsRequest::default()
        };
        let answer = api
            .sources
            .ingest_source_records(request)
            .await?
            .into_inner();
        for result in answer.results {
            ensure!(
                result.error.is_none(),
                "{:?} was refused: {:?}",
                result.key,
                result.error
            );
        }
    }
    let seconds = start.elapsed().as_secs_f64();

    let mut held: BTreeMap<(String, String), String> = BTreeMap::new();
    let mut doubled = 0;
    let mut page_token = String::new();
    loop {
        let request = ListCustomersRequest {
            page_size: 500,
            page_token,
            view: CustomerView::Full.into(),
            ..ListCustomersRequest::default()
        };
        let page = api.customers.list_customers(request).await?.into_inner();
        for customer in page.customers {
            for record in &customer.records {
                let key = record.key.clone().context("key")?;
                let source = key.source.trim_start_matches("sources/").to_owned();
                held.insert((source, key.external_id), customer.name.clone());
            }
            let uscc: BTreeSet<String> = customer
                .values
                .iter()
                .filter_map(|g| g.value.as_ref())
                .filter(|v| v.attribute == "identifier" && v.scheme == "uscc")
                .filter_map(|v| match &v.datum {
                    Some(Datum::Text(t)) => valid_uscc(t),
                    _ => None,
                })
                .collect();
            doubled += usize::from(uscc.len() > 1);
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    ensure!(
        held.len() == truth.len(),
        "{} of {} records are held",
        held.len(),
        truth.len()
    );
    let (precision, recall) = pairwise(&held, &truth);
    let f1 = 2.0 * precision * recall / (precision + recall);
    println!(
        "pairwise precision {precision:.4}, recall {recall:.4}, F1 {f1:.4} (at least 0.93 is asked for)"
    );
    println!("customers with two valid USCC: {doubled} (none is allowed)");
    println!(
        "{:.0} records/s through the API on SQLite",
        records.len() as f64 / seconds
    );
    suite.kill().await?;
    ensure!(f1 >= 0.93 && doubled == 0, "the bar is not reached");
    Ok(())
}

fn find(root: &Path, scratch: &Path) -> Result<PathBuf> {
    for place in [root.join("cn-easy-100k"), root.join("data/cn-easy-100k")] {
        if place.is_dir() {
            return Ok(place);
        }
    }
    let archive = root.join("data/cn-100k.tar.gz");
    ensure!(
        archive.is_file(),
        "no cn-easy-100k below {}",
        root.display()
    );
    let status = Command::new("tar")
        .arg("xzf")
        .arg(&archive)
        .arg("-C")
        .arg(scratch)
        .status()?;
    ensure!(status.success(), "the archive does not unpack");
    Ok(scratch.join("cn-easy-100k"))
}

type Truth = BTreeMap<(String, String), String>;

fn load(dir: &Path) -> Result<(Vec<SourceRecord>, Truth)> {
    let mut truth = Truth::new();
    for row in csv::Reader::from_path(dir.join("truth.csv"))?.into_records() {
        let row = row?;
        truth.insert((row[0].to_owned(), row[1].to_owned()), row[2].to_owned());
    }
    let ids: BTreeSet<String> = truth.values().cloned().collect();
    let keep: BTreeSet<String> = ids.into_iter().take(ENTITIES).collect();
    truth.retain(|_, entity| keep.contains(entity));
    let mut records = Vec::new();
    let mut files: Vec<_> = std::fs::read_dir(dir)?
        .flatten()
        .map(|e| e.path())
        .collect();
    files.sort();
    for file in files {
        if file.extension().is_none_or(|e| e != "csv") || file.ends_with("truth.csv") {
            continue;
        }
        let mut reader = csv::Reader::from_path(&file)?;
        let header = reader.headers()?.clone();
        for row in reader.into_records() {
            let row = row?;
            let get = |name: &str| -> String {
                header
                    .iter()
                    .position(|h| h == name)
                    .and_then(|i| row.get(i))
                    .unwrap_or_default()
                    .to_owned()
            };
            let key = (get("source"), get("source_id"));
            if truth.contains_key(&key) {
                records.push(record(key, get));
            }
        }
    }
    Ok((records, truth))
}

fn record(key: (String, String), get: impl Fn(&str) -> String) -> SourceRecord {
    let mut values = Vec::new();
    for (column, attribute, scheme) in [
        ("name", "name", ""),
        ("uscc", "identifier", "uscc"),
        ("phone", "phone", ""),
        ("email", "email", ""),
        ("website", "website", ""),
        ("contact_name", "contact_name", ""),
        ("bank_account", "bank_account", ""),
    ] {
        let text = get(column);
        if !text.is_empty() {
            values.push(Value {
                attribute: attribute.to_owned(),
                scheme: scheme.to_owned(),
                datum: Some(Datum::Text(text)),
                ..Value::default()
            });
        }
    }
    let address = Address {
        country: get("country"),
        province: get("province"),
        city: get("city"),
        district: get("district"),
        text: get("address"),
        postcode: String::new(),
    };
    if address != Address::default() {
        values.push(Value {
            attribute: "address".to_owned(),
            datum: Some(Datum::Address(address)),
            ..Value::default()
        });
    }
    SourceRecord {
        key: Some(RecordKey {
            source: format!("sources/{}", key.0),
            external_id: key.1,
        }),
        body: Some(Body::Party(Party {
            kind: PartyKind::Organization.into(),
            values,
        })),
        ..SourceRecord::default()
    }
}

/// The USCC in its plain form when its check character holds.
fn valid_uscc(text: &str) -> Option<String> {
    const ALPHABET: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    let code: String = text
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_uppercase();
    if code.len() != 18 {
        return None;
    }
    let (mut sum, mut weight) = (0, 1);
    for c in code.chars().take(17) {
        sum += ALPHABET.find(c)? * weight;
        weight = weight * 3 % 31;
    }
    let check = ALPHABET.chars().nth((31 - sum % 31) % 31)?;
    code.ends_with(check).then_some(code)
}

/// Pairwise precision and recall of a partition against the truth.
fn pairwise(held: &Truth, truth: &Truth) -> (f64, f64) {
    let pairs = |n: u64| n * n.saturating_sub(1) / 2;
    let mut both: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let mut by_customer: BTreeMap<&str, u64> = BTreeMap::new();
    let mut by_entity: BTreeMap<&str, u64> = BTreeMap::new();
    for (key, entity) in truth {
        let customer = &held[key];
        *both.entry((customer, entity)).or_default() += 1;
        *by_customer.entry(customer).or_default() += 1;
        *by_entity.entry(entity).or_default() += 1;
    }
    let hit: u64 = both.values().map(|n| pairs(*n)).sum();
    let claimed: u64 = by_customer.values().map(|n| pairs(*n)).sum();
    let wanted: u64 = by_entity.values().map(|n| pairs(*n)).sum();
    (hit as f64 / claimed as f64, hit as f64 / wanted as f64)
}
