//! Activities: written once, amended by another version, taken back by another version.

use jinke_store::counter;
use jinke_types::{Code, Failure, Timestamp};

use super::{By, Core, log, number};
use crate::{
    domain::{Activity, ActivityPrivate, change, check_etag},
    store::{activities, crosswalk, leads, opportunities},
};

/// What an amendment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amendment {
    /// When it happened.
    pub time: Option<Timestamp>,
    /// How long, in microseconds.
    pub duration: i64,
    /// Channel.
    pub channel: String,
    /// The customer began it.
    pub inbound: bool,
    /// Subject and text.
    pub private: ActivityPrivate,
}

impl Core {
    /// Writes an activity down; its number.
    ///
    /// # Errors
    /// `NOT_FOUND` for what it belongs to.
    pub async fn create_activity(&self, by: &By<'_>, new: Activity) -> Result<i64, Failure> {
        let core = self;
        core.db
            .write(async |mut tx| {
                let tx = &mut tx;
                let now = core.now();
                if let Some(done) = core.claim(tx, by.request, now).await? {
                    return number(&done);
                }
                if let Some((source, external_id)) = &new.foreign {
                    tx.lock("activities_foreign").await?;
                    if let Some(id) = activities::of_foreign(tx, source, external_id).await? {
                        let sight = by.viewer.sight();
                        let seen = activities::get(tx, &core.ring, &sight, &[id]).await?;
                        if seen.is_empty() {
                            return Err(Failure::new(
                                Code::AlreadyExists,
                                "ALREADY_EXISTS",
                                "an activity of this foreign key exists",
                            ));
                        }
                        let name = format!("activities/{id}");
                        core.complete(tx, by.request, name, 1).await?;
                        return Ok(id);
                    }
                }
                let mut a = new.clone();
                let unit = core
                    .belongs(tx, by, &mut a.customer, a.opportunity, a.lead)
                    .await?;
                if let (Some(address), Some(current)) = (a.customer, a.current) {
                    crosswalk::learn(tx, &[(address, current)]).await?;
                }
                a.org_unit = if a.org_unit.is_empty() {
                    match unit {
                        Some(unit) => unit,
                        None => by.viewer.org_unit("")?,
                    }
                } else {
                    a.org_unit
                };
                if a.time == Timestamp::default() {
                    a.time = now;
                }
                a.id = counter::take(tx, "activities", 1).await?;
                (a.version, a.newest) = (1, 1);
                a.creator.clone_from(&by.viewer.caller.name);
                a.create_time = now;
                let (key, wrapped) = core.fresh_key();
                a.data_key = wrapped;
                let sealed = core.seal(&key, &activities::place(a.id, 1), &a.private)?;
                activities::add(tx, &a, sealed).await?;
                if let Some(opportunity) = a.opportunity {
                    opportunities::touch(tx, opportunity, now).await?;
                }
                let name = format!("activities/{}", a.id);
                log(tx, name.clone(), change::CREATED, 1, now, None);
                core.complete(tx, by.request, name, 1).await?;
                Ok(a.id)
            })
            .await
    }

    /// Checks that what something belongs to is seen, takes the customer from it when none is
    /// named, and gives its org unit.
    pub(crate) async fn belongs(
        &self,
        tx: &mut jinke_store::Tx,
        by: &By<'_>,
        customer: &mut Option<i64>,
        opportunity: Option<i64>,
        lead: Option<i64>,
    ) -> Result<Option<String>, Failure> {
        let sight = by.viewer.sight();
        let mut unit = None;
        if let Some(id) = opportunity {
            let o = opportunities::get(tx, &self.ring, &sight, &[id])
                .await?
                .pop()
                .ok_or_else(|| Failure::not_found(opportunities::place(id)))?;
            customer.get_or_insert(o.customer);
            unit = Some(o.org_unit);
        }
        if let Some(id) = lead {
            let l = leads::get(tx, &self.ring, &sight, &[id])
                .await?
                .pop()
                .ok_or_else(|| Failure::not_found(leads::place(id)))?;
            *customer = customer.or(l.customer);
            unit = unit.or(Some(l.org_unit));
        }
        Ok(unit)
    }

    /// Appends a version with other content.
    ///
    /// # Errors
    /// `NOT_FOUND`, `ETAG_MISMATCH`, `ACTIVITY_RETRACTED`.
    pub async fn amend_activity(
        &self,
        by: &By<'_>,
        id: i64,
        etag: &str,
        amendment: Option<&Amendment>,
    ) -> Result<(), Failure> {
        let core = self;
        core.db
            .write(async |mut tx| {
                let tx = &mut tx;
                let now = core.now();
                if core.claim(tx, by.request, now).await?.is_some() {
                    return Ok(());
                }
                let missing = || Failure::not_found(format!("activities/{id}"));
                let mut a = activities::lock(tx, &core.ring, id)
                    .await?
                    .ok_or_else(missing)?;
                if !by.viewer.sight().sees(&a.org_unit, &a.owner) {
                    return Err(missing());
                }
                check_etag(etag, a.version)?;
                if a.retracted {
                    return Err(Failure::new(
                        Code::FailedPrecondition,
                        "ACTIVITY_RETRACTED",
                        "the activity was taken back",
                    ));
                }
                match amendment {
                    Some(m) => {
                        a.time = m.time.unwrap_or(a.time);
                        a.duration = m.duration;
                        a.channel.clone_from(&m.channel);
                        a.inbound = m.inbound;
                        a.private.clone_from(&m.private);
                    }
                    None => a.retracted = true,
                }
                a.version += 1;
                a.creator.clone_from(&by.viewer.caller.name);
                a.create_time = now;
                let place = activities::place(id, a.version);
                let sealed = core.seal_again(&a.data_key, &place, &a.private)?;
                activities::add(tx, &a, sealed).await?;
                let name = format!("activities/{id}");
                log(tx, name.clone(), change::UPDATED, a.version, now, None);
                core.complete(tx, by.request, name, a.version).await
            })
            .await
    }
}
