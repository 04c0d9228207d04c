//! What is kept of a customer who was erased, and what is destroyed.
//!
//! Numbers stay: amounts, stages, transitions, owners and times are the enterprise's own, and sums
//! over the past must not change. What says who it was goes: sealed values with the key they were
//! sealed under, and, when nothing remains of the customer, names, credit codes, titles, foreign
//! keys and contacts in the clear. What was open of a customer who is gone is closed, with the
//! reason [`CUSTOMER_ERASED`]. When other records of the customer remain, only sealed values at the
//! addresses of the erased records go; the rest passes to what remains.

use std::collections::BTreeSet;

use jinke_store::Tx;
use jinke_types::{Failure, Timestamp};

use super::{Core, log, opportunities::Move};
use crate::{
    domain::{
        CUSTOMER_ERASED, OpportunityPrivate, TaskPrivate, change, lead_state, moved, outcome,
        task_state,
    },
    store::{activities, attached, lead_rows, leads, opportunities, tasks, timers},
};

/// Who did it: this service, as it follows the customer feed.
const ACTOR: &str = "serviceAccounts/service-pipeline";

/// How much of a customer was erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Records at these addresses; others remain.
    Records,
    /// Nothing remains.
    Customer,
}

impl Core {
    /// Destroys what stands at these addresses, as far as `extent` says, and tells it in the feed.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn erase_at(
        &self,
        tx: &mut Tx,
        addresses: &[i64],
        extent: Extent,
    ) -> Result<(), Failure> {
        if addresses.is_empty() {
            return Ok(());
        }
        let own = attached::at(tx, addresses).await?;
        for id in &own.opportunities {
            self.erase_opportunity(tx, *id, extent).await?;
        }
        for id in &own.leads {
            self.erase_lead_of(tx, *id, extent).await?;
        }
        let with = attached::of(tx, &own).await?;
        for id in own.activities.union(&with.activities) {
            self.erase_activity(tx, *id, extent).await?;
        }
        for id in own.tasks.union(&with.tasks) {
            self.erase_task(tx, *id, extent).await?;
        }
        if extent == Extent::Customer {
            self.forget_contacts(tx, &addresses.iter().copied().collect())
                .await?;
        }
        Ok(())
    }

    async fn erase_opportunity(&self, tx: &mut Tx, id: i64, extent: Extent) -> Result<(), Failure> {
        let Some(before) = opportunities::lock(tx, &self.ring, id).await? else {
            return Ok(());
        };
        let process = self
            .processes
            .get(tx, &before.pipeline, before.version)
            .await?;
        opportunities::forget_causes(tx, id).await?;
        let now = self.now();
        let mut o = before.clone();
        o.data_key = self.fresh_key().1;
        o.private = OpportunityPrivate::default();
        o.erase_time = Some(now);
        let mut step = None;
        if extent == Extent::Customer {
            o.display_name = format!("商机 {id}");
            o.contacts.clear();
            if o.outcome == outcome::OPEN {
                o.outcome = outcome::LOST;
                o.outcome_time = Some(now);
                CUSTOMER_ERASED.clone_into(&mut o.reason);
                step = Some(Move {
                    kind: moved::LOST,
                    cause: String::new(),
                });
            }
        }
        let o = self
            .put(tx, Some(&before), o, step, &process, ACTOR)
            .await?;
        self.erased(tx, opportunities::place(id), o.revision);
        Ok(())
    }

    async fn erase_lead_of(&self, tx: &mut Tx, id: i64, extent: Extent) -> Result<(), Failure> {
        let Some(mut lead) = leads::lock(tx, &self.ring, id).await? else {
            return Ok(());
        };
        let now = self.now();
        lead.private = None;
        lead.erase_time = lead.erase_time.or(Some(now));
        lead_rows::remove(tx, id).await?;
        if extent == Extent::Customer {
            lead.company.clear();
            lead.uscc.clear();
            // Its row may come again, and must not bring back who it was.
            if let Some((source, external_id)) = lead.foreign.take() {
                lead_rows::bar(tx, &self.ring, (&source, &external_id), now).await?;
            }
            if matches!(lead.state, lead_state::NEW | lead_state::QUALIFIED) {
                lead.state = lead_state::DISQUALIFIED;
                lead.state_time = now;
                CUSTOMER_ERASED.clone_into(&mut lead.reason);
            }
        }
        self.put_lead(tx, lead, change::ERASED).await?;
        Ok(())
    }

    async fn erase_activity(&self, tx: &mut Tx, id: i64, extent: Extent) -> Result<(), Failure> {
        let Some(a) = activities::lock(tx, &self.ring, id).await? else {
            return Ok(());
        };
        let (_, wrapped) = self.fresh_key();
        let keep_foreign = extent == Extent::Records;
        activities::erase(tx, id, &wrapped, keep_foreign, self.now()).await?;
        self.erased(tx, format!("activities/{id}"), a.version);
        Ok(())
    }

    async fn erase_task(&self, tx: &mut Tx, id: i64, extent: Extent) -> Result<(), Failure> {
        let Some(mut task) = tasks::lock(tx, &self.ring, id).await? else {
            return Ok(());
        };
        let now = self.now();
        task.data_key = self.fresh_key().1;
        task.private = TaskPrivate::default();
        task.erase_time = Some(now);
        if extent == Extent::Customer && task.state == task_state::OPEN {
            self.skip(tx, &mut task, CUSTOMER_ERASED).await?;
            task.state = task_state::CANCELLED;
            CUSTOMER_ERASED.clone_into(&mut task.outcome);
            task.close_time = Some(now);
        }
        timers::abandon(tx, id, CUSTOMER_ERASED, now).await?;
        self.put_task(tx, &mut task).await?;
        self.erased(tx, tasks::place(id), task.revision);
        Ok(())
    }

    /// Takes erased persons out of the contacts of everybody's opportunities.
    async fn forget_contacts(&self, tx: &mut Tx, gone: &BTreeSet<i64>) -> Result<(), Failure> {
        for id in opportunities::with_contacts(tx, gone).await? {
            let Some(before) = opportunities::lock(tx, &self.ring, id).await? else {
                continue;
            };
            let process = self
                .processes
                .get(tx, &before.pipeline, before.version)
                .await?;
            let mut o = before.clone();
            o.contacts.retain(|c| !gone.contains(&c.person));
            // That somebody was erased is no work on the opportunity: it gets stale as it would have.
            let touched = (before.touch_time, before.stale_time);
            self.put(tx, Some(&before), o, None, &process, ACTOR)
                .await?;
            opportunities::untouch(tx, id, touched).await?;
        }
        Ok(())
    }

    fn erased(&self, tx: &mut Tx, subject: String, revision: i64) {
        let now: Timestamp = self.now();
        log(tx, subject, change::ERASED, revision, now, None);
    }
}
