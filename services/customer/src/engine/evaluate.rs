//! Measuring a rule set against what stewards judged.

use std::collections::{BTreeMap, BTreeSet};

use jinke_resolution::{RuleSet, score};
use jinke_types::{Failure, RecordKey};

use super::{Engine, rebuild::Progress};
use crate::{
    domain::{Decision, damaged, key_text},
    store::{judgements, records},
};

/// Most judged pairs that are looked at, the newest judgements first.
const MOST: usize = 200_000;
/// Mistakes that are listed.
const LISTED: usize = 100;
/// Records per step.
const STEP: usize = 1_000;

/// Hits of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Hits.
    pub hits: i64,
    /// Of so many.
    pub of: i64,
}

impl Share {
    /// The share and its 95 % confidence interval by Wilson (1927), in millionths.
    pub fn millionths(self) -> (i32, i32, i32) {
        if self.of == 0 {
            return (0, 0, 1_000_000);
        }
        let (k, n, z) = (self.hits as f64, self.of as f64, 1.959_964);
        let p = k / n;
        let middle = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
        let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        let whole = |x: f64| (x.clamp(0.0, 1.0) * 1e6).round() as i32;
        (whole(p), whole(middle - half), whole(middle + half))
    }
}

/// A judged pair on which the rule set and the person differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// One record.
    pub left: RecordKey,
    /// The other.
    pub right: RecordKey,
    /// In milli-bits.
    pub score: i32,
    /// The person said they are one.
    pub same: bool,
}

/// How a rule set does on judged pairs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evaluation {
    /// Of those that reach the merge threshold, those that are one.
    pub precision: Share,
    /// Of those that are one, those that reach the merge threshold.
    pub recall: Share,
    /// Of those that are one, those that reach the review threshold.
    pub review_recall: Share,
    /// Judged pairs.
    pub judged: i64,
    /// Those whose records are present.
    pub present: i64,
    /// The clearest first.
    pub mistakes: Vec<Mistake>,
}

impl Engine {
    /// Scores the pairs that stewards judged with a rule set.
    pub async fn evaluate(&self, rule_set: i64, progress: Progress) -> Result<Evaluation, Failure> {
        let core = &self.core;
        let row = self.rule_set(rule_set).await?.0;
        let set = RuleSet::parse(&row.text).map_err(|_| damaged("rule set"))?;
        core.check_keys(&set)?;
        let mut reader = core.db.snapshot().await?;
        let conn = &mut *reader;
        let mut pairs: BTreeMap<(String, String), bool> = BTreeMap::new();
        for j in judgements::all_in_force(conn).await?.iter().rev() {
            let same = match j.decision {
                Decision::Positive => true,
                Decision::Negative => false,
                Decision::Unsure => continue,
            };
            for (l, r) in j
                .left
                .iter()
                .flat_map(|l| j.right.iter().map(move |r| (l, r)))
            {
                if pairs.len() < MOST {
                    let (l, r) = (key_text(l), key_text(r));
                    pairs
                        .entry((l.clone().min(r.clone()), l.max(r)))
                        .or_insert(same);
                }
            }
        }
        let mut out = Evaluation {
            judged: i64::try_from(pairs.len()).unwrap_or(0),
            ..Evaluation::default()
        };
        let list: Vec<((String, String), bool)> = pairs.into_iter().collect();
        let mut done = 0;
        for chunk in list.chunks(STEP) {
            let names: BTreeSet<&String> = chunk.iter().flat_map(|p| [&p.0.0, &p.0.1]).collect();
            let names = names.into_iter().cloned().collect();
            let rows = records::parties_by_key(conn, names).await?;
            let nos: Vec<i64> = rows.iter().map(|r| r.no).collect();
            let by_name: BTreeMap<String, i64> =
                rows.iter().map(|r| (key_text(&r.key), r.no)).collect();
            let found = core.indexed(conn, &nos).await?;
            let all: Vec<_> = found.values().map(|f| &*f.1).collect();
            let generic = core.generic_texts(conn, &all).await?;
            for ((left, right), same) in chunk {
                let of = |name: &String| found.get(by_name.get(name)?);
                let (Some(a), Some(b)) = (of(left), of(right)) else {
                    continue;
                };
                if a.1.std.kind() != set.kind || b.1.std.kind() != set.kind {
                    continue;
                }
                let score = score(&a.1.std.rated(&set), &b.1.std.rated(&set), &generic, &set);
                let mistake = Mistake {
                    left: a.0.key.clone(),
                    right: b.0.key.clone(),
                    score,
                    same: *same,
                };
                out.count(mistake, &set);
            }
            done += i64::try_from(chunk.len()).unwrap_or(0);
            progress(done, out.judged).await?;
        }
        let merge = set.thresholds.merge;
        out.mistakes.sort_by_key(|m| {
            (
                std::cmp::Reverse((m.score - merge).abs()),
                m.left.clone(),
                m.right.clone(),
            )
        });
        out.mistakes.truncate(LISTED);
        Ok(out)
    }
}

impl Evaluation {
    fn count(&mut self, pair: Mistake, set: &RuleSet) {
        self.present += 1;
        let merges = pair.score >= set.thresholds.merge;
        let reviews = pair.score >= set.thresholds.review;
        if merges {
            self.precision.of += 1;
            self.precision.hits += i64::from(pair.same);
        }
        if pair.same {
            self.recall.of += 1;
            self.recall.hits += i64::from(merges);
            self.review_recall.of += 1;
            self.review_recall.hits += i64::from(reviews);
        }
        if merges != pair.same {
            self.mistakes.push(pair);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Share;

    #[test]
    fn intervals_are_wilsons() {
        // 8 of 10: 0.4902 to 0.9433.
        assert_eq!(Share { hits: 8, of: 10 }.millionths().0, 800_000);
        let (_, low, high) = Share { hits: 8, of: 10 }.millionths();
        assert!(
            (low - 490_162).abs() < 20 && (high - 943_318).abs() < 20,
            "{low} {high}"
        );
        assert_eq!(Share::default().millionths(), (0, 0, 1_000_000));
    }
}
