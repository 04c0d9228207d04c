//! Pairs of records that stewards judged, for learning from them and for measuring against them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jinke_store::Conn;
use jinke_types::Failure;

use super::{Core, prepare::Indexed};
use crate::{
    domain::{Decision, key_text},
    store::{
        judgements::{self, JudgementRow},
        records::{self, PartyRow},
    },
};

/// Most judged pairs that are looked at, those of the newest judgements first. One judgement may
/// name thousands of records on either side, so pairs are counted and not judgements.
pub(super) const MOST: usize = 200_000;
/// Pairs whose records are read at once.
pub(super) const STEP: usize = 1_000;

/// Two names as they are stored, the smaller first, and whether a person said they are one.
pub(super) type JudgedPair = ((String, String), bool);

/// The records of judged pairs, by name as stored.
pub(super) type JudgedRecords = BTreeMap<String, (PartyRow, Arc<Indexed>)>;

/// The pairs of the judgements in force, by name. Of two judgements on one pair the newer counts.
pub(super) async fn pairs(conn: &mut Conn) -> Result<Vec<JudgedPair>, Failure> {
    let all = judgements::all_in_force(conn).await?;
    Ok(newest(&all, MOST).into_iter().collect())
}

fn newest(all: &[JudgementRow], most: usize) -> BTreeMap<(String, String), bool> {
    let mut pairs: BTreeMap<(String, String), bool> = BTreeMap::new();
    for j in all.iter().rev() {
        let same = match j.decision {
            Decision::Positive => true,
            Decision::Negative => false,
            Decision::Unsure => continue,
        };
        for l in &j.left {
            for r in &j.right {
                if pairs.len() >= most {
                    return pairs;
                }
                let (l, r) = (key_text(l), key_text(r));
                if l != r {
                    let pair = (l.clone().min(r.clone()), l.max(r));
                    pairs.entry(pair).or_insert(same);
                }
            }
        }
    }
    pairs
}

impl Core {
    /// The party records that these pairs name, as far as they are present.
    pub(super) async fn judged_records(
        &self,
        conn: &mut Conn,
        pairs: &[JudgedPair],
    ) -> Result<JudgedRecords, Failure> {
        let names: BTreeSet<&String> = pairs.iter().flat_map(|p| [&p.0.0, &p.0.1]).collect();
        let names = names.into_iter().cloned().collect();
        let rows = records::parties_by_key(conn, names).await?;
        let nos: Vec<i64> = rows.iter().map(|r| r.no).collect();
        let found = self.indexed(conn, &nos).await?;
        let named = found.into_values().map(|f| (key_text(&f.0.key), f));
        Ok(named.collect())
    }
}

#[cfg(test)]
mod tests {
    use jinke_types::{RecordKey, Timestamp};

    use super::*;

    fn judgement(decision: Decision, left: &[&str], right: &[&str]) -> JudgementRow {
        let keys = |list: &[&str]| list.iter().map(|id| RecordKey::new("erp", *id)).collect();
        JudgementRow {
            id: 1,
            decision,
            overrides: false,
            suspended: false,
            data_key: Vec::new(),
            comment: Vec::new(),
            creator: String::new(),
            create_time: Timestamp::from_secs(0),
            retract_time: None,
            left: keys(left),
            right: keys(right),
        }
    }

    #[test]
    fn the_newest_judgements_come_first_and_the_pairs_are_bounded() {
        let all = [
            judgement(Decision::Positive, &["a"], &["b", "c"]),
            judgement(Decision::Unsure, &["x"], &["y"]),
            judgement(Decision::Negative, &["b"], &["a", "b"]),
        ];
        let pair = |l: &str, r: &str| {
            let text = |id: &str| key_text(&RecordKey::new("erp", id));
            (text(l), text(r))
        };
        let found = newest(&all, 10);
        assert_eq!(
            found,
            BTreeMap::from([(pair("a", "b"), false), (pair("a", "c"), true)])
        );
        assert_eq!(
            newest(&all, 1),
            BTreeMap::from([(pair("a", "b"), false)]),
            "the older one no longer fits"
        );
    }
}
