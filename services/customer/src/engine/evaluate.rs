//! Measuring a rule set against what stewards judged.

use std::collections::BTreeMap;

use jinke_resolution::{LevelHit, RuleSet, compare};
use jinke_types::{Failure, RecordKey};

use super::{Engine, judged, rebuild::Progress};
use crate::domain::damaged;

/// Mistakes that are listed.
const LISTED: usize = 100;

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

/// How a rule set and a person differ on a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MistakeKind {
    /// Judged different, and it reaches the merge threshold.
    WronglyMerged,
    /// Judged one, and it stays below the review threshold: nobody is asked.
    Missed,
    /// Judged one, and it is between the thresholds: a person is asked.
    LeftToReview,
}

/// What spoke loudest against the person: comparison and level. Nothing when no level did, and the
/// evidence was only too little.
pub type Decisive = Option<(String, String)>;

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
    /// In which way.
    pub kind: MistakeKind,
    /// By what.
    pub decisive: Decisive,
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
    /// All mistakes, by kind and by what decided them.
    pub kinds: BTreeMap<(MistakeKind, Decisive), i64>,
    /// Examples of every kind, the clearest first.
    pub mistakes: Vec<Mistake>,
}

impl Engine {
    /// Scores the pairs that stewards judged with a rule set. What the `hidden` comparisons found
    /// is not told.
    ///
    /// # Errors
    /// `NOT_FOUND` for a rule set that is not there; `RULE_SET_KEYS`.
    pub async fn evaluate(
        &self,
        rule_set: i64,
        hidden: &[String],
        progress: Progress,
    ) -> Result<Evaluation, Failure> {
        let core = &self.core;
        let row = self.rule_set(rule_set).await?.0;
        let set = RuleSet::parse(&row.text).map_err(|_| damaged("rule set"))?;
        core.check_keys(&set)?;
        let mut reader = core.db.snapshot().await?;
        let conn = &mut *reader;
        let list = judged::pairs(conn).await?;
        let mut out = Evaluation {
            judged: i64::try_from(list.len()).unwrap_or(0),
            ..Evaluation::default()
        };
        let mut done = 0;
        for chunk in list.chunks(judged::STEP) {
            let found = core.judged_records(conn, chunk).await?;
            let all: Vec<_> = found.values().map(|f| &*f.1).collect();
            let generic = core.generic_texts(conn, &all).await?;
            for ((left, right), same) in chunk {
                let (Some(a), Some(b)) = (found.get(left), found.get(right)) else {
                    continue;
                };
                if a.1.std.kind() != set.kind || b.1.std.kind() != set.kind {
                    continue;
                }
                let seen = compare(&a.1.std.rated(&set), &b.1.std.rated(&set), &generic, &set);
                let Some(kind) = out.count(seen.score, *same, &set) else {
                    continue;
                };
                let decisive = decisive(&seen.levels, *same, &set, hidden);
                *out.kinds.entry((kind, decisive.clone())).or_default() += 1;
                out.mistakes.push(Mistake {
                    left: a.0.key.clone(),
                    right: b.0.key.clone(),
                    score: seen.score,
                    same: *same,
                    kind,
                    decisive,
                });
            }
            done += i64::try_from(chunk.len()).unwrap_or(0);
            progress(done, out.judged).await?;
        }
        out.mistakes = listed(out.mistakes, set.thresholds.merge, LISTED);
        Ok(out)
    }
}

impl Evaluation {
    /// Counts a pair; the kind of mistake when it is one.
    fn count(&mut self, score: i32, same: bool, set: &RuleSet) -> Option<MistakeKind> {
        self.present += 1;
        let merges = score >= set.thresholds.merge;
        let reviews = score >= set.thresholds.review;
        if merges {
            self.precision.of += 1;
            self.precision.hits += i64::from(same);
        }
        if same {
            self.recall.of += 1;
            self.recall.hits += i64::from(merges);
            self.review_recall.of += 1;
            self.review_recall.hits += i64::from(reviews);
        }
        match (same, merges, reviews) {
            (false, true, _) => Some(MistakeKind::WronglyMerged),
            (true, false, true) => Some(MistakeKind::LeftToReview),
            (true, false, false) => Some(MistakeKind::Missed),
            _ => None,
        }
    }
}

/// The level with the greatest weight against what the person said, the first of equal ones.
fn decisive(levels: &[LevelHit], same: bool, set: &RuleSet, hidden: &[String]) -> Decisive {
    let against = |hit: &&LevelHit| if same { -hit.weight } else { hit.weight };
    let name = |hit: &LevelHit| {
        let comparison = set.comparisons.get(usize::from(hit.comparison))?;
        let level = comparison.levels.get(usize::from(hit.level))?;
        Some((comparison.name.clone(), level.name.clone()))
    };
    let shown = |hit: &&LevelHit| name(hit).is_some_and(|(c, _)| !hidden.contains(&c));
    levels
        .iter()
        .filter(|hit| against(hit) > 0)
        .filter(shown)
        .min_by_key(|hit| (std::cmp::Reverse(against(hit)), hit.comparison))
        .and_then(name)
}

/// The clearest mistakes of each kind in turn, so that a frequent kind leaves room for a rare one;
/// then all of them, the clearest first.
fn listed(mut all: Vec<Mistake>, merge: i32, most: usize) -> Vec<Mistake> {
    let order = |m: &Mistake| {
        let clear = std::cmp::Reverse((m.score - merge).abs());
        (clear, m.left.clone(), m.right.clone())
    };
    all.sort_by_cached_key(order);
    let mut seen: BTreeMap<(MistakeKind, Decisive), usize> = BTreeMap::new();
    let mut ranked: Vec<(usize, Mistake)> = all
        .into_iter()
        .map(|m| {
            let rank = seen.entry((m.kind, m.decisive.clone())).or_default();
            *rank += 1;
            (*rank, m)
        })
        .collect();
    ranked.sort_by_key(|r| r.0);
    ranked.truncate(most);
    let mut out: Vec<Mistake> = ranked.into_iter().map(|r| r.1).collect();
    out.sort_by_cached_key(order);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_mistake_is_listed() {
        let mistake = |id: usize, kind, decisive: &str| Mistake {
            left: RecordKey::new("erp", format!("{id:02}")),
            right: RecordKey::new("crm", "x"),
            score: -1_000 * i32::try_from(20 - id).unwrap(),
            same: true,
            kind,
            decisive: (!decisive.is_empty()).then(|| (decisive.to_owned(), "else".to_owned())),
        };
        let mut all: Vec<Mistake> = (0..10)
            .map(|id| mistake(id, MistakeKind::Missed, "name"))
            .collect();
        all.push(mistake(18, MistakeKind::LeftToReview, ""));
        all.push(mistake(19, MistakeKind::LeftToReview, "phone"));
        let ids = |list: Vec<Mistake>| -> Vec<String> {
            list.into_iter().map(|m| m.left.external_id).collect()
        };
        all.reverse();
        assert_eq!(ids(listed(all.clone(), 0, 4)), ["00", "01", "18", "19"]);
        assert_eq!(listed(all, 0, 100).len(), 12);
    }

    #[test]
    fn what_speaks_loudest_against_the_person_decides() {
        let set = RuleSet::organization();
        let hit = |comparison: u8, weight: i32| LevelHit {
            comparison,
            level: 1,
            weight,
            adjustment: 0,
        };
        let name = |c: usize| {
            Some((
                set.comparisons[c].name.clone(),
                set.comparisons[c].levels[1].name.clone(),
            ))
        };
        let levels = [hit(0, 9_000), hit(1, -4_000), hit(2, 9_000), hit(3, -1_000)];
        assert_eq!(decisive(&levels, true, &set, &[]), name(1));
        assert_eq!(decisive(&levels, false, &set, &[]), name(0));
        let hidden = [set.comparisons[0].name.clone()];
        assert_eq!(decisive(&levels, false, &set, &hidden), name(2));
        assert_eq!(decisive(&levels[..1], true, &set, &[]), None);
    }

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
