//! Leads that connectors bring: taken in once, changed by later versions of their rows.

use jinke_store::Tx;
use jinke_types::Failure;

use super::{
    By, Core,
    leads::{Look, NewLead, exists, open},
};
use crate::{
    domain::{Lead, LeadRow, change, match_result},
    store::{crosswalk, lead_rows, leads},
};

/// A row that came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    /// The lead as it would be taken in; it has a foreign key.
    pub new: NewLead,
    /// Which version it is, and what it says.
    pub row: LeadRow,
    /// The source does not have it any more.
    pub deleted: bool,
}

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// A lead was made.
    Created(Box<Lead>),
    /// The lead of this number was changed.
    Updated(i64),
    /// Nothing was to change; the number of the lead, when there is one.
    Unchanged(Option<i64>),
    /// A later version was taken before.
    Superseded(i64),
}

impl Core {
    /// Takes a row in.
    ///
    /// # Errors
    /// As [`Self::create_lead`].
    pub async fn ingest_lead(&self, by: &By<'_>, arrived: Arrived) -> Result<Taken, Failure> {
        let foreign = arrived.new.lead.foreign.clone().unwrap_or_default();
        let found = {
            let mut reader = self.db.read().await?;
            let found = leads::of_foreign(&mut reader, &foreign.0, &foreign.1).await?;
            let key = (foreign.0.as_str(), foreign.1.as_str());
            if found.is_none()
                && (arrived.deleted || lead_rows::barred(&mut reader, &self.ring, key).await?)
            {
                return Ok(Taken::Unchanged(None));
            }
            found
        };
        let id = match found {
            Some(id) => id,
            None => {
                let mut new = arrived.new;
                new.row = Some(arrived.row.clone());
                match self.create_lead(by, new).await? {
                    (lead, false) => return Ok(Taken::Created(Box::new(lead))),
                    (lead, true) => lead.id,
                }
            }
        };
        self.take_known(by, id, &arrived.row, arrived.deleted).await
    }

    /// Takes the row of a lead that is there. What a row does is done once whatever its request id, so
    /// that a replay does it again; the id only tells another body under it.
    async fn take_known(
        &self,
        by: &By<'_>,
        id: i64,
        row: &LeadRow,
        deleted: bool,
    ) -> Result<Taken, Failure> {
        let core = self;
        let look = if deleted {
            None
        } else {
            core.look_again(by, id, row).await?
        };
        core.db
            .write(async |mut tx| {
                let tx = &mut tx;
                let lead = leads::lock(tx, &core.ring, id).await?.ok_or_else(exists)?;
                if !by.viewer.sight().sees(&lead.org_unit, &lead.owner) {
                    return Err(exists());
                }
                let known = core.claim(tx, by.request, core.now()).await?.is_some();
                let revision = lead.revision;
                let done = if deleted {
                    Taken::Unchanged(Some(id))
                } else {
                    core.change_by_row(tx, by, lead, row, look.as_ref()).await?
                };
                if !known {
                    core.complete(tx, by.request, leads::place(id), revision)
                        .await?;
                }
                Ok(done)
            })
            .await
    }

    /// Changes a lead by a version of its row.
    async fn change_by_row(
        &self,
        tx: &mut Tx,
        by: &By<'_>,
        lead: Lead,
        row: &LeadRow,
        look: Option<&Look>,
    ) -> Result<Taken, Failure> {
        let id = lead.id;
        if lead.private.is_none() || open(&lead).is_err() {
            return Ok(Taken::Unchanged(Some(id)));
        }
        let Some(before) = lead_rows::get(tx, &self.ring, id).await? else {
            // A person or another program made it under this key: from here on the rows are
            // compared with this one.
            self.put_row(tx, id, row).await?;
            return Ok(Taken::Unchanged(Some(id)));
        };
        if row.is_older_than(&before) {
            return Ok(Taken::Superseded(id));
        }
        if *row == before {
            return Ok(Taken::Unchanged(Some(id)));
        }
        let mut changed = lead.clone();
        row.stated.change(&before.stated, &mut changed);
        let done = if changed == lead {
            Taken::Unchanged(Some(id))
        } else {
            if let Some(look) = look {
                self.found_by_row(tx, by, &mut changed, look).await?;
            }
            self.put_lead(tx, changed, change::UPDATED).await?;
            Taken::Updated(id)
        };
        self.put_row(tx, id, row).await?;
        Ok(done)
    }

    /// Looks for the customer again, when nobody knew him and the row names him otherwise now. This
    /// is asked outside of the transaction, which decides whether it is of use.
    async fn look_again(
        &self,
        by: &By<'_>,
        id: i64,
        row: &LeadRow,
    ) -> Result<Option<Look>, Failure> {
        let (lead, before) = {
            let mut reader = self.db.read().await?;
            let sight = by.viewer.sight();
            let found = leads::get(&mut reader, &self.ring, &sight, &[id]).await?;
            let lead = found.into_iter().next().ok_or_else(exists)?;
            let before = lead_rows::get(&mut reader, &self.ring, id).await?;
            (lead, before)
        };
        let Some(before) = before else {
            return Ok(None);
        };
        let unknown = unmatched(&lead) && open(&lead).is_ok();
        if !unknown || row.is_older_than(&before) || !row.stated.names_another(&before.stated) {
            return Ok(None);
        }
        let mut changed = lead;
        row.stated.change(&before.stated, &mut changed);
        self.look(by.viewer, &changed).await.map(Some)
    }

    /// Notes whom the lead was found to be. Whoever works on it keeps it; from the pool it goes to
    /// its customer's owner.
    async fn found_by_row(
        &self,
        tx: &mut Tx,
        by: &By<'_>,
        lead: &mut Lead,
        look: &Look,
    ) -> Result<(), Failure> {
        if !unmatched(lead) {
            return Ok(());
        }
        lead.match_result = look.result;
        lead.candidates.clone_from(&look.candidates);
        let Some((address, current)) = look.customer else {
            return Ok(());
        };
        crosswalk::learn(tx, &[(address, current)]).await?;
        (lead.customer, lead.current) = (Some(address), Some(current));
        if lead.owner.is_empty() {
            let unit = lead.org_unit.clone();
            self.decide_owner(tx, by.viewer, lead, look, "", &unit)
                .await?;
        }
        Ok(())
    }

    /// Seals and writes the row of a lead that is not erased.
    pub(super) async fn put_row(
        &self,
        tx: &mut Tx,
        lead: i64,
        row: &LeadRow,
    ) -> Result<(), Failure> {
        let Some(wrapped) = leads::data_key(tx, lead).await? else {
            return Ok(());
        };
        let sealed = self.seal_again(&wrapped, &lead_rows::place(lead), &row.stated)?;
        lead_rows::save(tx, lead, row, sealed).await
    }
}

/// Nobody knows yet whose lead it is.
fn unmatched(lead: &Lead) -> bool {
    lead.customer.is_none() && matches!(lead.match_result, match_result::NEW | match_result::UNSURE)
}
