//! Resolves a directory of labelled CSV files and prints how well it went as JSON.
//!
//! `cargo run --release -p jinke-resolution --example evaluate -- DIR [LIMIT] [--rules FILE] [--levels FILE]`
//!
//! DIR holds one CSV per source and `truth.csv` (`source,source_id,entity_id`). With LIMIT only
//! the records of so many smallest entity ids are taken, with `--rules` another rule set for
//! organizations than the embedded one. With `--levels` every candidate pair
//! is written with its levels, score and truth, for estimating weights.
#![expect(
    clippy::print_stdout,
    reason = "the result of this program is its output"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    time::Instant,
};

use jinke_resolution::{
    Clustering, Node, Population, RuleSet, Standardized, Thresholds, cluster, compare,
    evaluate::{b_cubed, labels, pairwise},
    resolve_kind, score, standardize,
};
use jinke_types::{Address, Datum, PartyKind, RecordKey, Value, attribute};

type Row = BTreeMap<String, String>;

fn rows(path: &Path) -> Result<Vec<Row>, Box<dyn Error>> {
    Ok(csv::Reader::from_path(path)?
        .deserialize()
        .collect::<Result<_, _>>()?)
}

fn values(row: &Row) -> Vec<Value> {
    let get = |c: &str| row.get(c).cloned().unwrap_or_default();
    let mut out = Vec::new();
    for (column, attribute) in [
        ("name", attribute::NAME),
        ("phone", attribute::PHONE),
        ("email", attribute::EMAIL),
        ("website", attribute::WEBSITE),
        ("contact_name", attribute::CONTACT_NAME),
        ("bank_account", attribute::BANK_ACCOUNT),
    ] {
        out.push(Value::text(attribute, get(column)));
    }
    out.push(Value::identifier("uscc", get("uscc")));
    out.push(Value::of(
        attribute::ADDRESS,
        Datum::Address(Address {
            country: get("country"),
            province: get("province"),
            city: get("city"),
            district: get("district"),
            text: get("address"),
            postcode: String::new(),
        }),
    ));
    out.retain(|v| !v.datum.is_blank());
    out
}

fn several_uscc(clustering: &Clustering, records: &[Standardized]) -> usize {
    let count = |c: &Vec<usize>| {
        let all: BTreeSet<&str> = c
            .iter()
            .flat_map(|&i| records[i].identifiers())
            .filter(|i| i.valid && i.scheme == "uscc")
            .map(|i| i.text.as_str())
            .collect();
        all.len()
    };
    clustering.clusters.iter().filter(|c| count(c) > 1).count()
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let dir = Path::new(
        args.first()
            .ok_or("usage: evaluate DIR [LIMIT] [--rules FILE] [--levels FILE]")?,
    );
    let limit: usize = args
        .get(1)
        .filter(|a| !a.starts_with("--"))
        .map_or(Ok(usize::MAX), |a| a.parse())?;
    let mut truth: BTreeMap<(String, String), String> = BTreeMap::new();
    for r in rows(&dir.join("truth.csv"))? {
        truth.insert(
            (r["source"].clone(), r["source_id"].clone()),
            r["entity_id"].clone(),
        );
    }
    let mut entities: Vec<&String> = truth
        .values()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    entities.truncate(limit);
    let number: BTreeMap<&String, usize> =
        entities.iter().enumerate().map(|(i, e)| (*e, i)).collect();
    let sources: BTreeSet<&String> = truth.keys().map(|k| &k.0).collect();
    let (mut keys, mut raw, mut entity) = (Vec::new(), Vec::new(), Vec::new());
    for source in sources {
        for row in rows(&dir.join(format!("{source}.csv")))? {
            let key = (row["source"].clone(), row["source_id"].clone());
            if let Some(&e) = truth.get(&key).and_then(|e| number.get(e)) {
                keys.push(RecordKey::new(key.0, key.1));
                raw.push(values(&row));
                entity.push(e);
            }
        }
    }
    let option = |name: &str| {
        args.iter()
            .position(|a| a == name)
            .and_then(|i| args.get(i + 1))
    };
    let rules = match option("--rules") {
        Some(path) => RuleSet::parse(&std::fs::read_to_string(path)?)?,
        None => RuleSet::organization(),
    };
    let rules = &rules;
    let start = Instant::now();
    let records: Vec<Standardized> = raw
        .iter()
        .map(|v| standardize(PartyKind::Organization, v, rules))
        .collect();
    let standardized = start.elapsed();
    let names: Vec<&RecordKey> = keys.iter().collect();
    let found = resolve_kind(&names, &records, &[], rules);
    let seconds = start.elapsed();
    let at = |c: &Clustering| labels(&c.clusters, records.len());
    let merged = at(&found.clustering);
    let nodes: Vec<Node<'_>> = keys
        .iter()
        .zip(&records)
        .map(|(key, std)| Node { key, std })
        .collect();
    let mut lower = rules.clone();
    lower.thresholds = Thresholds {
        review: rules.thresholds.review,
        merge: rules.thresholds.review,
    };
    let reviewed = at(&cluster(&nodes, &found.edges, &[], &lower));
    let population = Population::new(&names, &records, rules);
    let pairs = population.pairs();
    let truth_pairs: usize = {
        let mut size: BTreeMap<usize, usize> = BTreeMap::new();
        entity
            .iter()
            .for_each(|e| *size.entry(*e).or_default() += 1);
        size.values().map(|n| n * (n - 1) / 2).sum()
    };
    let covered = pairs
        .iter()
        .filter(|(a, b)| entity[*a] == entity[*b])
        .count();
    let timing = Instant::now();
    let sum: i64 = pairs
        .iter()
        .map(|&(a, b)| i64::from(score(&records[a], &records[b], &population, rules)))
        .sum();
    let per_pair = timing.elapsed().as_nanos() as f64 / pairs.len().max(1) as f64;
    if let Some(path) = option("--levels") {
        let mut out = BufWriter::new(File::create(path)?);
        for &(a, b) in pairs {
            let c = compare(&records[a], &records[b], &population, rules);
            let adjustment: i32 = c.levels.iter().map(|l| l.adjustment).sum();
            let levels: Vec<String> = c.levels.iter().map(|l| l.level.to_string()).collect();
            let same = u8::from(entity[a] == entity[b]);
            let joined = u8::from(merged[a] == merged[b]);
            writeln!(
                out,
                "{same}\t{joined}\t{}\t{adjustment}\t{}\t{}\t{}",
                c.score,
                levels.join(" "),
                keys[a],
                keys[b]
            )?;
        }
    }
    let reviews = found.clustering.reviews.len();
    println!(
        "{}",
        serde_json::json!({
            "records": records.len(),
            "merge": { "pairwise": pairwise(&merged, &entity), "b_cubed": b_cubed(&merged, &entity) },
            "review": { "pairwise": pairwise(&reviewed, &entity), "b_cubed": b_cubed(&reviewed, &entity) },
            "clusters": found.clustering.clusters.len(),
            "clusters_with_several_uscc": several_uscc(&found.clustering, &records),
            "reviews": reviews,
            "candidate_pairs": found.candidates,
            "blocked_recall": covered as f64 / truth_pairs.max(1) as f64,
            "seconds": seconds.as_secs_f64(),
            "standardize_seconds": standardized.as_secs_f64(),
            "nanoseconds_per_pair": per_pair,
            "score_sum": sum,
            "blocks": population.sizes(),
            "rules": rules.full_version(),
        })
    );
    Ok(())
}
