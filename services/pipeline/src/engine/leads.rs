//! Leads: looked for among the golden customers, assigned, worked on, given up, erased.

use jinke_store::{Tx, counter};
use jinke_types::{Code, Failure};

use super::{By, Core, log, number};
use crate::{
    access::Viewer,
    domain::{Lead, LeadPrivate, LeadRow, Money, change, check_etag, lead_state, match_result},
    error,
    outside::Found,
    store::{crosswalk, leads},
};

/// What looking for the customer gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// See [`match_result`].
    pub result: i64,
    /// The customer as found, and who holds it now.
    pub customer: Option<(i64, i64)>,
    /// The golden owner.
    pub owner: Option<String>,
    /// All addresses that this customer holds now; the crosswalk may not have heard of them yet.
    pub holds: Vec<i64>,
    /// Who else it may be.
    pub candidates: Vec<(i64, i32)>,
}

/// A lead that came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewLead {
    /// What is stated.
    pub lead: Lead,
    /// Owner named by the caller; empty: decide.
    pub owner: String,
    /// Org unit named by the caller; empty: decide.
    pub org_unit: String,
    /// The row it is, of a lead that a connector brings.
    pub row: Option<LeadRow>,
}

/// What a change of a lead says; what is none stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in the lead")]
pub struct LeadUpdate {
    pub company: Option<String>,
    pub uscc: Option<String>,
    pub region: Option<String>,
    pub org_unit: Option<String>,
    pub estimate: Option<Option<Money>>,
    pub person_name: Option<String>,
    pub phones: Option<Vec<String>>,
    pub emails: Option<Vec<String>>,
    pub title: Option<String>,
    pub interest: Option<String>,
    pub remark: Option<String>,
    /// Address and present holder.
    pub customer: Option<(i64, i64)>,
}

impl Core {
    /// Looks for the customer of a lead: the one the caller named, else whoever matches.
    ///
    /// # Errors
    /// Those of the customer service; without it no lead is taken.
    pub async fn look(&self, viewer: &Viewer, lead: &Lead) -> Result<Look, Failure> {
        if let Some(address) = lead.customer {
            return self.look_at(viewer, address).await;
        }
        Ok(match self.customers.find(lead).await? {
            Found::Known(record, known) => Look {
                result: match_result::KNOWN,
                customer: Some((record, known.current)),
                owner: known.owner,
                holds: known.addresses,
                candidates: Vec::new(),
            },
            Found::Unsure(candidates) => Look {
                result: match_result::UNSURE,
                candidates,
                ..Look::default()
            },
            Found::Nobody => Look {
                result: match_result::NEW,
                ..Look::default()
            },
        })
    }

    /// Looks at a customer that the viewer names, and must see.
    ///
    /// # Errors
    /// Those of the customer service.
    pub async fn look_at(&self, viewer: &Viewer, address: i64) -> Result<Look, Failure> {
        let bearer = viewer.bearer.as_ref();
        let mut known = self.customers.get(bearer, address).await?;
        if bearer.is_some() {
            // Whose the customer is does not depend on how much of it somebody sees.
            known = self.customers.get(None, address).await?;
        }
        Ok(Look {
            result: match_result::GIVEN,
            customer: Some((address, known.current)),
            owner: known.owner,
            holds: known.addresses,
            candidates: Vec::new(),
        })
    }

    /// Seals and writes a lead.
    pub(crate) async fn put_lead(
        &self,
        tx: &mut Tx,
        mut lead: Lead,
        kind: &'static str,
    ) -> Result<Lead, Failure> {
        let now = self.now();
        lead.revision += 1;
        lead.update_time = now;
        let place = leads::place(lead.id);
        let sealed = match &lead.private {
            None => None,
            Some(private) => match leads::data_key(tx, lead.id).await? {
                Some(wrapped) => {
                    let sealed = self.seal_again(&wrapped, &place, private)?;
                    Some((wrapped, sealed))
                }
                None => {
                    let (key, wrapped) = self.fresh_key();
                    let sealed = self.seal(&key, &place, private)?;
                    Some((wrapped, sealed))
                }
            },
        };
        leads::save(tx, &lead, sealed).await?;
        log(tx, place, kind, lead.revision, now, None);
        Ok(lead)
    }

    /// Takes a lead in; as stored, and whether it was there already.
    ///
    /// # Errors
    /// Those of the customer service; `ALREADY_EXISTS` for a foreign key whose lead the caller does
    /// not see.
    pub async fn create_lead(&self, by: &By<'_>, new: NewLead) -> Result<(Lead, bool), Failure> {
        let core = self;
        if let Some(lead) = core.known_lead(by.viewer, &new.lead).await? {
            return Ok((lead, true));
        }
        let look = core.look(by.viewer, &new.lead).await?;
        let (id, existing) = core
            .db
            .write(async |mut tx| {
                let tx = &mut tx;
                let now = core.now();
                if let Some(done) = core.claim(tx, by.request, now).await? {
                    return Ok((number(&done)?, true));
                }
                if let Some((source, external_id)) = &new.lead.foreign {
                    tx.lock("leads_foreign").await?;
                    if let Some(id) = leads::of_foreign(tx, source, external_id).await? {
                        core.complete(tx, by.request, leads::place(id), 0).await?;
                        return Ok((id, true));
                    }
                }
                let mut lead = taken(&new.lead, &look);
                lead.id = counter::take(tx, "leads", 1).await?;
                lead.creator.clone_from(&by.viewer.caller.name);
                (lead.create_time, lead.state_time) = (now, now);
                lead.touch.time = lead.touch.time.or(Some(now));
                if let Some((address, current)) = look.customer {
                    crosswalk::learn(tx, &[(address, current)]).await?;
                }
                core.decide_owner(tx, by.viewer, &mut lead, &look, &new.owner, &new.org_unit)
                    .await?;
                let lead = core.put_lead(tx, lead, change::CREATED).await?;
                if let Some(row) = &new.row {
                    core.put_row(tx, lead.id, row).await?;
                }
                let name = leads::place(lead.id);
                core.complete(tx, by.request, name, lead.revision).await?;
                Ok((lead.id, false))
            })
            .await?;
        // A rule may have given the lead to somebody whose leads the caller does not see: who made
        // it is told once what became of it.
        let sight = if existing {
            by.viewer.sight()
        } else {
            crate::access::Sight::All
        };
        let mut reader = core.db.read().await?;
        let lead = leads::get(&mut reader, &core.ring, &sight, &[id]).await?;
        let lead = lead.into_iter().next().ok_or_else(exists)?;
        Ok((lead, existing))
    }

    /// The lead of the same foreign key.
    async fn known_lead(&self, viewer: &Viewer, lead: &Lead) -> Result<Option<Lead>, Failure> {
        let Some((source, external_id)) = &lead.foreign else {
            return Ok(None);
        };
        let mut reader = self.db.read().await?;
        let Some(id) = leads::of_foreign(&mut reader, source, external_id).await? else {
            return Ok(None);
        };
        let found = leads::get(&mut reader, &self.ring, &viewer.sight(), &[id]).await?;
        found.into_iter().next().map(Some).ok_or_else(exists)
    }

    /// A lead as it would be taken in.
    ///
    /// # Errors
    /// Those of the customer service.
    pub async fn try_lead(&self, by: &By<'_>, new: &NewLead) -> Result<Lead, Failure> {
        let look = self.look(by.viewer, &new.lead).await?;
        let mut lead = taken(&new.lead, &look);
        lead.owner.clone_from(&new.owner);
        lead.org_unit.clone_from(&new.org_unit);
        Ok(lead)
    }

    /// Takes hold of a lead that the caller sees and whose etag fits.
    pub(crate) async fn held_lead(
        &self,
        tx: &mut Tx,
        by: &By<'_>,
        id: i64,
        etag: &str,
    ) -> Result<Lead, Failure> {
        let missing = || Failure::not_found(leads::place(id));
        let lead = leads::lock(tx, &self.ring, id).await?.ok_or_else(missing)?;
        if !by.viewer.sight().sees(&lead.org_unit, &lead.owner) {
            return Err(missing());
        }
        check_etag(etag, lead.revision)?;
        Ok(lead)
    }

    /// Changes a lead as `change` says.
    async fn change_lead(
        &self,
        by: &By<'_>,
        id: i64,
        etag: &str,
        kind: &'static str,
        change: impl Fn(&mut Lead) -> Result<(), Failure> + Send + Sync,
    ) -> Result<(), Failure> {
        let core = self;
        core.db
            .write(async |mut tx| {
                let tx = &mut tx;
                if core.claim(tx, by.request, core.now()).await?.is_some() {
                    return Ok(());
                }
                let before = core.held_lead(tx, by, id, etag).await?;
                let mut lead = before.clone();
                change(&mut lead)?;
                if lead.customer != before.customer
                    && let (Some(address), Some(current)) = (lead.customer, lead.current)
                {
                    crosswalk::learn(tx, &[(address, current)]).await?;
                }
                if lead != before {
                    lead = core.put_lead(tx, lead, kind).await?;
                }
                core.complete(tx, by.request, leads::place(id), lead.revision)
                    .await
            })
            .await
    }

    /// Changes fields.
    ///
    /// # Errors
    /// `NOT_FOUND`, `ETAG_MISMATCH`, `LEAD_ERASED`.
    pub async fn update_lead(
        &self,
        by: &By<'_>,
        id: i64,
        etag: &str,
        update: &LeadUpdate,
    ) -> Result<(), Failure> {
        self.change_lead(by, id, etag, change::UPDATED, |lead| {
            if lead.private.is_none() {
                return Err(error::lead_erased());
            }
            apply(lead, update);
            let named = lead
                .private
                .as_ref()
                .is_some_and(|p| !p.person_name.is_empty());
            if lead.company.is_empty() && !named {
                let why = "or person_name is required";
                return Err(Failure::field("lead.company", why));
            }
            Ok(())
        })
        .await
    }

    /// The owner found it worth an opportunity.
    ///
    /// # Errors
    /// `NOT_FOUND`, `ETAG_MISMATCH`, `LEAD_CLOSED`.
    pub async fn qualify_lead(&self, by: &By<'_>, id: i64, etag: &str) -> Result<(), Failure> {
        let now = self.now();
        self.change_lead(by, id, etag, change::UPDATED, |lead| {
            open(lead)?;
            if lead.state == lead_state::NEW {
                lead.state = lead_state::QUALIFIED;
                lead.state_time = now;
            }
            Ok(())
        })
        .await
    }

    /// Gives a lead up.
    ///
    /// # Errors
    /// `NOT_FOUND`, `ETAG_MISMATCH`, `LEAD_CLOSED`.
    pub async fn disqualify_lead(
        &self,
        by: &By<'_>,
        id: i64,
        etag: &str,
        reason: &str,
        comment: &str,
    ) -> Result<(), Failure> {
        let now = self.now();
        self.change_lead(by, id, etag, change::UPDATED, |lead| {
            open(lead)?;
            lead.state = lead_state::DISQUALIFIED;
            lead.state_time = now;
            reason.clone_into(&mut lead.reason);
            if let Some(private) = &mut lead.private {
                comment.clone_into(&mut private.comment);
            }
            Ok(())
        })
        .await
    }

    /// Destroys the key of its personal values.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn erase_lead(&self, by: &By<'_>, id: i64) -> Result<(), Failure> {
        let now = self.now();
        self.change_lead(by, id, "", change::ERASED, |lead| {
            if lead.private.take().is_some() {
                lead.erase_time = Some(now);
            }
            Ok(())
        })
        .await
    }

    /// Gives a lead to somebody; when nobody is named, to the owner of its customer, else to whom
    /// the rules choose.
    ///
    /// # Errors
    /// `NOT_FOUND`, `ETAG_MISMATCH`, `LEAD_CLOSED`; those of the customer service.
    pub async fn assign_lead(
        &self,
        by: &By<'_>,
        id: i64,
        etag: &str,
        owner: &str,
    ) -> Result<(), Failure> {
        let core = self;
        let seen = {
            let mut reader = core.db.read().await?;
            leads::get(&mut reader, &core.ring, &by.viewer.sight(), &[id]).await?
        };
        // Nobody is asked whose the customer is when the caller says who gets the lead.
        let look = match seen.first().and_then(|lead| lead.customer) {
            Some(address) if owner.is_empty() => core.look_at(&Viewer::service(), address).await?,
            _ => Look::default(),
        };
        core.db
            .write(async |mut tx| {
                let tx = &mut tx;
                if core.claim(tx, by.request, core.now()).await?.is_some() {
                    return Ok(());
                }
                let mut lead = core.held_lead(tx, by, id, etag).await?;
                open(&lead)?;
                let unit = lead.org_unit.clone();
                let unit = if owner.is_empty() { "" } else { unit.as_str() };
                core.decide_owner(tx, by.viewer, &mut lead, &look, owner, unit)
                    .await?;
                let lead = core.put_lead(tx, lead, change::UPDATED).await?;
                core.complete(tx, by.request, leads::place(id), lead.revision)
                    .await
            })
            .await
    }
}

/// Refuses a lead that was converted or given up.
pub(crate) fn open(lead: &Lead) -> Result<(), Failure> {
    if matches!(lead.state, lead_state::NEW | lead_state::QUALIFIED) {
        Ok(())
    } else {
        Err(error::lead_closed())
    }
}

fn taken(stated: &Lead, look: &Look) -> Lead {
    Lead {
        state: lead_state::NEW,
        match_result: look.result,
        customer: look.customer.map(|(address, _)| address),
        current: look.customer.map(|(_, current)| current),
        candidates: look.candidates.clone(),
        private: Some(stated.private.clone().unwrap_or_default()),
        ..stated.clone()
    }
}

/// `ALREADY_EXISTS` for a foreign key whose lead the caller does not see.
pub(super) fn exists() -> Failure {
    Failure::new(
        Code::AlreadyExists,
        "ALREADY_EXISTS",
        "a lead of this foreign key exists",
    )
}

fn apply(lead: &mut Lead, u: &LeadUpdate) {
    fn set<T: Clone>(to: &mut T, from: &Option<T>) {
        if let Some(from) = from {
            to.clone_from(from);
        }
    }
    set(&mut lead.company, &u.company);
    set(&mut lead.uscc, &u.uscc);
    set(&mut lead.region, &u.region);
    set(&mut lead.org_unit, &u.org_unit);
    set(&mut lead.estimate, &u.estimate);
    if let Some((address, current)) = u.customer {
        (lead.customer, lead.current) = (Some(address), Some(current));
        lead.match_result = match_result::GIVEN;
        lead.candidates.clear();
    }
    let private: &mut LeadPrivate = lead.private.get_or_insert_default();
    set(&mut private.person_name, &u.person_name);
    set(&mut private.phones, &u.phones);
    set(&mut private.emails, &u.emails);
    set(&mut private.title, &u.title);
    set(&mut private.interest, &u.interest);
    set(&mut private.remark, &u.remark);
}
