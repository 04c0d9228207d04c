//! Tasks: one owner, one time, timers that follow every change.

use jinke_store::{Tx, counter};
use jinke_types::{Failure, Timestamp};

use super::{By, Core, leads::Look, log, number};
use crate::{
    domain::{
        Escalation, Firing, Recurrence, Task, TaskPrivate, change, check_etag, fired, task_state,
        timer,
    },
    error,
    store::{crosswalk, leads, opportunities, tasks, timers},
};

/// Kinds of timers a task has.
const TIMERS: [i64; 3] = [timer::REMINDER, timer::ESCALATION, timer::RECURRENCE];

/// What a change of a task says; what is none stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in the task")]
pub struct TaskUpdate {
    pub subject: Option<String>,
    pub text: Option<String>,
    pub due_time: Option<Timestamp>,
    pub remind_before: Option<i64>,
    pub recurrence: Option<Option<Recurrence>>,
    pub escalations: Option<Vec<Escalation>>,
    pub priority: Option<i64>,
}

impl Core {
    /// Makes a task; its number. One of an origin that has a task already is that task. `look` is
    /// what is known of the customer it names.
    ///
    /// # Errors
    /// `NOT_FOUND` for what it belongs to; `INVALID_ARGUMENT` when a service makes it and nobody
    /// can be found to own it.
    pub async fn create_task(&self, by: &By<'_>, new: Task, look: &Look) -> Result<i64, Failure> {
        let core = self;
        core.db
            .write(async |mut tx| {
                let tx = &mut tx;
                let now = core.now();
                if let Some(done) = core.claim(tx, by.request, now).await? {
                    return number(&done);
                }
                if let Some(origin) = &new.origin {
                    tx.lock("tasks_origin").await?;
                    if let Some(id) = tasks::of_origin(tx, origin).await? {
                        core.complete(tx, by.request, tasks::place(id), 0).await?;
                        return Ok(id);
                    }
                }
                let mut task = new.clone();
                let unit = core
                    .belongs(tx, by, &mut task.customer, task.opportunity, task.lead)
                    .await?;
                if let (Some(address), Some(current)) = (task.customer, task.current) {
                    crosswalk::learn(tx, &[(address, current)]).await?;
                }
                let mut unit = unit;
                if task.owner.is_empty() {
                    let (owner, of_owner) = core.natural_owner(tx, by, &task, look).await?;
                    task.owner = owner;
                    unit = unit.or(of_owner);
                }
                if task.org_unit.is_empty() {
                    task.org_unit = match unit {
                        Some(unit) => unit,
                        None => by.viewer.org_unit("")?,
                    };
                }
                let task = core.add_task(tx, task, &by.viewer.caller.name).await?;
                let name = tasks::place(task.id);
                core.complete(tx, by.request, name, task.revision).await?;
                Ok(task.id)
            })
            .await
    }

    /// Makes many tasks in one transaction, as they are: for imports.
    ///
    /// # Errors
    /// Those of the store; then none is made.
    pub async fn create_tasks(&self, by: &By<'_>, many: Vec<Task>) -> Result<Vec<i64>, Failure> {
        let core = self;
        core.db
            .write(async |mut tx| {
                let mut ids = Vec::with_capacity(many.len());
                for task in &many {
                    let actor = &by.viewer.caller.name;
                    let made = core.add_task(&mut tx, task.clone(), actor).await?;
                    ids.push(made.id);
                }
                Ok(ids)
            })
            .await
    }

    /// The owner of what the task belongs to, with his org unit there, else whoever makes it. A
    /// service of ours does no tasks: for it the assignment rules choose.
    async fn natural_owner(
        &self,
        tx: &mut Tx,
        by: &By<'_>,
        task: &Task,
        look: &Look,
    ) -> Result<(String, Option<String>), Failure> {
        let sight = crate::access::Sight::All;
        if let Some(id) = task.opportunity {
            let o = opportunities::get(tx, &self.ring, &sight, &[id])
                .await?
                .pop();
            if let Some(owner) = o.map(|o| o.owner).filter(|o| !o.is_empty()) {
                return Ok((owner, None));
            }
        }
        if let Some(id) = task.lead {
            let l = leads::get(tx, &self.ring, &sight, &[id]).await?.pop();
            if let Some(owner) = l.map(|l| l.owner).filter(|o| !o.is_empty()) {
                return Ok((owner, None));
            }
        }
        if let Some(address) = task.customer
            && let Some(found) = self.owner_of(tx, address, look).await?
        {
            return Ok(found);
        }
        let caller = &by.viewer.caller.name;
        if !caller.starts_with("serviceAccounts/service-") {
            return Ok((caller.clone(), None));
        }
        match self.by_rule(tx, "", "").await? {
            Some((owner, _, unit)) => Ok((owner, unit)),
            None => Err(Failure::field(
                "task.owner",
                "is required: nobody owns the customer, and no assignment rule for every region \
                 and channel chooses somebody",
            )),
        }
    }

    /// Numbers, seals, writes and plans a new task.
    pub(crate) async fn add_task(
        &self,
        tx: &mut Tx,
        mut task: Task,
        creator: &str,
    ) -> Result<Task, Failure> {
        let now = self.now();
        task.id = counter::take(tx, "tasks", 1).await?;
        task.state = task_state::OPEN;
        task.base_time = task.due_time;
        task.occurrence = 1;
        task.revision = 1;
        creator.clone_into(&mut task.creator);
        (task.create_time, task.update_time) = (now, now);
        let (key, wrapped) = self.fresh_key();
        task.data_key = wrapped;
        let sealed = self.seal(&key, &tasks::place(task.id), &task.private)?;
        tasks::save(tx, &task, sealed).await?;
        timers::plan(tx, &plans(&task)).await?;
        log(tx, tasks::place(task.id), change::CREATED, 1, now, None);
        Ok(task)
    }

    /// Seals and writes a task that changed.
    pub(crate) async fn put_task(&self, tx: &mut Tx, task: &mut Task) -> Result<(), Failure> {
        let now = self.now();
        task.revision += 1;
        task.update_time = now;
        let place = tasks::place(task.id);
        let sealed = self.seal_again(&task.data_key, &place, &task.private)?;
        tasks::save(tx, task, sealed).await?;
        log(tx, place, change::UPDATED, task.revision, now, None);
        Ok(())
    }

    /// Takes the task's timers away and notes why each did not fire.
    pub(crate) async fn skip(
        &self,
        tx: &mut Tx,
        task: &mut Task,
        reason: &str,
    ) -> Result<(), Failure> {
        let now = self.now();
        let mut firings = Vec::new();
        for t in timers::take_all(tx, task.id, &TIMERS).await? {
            task.firings += 1;
            firings.push(Firing {
                task: task.id,
                no: task.firings,
                occurrence: t.occurrence,
                kind: t.kind,
                step: t.step,
                plan_time: t.plan_time,
                fire_time: now,
                result: fired::SKIPPED,
                reason: reason.to_owned(),
                ..Firing::default()
            });
        }
        tasks::add_firings(tx, &firings).await
    }

    /// Goes on with the next occurrence; false when there is none.
    pub(crate) async fn roll(&self, tx: &mut Tx, task: &mut Task) -> Result<bool, Failure> {
        let next = task.occurrence + 1;
        let due = task.recurrence.and_then(|r| r.due(task.base_time, next));
        let Some(due) = due else { return Ok(false) };
        task.occurrence = next;
        task.due_time = due;
        timers::plan(tx, &plans(task)).await?;
        Ok(true)
    }

    async fn held_task(
        &self,
        tx: &mut Tx,
        by: &By<'_>,
        id: i64,
        etag: &str,
    ) -> Result<Task, Failure> {
        let missing = || Failure::not_found(tasks::place(id));
        let task = tasks::lock(tx, &self.ring, id).await?.ok_or_else(missing)?;
        if !by.viewer.sight().sees(&task.org_unit, &task.owner) {
            return Err(missing());
        }
        check_etag(etag, task.revision)?;
        if task.state != task_state::OPEN {
            return Err(error::task_closed());
        }
        Ok(task)
    }

    /// Changes fields. Another time, recurrence or escalation plans the timers anew; a new due time
    /// of a recurring task is where it is counted from.
    ///
    /// # Errors
    /// `NOT_FOUND`, `ETAG_MISMATCH`, `TASK_CLOSED`.
    pub async fn update_task(
        &self,
        by: &By<'_>,
        id: i64,
        etag: &str,
        update: &TaskUpdate,
    ) -> Result<(), Failure> {
        let core = self;
        core.db
            .write(async |mut tx| {
                let tx = &mut tx;
                if core.claim(tx, by.request, core.now()).await?.is_some() {
                    return Ok(());
                }
                let before = core.held_task(tx, by, id, etag).await?;
                let mut task = before.clone();
                apply(&mut task, update);
                if plans(&task) != plans(&before) {
                    core.skip(tx, &mut task, "task_changed").await?;
                    timers::plan(tx, &plans(&task)).await?;
                }
                if task != before {
                    core.put_task(tx, &mut task).await?;
                }
                core.complete(tx, by.request, tasks::place(id), task.revision)
                    .await
            })
            .await
    }

    /// Gives a task to somebody within a transaction.
    pub(crate) async fn reown(&self, tx: &mut Tx, id: i64, owner: &str) -> Result<(), Failure> {
        if let Some(mut task) = tasks::lock(tx, &self.ring, id).await?
            && task.state == task_state::OPEN
            && task.owner != owner
        {
            owner.clone_into(&mut task.owner);
            self.put_task(tx, &mut task).await?;
        }
        Ok(())
    }

    /// Gives a task to somebody. Its timers stay: they remind whoever owns it when they fire.
    ///
    /// # Errors
    /// `NOT_FOUND`, `ETAG_MISMATCH`, `TASK_CLOSED`.
    pub async fn assign_task(
        &self,
        by: &By<'_>,
        id: i64,
        etag: &str,
        owner: &str,
    ) -> Result<(), Failure> {
        let core = self;
        core.db
            .write(async |mut tx| {
                let tx = &mut tx;
                if core.claim(tx, by.request, core.now()).await?.is_some() {
                    return Ok(());
                }
                let mut task = core.held_task(tx, by, id, etag).await?;
                if task.owner != owner {
                    owner.clone_into(&mut task.owner);
                    core.put_task(tx, &mut task).await?;
                }
                core.complete(tx, by.request, tasks::place(id), task.revision)
                    .await
            })
            .await
    }

    /// Closes the occurrence at hand, or the whole task when it is cancelled.
    ///
    /// # Errors
    /// `NOT_FOUND`, `ETAG_MISMATCH`, `TASK_CLOSED`.
    pub async fn close_task(
        &self,
        by: &By<'_>,
        id: i64,
        etag: &str,
        outcome: Option<&str>,
        comment: &str,
    ) -> Result<(), Failure> {
        let core = self;
        core.db
            .write(async |mut tx| {
                let tx = &mut tx;
                let now = core.now();
                if core.claim(tx, by.request, now).await?.is_some() {
                    return Ok(());
                }
                let mut task = core.held_task(tx, by, id, etag).await?;
                let why = if outcome.is_some() {
                    "task_done"
                } else {
                    "task_cancelled"
                };
                core.skip(tx, &mut task, why).await?;
                outcome.unwrap_or_default().clone_into(&mut task.outcome);
                comment.clone_into(&mut task.private.comment);
                let goes_on = outcome.is_some() && core.roll(tx, &mut task).await?;
                if !goes_on {
                    task.state = if outcome.is_some() {
                        task_state::DONE
                    } else {
                        task_state::CANCELLED
                    };
                    task.close_time = Some(now);
                }
                core.put_task(tx, &mut task).await?;
                if let (Some(_), Some(opportunity)) = (outcome, task.opportunity) {
                    opportunities::touch(tx, opportunity, now).await?;
                }
                core.complete(tx, by.request, tasks::place(id), task.revision)
                    .await
            })
            .await
    }
}

fn apply(task: &mut Task, u: &TaskUpdate) {
    let private: &mut TaskPrivate = &mut task.private;
    if let Some(subject) = &u.subject {
        private.subject.clone_from(subject);
    }
    if let Some(text) = &u.text {
        private.text.clone_from(text);
    }
    if let Some(before) = u.remind_before {
        task.remind_before = before;
    }
    if let Some(escalations) = &u.escalations {
        task.escalations.clone_from(escalations);
    }
    if let Some(priority) = u.priority {
        task.priority = priority;
    }
    let mut recount = false;
    if let Some(recurrence) = u.recurrence {
        recount = recurrence != task.recurrence;
        task.recurrence = recurrence;
    }
    if let Some(due) = u.due_time {
        recount |= due != task.due_time;
        task.due_time = due;
    }
    if recount {
        // Occurrences are counted from here on.
        task.base_time = task.due_time;
        task.occurrence = 1;
    }
}

/// The timers of the present occurrence. The next one begins in time for its own reminder, but
/// never before this one is due.
pub fn plans(task: &Task) -> Vec<timers::Plan> {
    let n = task.occurrence;
    let remind = |due: Timestamp| Timestamp(due.0.saturating_sub(task.remind_before));
    let mut out = vec![(timer::REMINDER, task.id, n, 0, remind(task.due_time))];
    for (step, e) in (0_i64..).zip(&task.escalations) {
        let at = Timestamp(task.due_time.0.saturating_add(e.after));
        out.push((timer::ESCALATION, task.id, n, step, at));
    }
    let next = task.recurrence.and_then(|r| r.due(task.base_time, n + 1));
    if let Some(next) = next {
        let at = remind(next).max(task.due_time);
        out.push((timer::RECURRENCE, task.id, n, 0, at));
    }
    out
}
