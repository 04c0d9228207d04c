//! Learning the weights of a rule set from the records present.
//!
//! The model of Fellegi and Sunter (1969), fitted as Winkler (1988) does, by expectation and
//! maximization: how often a level occurs among pairs of one party (m) is learned from candidate
//! pairs without labels, how often among others (u) from pairs taken at random. What stewards
//! judged can be added as pairs whose answer is known. A weight is `log2(m / u)` in milli-bits.
//!
//! Candidate pairs are few and one-sided, so the present weights count as evidence too, as much as
//! [`PRIOR`] pairs, and one training moves no weight by more than [`FURTHEST`]: a larger step
//! would rather say that the sample is odd. Floats occur here alone; they are summed in the order
//! of level patterns, so that the file is the same for any order of records.

use std::collections::{BTreeMap, BTreeSet};

use jinke_resolution::{
    Population, RuleSet, Standardized,
    block::{Generic, place},
    compare,
};
use jinke_types::{Code, Failure, PartyKind, RecordKey};

use super::{
    Engine,
    rebuild::Progress,
    rule_sets::{kept_in, row_of},
};
use crate::{
    domain::Decision,
    store::{judgements, records, rule_sets::RuleSetRow},
};

/// Records of the sample: those with the smallest places, whenever they arrived.
const SAMPLE: usize = 20_000;
/// Fewest candidate pairs to learn from.
const LEAST: u64 = 200;
/// Random pairs per record.
const RANDOM: usize = 5;
/// How many pairs the present weights count as.
const PRIOR: f64 = 200.0;
/// How many pairs one judged pair counts as.
const JUDGED: f64 = 5.0;
/// Farthest that one training moves a weight, in milli-bits.
const FURTHEST: i32 = 3_000;
/// Rounds of the fit.
const ROUNDS: usize = 40;
/// Records per step.
const STEP: i64 = 2_000;

/// The levels of a pair, one per comparison.
type Pattern = Vec<u8>;

struct Sample {
    keys: Vec<RecordKey>,
    records: Vec<Standardized>,
}

impl Engine {
    /// Learns a new version for parties of a kind and keeps it; it changes nothing until it is
    /// activated. `version` may be empty.
    ///
    /// # Errors
    /// `TOO_FEW_RECORDS` when there is too little to learn from; `RULE_SET_VERSION_TAKEN`.
    pub async fn train(
        &self,
        kind: PartyKind,
        (version, creator): (&str, &str),
        use_judgements: bool,
        progress: Progress,
    ) -> Result<RuleSetRow, Failure> {
        let core = &self.core;
        let mut reader = core.db.snapshot().await?;
        let conn = &mut *reader;
        let rules = core.active(conn).await?;
        let base = rules.of(kind).clone();
        let (total, _) = crate::store::rebuild::records(conn).await?;
        let mut places: BTreeSet<(u64, i64)> = BTreeSet::new();
        let mut after = i64::MIN;
        let mut seen = 0;
        loop {
            let page = records::page_of_parties(conn, after, STEP).await?;
            let Some(last) = page.last() else { break };
            after = last.no;
            seen += i64::try_from(page.len()).unwrap_or(0);
            for row in page.iter().filter(|r| r.kind.party() == Some(kind)) {
                places.insert((place(&row.key), row.no));
                if places.len() > SAMPLE {
                    places.pop_last();
                }
            }
            progress(seen, total * 2).await?;
        }
        let nos: Vec<i64> = places.iter().map(|p| p.1).collect();
        let mut loaded = BTreeMap::new();
        for chunk in nos.chunks(2_000) {
            loaded.extend(core.indexed(conn, chunk).await?);
            let done = i64::try_from(loaded.len()).unwrap_or(0).min(total);
            progress(total + done, total * 2).await?;
        }
        let mut sample = Sample {
            keys: Vec::new(),
            records: Vec::new(),
        };
        for no in &nos {
            if let Some((row, indexed)) = loaded.get(no) {
                sample.keys.push(row.key.clone());
                sample.records.push(indexed.std.rated(&base));
            }
        }
        drop(loaded);
        let mut judged = Vec::new();
        if use_judgements {
            for j in judgements::all_in_force(conn).await? {
                let same = match j.decision {
                    Decision::Positive => true,
                    Decision::Negative => false,
                    Decision::Unsure => continue,
                };
                let pairs = j
                    .left
                    .iter()
                    .flat_map(|l| j.right.iter().map(move |r| (l, r)));
                judged.extend(pairs.map(|(l, r)| (l.clone(), r.clone(), same)));
            }
        }
        drop(reader);
        let (version, text) = (version.to_owned(), base.to_toml().to_owned());
        let learned = tokio::task::spawn_blocking(move || learn(&base, &sample, &judged, &version))
            .await
            .map_err(Failure::internal)??;
        if learned.to_toml() == text {
            return Err(too_few(
                "it says nothing that the present weights do not say",
            ));
        }
        core.check_keys(&learned)?;
        let row = row_of(&learned, "trained", creator, core.clock.now());
        progress(total * 2, total * 2).await?;
        core.db
            .write(async |mut tx| kept_in(&mut tx, &row).await)
            .await
    }
}

fn too_few(why: &str) -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "TOO_FEW_RECORDS",
        format!("there is too little to learn from: {why}"),
    )
}

fn pattern(a: &Standardized, b: &Standardized, generic: &dyn Generic, rules: &RuleSet) -> Pattern {
    let mut out = vec![0; rules.comparisons.len()];
    for hit in compare(a, b, generic, rules).levels {
        if let Some(at) = out.get_mut(usize::from(hit.comparison)) {
            *at = hit.level;
        }
    }
    out
}

/// A judged pair: its records and whether they are one.
type Judged = (RecordKey, RecordKey, bool);

fn learn(
    base: &RuleSet,
    sample: &Sample,
    judged: &[Judged],
    version: &str,
) -> Result<RuleSet, Failure> {
    let keys: Vec<&RecordKey> = sample.keys.iter().collect();
    let population = Population::new(&keys, &sample.records, base);
    let records = &sample.records;
    let mut patterns: BTreeMap<Pattern, f64> = BTreeMap::new();
    let mut pairs = 0_u64;
    for (a, b) in population.pairs() {
        let p = pattern(&records[*a], &records[*b], &population, base);
        *patterns.entry(p).or_default() += 1.0;
        pairs += 1;
    }
    if pairs < LEAST {
        return Err(too_few(&format!(
            "{pairs} candidate pairs, {LEAST} are needed"
        )));
    }
    let mut random: BTreeMap<Pattern, f64> = BTreeMap::new();
    for i in 0..records.len() {
        // In order of places, neighbours have nothing to do with each other.
        for other in 1..=RANDOM.min(records.len() - 1) {
            let b = (i + other) % records.len();
            let p = pattern(&records[i], &records[b], &population, base);
            *random.entry(p).or_default() += 1.0;
        }
    }
    let at: BTreeMap<&RecordKey, usize> = keys.iter().enumerate().map(|(i, k)| (*k, i)).collect();
    let mut known: [BTreeMap<Pattern, f64>; 2] = Default::default();
    for (left, right, same) in judged {
        if let (Some(a), Some(b)) = (at.get(left), at.get(right)) {
            let p = pattern(&records[*a], &records[*b], &population, base);
            *known[usize::from(*same)].entry(p).or_default() += JUDGED;
        }
    }
    let weights = fit(base, &patterns, &random, &known);
    let name = if version.is_empty() {
        let first: String = base.version.chars().take(40).collect();
        let sum = population.pairs().len();
        format!("{first}-trained-{}-{sum}", records.len())
    } else {
        version.to_owned()
    };
    rewritten(base, &weights, &name)
}

/// Counts of levels, by comparison.
fn counts(base: &RuleSet, patterns: &BTreeMap<Pattern, f64>) -> Vec<Vec<f64>> {
    let mut out: Vec<Vec<f64>> = base
        .comparisons
        .iter()
        .map(|c| vec![0.0; c.levels.len()])
        .collect();
    for (p, n) in patterns {
        for (c, level) in p.iter().enumerate() {
            out[c][usize::from(*level)] += n;
        }
    }
    out
}

/// Shares of the levels but null, never zero.
fn shares(counts: &[f64], prior: &[f64], strength: f64) -> Vec<f64> {
    let total: f64 = counts.iter().skip(1).sum::<f64>() + strength;
    counts
        .iter()
        .zip(prior)
        .map(|(n, p)| ((n + p * strength) / total.max(1e-9)).max(1e-7))
        .collect()
}

fn fit(
    base: &RuleSet,
    patterns: &BTreeMap<Pattern, f64>,
    random: &BTreeMap<Pattern, f64>,
    known: &[BTreeMap<Pattern, f64>; 2],
) -> Vec<Vec<i32>> {
    let odds = |w: i32| (f64::from(w) / 1_000.0).exp2();
    let mut at_random = counts(base, random);
    for (c, list) in counts(base, &known[0]).into_iter().enumerate() {
        for (l, n) in list.into_iter().enumerate() {
            at_random[c][l] += n;
        }
    }
    let u: Vec<Vec<f64>> = at_random
        .iter()
        .map(|n| {
            let levels = n.len().saturating_sub(1).max(1);
            let mut even = vec![1.0 / levels as f64; n.len()];
            even[0] = 0.0;
            shares(n, &even, 5.0)
        })
        .collect();
    // What the present weights say about pairs of one party.
    let prior: Vec<Vec<f64>> = base
        .comparisons
        .iter()
        .zip(&u)
        .map(|(c, u)| {
            let raw: Vec<f64> = c
                .levels
                .iter()
                .zip(u)
                .enumerate()
                .map(|(l, (level, u))| if l == 0 { 0.0 } else { u * odds(level.weight) })
                .collect();
            let sum: f64 = raw.iter().sum();
            raw.iter().map(|r| r / sum.max(1e-12)).collect()
        })
        .collect();
    let mut m = prior.clone();
    let mut share = 0.2_f64;
    for _ in 0..ROUNDS {
        let mut sums: Vec<Vec<f64>> = m.iter().map(|l| vec![0.0; l.len()]).collect();
        let (mut matches, mut all) = (0.0, 0.0);
        for (p, n) in patterns {
            let mut log = (share / (1.0 - share)).log2();
            for (c, level) in p.iter().enumerate().filter(|(_, l)| **l != 0) {
                let l = usize::from(*level);
                log += (m[c][l].max(1e-7) / u[c][l]).log2();
            }
            let one = 1.0 / (1.0 + (-log).exp2());
            matches += one * n;
            all += n;
            for (c, level) in p.iter().enumerate() {
                sums[c][usize::from(*level)] += one * n;
            }
        }
        for (p, n) in &known[1] {
            for (c, level) in p.iter().enumerate() {
                sums[c][usize::from(*level)] += n;
            }
        }
        m = sums
            .iter()
            .zip(&prior)
            .map(|(n, p)| shares(n, p, PRIOR))
            .collect();
        share = f64::clamp(matches / f64::max(all, 1.0), 0.001, 0.9);
    }
    base.comparisons
        .iter()
        .enumerate()
        .map(|(c, rule)| {
            rule.levels
                .iter()
                .enumerate()
                .map(|(l, level)| {
                    // A level that no pair of either sort reached keeps its weight.
                    let reached = at_random[c][l] > 0.0 || m[c][l] > prior[c][l] * 0.999;
                    if l == 0 || !reached {
                        return level.weight;
                    }
                    let learned = (1_000.0 * (m[c][l] / u[c][l]).log2()).round() as i32;
                    learned.clamp(level.weight - FURTHEST, level.weight + FURTHEST)
                })
                .collect()
        })
        .collect()
}

/// The base's file with other weights and another version. Levels stand in the file in the order
/// of the rule set, so the weights are replaced one after the other.
fn rewritten(base: &RuleSet, weights: &[Vec<i32>], version: &str) -> Result<RuleSet, Failure> {
    let mut next = weights.iter().flatten();
    let mut out = String::with_capacity(base.to_toml().len());
    let mut named = false;
    for line in base.to_toml().lines() {
        let (code, comment) = line.split_once('#').unwrap_or((line, ""));
        let hash = if comment.len() < line.len() && line.contains('#') {
            "#"
        } else {
            ""
        };
        if !named && code.trim_start().starts_with("version") {
            out.push_str(&format!("version = \"{version}\"\n"));
            named = true;
            continue;
        }
        let mut rest = code;
        while let Some((before, after)) = rest.split_once("weight") {
            out.push_str(before);
            out.push_str("weight");
            let digits = after.trim_start_matches([' ', '=']);
            let end = digits
                .find(|c: char| !(c.is_ascii_digit() || c == '-' || c == '_' || c == '+'))
                .unwrap_or(digits.len());
            let weight = next.next().ok_or_else(|| damaged(base))?;
            out.push_str(&format!(" = {weight}"));
            rest = &digits[end..];
        }
        out.push_str(rest);
        out.push_str(hash);
        out.push_str(comment);
        out.push('\n');
    }
    let set = RuleSet::parse(&out)
        .map_err(|e| Failure::field("version", format!("the new rule set is not read: {e}")))?;
    let right = set
        .comparisons
        .iter()
        .zip(weights)
        .all(|(c, w)| c.levels.iter().map(|l| &l.weight).eq(w));
    if right { Ok(set) } else { Err(damaged(base)) }
}

fn damaged(base: &RuleSet) -> Failure {
    Failure::internal(format!(
        "the weights of {} do not stand in its file in order",
        base.version
    ))
}
