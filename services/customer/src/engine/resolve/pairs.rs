//! Candidate pairs, their scores, and what changes in the pair table.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use jinke_resolution::{Key, Rules, score};
use jinke_store::Tx;
use jinke_types::Failure;

use super::{
    Work,
    blocks::{self, Blocks},
};
use crate::{engine::prepare::Indexed, store::pairs};

/// A pair, smaller number first.
pub(super) type Pair = (i64, i64);

fn pair(a: i64, b: i64) -> Pair {
    (a.min(b), a.max(b))
}

/// What changed in the pair table; none for a pair that is gone.
pub(super) type Changed = BTreeMap<Pair, Option<i32>>;

pub(super) async fn run(
    work: &mut Work<'_>,
    tx: &mut Tx,
    mut blocks: Blocks,
) -> Result<Changed, Failure> {
    // Records whose pairs are all made anew: changed ones, and holders of a value whose
    // genericity changed, because a generic value counts as missing in every comparison.
    let mut anew = blocks.dirty.clone();
    for c in blocks.crossings.iter().filter(|c| c.exact) {
        anew.extend(&c.members);
    }
    let crossed: BTreeSet<i64> = blocks
        .crossings
        .iter()
        .flat_map(|c| c.members.iter().copied())
        .collect();
    work.load_indexed(tx, crossed.iter().copied()).await?;
    let mut wanted = BTreeMap::new();
    for no in anew.difference(&blocks.dirty) {
        wanted.extend(blocks::keys_of(work, *no));
    }
    blocks::others(work, tx, &mut blocks, &wanted).await?;

    let mut candidates: Vec<Pair> = Vec::new();
    for no in &anew {
        for (token, _) in blocks::keys_of(work, *no) {
            let members = blocks.members.get(&token).into_iter().flatten();
            candidates.extend(members.filter(|m| *m != no).map(|m| pair(*no, *m)));
        }
    }
    // A key that only blocks and is no longer generic makes its members candidates.
    for c in blocks.crossings.iter().filter(|c| !c.exact && !c.generic) {
        let rest: Vec<i64> = c.members.difference(&anew).copied().collect();
        for (i, a) in rest.iter().enumerate() {
            candidates.extend(rest[i + 1..].iter().map(|b| pair(*a, *b)));
        }
    }
    candidates.sort_unstable();
    candidates.dedup();
    work.load_indexed(tx, candidates.iter().flat_map(|p| [p.0, p.1]))
        .await?;
    let scored = score_all(work, &candidates).await?;

    let fresh: HashSet<i64> = work
        .input
        .changes
        .iter()
        .filter(|c| c.fresh)
        .map(|c| c.no)
        .collect();
    let asked: BTreeSet<i64> = anew.union(&crossed).copied().collect();
    let asked: Vec<i64> = asked.into_iter().filter(|n| !fresh.contains(n)).collect();
    let mut stored: BTreeMap<Pair, i32> = BTreeMap::new();
    for (a, b, score) in pairs::from(tx, &asked).await? {
        stored.insert(pair(a, b), score);
    }
    let mut changed = Changed::new();
    for (p, score) in &scored {
        if stored.get(p) != Some(score) {
            changed.insert(*p, Some(*score));
        }
    }
    for p in stored.keys() {
        let is_anew = anew.contains(&p.0) || anew.contains(&p.1);
        if (is_anew && !scored.contains_key(p)) || (!is_anew && lost(work, &blocks, *p)) {
            changed.insert(*p, None);
        }
    }
    pairs::write(tx, &changed).await?;
    Ok(changed)
}

/// Whether a pair is no candidate any more, because a key that only blocks became generic.
fn lost(work: &Work<'_>, blocks: &Blocks, p: Pair) -> bool {
    let concerned = blocks
        .crossings
        .iter()
        .any(|c| !c.exact && c.generic && c.members.contains(&p.0) && c.members.contains(&p.1));
    if !concerned {
        return false;
    }
    let (Some(a), Some(b)) = (work.indexed.get(&p.0), work.indexed.get(&p.1)) else {
        return false;
    };
    !a.keys
        .iter()
        .any(|t| b.keys.contains(t) && !work.generic.tokens.contains(t))
}

/// Pairs per task; a score takes about a microsecond.
const CHUNK: usize = 20_000;

/// Scores pairs on the threads for heavy work; those at or above the review threshold.
async fn score_all(
    work: &mut Work<'_>,
    candidates: &[Pair],
) -> Result<BTreeMap<Pair, i32>, Failure> {
    let generic: Arc<HashSet<Key>> = Arc::new(std::mem::take(&mut work.generic_texts));
    let mut tasks = Vec::new();
    for chunk in candidates.chunks(CHUNK) {
        let mut list: Vec<(Pair, Arc<Indexed>, Arc<Indexed>)> = Vec::with_capacity(chunk.len());
        for p in chunk {
            if let (Some(a), Some(b)) = (work.indexed.get(&p.0), work.indexed.get(&p.1)) {
                list.push((*p, Arc::clone(a), Arc::clone(b)));
            }
        }
        let (generic, rules): (_, Arc<Rules>) =
            (Arc::clone(&generic), Arc::clone(&work.core.rules));
        tasks.push(tokio::task::spawn_blocking(move || {
            list.into_iter()
                .filter_map(|(p, a, b)| {
                    let rules = rules.of(a.std.kind());
                    let score = score(&a.std, &b.std, &*generic, rules);
                    (score >= rules.thresholds.review).then_some((p, score))
                })
                .collect::<Vec<_>>()
        }));
    }
    let mut out = BTreeMap::new();
    for task in tasks {
        out.extend(task.await.map_err(Failure::internal)?);
    }
    work.generic_texts = Arc::unwrap_or_clone(generic);
    Ok(out)
}
