//! Opportunities: every change goes through [`Core::put`], which keeps transition, sums, timers and
//! feed together with it.

use jinke_store::{Tx, counter, keys::DataKey};
use jinke_types::{Failure, Timestamp};

use super::{By, Core, log, number};
use crate::{
    domain::{
        Checked, Contact, LineItem, Money, Opportunity, OpportunityPrivate, Process, Transition,
        change, check_etag, items_sum, moved, outcome, persons, timer,
    },
    error,
    store::{crosswalk, funnel, opportunities, pipelines, tasks, timers},
};

/// A time that never comes.
pub const NEVER: Timestamp = Timestamp(i64::MAX);

/// What a move is to be noted as.
#[derive(Clone, Debug, Default)]
pub struct Move {
    /// See [`moved`].
    pub kind: i64,
    /// Why, in words.
    pub cause: String,
}

/// What a change of an opportunity says; what is none stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpportunityUpdate {
    /// Title.
    pub display_name: Option<String>,
    /// Amount; the inner none clears it.
    pub amount: Option<Option<Money>>,
    /// Close date; the inner none clears it.
    pub close_date: Option<Option<String>>,
    /// Products, with the currency of their prices.
    pub line_items: Option<(Vec<LineItem>, String)>,
    /// Persons.
    pub contacts: Option<Vec<Contact>>,
    /// Description.
    pub description: Option<String>,
    /// Org unit.
    pub org_unit: Option<String>,
    /// The customer at this address, and the one that holds it now.
    pub customer: Option<(i64, i64)>,
}

impl Core {
    /// Writes an opportunity that was `before`, with its transition if it moved.
    pub(crate) async fn put(
        &self,
        tx: &mut Tx,
        before: Option<&Opportunity>,
        mut o: Opportunity,
        step: Option<Move>,
        process: &Process,
        actor: &str,
    ) -> Result<Opportunity, Failure> {
        let now = self.now();
        let place = opportunities::place(o.id);
        let key: DataKey;
        if before.is_none() {
            let (fresh, wrapped) = self.fresh_key();
            (key, o.data_key) = (fresh, wrapped);
        } else {
            key = self.ring.unwrap(&o.data_key)?;
        }
        o.revision = before.map_or(1, |b| b.revision + 1);
        (o.update_time, o.touch_time) = (now, now);
        let open = o.outcome == outcome::OPEN;
        let rest = pipelines::get(tx, &o.pipeline)
            .await?
            .map_or(0, |p| p.stale_after);
        o.stale_time = if open && rest > 0 {
            Timestamp(now.0.saturating_add(rest))
        } else {
            NEVER
        };
        let limit = process.get(&o.stage).and_then(|s| s.time_limit);
        o.overdue_time = match limit {
            Some(limit) if open => Timestamp(o.stage_time.0.saturating_add(limit)),
            _ => NEVER,
        };
        o.reached = match before {
            Some(b) if b.pipeline == o.pipeline => process.further(&b.reached, &o.stage).to_owned(),
            _ => o.stage.clone(),
        };
        if process.get(&o.reached).is_none() {
            o.reached.clone_from(&o.stage);
        }
        let kind = match (&step, before) {
            (_, None) => change::CREATED,
            (Some(_), _) => change::TRANSITION,
            (None, _) => change::UPDATED,
        };
        if step.is_some() {
            o.transitions += 1;
        }
        let sealed = self.seal(&key, &place, &o.private)?;
        opportunities::save(tx, &o, sealed).await?;
        funnel::shift(tx, before, &o).await?;
        if let Some(step) = step {
            let t = Transition {
                opportunity: o.id,
                no: o.transitions,
                kind: step.kind,
                from_pipeline: before.map(|b| b.pipeline.clone()).unwrap_or_default(),
                pipeline: o.pipeline.clone(),
                from_version: before.map(|b| b.version).unwrap_or_default(),
                to_version: o.version,
                from_stage: before.map(|b| b.stage.clone()).unwrap_or_default(),
                to_stage: o.stage.clone(),
                actor: actor.to_owned(),
                cause: step.cause,
                reason: if matches!(step.kind, moved::WON | moved::LOST) {
                    o.reason.clone()
                } else {
                    String::new()
                },
                amount: o.amount.clone(),
                revision: o.revision,
                time: now,
            };
            opportunities::add_transition(tx, &t, &key, &*self.entropy).await?;
            timers::take_all(tx, o.id, &[timer::STAGE]).await?;
            if o.overdue_time != NEVER {
                let plan = (timer::STAGE, o.id, o.transitions, 0, o.overdue_time);
                timers::plan(tx, &[plan]).await?;
            }
            let subject = place.clone();
            log(tx, subject, kind, o.revision, now, Some(o.transitions));
        } else {
            log(tx, place.clone(), kind, o.revision, now, None);
        }
        Ok(o)
    }

    /// Begins an opportunity within a transaction: number, pipeline, stage, transition.
    pub(crate) async fn begin(
        &self,
        tx: &mut Tx,
        mut o: Opportunity,
        stage: &str,
        cause: &str,
        actor: &str,
    ) -> Result<Opportunity, Failure> {
        let now = self.now();
        let row = pipelines::get(tx, &o.pipeline)
            .await?
            .ok_or_else(|| Failure::not_found(format!("pipelines/{}", o.pipeline)))?;
        if row.archived {
            return Err(error::pipeline_archived());
        }
        let process = self.processes.get(tx, &row.id, row.version).await?;
        o.version = row.version;
        o.stage.clone_from(&process.begin(stage, &o.facts())?.stage);
        o.outcome = outcome::OPEN;
        actor.clone_into(&mut o.creator);
        (o.create_time, o.stage_time) = (now, now);
        o.id = counter::take(tx, "opportunities", 1).await?;
        let mut known = vec![(o.customer, o.current)];
        known.extend(persons(&o.contacts).into_iter().map(|p| (p, p)));
        crosswalk::learn(tx, &known).await?;
        let step = Move {
            kind: moved::CREATED,
            cause: cause.to_owned(),
        };
        self.put(tx, None, o, Some(step), &process, actor).await
    }

    /// Checks whether an opportunity could begin, and shows it as it would be.
    ///
    /// # Errors
    /// As [`Core::create_opportunity`].
    pub async fn try_opportunity(
        &self,
        mut o: Opportunity,
        stage: &str,
    ) -> Result<Opportunity, Failure> {
        let mut reader = self.db.read().await?;
        let row = pipelines::get(&mut reader, &o.pipeline)
            .await?
            .ok_or_else(|| Failure::not_found(format!("pipelines/{}", o.pipeline)))?;
        if row.archived {
            return Err(error::pipeline_archived());
        }
        let process = self
            .processes
            .get(&mut reader, &row.id, row.version)
            .await?;
        o.version = row.version;
        o.stage.clone_from(&process.begin(stage, &o.facts())?.stage);
        o.outcome = outcome::OPEN;
        Ok(o)
    }

    /// Makes an opportunity; its number.
    ///
    /// # Errors
    /// `NOT_FOUND` for the pipeline, `PIPELINE_ARCHIVED`, and those of [`Process::begin`].
    pub async fn create_opportunity(
        &self,
        by: &By<'_>,
        o: Opportunity,
        stage: &str,
    ) -> Result<i64, Failure> {
        let core = self;
        core.db
            .write(async |mut tx| {
                let tx = &mut tx;
                if let Some(done) = core.claim(tx, by.request, core.now()).await? {
                    return number(&done);
                }
                let actor = &by.viewer.caller.name;
                let made = core.begin(tx, o.clone(), stage, "", actor).await?;
                let name = opportunities::place(made.id);
                core.complete(tx, by.request, name, made.revision).await?;
                Ok(made.id)
            })
            .await
    }

    /// Makes many opportunities in one transaction, each in the stage beside it: for imports.
    ///
    /// # Errors
    /// As [`Core::create_opportunity`]; then none is made.
    pub async fn create_opportunities(
        &self,
        by: &By<'_>,
        many: Vec<(Opportunity, String)>,
    ) -> Result<Vec<i64>, Failure> {
        let core = self;
        core.db
            .write(async |mut tx| {
                let actor = &by.viewer.caller.name;
                let mut ids = Vec::with_capacity(many.len());
                for (o, stage) in &many {
                    let made = core.begin(&mut tx, o.clone(), stage, "", actor).await?;
                    ids.push(made.id);
                }
                Ok(ids)
            })
            .await
    }

    /// Takes hold of an opportunity that the caller sees and whose etag fits.
    pub(super) async fn held(
        &self,
        tx: &mut Tx,
        by: &By<'_>,
        id: i64,
        etag: &str,
    ) -> Result<(Opportunity, std::sync::Arc<Process>), Failure> {
        let missing = || Failure::not_found(opportunities::place(id));
        let o = opportunities::lock(tx, &self.ring, id)
            .await?
            .ok_or_else(missing)?;
        if !by.viewer.sight().sees(&o.org_unit, &o.owner) {
            return Err(missing());
        }
        check_etag(etag, o.revision)?;
        let process = self.processes.get(tx, &o.pipeline, o.version).await?;
        Ok((o, process))
    }

    /// Changes fields.
    ///
    /// # Errors
    /// `NOT_FOUND`, `ETAG_MISMATCH`.
    pub async fn update_opportunity(
        &self,
        by: &By<'_>,
        id: i64,
        etag: &str,
        update: &OpportunityUpdate,
    ) -> Result<(), Failure> {
        let core = self;
        core.db
            .write(async |mut tx| {
                let tx = &mut tx;
                if core.claim(tx, by.request, core.now()).await?.is_some() {
                    return Ok(());
                }
                let (before, process) = core.held(tx, by, id, etag).await?;
                let mut o = before.clone();
                let mut known: Vec<(i64, i64)> = update.customer.into_iter().collect();
                let contacts = update.contacts.as_deref().unwrap_or_default();
                known.extend(persons(contacts).into_iter().map(|p| (p, p)));
                crosswalk::learn(tx, &known).await?;
                apply(&mut o, update);
                if o != before {
                    let actor = &by.viewer.caller.name;
                    o = core
                        .put(tx, Some(&before), o, None, &process, actor)
                        .await?;
                }
                core.complete(tx, by.request, opportunities::place(id), o.revision)
                    .await
            })
            .await
    }

    /// Moves an opportunity as `change` says.
    ///
    /// # Errors
    /// `NOT_FOUND`, `ETAG_MISMATCH`, and those of `change`.
    pub async fn move_opportunity(
        &self,
        by: &By<'_>,
        id: i64,
        etag: &str,
        change: impl Fn(&mut Opportunity, &Process, Timestamp) -> Result<Move, Failure> + Send + Sync,
    ) -> Result<(), Failure> {
        let core = self;
        core.db
            .write(async |mut tx| {
                let tx = &mut tx;
                let now = core.now();
                if core.claim(tx, by.request, now).await?.is_some() {
                    return Ok(());
                }
                let (before, process) = core.held(tx, by, id, etag).await?;
                let mut o = before.clone();
                let step = change(&mut o, &process, now)?;
                if step.kind == moved::REOPENED {
                    // Nobody can be sold anything who is not there any more.
                    crosswalk::learn(tx, &[(o.customer, o.current)]).await?;
                }
                let actor = &by.viewer.caller.name;
                let o = core
                    .put(tx, Some(&before), o, Some(step), &process, actor)
                    .await?;
                core.complete(tx, by.request, opportunities::place(id), o.revision)
                    .await
            })
            .await
    }

    /// Gives an opportunity another owner, and its open tasks with it when wanted.
    ///
    /// # Errors
    /// `NOT_FOUND`, `ETAG_MISMATCH`.
    pub async fn assign_opportunity(
        &self,
        by: &By<'_>,
        id: i64,
        etag: &str,
        owner: &str,
        with_tasks: bool,
    ) -> Result<(), Failure> {
        let core = self;
        core.db
            .write(async |mut tx| {
                let tx = &mut tx;
                if core.claim(tx, by.request, core.now()).await?.is_some() {
                    return Ok(());
                }
                let (before, process) = core.held(tx, by, id, etag).await?;
                let mut o = before.clone();
                owner.clone_into(&mut o.owner);
                if with_tasks {
                    for task in tasks::open_of_opportunity(tx, id).await? {
                        core.reown(tx, task, owner).await?;
                    }
                }
                if o != before {
                    let actor = &by.viewer.caller.name;
                    o = core
                        .put(tx, Some(&before), o, None, &process, actor)
                        .await?;
                }
                core.complete(tx, by.request, opportunities::place(id), o.revision)
                    .await
            })
            .await
    }

    /// Ticks an item of the present stage's checklist, or takes the tick away.
    ///
    /// # Errors
    /// `NOT_FOUND`, `ETAG_MISMATCH`, `INVALID_FIELD` for an item the stage has not.
    pub async fn check_item(
        &self,
        by: &By<'_>,
        id: i64,
        etag: &str,
        item: &str,
        done: bool,
    ) -> Result<(), Failure> {
        let core = self;
        core.db
            .write(async |mut tx| {
                let tx = &mut tx;
                let now = core.now();
                if core.claim(tx, by.request, now).await?.is_some() {
                    return Ok(());
                }
                let (before, process) = core.held(tx, by, id, etag).await?;
                let known = process
                    .get(&before.stage)
                    .is_some_and(|s| s.checklist.iter().any(|i| i.item == item));
                if !known {
                    let why = "is not on the checklist of the present stage";
                    return Err(Failure::field("item", why));
                }
                let mut o = before.clone();
                let here = |c: &Checked| c.stage == before.stage && c.item == item;
                let was = o.checked.iter().any(here);
                if done && !was {
                    o.checked.push(Checked {
                        stage: before.stage.clone(),
                        item: item.to_owned(),
                        actor: by.viewer.caller.name.clone(),
                        time: now,
                    });
                } else if !done {
                    o.checked.retain(|c| !here(c));
                }
                if o != before {
                    let actor = &by.viewer.caller.name;
                    o = core
                        .put(tx, Some(&before), o, None, &process, actor)
                        .await?;
                }
                core.complete(tx, by.request, opportunities::place(id), o.revision)
                    .await
            })
            .await
    }
}

/// Takes a change over. An amount that was the sum of the items follows them.
fn apply(o: &mut Opportunity, update: &OpportunityUpdate) {
    let summed = o.amount.as_ref().map(|m| m.amount) == items_sum(&o.line_items);
    if let Some(name) = &update.display_name {
        o.display_name.clone_from(name);
    }
    if let Some(date) = &update.close_date {
        o.close_date.clone_from(date);
    }
    if let Some((items, currency)) = &update.line_items {
        o.line_items.clone_from(items);
        if (summed || o.amount.is_none()) && update.amount.is_none() {
            o.amount = sum_of(items, currency);
        }
    }
    if let Some(amount) = &update.amount {
        o.amount.clone_from(amount);
        if let (None, Some((items, currency))) = (amount, &update.line_items) {
            o.amount = sum_of(items, currency);
        }
    }
    if let Some(contacts) = &update.contacts {
        o.contacts.clone_from(contacts);
    }
    if let Some(description) = &update.description {
        o.private = OpportunityPrivate {
            description: description.clone(),
            ..o.private.clone()
        };
    }
    if let Some(unit) = &update.org_unit {
        o.org_unit.clone_from(unit);
    }
    if let Some((address, current)) = update.customer {
        (o.customer, o.current) = (address, current);
    }
}

/// The amount that items make.
pub fn sum_of(items: &[LineItem], currency: &str) -> Option<Money> {
    items_sum(items).map(|amount| Money {
        currency: currency.to_owned(),
        amount,
    })
}
