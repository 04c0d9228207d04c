//! The blocks of the changed records, before and after, and which keys are generic now.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use jinke_resolution::KeyRule;
use jinke_store::Tx;
use jinke_types::{Failure, PartyKind};

use super::Work;
use crate::store::{
    state,
    tokens::{self, Holder, TokenChanges},
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

/// Where a key comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    kind: PartyKind,
    rule: u8,
}

/// A key that became generic or ceased to be.
#[derive(Debug)]
pub(super) struct Crossing {
    /// It is generic now.
    pub(super) generic: bool,
    /// Scores ask for it.
    pub(super) exact: bool,
    /// Who had it before or has it now.
    pub(super) members: BTreeSet<i64>,
}

/// What the later steps need of the blocks.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// Who has a key now, of keys that are not generic.
    pub(super) members: HashMap<i64, Vec<i64>>,
    /// Records with another standard form, which all their pairs are made anew for.
    pub(super) dirty: BTreeSet<i64>,
    /// Keys that crossed their limit.
    pub(super) crossings: Vec<Crossing>,
}

impl Work<'_> {
    pub(super) fn rule(&self, origin: Origin) -> Option<&KeyRule> {
        self.core
            .rules
            .of(origin.kind)
            .keys
            .get(usize::from(origin.rule))
    }
}

/// What the batch does to one block.
#[derive(Default)]
struct Delta {
    removed: BTreeSet<i64>,
    added: BTreeMap<i64, Option<i64>>,
    /// Still there with another core.
    recored: bool,
}

pub(super) async fn run(work: &mut Work<'_>, tx: &mut Tx) -> Result<Blocks, Failure> {
    let mut out = Blocks::default();
    let mut changes = TokenChanges::default();
    let mut deltas: BTreeMap<i64, (Origin, Delta)> = BTreeMap::new();
    for c in &work.input.changes {
        let same = c.old.as_ref().is_some_and(|o| o.std == c.new.std);
        token_changes(c, &mut changes);
        if same {
            continue;
        }
        out.dirty.insert(c.no);
        if let Some(old) = &c.old {
            for (key, token) in old.std.keys().iter().zip(&old.keys) {
                let origin = Origin {
                    kind: c.kind,
                    rule: key.rule,
                };
                let delta = &mut deltas.entry(*token).or_insert((origin, Delta::default())).1;
                delta.removed.insert(c.no);
            }
        }
        for (key, token) in c.new.std.keys().iter().zip(&c.new.keys) {
            let origin = Origin {
                kind: c.kind,
                rule: key.rule,
            };
            let delta = &mut deltas.entry(*token).or_insert((origin, Delta::default())).1;
            if delta.removed.remove(&c.no) && c.old.as_ref().is_some_and(|o| o.core != c.new.core) {
                delta.recored = true;
            }
            delta.added.insert(c.no, c.new.core);
        }
    }
    let mut asked = BTreeMap::new();
    for (token, (origin, delta)) in &deltas {
        // What is generic stays so while records only come, and nobody asks who they are.
        let only_more = delta.removed.is_empty() && !delta.recored;
        if only_more && work.generic.tokens.contains(token) {
            continue;
        }
        let most = work.rule(*origin).map_or(0, |r| r.max_records) + delta.removed.len() + 1;
        asked.insert(*token, i64::try_from(most).unwrap_or(i64::MAX));
    }
    let before = tokens::probe(tx, &asked).await?;
    let mut crossed: BTreeMap<i64, bool> = BTreeMap::new();
    for (token, most) in &asked {
        let Some((origin, delta)) = deltas.remove(token) else {
            continue;
        };
        let held = before.get(token).map_or(&[][..], Vec::as_slice);
        let was = work.generic.tokens.contains(token);
        if held.len() as i64 == *most {
            // More than the limit even after all that leave: generic, before and after.
            continue;
        }
        let after = after(held, &delta);
        let is = work.rule(origin).is_some_and(|r| is_generic(r, &after));
        if was != is {
            crossed.insert(*token, is);
            let exact = work.rule(origin).is_none_or(|r| {
                !BLOCKING_ONLY.contains(&r.name.as_str()) && !is_person_name(r, origin)
            });
            let members = held
                .iter()
                .map(|h| h.0)
                .chain(after.keys().copied())
                .collect();
            out.crossings.push(Crossing {
                generic: is,
                exact,
                members,
            });
        }
        if !is {
            out.members.insert(*token, after.into_keys().collect());
        }
    }
    note_generic(work, tx, crossed).await?;
    tokens::write(tx, changes).await?;
    Ok(out)
}

/// A person's `name` key only blocks.
fn is_person_name(rule: &KeyRule, origin: Origin) -> bool {
    origin.kind == PartyKind::Person && rule.name == "name"
}

fn after(held: &[Holder], delta: &Delta) -> BTreeMap<i64, Option<i64>> {
    let mut after: BTreeMap<i64, Option<i64>> = held
        .iter()
        .copied()
        .filter(|(no, _)| !delta.removed.contains(no))
        .collect();
    after.extend(delta.added.iter().map(|(no, core)| (*no, *core)));
    after
}

fn is_generic(rule: &KeyRule, members: &BTreeMap<i64, Option<i64>>) -> bool {
    let cores: BTreeSet<i64> = members.values().filter_map(|c| *c).collect();
    rule.is_generic(members.len(), cores.len())
}

fn token_changes(c: &super::PartyChange, changes: &mut TokenChanges) {
    let mut new: BTreeMap<i64, Option<i64>> = c.new.terms.iter().map(|t| (*t, None)).collect();
    new.extend(c.new.keys.iter().map(|t| (*t, c.new.core)));
    let mut old: BTreeMap<i64, Option<i64>> = BTreeMap::new();
    if let Some(o) = &c.old {
        old.extend(o.terms.iter().map(|t| (*t, None)));
        old.extend(o.keys.iter().map(|t| (*t, o.core)));
    }
    for (token, core) in &new {
        match old.get(token) {
            None => {
                changes.added.insert((*token, c.no), *core);
            }
            Some(before) if before != core => {
                changes.changed.insert((*token, c.no), *core);
            }
            Some(_) => {}
        }
    }
    for token in old.keys().filter(|t| !new.contains_key(t)) {
        changes.removed.insert((*token, c.no));
    }
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
        work.note_generic(&c.new);
        work.indexed.insert(c.no, Arc::clone(&c.new));
    }
    Ok(())
}

/// Who has these keys, of keys that the changed records don't have and that are not generic.
pub(super) async fn others(
    work: &Work<'_>,
    tx: &mut Tx,
    blocks: &mut Blocks,
    wanted: &BTreeMap<i64, Origin>,
) -> Result<(), Failure> {
    let mut asked = BTreeMap::new();
    for (token, origin) in wanted {
        if blocks.members.contains_key(token) || work.generic.tokens.contains(token) {
            continue;
        }
        let most = work.rule(*origin).map_or(0, |r| r.max_records) + 1;
        asked.insert(*token, i64::try_from(most).unwrap_or(i64::MAX));
    }
    for (token, held) in tokens::probe(tx, &asked).await? {
        blocks
            .members
            .insert(token, held.into_iter().map(|h| h.0).collect());
    }
    Ok(())
}

/// The keys of a record with their origin.
pub(super) fn keys_of(work: &Work<'_>, no: i64) -> Vec<(i64, Origin)> {
    let Some(indexed) = work.indexed.get(&no) else {
        return Vec::new();
    };
    let kind = indexed.std.kind();
    let keys = indexed.std.keys().iter().zip(&indexed.keys);
    keys.map(|(key, token)| {
        (
            *token,
            Origin {
                kind,
                rule: key.rule,
            },
        )
    })
    .collect()
}
