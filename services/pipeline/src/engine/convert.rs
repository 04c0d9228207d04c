//! A lead becomes an opportunity, and its person or company a customer when nobody knew it.

use jinke_types::Failure;

use super::{By, Core, leads::open, number};
use crate::{
    domain::{
        Lead, LineItem, Money, Opportunity, change, lead_state, match_result, pipelines::DEFAULT,
    },
    error,
    outside::Found,
    store::{leads, opportunities},
};

/// Whom a lead becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// The matched one, else a new one.
    #[default]
    Matched,
    /// A new one, whoever else looks like it.
    New,
    /// This one.
    Given(i64),
}

/// What a conversion says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conversion {
    /// Whom it becomes.
    pub target: Target,
    /// Title; empty: the name.
    pub display_name: String,
    /// Pipeline; empty: the shipped one.
    pub pipeline: String,
    /// Amount; none: the estimate.
    pub amount: Option<Money>,
    /// Close date.
    pub close_date: Option<String>,
}

impl Core {
    /// The customer a lead becomes: its address, who holds it now, and how it was found. It is made
    /// known to the customer service before anything is written here; a crash in between leaves a
    /// record that the next try finds again.
    async fn becomes(
        &self,
        by: &By<'_>,
        lead: &Lead,
        target: Target,
    ) -> Result<(i64, i64, i64), Failure> {
        match target {
            Target::Given(address) => {
                let bearer = by.viewer.bearer.as_ref();
                let known = self.customers.get(bearer, address).await?;
                return Ok((address, known.current, match_result::GIVEN));
            }
            Target::Matched => {
                if let (Some(address), Some(current)) = (lead.customer, lead.current) {
                    return Ok((address, current, lead.match_result));
                }
                // The customer may have become known since the lead came in.
                match self.customers.find(lead).await? {
                    Found::Known(record, known) => {
                        return Ok((record, known.current, match_result::KNOWN));
                    }
                    Found::Unsure(candidates) => return Err(error::match_unsure(&candidates)),
                    Found::Nobody => {}
                }
            }
            Target::New => {}
        }
        if lead.private.is_none() {
            return Err(error::lead_erased());
        }
        let known = self.customers.register(lead).await?;
        let address = known.addresses.first().copied().unwrap_or(known.current);
        Ok((address, known.current, match_result::NEW))
    }

    /// Converts a lead; the number of its opportunity.
    ///
    /// # Errors
    /// `NOT_FOUND`, `ETAG_MISMATCH`, `LEAD_CLOSED`, `LEAD_ERASED`, `MATCH_UNSURE`, those of the
    /// customer service and of beginning an opportunity.
    pub async fn convert_lead(
        &self,
        by: &By<'_>,
        id: i64,
        etag: &str,
        conversion: &Conversion,
    ) -> Result<i64, Failure> {
        let core = self;
        let seen = {
            let mut reader = core.db.read().await?;
            leads::get(&mut reader, &core.ring, &by.viewer.sight(), &[id])
                .await?
                .pop()
                .ok_or_else(|| Failure::not_found(leads::place(id)))?
        };
        // A lead that is closed already is either this very request again, or refused below.
        let becomes = if open(&seen).is_ok() {
            Some(core.becomes(by, &seen, conversion.target).await?)
        } else {
            None
        };
        core.db
            .write(async |mut tx| {
                let tx = &mut tx;
                let now = core.now();
                if let Some(done) = core.claim(tx, by.request, now).await? {
                    return number(&done);
                }
                let mut lead = core.held_lead(tx, by, id, etag).await?;
                open(&lead)?;
                let Some((address, current, found)) = becomes else {
                    return Err(error::lead_closed());
                };
                let o = Opportunity {
                    display_name: title(&lead, &conversion.display_name),
                    customer: address,
                    current,
                    pipeline: if conversion.pipeline.is_empty() {
                        DEFAULT.to_owned()
                    } else {
                        conversion.pipeline.clone()
                    },
                    amount: conversion.amount.clone().or_else(|| lead.estimate.clone()),
                    close_date: conversion.close_date.clone(),
                    line_items: Vec::<LineItem>::new(),
                    owner: if lead.owner.is_empty() {
                        by.viewer.caller.name.clone()
                    } else {
                        lead.owner.clone()
                    },
                    org_unit: lead.org_unit.clone(),
                    lead: Some(id),
                    touch: lead.touch.clone(),
                    ..Opportunity::default()
                };
                let actor = &by.viewer.caller.name;
                let made = core.begin(tx, o, "", "", actor).await?;
                lead.state = lead_state::CONVERTED;
                lead.state_time = now;
                (lead.customer, lead.current) = (Some(address), Some(current));
                lead.match_result = found;
                lead.candidates.clear();
                lead.opportunity = Some(made.id);
                core.put_lead(tx, lead, change::UPDATED).await?;
                let name = opportunities::place(made.id);
                core.complete(tx, by.request, name, made.revision).await?;
                Ok(made.id)
            })
            .await
    }
}

/// A title that tells no person's name: titles are plain.
fn title(lead: &Lead, named: &str) -> String {
    if !named.is_empty() {
        return named.to_owned();
    }
    if lead.company.is_empty() {
        format!("线索 {}", lead.id)
    } else {
        lead.company.clone()
    }
}
