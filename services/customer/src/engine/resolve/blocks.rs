//! The blocks of the changed records, before and after: which keys are generic now, and which
//! records other than the changed ones stand otherwise in a block, so that their pairs change.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use jinke_resolution::block::{BlockState, place};
use jinke_store::Tx;
use jinke_types::{Failure, PartyKind, RecordKey};

use super::{
    MOST_AT_ONCE, PartyChange, Work,
    views::{self, Ask, Origin, View},
};
use crate::{
    engine::prepare::Indexed,
    store::{
        blocks::{self, BlockChanges, Held},
        pending, state,
        tokens::{self, TokenChanges},
    },
};

/// Keys that only block: a pair's score never asks whether they are generic. Every other key
/// stands for a value that counts as missing when it is generic.
const BLOCKING_ONLY: [&str; 12] = [
    "org_code",
    "core_region",
    "core",
    "prefix_region",
    "tail_region",
    "sound",
    "brand",
    "contact_prefix",
    "door_prefix",
    "name_employer",
    "name_birth",
    "name_region",
];

/// What the later steps need of the blocks.
#[derive(Clone, Debug, Default)]
pub(super) struct Blocks {
    /// Blocks as they are after the change, as far as they were read.
    pub(super) views: HashMap<i64, View>,
    /// Records whose pairs are all made anew: changed ones, those that stand otherwise in a
    /// block, and holders of a value whose genericity changed, because a generic value counts
    /// as missing in every comparison.
    pub(super) anew: BTreeSet<i64>,
    /// Records that may have lost pairs with records of the same block, and gained none.
    pub(super) losing: BTreeSet<i64>,
}

/// The place of a record in its blocks.
pub(crate) fn place_of(key: &RecordKey) -> i64 {
    place(key).cast_signed()
}

/// What the batch does to one block.
#[derive(Debug)]
struct Delta {
    origin: Origin,
    removed: BTreeSet<Held>,
    added: BTreeSet<Held>,
}

/// Where a record is held, by what is derived from it.
pub(crate) fn held(no: i64, key: &RecordKey, indexed: &Indexed) -> Held {
    Held {
        core: indexed.core.unwrap_or(0),
        place: place_of(key),
        no,
    }
}

pub(super) async fn run(work: &mut Work<'_>, tx: &mut Tx) -> Result<Blocks, Failure> {
    let mut out = Blocks::default();
    out.anew.extend(&work.input.again);
    let mut written = BlockChanges::default();
    let mut searched = TokenChanges::default();
    let mut deltas: BTreeMap<i64, Delta> = BTreeMap::new();
    for c in &work.input.changes {
        term_changes(c, &mut searched);
        if c.old.as_ref().is_some_and(|o| o.std == c.new.std) {
            continue;
        }
        out.anew.insert(c.no);
        block_changes(c, &mut deltas);
    }
    for (token, delta) in &mut deltas {
        // Who keeps the key, core and place stays where he is.
        let stays: BTreeSet<Held> = delta.added.intersection(&delta.removed).copied().collect();
        delta.added.retain(|h| !stays.contains(h));
        delta.removed.retain(|h| !stays.contains(h));
        written
            .added
            .extend(delta.added.iter().map(|h| (*token, *h)));
        written
            .removed
            .extend(delta.removed.iter().map(|h| (*token, *h)));
    }
    deltas.retain(|_, d| !(d.added.is_empty() && d.removed.is_empty()));
    let asks = asks(&deltas);
    let before = views::load(tx, &work.core.rules, &asks, &work.generic.tokens).await?;
    blocks::write(tx, written, false).await?;
    tokens::write(tx, searched, false).await?;
    let mut crossed: BTreeMap<i64, bool> = BTreeMap::new();
    for (token, delta) in &deltas {
        let Some(rule) = delta.origin.rule(&work.core.rules) else {
            continue;
        };
        let before = before
            .get(token)
            .cloned()
            .unwrap_or_else(|| View::empty(delta.origin));
        let mut after = before.clone();
        after.apply(&delta.removed, &delta.added);
        let states = (before.state(rule), after.state(rule));
        let is = states.1 == BlockState::Generic;
        if is != work.generic.tokens.contains(token) {
            crossed.insert(*token, is);
            if !only_blocks(&rule.name, delta.origin.kind) {
                work.left |= every_holder(tx, *token, &mut out.anew).await?;
            }
        }
        let concerned = concerned(rule, (&before, &after), states);
        // While records only come, those that were there gain no pair by it.
        if delta.removed.is_empty() {
            out.losing.extend(concerned);
        } else {
            out.anew.extend(concerned);
        }
        out.views.insert(*token, after);
    }
    if work.input.recount {
        recount(work, tx, &mut out, &mut crossed).await?;
    }
    note_generic(work, tx, crossed).await?;
    Ok(out)
}

/// Whether the keys of the records in `again` are generic, from the blocks alone.
async fn recount(
    work: &mut Work<'_>,
    tx: &mut Tx,
    out: &mut Blocks,
    crossed: &mut BTreeMap<i64, bool>,
) -> Result<(), Failure> {
    work.load_indexed(tx, work.input.again.iter().copied())
        .await?;
    let mut asks: BTreeMap<i64, Ask> = BTreeMap::new();
    for indexed in work
        .input
        .again
        .iter()
        .filter_map(|no| work.indexed.get(no))
    {
        for (token, origin) in keys_of(indexed) {
            let ask = asks.entry(token).or_insert_with(|| Ask {
                origin,
                leaving: 0,
                cores: BTreeSet::new(),
                counted: true,
            });
            ask.cores.insert(indexed.core.unwrap_or(0));
        }
    }
    for (token, view) in views::load(tx, &work.core.rules, &asks, &work.generic.tokens).await? {
        let Some(rule) = view.origin.rule(&work.core.rules) else {
            continue;
        };
        let is = view.state(rule) == BlockState::Generic;
        if is != work.generic.tokens.contains(&token) {
            crossed.insert(token, is);
            let list = blocks::holders(tx, token, i64::MAX).await?;
            out.anew.extend(list);
        }
        out.views.insert(token, view);
    }
    Ok(())
}

fn only_blocks(rule: &str, kind: PartyKind) -> bool {
    // A person's name key only blocks.
    BLOCKING_ONLY.contains(&rule) || (kind == PartyKind::Person && rule == "name")
}

/// All records of a block whose value begins or ceases to be evidence: at once when they are few,
/// else in the background, which it tells.
async fn every_holder(tx: &mut Tx, token: i64, anew: &mut BTreeSet<i64>) -> Result<bool, Failure> {
    let most = i64::try_from(MOST_AT_ONCE).unwrap_or(i64::MAX);
    let list = blocks::holders(tx, token, most + 1).await?;
    if list.len() > MOST_AT_ONCE {
        pending::put_block(tx, token).await?;
        return Ok(true);
    }
    anew.extend(list);
    Ok(false)
}

/// The records that were read and stand otherwise than before.
fn concerned(
    rule: &jinke_resolution::KeyRule,
    (before, after): (&View, &View),
    states: (BlockState, BlockState),
) -> BTreeSet<i64> {
    let open = |s: BlockState| s == BlockState::Open;
    if states.0 == states.1 && open(states.0) {
        return BTreeSet::new();
    }
    if states.0 != states.1 {
        let list = |v: &View| v.records().map(|r| r.1).collect::<BTreeSet<i64>>();
        let hubs = |v: &View| v.hubs().collect::<BTreeSet<i64>>();
        // Between crowded and generic only those who meet other cores stand otherwise.
        let (mut a, b) = if open(states.0) || open(states.1) {
            (list(before), list(after))
        } else {
            (hubs(before), hubs(after))
        };
        a.extend(b);
        return a;
    }
    let both = before.records().chain(after.records());
    both.filter(|(core, no)| {
        before.standing(rule, states.0, *core, *no) != after.standing(rule, states.1, *core, *no)
    })
    .map(|r| r.1)
    .collect()
}

fn asks(deltas: &BTreeMap<i64, Delta>) -> BTreeMap<i64, Ask> {
    deltas
        .iter()
        .map(|(token, d)| {
            let ask = Ask {
                origin: d.origin,
                leaving: d.removed.len(),
                cores: d.removed.iter().chain(&d.added).map(|h| h.core).collect(),
                // What is generic stays so while records only come.
                counted: !d.removed.is_empty(),
            };
            (*token, ask)
        })
        .collect()
}

fn block_changes(c: &PartyChange, deltas: &mut BTreeMap<i64, Delta>) {
    let mut delta = |indexed: &Indexed, key: &jinke_resolution::Key, token: i64, add: bool| {
        let delta = deltas.entry(token).or_insert_with(|| Delta {
            origin: Origin {
                kind: c.kind,
                rule: key.rule,
            },
            removed: BTreeSet::new(),
            added: BTreeSet::new(),
        });
        let held = held(c.no, &c.key, indexed);
        if add {
            delta.added.insert(held);
        } else {
            delta.removed.insert(held);
        }
    };
    if let Some(old) = &c.old {
        for (key, token) in old.std.keys().iter().zip(&old.keys) {
            delta(old, key, *token, false);
        }
    }
    for (key, token) in c.new.std.keys().iter().zip(&c.new.keys) {
        delta(&c.new, key, *token, true);
    }
}

fn term_changes(c: &PartyChange, changes: &mut TokenChanges) {
    let old: BTreeSet<i64> = c.old.iter().flat_map(|o| o.terms.iter().copied()).collect();
    let new: BTreeSet<i64> = c.new.terms.iter().copied().collect();
    changes
        .added
        .extend(new.difference(&old).map(|t| (*t, c.no)));
    changes
        .removed
        .extend(old.difference(&new).map(|t| (*t, c.no)));
}

/// Stores what crossed and lets the work go on with the set as it is now.
async fn note_generic(
    work: &mut Work<'_>,
    tx: &mut Tx,
    crossed: BTreeMap<i64, bool>,
) -> Result<(), Failure> {
    if !crossed.is_empty() {
        let mut set = (*work.generic.tokens).clone();
        for (token, is) in &crossed {
            if *is {
                set.insert(*token);
            } else {
                set.remove(token);
            }
        }
        work.generic.revision += 1;
        work.generic.tokens = Arc::new(set);
        state::change_generic(tx, &crossed, work.generic.revision).await?;
    }
    // Only now is known which texts of the changed records are generic.
    for c in &work.input.changes {
        work.note(c.no, Arc::clone(&c.new));
    }
    Ok(())
}

/// A block and a core of it whose first records are needed.
pub(super) type Wanted = (i64, Origin, i64);

/// Reads blocks that were not read yet, or not far enough.
pub(super) async fn complete(
    work: &Work<'_>,
    tx: &mut Tx,
    blocks: &mut Blocks,
    wanted: impl IntoIterator<Item = Wanted>,
) -> Result<(), Failure> {
    let mut asks: BTreeMap<i64, Ask> = BTreeMap::new();
    let mut parts: BTreeMap<(i64, i64), i64> = BTreeMap::new();
    for (token, origin, core) in wanted {
        match blocks.views.get(&token) {
            Some(view) if view.knows(core) => {}
            Some(_) => {
                let most = origin.rule(&work.core.rules).map_or(0, views::enough);
                parts.insert((token, core), i64::try_from(most).unwrap_or(i64::MAX));
            }
            None => {
                let ask = asks.entry(token).or_insert_with(|| Ask {
                    origin,
                    leaving: 0,
                    cores: BTreeSet::new(),
                    counted: false,
                });
                ask.cores.insert(core);
            }
        }
    }
    let read = views::load(tx, &work.core.rules, &asks, &work.generic.tokens).await?;
    blocks.views.extend(read);
    for ((token, core), list) in blocks::parts(tx, &parts).await? {
        if let Some(view) = blocks.views.get_mut(&token) {
            view.learn(core, list.into_iter().map(|h| (h.place, h.no)).collect());
        }
    }
    Ok(())
}

/// The keys of a record with their origin.
pub(super) fn keys_of(indexed: &Indexed) -> Vec<(i64, Origin)> {
    let kind = indexed.std.kind();
    let keys = indexed.std.keys().iter().zip(&indexed.keys);
    keys.map(|(key, token)| {
        let rule = key.rule;
        (*token, Origin { kind, rule })
    })
    .collect()
}
