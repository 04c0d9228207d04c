//! Which rule sets are in force, and which one is tried.
//!
//! Keys, and so tokens and blocks, are derived with the configured rule sets. A version that a
//! person trains or writes has the same keys and differs in weights, thresholds and frequencies
//! only: what is kept of a record ([`Indexed`]) stays good, and is rated by the version at hand
//! when it is scored. Which versions those are stands in the database, so that every replica goes
//! over to another one with the transaction that put it in force.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use jinke_resolution::{RuleSet, Rules};
use jinke_store::{Conn, Tx};
use jinke_types::{Code, Failure, PartyKind};

use super::{Core, Engine, prepare::Indexed};
use crate::{
    domain::damaged,
    store::{
        rule_sets::{self as store, RuleSetRow},
        shadow, state,
    },
};

/// Versions kept in memory.
const KEPT: usize = 16;
/// Under this name the database says which rule sets were configured.
const CONFIGURED: &str = "configured_rules";

/// Versions as they were read, by the numbers of both kinds.
#[derive(Debug, Default)]
pub(crate) struct Versions(Mutex<BTreeMap<(i64, i64), Arc<Rules>>>);

/// The rule set that a dry run tries.
#[derive(Clone, Debug)]
pub(crate) struct Tried {
    pub(crate) kind: PartyKind,
    pub(crate) rules: Arc<Rules>,
}

impl Core {
    async fn versions(&self, conn: &mut Conn, ids: (i64, i64)) -> Result<Arc<Rules>, Failure> {
        if ids == (0, 0) {
            return Ok(Arc::clone(&self.rules));
        }
        let known = |v: &Versions| {
            let kept = v.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.get(&ids).map(Arc::clone)
        };
        if let Some(rules) = known(&self.versions) {
            return Ok(rules);
        }
        let mut one = async |id: i64, configured: &RuleSet| -> Result<RuleSet, Failure> {
            if id == 0 {
                return Ok(configured.clone());
            }
            let row = store::get(conn, id).await?;
            let row = row.ok_or_else(|| damaged("rule set"))?;
            RuleSet::parse(&row.text).map_err(|_| damaged("rule set"))
        };
        let organization = one(ids.0, &self.rules.organization).await?;
        let person = one(ids.1, &self.rules.person).await?;
        let rules = Arc::new(Rules::new(organization, person));
        let mut kept = self
            .versions
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(ids, Arc::clone(&rules));
        Ok(rules)
    }

    /// The rule sets in force.
    pub(crate) async fn active(&self, conn: &mut Conn) -> Result<Arc<Rules>, Failure> {
        let ids = store::active(conn).await?;
        self.versions(conn, ids).await
    }

    /// The rule set that is tried, if a dry run stands.
    pub(crate) async fn tried(&self, conn: &mut Conn) -> Result<Option<Tried>, Failure> {
        let Some(run) = shadow::standing(conn).await? else {
            return Ok(None);
        };
        let row = store::get(conn, run.rule_set).await?;
        let kind = row.ok_or_else(|| damaged("dry run"))?.kind;
        let mut ids = store::active(conn).await?;
        match kind {
            PartyKind::Organization => ids.0 = run.rule_set,
            PartyKind::Person => ids.1 = run.rule_set,
        }
        let rules = self.versions(conn, ids).await?;
        Ok(Some(Tried { kind, rules }))
    }

    /// What is derived from a record, rated by these rules.
    pub(crate) fn rated(&self, indexed: &Arc<Indexed>, rules: &Arc<Rules>) -> Arc<Indexed> {
        if Arc::ptr_eq(rules, &self.rules) {
            return Arc::clone(indexed);
        }
        if self.rates_alike(rules) {
            return Arc::clone(indexed);
        }
        Arc::new(Indexed {
            std: indexed.std.rated(rules.of(indexed.std.kind())),
            keys: indexed.keys.clone(),
            core: indexed.core,
            terms: indexed.terms.clone(),
            names: indexed.names.clone(),
        })
    }

    /// Whether these rules find names as rare as the configured ones do.
    pub(crate) fn rates_alike(&self, rules: &Arc<Rules>) -> bool {
        Arc::ptr_eq(rules, &self.rules)
            || [PartyKind::Organization, PartyKind::Person]
                .into_iter()
                .all(|k| self.rules.of(k).term_frequency == rules.of(k).term_frequency)
    }

    /// At the start: when other rule sets are configured than last time, they are in force.
    pub(crate) async fn configure(&self) -> Result<(), Failure> {
        let configured = self.rules.version().to_owned();
        let mut reader = self.db.read().await?;
        let known = state::get(&mut reader, CONFIGURED).await?;
        drop(reader);
        if known.as_deref() == Some(&configured) {
            return Ok(());
        }
        self.db
            .write(async |mut tx| {
                let tx = &mut tx;
                self.lock(tx).await?;
                store::reset(tx).await?;
                shadow::clear(tx).await?;
                let now = self.clock.now();
                for set in [&self.rules.organization, &self.rules.person] {
                    let row = RuleSetRow {
                        activate_time: Some(now),
                        ..row_of(set, "configured", "", now)
                    };
                    store::insert(tx, &row).await?;
                }
                state::set(tx, CONFIGURED, &configured).await
            })
            .await
    }

    /// Refuses a rule set whose keys are not those of the configured one.
    pub(crate) fn check_keys(&self, set: &RuleSet) -> Result<(), Failure> {
        if self.rules.of(set.kind).keys == set.keys {
            return Ok(());
        }
        Err(Failure::new(
            Code::FailedPrecondition,
            "RULE_SET_KEYS",
            "the keys must be those of the configured rule set: other keys derive everything \
             anew, which is done by configuring them",
        ))
    }
}

pub(crate) fn row_of(
    set: &RuleSet,
    origin: &str,
    creator: &str,
    now: jinke_types::Timestamp,
) -> RuleSetRow {
    RuleSetRow {
        id: 0,
        kind: set.kind,
        version: set.version.clone(),
        full_version: set.full_version(),
        text: set.to_toml().to_owned(),
        origin: origin.to_owned(),
        creator: creator.to_owned(),
        create_time: now,
        activate_time: None,
    }
}

/// A version with whether it is in force.
pub type KeptRuleSet = (RuleSetRow, bool);

impl Engine {
    /// The rule sets in force.
    pub async fn rules(&self) -> Result<Arc<Rules>, Failure> {
        let mut reader = self.core.db.read().await?;
        self.core.active(&mut reader).await
    }

    /// Every version kept, those in force first, then the newest.
    pub async fn rule_sets(&self) -> Result<Vec<KeptRuleSet>, Failure> {
        let mut reader = self.core.db.snapshot().await?;
        let rules = self.core.active(&mut reader).await?;
        let in_force = [&rules.organization, &rules.person].map(|s| (s.kind, s.full_version()));
        let mut all: Vec<KeptRuleSet> = store::all(&mut reader)
            .await?
            .into_iter()
            .map(|row| {
                let active = in_force.contains(&(row.kind, row.full_version.clone()));
                (row, active)
            })
            .collect();
        all.sort_by_key(|(row, active)| {
            let organization = row.kind == PartyKind::Organization;
            (!active, *active && !organization, std::cmp::Reverse(row.id))
        });
        Ok(all)
    }

    /// One version; `NOT_FOUND` when there is none.
    pub async fn rule_set(&self, id: i64) -> Result<KeptRuleSet, Failure> {
        let all = self.rule_sets().await?;
        let found = all.into_iter().find(|(row, _)| row.id == id);
        found.ok_or_else(|| Failure::not_found(format!("ruleSets/{id}")))
    }

    /// Keeps a version that a person wrote; `RULES` when it is no rule file, `RULE_SET_KEYS` when
    /// its keys are others. The one that is kept already when the text is known.
    pub async fn keep_rule_set(
        &self,
        text: &str,
        creator: &str,
        validate_only: bool,
    ) -> Result<KeptRuleSet, Failure> {
        let set = RuleSet::parse(text).map_err(|e| Failure::field("text", e.to_string()))?;
        self.core.check_keys(&set)?;
        let row = row_of(&set, "written", creator, self.core.clock.now());
        if validate_only {
            return Ok((row, false));
        }
        let kept = self.keep(row).await?;
        self.rule_set(kept.id).await
    }

    /// Stores a version, with a version name of its own: two texts never go by one name.
    pub(crate) async fn keep(&self, row: RuleSetRow) -> Result<RuleSetRow, Failure> {
        self.core
            .db
            .write(async |mut tx| kept_in(&mut tx, &row).await)
            .await
    }
}

pub(crate) async fn kept_in(tx: &mut Tx, row: &RuleSetRow) -> Result<RuleSetRow, Failure> {
    let known = store::all(tx).await?;
    let clash = known.iter().any(|k| {
        k.kind == row.kind && k.version == row.version && k.full_version != row.full_version
    });
    if clash {
        return Err(Failure::new(
            Code::AlreadyExists,
            "RULE_SET_VERSION_TAKEN",
            "another rule set goes by this version; name it otherwise",
        ));
    }
    store::insert(tx, row).await
}
