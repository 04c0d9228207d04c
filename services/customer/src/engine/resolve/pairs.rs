//! Candidate pairs, their scores, and what changes in the pair table.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use jinke_resolution::{Key, Rules, block::meets, score};
use jinke_store::Tx;
use jinke_types::Failure;

use super::{
    Work,
    blocks::{self, Blocks, Wanted},
};
use crate::{
    engine::prepare::Indexed,
    store::{blocks as store, pairs},
};

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
    let anew = std::mem::take(&mut blocks.anew);
    let losing: BTreeSet<i64> = blocks.losing.difference(&anew).copied().collect();
    work.load_indexed(tx, anew.iter().copied()).await?;
    let candidates = candidates(work, tx, &mut blocks, &anew).await?;
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
    let asked: BTreeSet<i64> = anew.union(&losing).copied().collect();
    let asked: Vec<i64> = asked.into_iter().filter(|n| !fresh.contains(n)).collect();
    let mut stored: BTreeMap<Pair, i32> = BTreeMap::new();
    for chunk in asked.chunks(1_000) {
        for (a, b, score) in pairs::from_some(tx, work.lane, chunk, usize::MAX).await? {
            stored.insert(pair(a, b), score);
        }
    }
    let mut changed = Changed::new();
    for (p, score) in &scored {
        // A recount also looks whether a pair is stored in both directions.
        if stored.get(p) != Some(score) || work.input.recount {
            changed.insert(*p, Some(*score));
        }
    }
    let (mine, others): (Vec<Pair>, Vec<Pair>) = stored
        .into_keys()
        .partition(|p| anew.contains(&p.0) || anew.contains(&p.1));
    changed.extend(
        mine.into_iter()
            .filter(|p| !scored.contains_key(p))
            .map(|p| (p, None)),
    );
    for p in lost(work, tx, &mut blocks, others).await? {
        changed.insert(p, None);
    }
    pairs::write(tx, work.lane, &changed).await?;
    Ok(changed)
}

/// The pairs that the blocks of these records give, of every record at least one.
async fn candidates(
    work: &Work<'_>,
    tx: &mut Tx,
    blocks: &mut Blocks,
    anew: &BTreeSet<i64>,
) -> Result<Vec<Pair>, Failure> {
    let mut wanted: Vec<Wanted> = Vec::new();
    for no in anew {
        wanted.extend(places(work, *no));
    }
    blocks::complete(work, tx, blocks, wanted).await?;
    let mut out: Vec<Pair> = Vec::new();
    let mut wide: BTreeMap<(i64, i64), Vec<i64>> = BTreeMap::new();
    for no in anew {
        let mut partners: Vec<i64> = Vec::new();
        for (token, origin, core) in places(work, *no) {
            let (Some(view), Some(rule)) =
                (blocks.views.get(&token), origin.rule(&work.core.rules))
            else {
                continue;
            };
            let (list, all) = view.partners(rule, core, *no);
            partners.extend(list);
            if all {
                wide.entry((token, core)).or_default().push(*no);
            }
        }
        partners.sort_unstable();
        partners.dedup();
        out.extend(partners.iter().filter(|m| *m != no).map(|m| pair(*no, *m)));
    }
    // Hubs of crowded cores meet all of their core.
    for ((token, core), hubs) in wide {
        let all = store::part(tx, token, core).await?;
        for hub in hubs {
            out.extend(all.iter().filter(|m| **m != hub).map(|m| pair(hub, *m)));
        }
    }
    out.sort_unstable();
    out.dedup();
    Ok(out)
}

/// The blocks of a record, with its core.
fn places(work: &Work<'_>, no: i64) -> impl Iterator<Item = Wanted> {
    let indexed = work.indexed.get(&no);
    let core = indexed.and_then(|i| i.core).unwrap_or(0);
    let keys = indexed.map(|i| blocks::keys_of(i)).unwrap_or_default();
    keys.into_iter().map(move |(t, o)| (t, o, core))
}

/// Those of these pairs that no block gives any more.
async fn lost(
    work: &mut Work<'_>,
    tx: &mut Tx,
    blocks: &mut Blocks,
    list: Vec<Pair>,
) -> Result<Vec<Pair>, Failure> {
    if list.is_empty() {
        return Ok(list);
    }
    work.load_indexed(tx, list.iter().flat_map(|p| [p.0, p.1]))
        .await?;
    let mut wanted: BTreeMap<(i64, i64), Wanted> = BTreeMap::new();
    let common = |work: &Work<'_>, p: &Pair| -> Vec<(Wanted, i64)> {
        let other: HashMap<i64, i64> = places(work, p.1).map(|(t, _, c)| (t, c)).collect();
        places(work, p.0)
            .filter_map(|w| Some((w, *other.get(&w.0)?)))
            .collect()
    };
    for p in &list {
        for ((token, origin, core), other) in common(work, p) {
            for core in [core, other] {
                wanted.insert((token, core), (token, origin, core));
            }
        }
    }
    blocks::complete(work, tx, blocks, wanted.into_values()).await?;
    let given = |p: &Pair| {
        common(work, p)
            .into_iter()
            .any(|((token, origin, core), other)| {
                let (Some(view), Some(rule)) =
                    (blocks.views.get(&token), origin.rule(&work.core.rules))
                else {
                    return false;
                };
                let state = view.state(rule);
                meets(
                    view.standing(rule, state, core, p.0),
                    view.standing(rule, state, other, p.1),
                )
            })
    };
    Ok(list.iter().filter(|p| !given(p)).copied().collect())
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
        let (generic, rules): (_, Arc<Rules>) = (Arc::clone(&generic), Arc::clone(&work.rules));
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
