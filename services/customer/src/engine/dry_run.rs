//! Trying a rule set before it decides: built in the shadow, compared, put in force as listed.
//!
//! While a dry run stands, everything that comes is resolved under both rule sets, in the same
//! transaction (see [`super::resolve`]). Building goes through all records in steps; from then on
//! the shadow is always what the rule set would have made of the present records. Activating
//! compares it with the list that a person saw: what is the same applies, exactly as listed, in
//! one transaction; what moved meanwhile is listed again and refused until he has seen it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jinke_store::{Tx, operation::Job};
use jinke_types::{Code, Failure, PartyKind, RecordKey};

use super::{
    Engine,
    rebuild::Progress,
    resolve::{self, Input},
};
use crate::{
    domain::Decision,
    store::{
        judgements, pending, records, rule_sets as store,
        shadow::{self, DifferenceRow, DryRunRow, Groups},
    },
};

/// Records of one step.
const STEP: i64 = 500;

/// What a dry run found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DryRunView {
    /// Its row.
    pub row: DryRunRow,
    /// Customers that become part of another one.
    pub merges: i64,
    /// Customers that are taken apart.
    pub splits: i64,
    /// Groups of customers that are divided otherwise, and those not approved yet.
    pub differences: (i64, i64),
    /// Customers before and after, reviews before and after.
    pub counts: [i64; 4],
}

/// A difference in names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DifferenceView {
    /// The smallest record.
    pub component: i64,
    /// Customers as they are, each with its records.
    pub before: Vec<(i64, Vec<RecordKey>)>,
    /// As they would be.
    pub after: Vec<(i64, Vec<RecordKey>)>,
    /// It was in the list that was approved last.
    pub approved: bool,
}

const fn code(kind: PartyKind) -> i64 {
    match kind {
        PartyKind::Organization => 1,
        PartyKind::Person => 2,
    }
}

fn gone() -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "DRY_RUN_GONE",
        "the dry run was taken down, or another one stands",
    )
}

impl Engine {
    /// Builds all customers under a rule set in the shadow and lists what differs. A dry run that
    /// stood is taken down.
    pub async fn dry_run(
        &self,
        rule_set: i64,
        creator: &str,
        progress: Progress,
    ) -> Result<DryRunView, Failure> {
        let core = &self.core;
        self.settle().await?;
        let (id, kind) = core
            .db
            .write(async |mut tx| {
                let tx = &mut tx;
                core.lock(tx).await?;
                let row = store::get(tx, rule_set).await?;
                let row = row.ok_or_else(|| Failure::not_found(format!("ruleSets/{rule_set}")))?;
                let set = jinke_resolution::RuleSet::parse(&row.text)
                    .map_err(|_| crate::domain::damaged("rule set"))?;
                core.check_keys(&set)?;
                let id = shadow::begin(tx, rule_set, creator, core.clock.now()).await?;
                Ok((id, row.kind))
            })
            .await?;
        let mut reader = core.db.read().await?;
        let total = crate::store::rebuild::records(&mut reader).await?.0 * 2;
        drop(reader);
        let mut done = 0;
        // Pairs first: only when all are known can customers be told from each other.
        for pairs_only in [true, false] {
            let mut after = i64::MIN;
            loop {
                let mut reader = core.db.read().await?;
                let page = records::page_of_resolved(&mut reader, after, STEP).await?;
                drop(reader);
                let Some(last) = page.last() else { break };
                after = last.no;
                let nos: BTreeSet<i64> = page
                    .iter()
                    .filter(|r| r.kind.party() == Some(kind))
                    .map(|r| r.no)
                    .collect();
                core.db
                    .write(async |mut tx| {
                        let tx = &mut tx;
                        core.lock(tx).await?;
                        stands(tx, id).await?;
                        let mut input = Input {
                            pairs_only,
                            ..Input::default()
                        };
                        if pairs_only {
                            input.again.clone_from(&nos);
                        } else {
                            input.seeds.clone_from(&nos);
                        }
                        resolve::in_shadow(core, tx, input).await
                    })
                    .await?;
                done += i64::try_from(page.len()).unwrap_or(0);
                progress(done, total).await?;
            }
        }
        self.settle().await?;
        core.db
            .write(async |mut tx| {
                let tx = &mut tx;
                core.lock(tx).await?;
                stands(tx, id).await?;
                let list: Vec<DifferenceRow> = present(tx).await?.into_values().collect();
                shadow::put_differences(tx, id, &list).await?;
                shadow::listed(tx, id).await
            })
            .await?;
        self.dry_run_view(id).await
    }

    /// The dry run of this number, if it stands.
    pub async fn dry_run_view(&self, id: i64) -> Result<DryRunView, Failure> {
        let mut reader = self.core.db.snapshot().await?;
        let conn = &mut *reader;
        let row = shadow::standing(conn).await?.filter(|d| d.id == id);
        let row = row.ok_or_else(|| Failure::not_found(format!("dryRuns/{id}")))?;
        let kind = store::get(conn, row.rule_set).await?.map(|r| r.kind);
        let kind = kind.ok_or_else(|| crate::domain::damaged("dry run"))?;
        let (mut merges, mut splits, mut after) = (0, 0, None);
        loop {
            let page = shadow::differences(conn, id, after, 1_000).await?;
            let Some(last) = page.last() else { break };
            after = Some((last.approved, last.component));
            for d in &page {
                // Customers that lose their id to another, and those that get records of it.
                let ids = |groups: &Groups| -> BTreeSet<i64> {
                    groups.iter().filter_map(|g| g.first().copied()).collect()
                };
                let (old, new) = (ids(&d.before), ids(&d.after));
                merges += i64::try_from(old.difference(&new).count()).unwrap_or(0);
                splits += i64::try_from(new.difference(&old).count()).unwrap_or(0);
            }
        }
        Ok(DryRunView {
            row,
            merges,
            splits,
            differences: shadow::difference_counts(conn, id).await?,
            counts: shadow::counts(conn, code(kind)).await?,
        })
    }

    /// Differences of a dry run, those that nobody approved first, after (approved, component).
    pub async fn dry_run_differences(
        &self,
        id: i64,
        after: Option<(bool, i64)>,
        limit: i64,
    ) -> Result<Vec<DifferenceView>, Failure> {
        let mut reader = self.core.db.snapshot().await?;
        let conn = &mut *reader;
        let stands = shadow::standing(conn).await?.is_some_and(|d| d.id == id);
        if !stands {
            return Err(Failure::not_found(format!("dryRuns/{id}")));
        }
        let list = shadow::differences(conn, id, after, limit).await?;
        let nos: BTreeSet<i64> = list
            .iter()
            .flat_map(|d| d.before.iter().flatten().copied())
            .collect();
        let nos: Vec<i64> = nos.into_iter().collect();
        let mut keys: BTreeMap<i64, RecordKey> = BTreeMap::new();
        for chunk in nos.chunks(5_000) {
            let rows = records::parties(conn, chunk).await?;
            keys.extend(rows.into_iter().map(|r| (r.no, r.key)));
        }
        let named = |groups: &Groups| -> Vec<(i64, Vec<RecordKey>)> {
            groups
                .iter()
                .map(|g| {
                    let records = g.iter().filter_map(|n| keys.get(n).cloned()).collect();
                    (g.first().copied().unwrap_or_default(), records)
                })
                .collect()
        };
        Ok(list
            .iter()
            .map(|d| DifferenceView {
                component: d.component,
                before: named(&d.before),
                after: named(&d.after),
                approved: d.approved,
            })
            .collect())
    }

    /// Takes a dry run down.
    pub async fn delete_dry_run(&self, id: i64) -> Result<(), Failure> {
        let core = &self.core;
        core.db
            .write(async |mut tx| {
                let tx = &mut tx;
                core.lock(tx).await?;
                let standing = shadow::standing(tx).await?;
                if standing.is_none_or(|d| d.id != id) {
                    return Err(Failure::not_found(format!("dryRuns/{id}")));
                }
                shadow::clear(tx).await
            })
            .await
    }

    /// Puts the rule set of a dry run in force, exactly as listed in `revision`, in one
    /// transaction, with `result` as the result of `job`.
    ///
    /// # Errors
    /// `DRY_RUN_MOVED` when the list is another by now; it is listed anew, in the revision that
    /// the failure names. `DRY_RUN_GONE`.
    pub async fn activate(
        &self,
        rule_set: i64,
        (id, revision): (i64, i64),
        job: Option<(&Arc<Job>, &[u8])>,
    ) -> Result<(), Failure> {
        let core = &self.core;
        self.settle().await?;
        let outcome = core
            .db
            .write(async |mut tx| {
                let tx = &mut tx;
                core.lock(tx).await?;
                let standing = shadow::standing(tx).await?;
                let standing = standing.filter(|d| d.id == id && d.rule_set == rule_set && d.built);
                let standing = standing.ok_or_else(gone)?;
                if pending::count(tx).await? > 0 {
                    return Err(Failure::new(
                        Code::Unavailable,
                        "RESOLUTION_PENDING",
                        "records still wait to be resolved in the background; try again",
                    ));
                }
                let listed = listed(tx, id).await?;
                let present = present(tx).await?;
                let same = |d: &DifferenceRow| {
                    listed
                        .get(&d.component)
                        .is_some_and(|l| (&l.before, &l.after) == (&d.before, &d.after))
                };
                let moved = present.values().filter(|d| !same(d)).count()
                    + listed.keys().filter(|c| !present.contains_key(c)).count();
                if moved > 0 || revision != standing.revision {
                    if moved > 0 {
                        let seen = revision == standing.revision;
                        let list: Vec<DifferenceRow> = present
                            .values()
                            .map(|d| DifferenceRow {
                                approved: same(d)
                                    && (seen
                                        || listed.get(&d.component).is_some_and(|l| l.approved)),
                                ..d.clone()
                            })
                            .collect();
                        shadow::put_differences(tx, id, &list).await?;
                        shadow::listed(tx, id).await?;
                    }
                    let now = standing.revision + i64::from(moved > 0);
                    return Ok(Err((now, moved)));
                }
                let learned = self.switch(tx, rule_set, &present).await?;
                if let Some((job, result)) = job {
                    job.finish(tx, result).await?;
                }
                Ok(Ok(learned))
            })
            .await?;
        match outcome {
            Ok(resolved) => {
                resolved.learn(core);
                Ok(())
            }
            Err((revision, moved)) => Err(Failure::new(
                Code::FailedPrecondition,
                "DRY_RUN_MOVED",
                format!(
                    "{moved} differences are others than in the list that was approved; look at \
                     revision {revision} and activate that"
                ),
            )
            .with("dry_run_revision", revision)),
        }
    }

    /// Exchanges what is in force and tells of every customer that changes.
    async fn switch(
        &self,
        tx: &mut Tx,
        rule_set: i64,
        present: &BTreeMap<i64, DifferenceRow>,
    ) -> Result<resolve::Resolved, Failure> {
        let core = &self.core;
        let now = core.clock.now();
        let row = store::get(tx, rule_set).await?.ok_or_else(gone)?;
        shadow::copy_others(tx, code(row.kind)).await?;
        shadow::exchange(tx).await?;
        shadow::clear(tx).await?;
        store::activate(tx, &row, now).await?;
        let mut input = Input {
            seeds: present
                .values()
                .flat_map(|d| d.before.iter().flatten().copied())
                .collect(),
            ..Input::default()
        };
        // Whether a judgement can hold may change where no customer does.
        for j in judgements::all_in_force(tx).await? {
            if j.decision == Decision::Positive {
                input.judged.extend(j.left.iter().chain(&j.right).cloned());
            }
        }
        core.resolve(tx, input, now).await
    }
}

async fn stands(tx: &mut Tx, id: i64) -> Result<(), Failure> {
    match shadow::standing(tx).await? {
        Some(run) if run.id == id => Ok(()),
        _ => Err(gone()),
    }
}

async fn listed(tx: &mut Tx, id: i64) -> Result<BTreeMap<i64, DifferenceRow>, Failure> {
    let mut out = BTreeMap::new();
    let mut after = None;
    loop {
        let page = shadow::differences(tx, id, after, 5_000).await?;
        let Some(last) = page.last() else {
            return Ok(out);
        };
        after = Some((last.approved, last.component));
        out.extend(page.into_iter().map(|d| (d.component, d)));
    }
}

/// What differs now, by the smallest record of each group of customers.
async fn present(tx: &mut Tx) -> Result<BTreeMap<i64, DifferenceRow>, Failure> {
    let moved = shadow::moved(tx).await?;
    // Customers before and after are joined by the records they share.
    let mut parent: BTreeMap<(bool, i64), (bool, i64)> = BTreeMap::new();
    fn find(parent: &mut BTreeMap<(bool, i64), (bool, i64)>, x: (bool, i64)) -> (bool, i64) {
        let mut at = x;
        while let Some(up) = parent.get(&at).copied().filter(|up| *up != at) {
            at = up;
        }
        parent.insert(x, at);
        at
    }
    for p in &moved {
        let (a, b) = (
            find(&mut parent, (false, p.before)),
            find(&mut parent, (true, p.after)),
        );
        parent.insert(a.max(b), a.min(b));
        parent.entry(a.min(b)).or_insert(a.min(b));
    }
    type Sides = (BTreeMap<i64, Vec<i64>>, BTreeMap<i64, Vec<i64>>);
    let mut groups: BTreeMap<(bool, i64), Sides> = BTreeMap::new();
    for p in &moved {
        let root = find(&mut parent, (false, p.before));
        let sides = groups.entry(root).or_default();
        sides.0.entry(p.before).or_default().push(p.no);
        sides.1.entry(p.after).or_default().push(p.no);
    }
    let out = groups.into_values().filter_map(|(before, after)| {
        let before: Groups = before.into_values().collect();
        let after: Groups = after.into_values().collect();
        let component = before.iter().flatten().copied().min()?;
        (before != after).then_some((
            component,
            DifferenceRow {
                component,
                before,
                after,
                approved: false,
            },
        ))
    });
    Ok(out.collect())
}
