//! Which records and pairs a training looks at.
//!
//! Records are taken by their place, a hash of their name, so that neither arrival nor content
//! decides. Were it only for these *seeds*, of a million records hardly a pair would have both its
//! records among them. So the partners of seeds are added: the records that the blocks of all
//! records let a seed meet.
//!
//! Why that skews nothing. The candidate pairs counted are those of which at least one record is
//! among the first seeds, never those of two partners. Any pair of the whole population is among
//! them with the same chance (1 - (1 - f)² for the share f of these seeds), whatever it is like and
//! however large the group it is in, so levels occur as often as among all candidate pairs: m and
//! the share of matches are those of the population. Counting the pairs of partners too would see
//! large groups more often than small ones. (Pairs with a hub of a crowded core are the exception:
//! they are seen from the other record's side alone, and count about half.) Pairs at random are
//! taken among seeds only, since a partner resembles its seed: u would come out too high.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use jinke_resolution::{Key, RuleSet, Standardized, block::place};
use jinke_store::Conn;
use jinke_types::{Failure, RecordKey};

use super::{Core, Patterns, count, pattern};
use crate::{
    engine::{
        prepare::Indexed,
        rebuild::Progress,
        resolve::views::{self, Ask, Origin},
    },
    store::records::{self, PartyRow},
};

/// Most candidate pairs; a whole town of alike names needs no more.
const PAIRS: usize = 400_000;
/// Random pairs per seed.
const RANDOM: usize = 5;
/// Records per step.
const STEP: usize = 2_000;
/// Seeds whose blocks are read at once: a record has tens of keys.
const WALKED: usize = 200;

/// What was looked at.
pub(super) struct Sample {
    /// The seeds first, by place, then partners.
    pub(super) records: Vec<Standardized>,
    seeds: usize,
    /// Candidate pairs, as indices.
    pub(super) candidates: BTreeSet<(usize, usize)>,
    /// What is generic among all records, of the keys of these.
    generic: HashSet<Key>,
}

impl Sample {
    /// The patterns of the candidate pairs.
    pub(super) fn candidate_patterns(&self, rules: &RuleSet) -> Patterns {
        self.patterns(self.candidates.iter().copied(), rules)
    }

    /// Those of pairs at random: in order of places, neighbours have nothing to do with each
    /// other.
    pub(super) fn random_patterns(&self, rules: &RuleSet) -> Patterns {
        let n = self.seeds;
        let others = 1..=RANDOM.min(n.saturating_sub(1));
        let pairs = (0..n).flat_map(|i| others.clone().map(move |o| (i, (i + o) % n)));
        self.patterns(pairs, rules)
    }

    fn patterns(&self, pairs: impl Iterator<Item = (usize, usize)>, rules: &RuleSet) -> Patterns {
        let mut out = Patterns::new();
        for (a, b) in pairs {
            let p = pattern(&self.records[a], &self.records[b], &self.generic, rules);
            *out.entry(p).or_default() += 1;
        }
        out
    }
}

type Loaded = BTreeMap<i64, (PartyRow, Arc<Indexed>)>;

impl Core {
    /// Takes the sample. `total` are all party records; half of `progress` is finding the seeds.
    pub(super) async fn sample(
        &self,
        conn: &mut Conn,
        base: &RuleSet,
        (total, progress): (i64, &Progress),
    ) -> Result<Sample, Failure> {
        let most = self.config.training_records.max(2);
        let seeds = self.seeds(conn, base, most / 2, (total, progress)).await?;
        let mut loaded = Loaded::new();
        for chunk in seeds.chunks(STEP) {
            loaded.extend(self.indexed(conn, chunk).await?);
            let done = count(loaded.len()).min(total);
            progress(total + done, total * 2).await?;
        }
        let seeds: Vec<i64> = seeds
            .into_iter()
            .filter(|no| loaded.contains_key(no))
            .collect();
        let mut at: BTreeMap<i64, usize> = seeds.iter().copied().zip(0..).collect();
        let mut pairs: BTreeSet<(i64, i64)> = BTreeSet::new();
        // The last seed may go beyond the limits, by what one record can meet.
        'walk: for chunk in seeds.chunks(WALKED) {
            let met = self.partners(conn, base, chunk, &loaded).await?;
            for (seed, partners) in chunk.iter().zip(met) {
                if at.len() >= most || pairs.len() >= PAIRS {
                    break 'walk;
                }
                for partner in partners {
                    let next = at.len();
                    at.entry(partner).or_insert(next);
                    pairs.insert((*seed.min(&partner), *seed.max(&partner)));
                }
            }
        }
        let missing: Vec<i64> = at
            .keys()
            .filter(|no| !loaded.contains_key(no))
            .copied()
            .collect();
        for chunk in missing.chunks(STEP) {
            loaded.extend(self.indexed(conn, chunk).await?);
            let done = count(loaded.len()).min(total);
            progress(total + done, total * 2).await?;
        }
        loaded.retain(|_, f| f.1.std.kind() == base.kind);
        let all: Vec<&Indexed> = loaded.values().map(|f| &*f.1).collect();
        let generic = self.generic_texts(conn, &all).await?;
        let mut order: Vec<(usize, i64)> = at.iter().map(|(no, i)| (*i, *no)).collect();
        order.sort_unstable();
        let mut records = Vec::with_capacity(order.len());
        at.clear();
        for (_, no) in order {
            if let Some((_, indexed)) = loaded.get(&no) {
                at.insert(no, records.len());
                records.push(indexed.std.rated(base));
            }
        }
        let candidates = pairs
            .iter()
            .filter_map(|(a, b)| Some((*at.get(a)?, *at.get(b)?)))
            .collect();
        Ok(Sample {
            records,
            seeds: seeds.len(),
            candidates,
            generic,
        })
    }

    /// The records with the smallest places, at most `most`, by place.
    async fn seeds(
        &self,
        conn: &mut Conn,
        base: &RuleSet,
        most: usize,
        (total, progress): (i64, &Progress),
    ) -> Result<Vec<i64>, Failure> {
        let mut places: BTreeSet<(u64, RecordKey, i64)> = BTreeSet::new();
        let (mut after, mut seen) = (i64::MIN, 0);
        loop {
            let page = records::page_of_resolved(conn, after, count(STEP)).await?;
            let Some(last) = page.last() else { break };
            after = last.no;
            seen += count(page.len());
            for row in page {
                if row.kind.party() == Some(base.kind) {
                    places.insert((place(&row.key), row.key, row.no));
                    if places.len() > most {
                        places.pop_last();
                    }
                }
            }
            progress(seen.min(total), total * 2).await?;
        }
        Ok(places.into_iter().map(|p| p.2).collect())
    }

    /// The records that each of these meets, itself left out.
    async fn partners(
        &self,
        conn: &mut Conn,
        base: &RuleSet,
        nos: &[i64],
        loaded: &Loaded,
    ) -> Result<Vec<BTreeSet<i64>>, Failure> {
        let mut asks: BTreeMap<i64, Ask> = BTreeMap::new();
        for (_, indexed) in nos.iter().filter_map(|no| loaded.get(no)) {
            for (key, token) in indexed.std.keys().iter().zip(&indexed.keys) {
                let ask = asks.entry(*token).or_insert_with(|| Ask {
                    origin: Origin {
                        kind: base.kind,
                        rule: key.rule,
                    },
                    leaving: 0,
                    cores: BTreeSet::new(),
                    counted: false,
                });
                ask.cores.insert(indexed.core.unwrap_or(0));
            }
        }
        let generic = self.generic_keys(conn).await?;
        let views = views::load(conn, &self.rules, &asks, &generic.tokens).await?;
        let met = nos.iter().map(|no| {
            let mut out = BTreeSet::new();
            let Some((_, indexed)) = loaded.get(no) else {
                return out;
            };
            let own = indexed.core.unwrap_or(0);
            for token in &indexed.keys {
                let view = views.get(token);
                if let Some((view, rule)) =
                    view.and_then(|v| Some((v, v.origin.rule(&self.rules)?)))
                {
                    out.extend(view.partners(rule, own, *no).0);
                }
            }
            out.remove(no);
            out
        });
        Ok(met.collect())
    }
}
