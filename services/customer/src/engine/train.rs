//! Learning the weights of a rule set from the records present.
//!
//! The model of Fellegi and Sunter (1969), fitted as Winkler (1988) does, by expectation and
//! maximization: how often a level occurs among pairs of one party (m) is learned from candidate
//! pairs without labels, how often among others (u) from pairs taken at random. What stewards
//! judged can be added as pairs whose answer is known. A weight is `log2(m / u)` in milli-bits.
//!
//! Candidate pairs are few and one-sided, so the present weights count as evidence too, and one
//! training moves no weight by more than a few bits: a larger step would rather say that the
//! sample is odd. Floats occur in [`fit`] alone; they are summed in the order of level patterns, so
//! that the file is the same for any order of records.

mod file;
mod fit;
mod sample;

use std::collections::BTreeMap;

use jinke_resolution::{RuleSet, Standardized, block::Generic, compare};
use jinke_store::Conn;
use jinke_types::{Code, Failure, PartyKind};

use super::{
    Core, Engine, judged,
    rebuild::Progress,
    rule_sets::{kept_in, row_of},
};
use crate::store::rule_sets::RuleSetRow;
pub use file::Learned;
use fit::Evidence;

/// Fewest candidate pairs to learn from.
const LEAST: i64 = 200;

/// The levels of a pair, one per comparison.
type Pattern = Vec<u8>;

/// How often patterns occur.
type Patterns = BTreeMap<Pattern, i64>;

impl Engine {
    /// Learns a new version for parties of a kind and keeps it; it changes nothing until it is
    /// activated. `version` may be empty. What it was learned from stands in its file, see
    /// [`Learned`].
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
        let base = core.active(conn).await?.of(kind).clone();
        let (total, _) = crate::store::rebuild::records(conn).await?;
        let sample = core.sample(conn, &base, (total, &progress)).await?;
        let mut learned = Learned {
            records: count(sample.records.len()),
            candidate_pairs: count(sample.candidates.len()),
            judged_pairs: 0,
            judged_pairs_left_out: 0,
        };
        if learned.candidate_pairs < LEAST {
            return Err(too_few(&format!(
                "{} candidate pairs, {LEAST} are needed",
                learned.candidate_pairs
            )));
        }
        let mut known = [Patterns::new(), Patterns::new()];
        if use_judgements {
            known = core.judged_patterns(conn, &base, &mut learned).await?;
        }
        drop(reader);
        let name = if version.is_empty() {
            learned.version(&base)
        } else {
            version.to_owned()
        };
        let set = tokio::task::spawn_blocking(move || {
            let evidence = Evidence {
                candidates: sample.candidate_patterns(&base),
                random: sample.random_patterns(&base),
                known,
            };
            let weights = fit::weights(&base, &evidence);
            if file::weights_of(&base) == weights {
                let same = "it says nothing that the present weights do not say";
                return Err(too_few(same));
            }
            file::rewritten(&base, &weights, &name, &learned)
        })
        .await
        .map_err(Failure::internal)??;
        core.check_keys(&set)?;
        let row = row_of(&set, "trained", creator, core.clock.now());
        progress(total * 2, total * 2).await?;
        core.db
            .write(async |mut tx| kept_in(&mut tx, &row).await)
            .await
    }
}

impl Core {
    /// The patterns of judged pairs, by whether they are one. The records are read for it whether
    /// they are in the sample or not: of many records, those that somebody judged hardly ever are.
    async fn judged_patterns(
        &self,
        conn: &mut Conn,
        base: &RuleSet,
        learned: &mut Learned,
    ) -> Result<[Patterns; 2], Failure> {
        let mut known = [Patterns::new(), Patterns::new()];
        for chunk in judged::pairs(conn).await?.chunks(judged::STEP) {
            let found = self.judged_records(conn, chunk).await?;
            let all: Vec<_> = found.values().map(|f| &*f.1).collect();
            let generic = self.generic_texts(conn, &all).await?;
            for ((left, right), same) in chunk {
                let of = |name: &String| found.get(name).filter(|f| !f.0.deleted);
                let (Some((_, a)), Some((_, b))) = (of(left), of(right)) else {
                    // Of which kind a record was that is gone, nobody can tell.
                    let other = [left, right].into_iter().filter_map(|name| found.get(name));
                    if other.into_iter().all(|f| f.1.std.kind() == base.kind) {
                        learned.judged_pairs_left_out += 1;
                    }
                    continue;
                };
                if a.std.kind() != base.kind || b.std.kind() != base.kind {
                    continue;
                }
                let p = pattern(&a.std.rated(base), &b.std.rated(base), &generic, base);
                *known[usize::from(*same)].entry(p).or_default() += 1;
                learned.judged_pairs += 1;
            }
        }
        Ok(known)
    }
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
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
