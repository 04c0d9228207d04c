//! Firing timers, and delivering what they say.
//!
//! The rows are the truth: a timer is taken and its effect written in one transaction, so a crash
//! before the commit leaves the timer and one after it leaves none. Several replicas may look at
//! the same timers: whoever deletes the row fires it. A clock that jumps forward makes timers late,
//! and one that jumps back makes them wait; neither makes one fire twice or get lost.
//!
//! A message leaves after its firing is durable, under an id of its own, so that the connector
//! runner sends it once however often it is handed over.

use std::time::Duration;

use jinke_kit::Shutdown;
use jinke_store::{Tx, changelog};
use jinke_types::{Code, Failure, Timestamp};

use super::Core;
use crate::{
    domain::{
        Firing, OVERDUE_TASK_DUE, TASK_OVERDUE, Task, TaskPrivate, fired, outcome, task_state,
        timer,
    },
    outside::Message,
    store::{
        opportunities, pipelines, tasks,
        timers::{self, Timer, Waiting},
    },
};

/// Most messages handed over at a time.
const MESSAGES: u32 = 50;
/// Longest pause between two tries of a message.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);
/// Offset in which times are told in messages: China.
const OFFSET: i64 = 8 * 3_600 * 1_000_000;

impl Core {
    /// Fires what is due now, one batch; how many timers it took.
    ///
    /// # Errors
    /// Those of the store. Nothing is half done.
    pub async fn fire_due(&self) -> Result<usize, Failure> {
        let now = self.now();
        let due = {
            let mut reader = self.db.read().await?;
            timers::due(&mut reader, now, self.timers.batch).await?
        };
        if due.is_empty() {
            return Ok(0);
        }
        let core = self;
        let together = core
            .db
            .write(async |mut tx| core.fire_all(&mut tx, &due, now).await)
            .await;
        match together {
            // One damaged row must not hold back the others.
            Err(failure) if failure.code == Code::DataLoss => {
                for timer in &due {
                    let one = std::slice::from_ref(timer);
                    let done = core
                        .db
                        .write(async |mut tx| core.fire_all(&mut tx, one, now).await)
                        .await;
                    match done {
                        Err(f) if f.code == Code::DataLoss => {
                            tracing::error!(reason = f.reason, timer = timer.id, "damaged timer");
                            core.db
                                .write(async |mut tx| timers::take(&mut tx, timer.id).await)
                                .await?;
                        }
                        other => {
                            other?;
                        }
                    }
                }
                Ok(due.len())
            }
            other => other.map(|()| due.len()),
        }
    }

    async fn fire_all(&self, tx: &mut Tx, due: &[Timer], now: Timestamp) -> Result<(), Failure> {
        let mut firings = Vec::new();
        for timer in due {
            if !timers::take(tx, timer.id).await? {
                // Another replica fired it, or a change of the task took it away.
                continue;
            }
            if timer.kind == timer::STAGE {
                self.stage_overdue(tx, timer).await?;
            } else {
                self.fire(tx, timer, now, &mut firings).await?;
            }
        }
        tasks::add_firings(tx, &firings).await?;
        timers::queue(tx, &firings).await
    }

    async fn fire(
        &self,
        tx: &mut Tx,
        t: &Timer,
        now: Timestamp,
        firings: &mut Vec<Firing>,
    ) -> Result<(), Failure> {
        let Some(head) = timers::head(tx, t.subject).await? else {
            return Ok(());
        };
        let mut firing = Firing {
            task: t.subject,
            no: head.firings,
            occurrence: t.occurrence,
            kind: t.kind,
            step: t.step,
            plan_time: t.plan_time,
            fire_time: now,
            result: fired::FIRED,
            ..Firing::default()
        };
        let late =
            i64::try_from(self.timers.late_hours.saturating_mul(3_600_000_000)).unwrap_or(i64::MAX);
        let too_late = late > 0 && now.0.saturating_sub(t.plan_time.0) > late;
        if head.state != task_state::OPEN || head.occurrence != t.occurrence {
            firing.result = fired::SKIPPED;
            firing.reason = "task_changed".to_owned();
        } else if too_late && t.kind != timer::RECURRENCE {
            firing.result = fired::SKIPPED;
            firing.reason = "too_late".to_owned();
        }
        let goes = firing.result == fired::FIRED;
        match t.kind {
            timer::REMINDER if goes => firing.recipient = head.owner,
            timer::ESCALATION if goes => self.escalate(tx, t, &mut firing).await?,
            _ => {}
        }
        if !firing.recipient.is_empty() && !self.delivery.connection.is_empty() {
            firing.delivery = fired::PENDING;
        }
        firings.push(firing);
        if t.kind == timer::RECURRENCE && goes {
            // Written before the firings of the timers it takes away are numbered.
            let mut task = tasks::lock(tx, &self.ring, t.subject)
                .await?
                .ok_or_else(|| Failure::internal("a task that was held is gone"))?;
            self.skip(tx, &mut task, "next_occurrence").await?;
            self.roll(tx, &mut task).await?;
            self.put_task(tx, &mut task).await?;
        }
        Ok(())
    }

    async fn escalate(&self, tx: &mut Tx, t: &Timer, firing: &mut Firing) -> Result<(), Failure> {
        let mut task = tasks::lock(tx, &self.ring, t.subject)
            .await?
            .ok_or_else(|| Failure::internal("a task that was held is gone"))?;
        let step = usize::try_from(t.step).ok();
        let Some(e) = step.and_then(|s| task.escalations.get(s)).cloned() else {
            firing.result = fired::SKIPPED;
            firing.reason = "task_changed".to_owned();
            return Ok(());
        };
        firing.recipient.clone_from(&e.to);
        if e.reassign && task.owner != e.to {
            task.owner = e.to;
            self.put_task(tx, &mut task).await?;
        }
        Ok(())
    }

    /// An opportunity is longer in its stage than the stage allows: its owner gets a task, once a
    /// stay.
    async fn stage_overdue(&self, tx: &mut Tx, t: &Timer) -> Result<(), Failure> {
        let found = opportunities::lock(tx, &self.ring, t.subject).await?;
        let Some(o) = found.filter(|o| {
            o.outcome == outcome::OPEN && o.transitions == t.occurrence && !o.owner.is_empty()
        }) else {
            return Ok(());
        };
        let origin = format!("opportunities/{}/transitions/{}", o.id, t.occurrence);
        if tasks::of_origin(tx, &origin).await?.is_some() {
            return Ok(());
        }
        let process = self.processes.get(tx, &o.pipeline, o.version).await?;
        let stage = process
            .get(&o.stage)
            .map_or_else(|| o.stage.clone(), |s| s.display_name.clone());
        let name = pipelines::get(tx, &o.pipeline)
            .await?
            .map(|p| p.display_name)
            .unwrap_or_default();
        let task = Task {
            kind: TASK_OVERDUE,
            priority: 3,
            customer: Some(o.customer),
            opportunity: Some(o.id),
            owner: o.owner.clone(),
            org_unit: o.org_unit.clone(),
            due_time: Timestamp(t.plan_time.0.saturating_add(OVERDUE_TASK_DUE)),
            origin: Some(origin),
            private: TaskPrivate {
                subject: format!("推进商机:{}", shortened(&o.display_name, 100)),
                text: format!("商机在“{name}”的“{stage}”阶段停留已超过时限,请跟进或推进下一步。"),
                comment: String::new(),
            },
            ..Task::default()
        };
        self.add_task(tx, task, "serviceAccounts/service-pipeline")
            .await?;
        Ok(())
    }

    /// Fires timers until shutdown.
    ///
    /// # Errors
    /// None: a database that is away is reported by the readiness check and tried again.
    pub async fn run_timers(&self, shutdown: &Shutdown) {
        let pause = Duration::from_millis(self.timers.poll_milliseconds);
        let work = async {
            loop {
                match self.fire_due().await {
                    Ok(n) if n >= self.timers.batch as usize => {}
                    Ok(_) => tokio::time::sleep(pause).await,
                    Err(failure) => {
                        tracing::warn!(reason = failure.reason, "timers could not be fired");
                        tokio::time::sleep(pause).await;
                    }
                }
            }
        };
        shutdown.unless(work).await;
    }

    /// Hands over messages whose time came; how many it tried.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn deliver_due(&self) -> Result<usize, Failure> {
        let now = self.now();
        let waiting = {
            let mut reader = self.db.read().await?;
            timers::waiting(&mut reader, now, MESSAGES).await?
        };
        for w in &waiting {
            let sent = match self.frozen(w).await {
                Ok(Some(message)) => {
                    self.messenger
                        .send(&self.delivery.connection, &message)
                        .await
                }
                // Another replica brought it to its end.
                Ok(None) => continue,
                Err(failure) => Err(failure),
            };
            self.delivered(w, sent).await?;
        }
        Ok(waiting.len())
    }

    async fn delivered(&self, w: &Waiting, sent: Result<(), Failure>) -> Result<(), Failure> {
        let tries = w.attempts + 1;
        let now = self.now();
        let core = self;
        core.db
            .write(async |mut tx| {
                let tx = &mut tx;
                match &sent {
                    Ok(()) => timers::end(tx, &w.firing, fired::SENT, "", tries, now).await,
                    Err(f) if hopeless(f) || tries >= i64::from(core.delivery.attempts) => {
                        timers::end(tx, &w.firing, fired::FAILED, f.reason, tries, now).await
                    }
                    Err(f) => {
                        let doubled = u32::try_from(tries - 1).unwrap_or(u32::MAX).min(16);
                        let pause = Duration::from_secs(core.delivery.pause_seconds)
                            .saturating_mul(1 << doubled)
                            .min(LONGEST_PAUSE);
                        timers::again(tx, &w.firing, f.reason, tries, now.plus(pause)).await
                    }
                }
            })
            .await
    }

    /// The message as it was, or is now, first handed over. Its id stands for this text: were it
    /// written anew for a second try, a change of the task in between would make it another
    /// message under the same id.
    async fn frozen(&self, w: &Waiting) -> Result<Option<Message>, Failure> {
        let place = format!("{}/firings/{}", tasks::place(w.firing.task), w.firing.no);
        let sealed = match &w.sealed {
            Some(sealed) => Some(sealed.clone()),
            None => {
                let message = self.message(&w.firing).await?;
                let fresh = self.seal_again(&w.data_key, &place, &message)?;
                self.db
                    .write(async |mut tx| timers::freeze(&mut tx, &w.firing, fresh.clone()).await)
                    .await?
            }
        };
        sealed
            .map(|sealed| super::open(&self.ring, &w.data_key, &place, &sealed))
            .transpose()
    }

    /// What the recipient reads.
    async fn message(&self, f: &Firing) -> Result<Message, Failure> {
        let mut reader = self.db.read().await?;
        let sight = crate::access::Sight::All;
        let task = tasks::get(&mut reader, &self.ring, &sight, &[f.task])
            .await?
            .pop()
            .ok_or_else(|| Failure::not_found(tasks::place(f.task)))?;
        let what = if f.kind == timer::ESCALATION {
            "任务逾期未完成"
        } else {
            "跟进提醒"
        };
        let mut lines = vec![shortened(&task.private.subject, SUBJECT_SHOWN)];
        lines.push(format!("到期时间:{}", local(task.due_time)));
        if f.kind == timer::ESCALATION {
            let owner = task.owner.rsplit('/').next().unwrap_or_default();
            lines.push(format!("负责人:{owner}"));
        }
        if let Some(customer) = task.current.or(task.customer) {
            lines.push(format!("客户:customers/{customer}"));
        }
        if let Some(opportunity) = task.opportunity {
            lines.push(format!("商机:opportunities/{opportunity}"));
        }
        if !task.private.text.is_empty() {
            lines.push(shortened(&task.private.text, TEXT_SHOWN));
        }
        Ok(Message {
            recipient: f.recipient.clone(),
            title: format!("{what}:{}", shortened(&task.private.subject, TITLE_SHOWN)),
            text: lines.join("\n"),
            id: format!("pipeline-task-{}-firing-{}", f.task, f.no),
        })
    }

    /// Delivers until shutdown.
    pub async fn run_deliveries(&self, shutdown: &Shutdown) {
        if self.delivery.connection.is_empty() {
            return shutdown.wait().await;
        }
        let pause = Duration::from_millis(self.timers.poll_milliseconds);
        let work = async {
            let mut head = -1;
            loop {
                match self.deliver_due().await {
                    Ok(n) if n >= MESSAGES as usize => continue,
                    Ok(_) => {}
                    Err(failure) => {
                        tracing::warn!(reason = failure.reason, "messages could not be delivered");
                    }
                }
                let news = changelog::wait(&self.db, head, pause);
                if let Ok(Ok(now)) = tokio::time::timeout(pause, news).await {
                    head = now;
                }
            }
        };
        shutdown.unless(work).await;
    }
}

/// Whether trying again cannot help.
const fn hopeless(f: &Failure) -> bool {
    matches!(
        f.code,
        Code::InvalidArgument | Code::NotFound | Code::DataLoss | Code::Unimplemented
    )
}

/// Most characters of a task's subject in the title of its message, of its subject and of its text
/// in the message. The chat platforms take 2,048 bytes, the title counted twice, and refuse what is
/// longer: whoever is reminded by a part of the text reads the rest in the task.
const TITLE_SHOWN: usize = 50;
const SUBJECT_SHOWN: usize = 150;
const TEXT_SHOWN: usize = 250;

fn shortened(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(max - 1).collect();
    short.push('…');
    short
}

fn local(time: Timestamp) -> String {
    chrono::DateTime::from_timestamp_micros(time.0.saturating_add(OFFSET))
        .map(|t| t.format("%Y-%m-%d %H:%M").to_string())
        .unwrap_or_default()
}
