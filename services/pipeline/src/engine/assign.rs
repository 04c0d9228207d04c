//! Who gets a lead: its customer's owner, else whom the first fitting rule chooses.

use jinke_store::Tx;
use jinke_types::{Code, Failure};

use super::{By, Core, leads::Look};
use crate::{
    access::Viewer,
    domain::{Lead, assign::Rule, cause, check_etag},
    store::{crosswalk, leads, rules},
};

/// Most rules: each new lead asks all of them.
pub const MAX_RULES: i64 = 500;

impl Core {
    /// Decides who owns a lead. `named` and `unit` are what the caller said.
    pub(crate) async fn decide_owner(
        &self,
        tx: &mut Tx,
        viewer: &Viewer,
        lead: &mut Lead,
        look: &Look,
        named: &str,
        unit: &str,
    ) -> Result<(), Failure> {
        lead.assign_time = self.now();
        lead.assign_actor.clone_from(&viewer.caller.name);
        lead.assign_rule.clear();
        let (owner, org_unit, why) = self.choose(tx, lead, look, named).await?;
        lead.assign_cause = why;
        if let (cause::RULE, Some(rule)) = (why, &owner.1) {
            lead.assign_rule.clone_from(rule);
        }
        lead.owner = owner.0;
        lead.org_unit = if unit.is_empty() {
            match org_unit {
                Some(unit) => unit,
                None => viewer.org_unit("")?,
            }
        } else {
            unit.to_owned()
        };
        Ok(())
    }

    /// `((owner, rule), org unit, cause)`.
    async fn choose(
        &self,
        tx: &mut Tx,
        lead: &Lead,
        look: &Look,
        named: &str,
    ) -> Result<((String, Option<String>), Option<String>, i64), Failure> {
        if !named.is_empty() {
            return Ok(((named.to_owned(), None), None, cause::GIVEN));
        }
        if let Some(address) = lead.customer
            && let Some((owner, unit)) = self.owner_of(tx, address, look).await?
        {
            return Ok(((owner, None), unit, cause::CUSTOMER_OWNER));
        }
        match self.by_rule(tx, &lead.region, &lead.touch.channel).await? {
            Some((owner, rule, unit)) => Ok(((owner, Some(rule)), unit, cause::RULE)),
            None => Ok(((String::new(), None), None, cause::POOL)),
        }
    }

    /// Whose the customer at an address is: `(owner, org unit)`. The golden owner comes first: it is
    /// what the enterprise says of the customer.
    pub(crate) async fn owner_of(
        &self,
        tx: &mut Tx,
        address: i64,
        look: &Look,
    ) -> Result<Option<(String, Option<String>)>, Failure> {
        let mut holds = look.holds.clone();
        if holds.is_empty() {
            holds = crosswalk::addresses(tx, address).await?.1;
        }
        let ours = leads::owner_of_customer(tx, &holds).await?;
        Ok(match &look.owner {
            Some(owner) => {
                let unit = ours.filter(|(o, _)| o == owner).map(|(_, unit)| unit);
                Some((owner.clone(), unit))
            }
            None => ours.map(|(owner, unit)| (owner, Some(unit))),
        })
    }

    /// Whom the first rule that fits chooses: `(owner, rule, org unit)`.
    pub(crate) async fn by_rule(
        &self,
        tx: &mut Tx,
        region: &str,
        channel: &str,
    ) -> Result<Option<(String, String, Option<String>)>, Failure> {
        let all = rules::list(tx, None, u32::try_from(MAX_RULES).unwrap_or(500)).await?;
        for mut rule in all.into_iter().filter(|r| r.fits(region, channel)) {
            // Taking the turn holds the rule, so that two leads at once do not get one turn, and
            // the loads counted after it are those of the leads before.
            rule.turn = rules::turn(tx, &rule.id).await?;
            let loads = leads::loads(tx, &rule.body.owners).await?;
            if let Some(owner) = rule.choose(&loads) {
                let unit = Some(rule.body.org_unit.clone()).filter(|u| !u.is_empty());
                return Ok(Some((owner.to_owned(), rule.id.clone(), unit)));
            }
        }
        Ok(None)
    }

    /// Makes a rule.
    ///
    /// # Errors
    /// `ALREADY_EXISTS`, `LIMIT_REACHED`.
    pub async fn create_rule(&self, by: &By<'_>, rule: Rule) -> Result<String, Failure> {
        let core = self;
        core.db
            .write(async |mut tx| {
                let tx = &mut tx;
                let now = core.now();
                if let Some(done) = core.claim(tx, by.request, now).await? {
                    return Ok(done);
                }
                tx.lock("assignment_rules").await?;
                if rules::get(tx, &rule.id).await?.is_some() {
                    return Err(Failure::new(
                        Code::AlreadyExists,
                        "ALREADY_EXISTS",
                        format!("assignmentRules/{} exists", rule.id),
                    ));
                }
                if rules::count(tx).await? >= MAX_RULES {
                    return Err(Failure::new(
                        Code::ResourceExhausted,
                        "LIMIT_REACHED",
                        format!("there are {MAX_RULES} assignment rules already"),
                    )
                    .with("limit", MAX_RULES));
                }
                let rule = Rule {
                    revision: 1,
                    create_time: now,
                    update_time: now,
                    ..rule.clone()
                };
                rules::save(tx, &rule).await?;
                let name = format!("assignmentRules/{}", rule.id);
                core.complete(tx, by.request, name, 1).await?;
                Ok(rule.id)
            })
            .await
    }

    /// Changes a rule as `change` says.
    ///
    /// # Errors
    /// `NOT_FOUND`, `ETAG_MISMATCH`.
    pub async fn update_rule(
        &self,
        by: &By<'_>,
        id: &str,
        etag: &str,
        change: impl Fn(&mut Rule) + Send + Sync,
    ) -> Result<(), Failure> {
        let core = self;
        core.db
            .write(async |mut tx| {
                let tx = &mut tx;
                let now = core.now();
                if core.claim(tx, by.request, now).await?.is_some() {
                    return Ok(());
                }
                let mut rule = rules::lock(tx, id)
                    .await?
                    .ok_or_else(|| Failure::not_found(format!("assignmentRules/{id}")))?;
                check_etag(etag, rule.revision)?;
                change(&mut rule);
                rule.revision += 1;
                rule.update_time = now;
                rules::save(tx, &rule).await?;
                let name = format!("assignmentRules/{id}");
                core.complete(tx, by.request, name, rule.revision).await
            })
            .await
    }

    /// Deletes a rule. Leads it gave out keep its name.
    ///
    /// # Errors
    /// `NOT_FOUND`, `ETAG_MISMATCH`.
    pub async fn delete_rule(&self, by: &By<'_>, id: &str, etag: &str) -> Result<(), Failure> {
        let core = self;
        core.db
            .write(async |mut tx| {
                let tx = &mut tx;
                if core.claim(tx, by.request, core.now()).await?.is_some() {
                    return Ok(());
                }
                let rule = rules::lock(tx, id)
                    .await?
                    .ok_or_else(|| Failure::not_found(format!("assignmentRules/{id}")))?;
                check_etag(etag, rule.revision)?;
                rules::delete(tx, id).await?;
                let name = format!("assignmentRules/{id}");
                core.complete(tx, by.request, name, rule.revision).await
            })
            .await
    }
}
