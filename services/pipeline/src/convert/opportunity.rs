//! Opportunities and transitions.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::{
    Check,
    check::Paths,
    lead::{first_touch_out, touch},
    number::{date, date_out, decimal_out, money_out, positive_money, quantity, time_out},
    pb,
};
use crate::{
    domain::{
        Contact, LineItem, MAX_AMOUNT, Money, Opportunity, OpportunityPrivate, Process, ROLES,
        Transition, etag, items_sum, outcome, pipelines::DEFAULT,
    },
    engine::opportunities::{OpportunityUpdate, sum_of},
};
use jinke_types::Timestamp;

/// Fields an update may name.
pub const FIELDS: &[&str] = &[
    "display_name",
    "amount",
    "close_date",
    "line_items",
    "contacts",
    "description",
    "org_unit",
    "customer",
];
/// Those of them an empty mask names.
pub const ALL: &[&str] = &[
    "display_name",
    "amount",
    "close_date",
    "line_items",
    "contacts",
    "description",
];
/// Most line items.
pub const MAX_LINES: usize = 200;
/// Most contacts.
pub const MAX_CONTACTS: usize = 50;

/// Line items with the currency of their prices, which is empty when none has a price.
fn lines(check: &mut Check, list: &[pb::opportunity::LineItem]) -> Option<(Vec<LineItem>, String)> {
    let field = "opportunity.line_items";
    if list.len() > MAX_LINES {
        return check.wrong(field, format!("are more than {MAX_LINES}"));
    }
    let mut currency = String::new();
    let mut out = Vec::with_capacity(list.len());
    for (i, l) in list.iter().enumerate() {
        let at = format!("{field}[{i}]");
        let product = check.required(&format!("{at}.product"), l.product.clone(), 200)?;
        let quantity = quantity(check, &format!("{at}.quantity"), l.quantity.as_ref())?;
        let unit = check.line(&format!("{at}.unit"), l.unit.clone(), 20)?;
        let price = positive_money(check, &format!("{at}.unit_price"), l.unit_price.as_ref())?;
        if let Some(price) = &price {
            if currency.is_empty() {
                currency.clone_from(&price.currency);
            }
            if currency != price.currency {
                let why = "is in another currency than the others";
                return check.wrong(format!("{at}.unit_price.currency_code"), why);
            }
        }
        out.push(LineItem {
            product,
            quantity,
            unit,
            price: price.map(|p| p.amount),
        });
    }
    if items_sum(&out).is_some_and(|sum| sum > Decimal::from(MAX_AMOUNT)) {
        return check.wrong(field, format!("add up to more than {MAX_AMOUNT}"));
    }
    let overflow = items_sum(&out).is_none() && out.iter().all(|l| l.price.is_some());
    if overflow && !out.is_empty() {
        return check.wrong(field, format!("add up to more than {MAX_AMOUNT}"));
    }
    Some((out, currency))
}

fn contacts(check: &mut Check, list: &[pb::opportunity::Contact]) -> Option<Vec<Contact>> {
    let field = "opportunity.contacts";
    if list.len() > MAX_CONTACTS {
        return check.wrong(field, format!("are more than {MAX_CONTACTS}"));
    }
    let mut out = Vec::with_capacity(list.len());
    for (i, c) in list.iter().enumerate() {
        let at = format!("{field}[{i}]");
        let person = check.numbered(&format!("{at}.person"), &c.person, "customers")?;
        let role = check.one_of(&format!("{at}.role"), c.role.clone(), &ROLES, false)?;
        out.push(Contact { person, role });
    }
    Some(out)
}

/// Prices are in the currency of the amount.
fn one_currency(check: &mut Check, amount: Option<&Money>, currency: &str) -> Option<()> {
    match amount {
        Some(m) if !currency.is_empty() && m.currency != currency => check.wrong(
            "opportunity.line_items",
            "have prices in another currency than the amount",
        ),
        _ => Some(()),
    }
}

/// A new opportunity.
pub fn new_opportunity(check: &mut Check, o: &pb::Opportunity) -> Option<Opportunity> {
    let display_name = check.required("opportunity.display_name", o.display_name.clone(), 200);
    let customer = check.numbered("opportunity.customer", &o.customer, "customers");
    let pipeline = if o.pipeline.is_empty() {
        Some(DEFAULT.to_owned())
    } else {
        check.named("opportunity.pipeline", &o.pipeline, "pipelines")
    };
    let amount = positive_money(check, "opportunity.amount", o.amount.as_ref());
    let close_date = date(check, "opportunity.close_date", o.close_date.as_ref());
    let items = lines(check, &o.line_items);
    let persons = contacts(check, &o.contacts);
    let owner = check.member("opportunity.owner", &o.owner, true);
    let org_unit = check.org_unit("opportunity.org_unit", &o.org_unit);
    let description = check.text("opportunity.description", o.description.clone(), 4_000);
    let touch = touch(check, "opportunity.first_touch", o.first_touch.clone());
    let (line_items, currency) = items?;
    let amount = amount?;
    one_currency(check, amount.as_ref(), &currency)?;
    Some(Opportunity {
        display_name: display_name?,
        customer: customer?,
        pipeline: pipeline?,
        amount: amount.or_else(|| sum_of(&line_items, &currency)),
        close_date: close_date?,
        line_items,
        contacts: persons?,
        owner: owner?,
        org_unit: org_unit?,
        touch: touch?,
        private: OpportunityPrivate {
            description: description?,
            comment: String::new(),
        },
        ..Opportunity::default()
    })
}

/// What an update says. The customer is left to the handler, which asks who holds it.
pub fn update(check: &mut Check, paths: &Paths, o: &pb::Opportunity) -> Option<OpportunityUpdate> {
    let u = OpportunityUpdate {
        display_name: paths.when("display_name", || {
            check.required("opportunity.display_name", o.display_name.clone(), 200)
        })?,
        amount: paths.when("amount", || {
            positive_money(check, "opportunity.amount", o.amount.as_ref())
        })?,
        close_date: paths.when("close_date", || {
            date(check, "opportunity.close_date", o.close_date.as_ref())
        })?,
        line_items: paths.when("line_items", || lines(check, &o.line_items))?,
        contacts: paths.when("contacts", || contacts(check, &o.contacts))?,
        description: paths.when("description", || {
            check.text("opportunity.description", o.description.clone(), 4_000)
        })?,
        org_unit: paths.when("org_unit", || {
            check.org_unit("opportunity.org_unit", &o.org_unit)
        })?,
        customer: None,
    };
    if let (Some(Some(amount)), Some((_, currency))) = (&u.amount, &u.line_items) {
        one_currency(check, Some(amount), currency)?;
    }
    Some(u)
}

/// What is needed to show an opportunity beside itself.
#[derive(Clone, Debug)]
pub struct Shown<'a> {
    /// Stages of its version.
    pub process: &'a Process,
    /// Who holds the persons now.
    pub persons: &'a BTreeMap<i64, i64>,
    /// Now.
    pub now: Timestamp,
}

/// An opportunity on its way out.
pub fn opportunity_out(o: &Opportunity, with: &Shown<'_>) -> pb::Opportunity {
    let stage = with.process.get(&o.stage);
    let open = o.outcome == outcome::OPEN;
    let currency = o.amount.as_ref().map(|m| m.currency.clone());
    let priced = |amount: Decimal| {
        currency.as_ref().map(|currency| {
            money_out(&Money {
                currency: currency.clone(),
                amount,
            })
        })
    };
    pb::Opportunity {
        name: if o.id > 0 {
            format!("opportunities/{}", o.id)
        } else {
            String::new()
        },
        uid: if o.id > 0 {
            format!("opportunity-{}", o.id)
        } else {
            String::new()
        },
        display_name: o.display_name.clone(),
        customer: format!("customers/{}", o.customer),
        current_customer: format!("customers/{}", o.current),
        pipeline: format!("pipelines/{}", o.pipeline),
        pipeline_version: o.version,
        stage: o.stage.clone(),
        stage_display_name: stage.map(|s| s.display_name.clone()).unwrap_or_default(),
        outcome: i32::try_from(o.outcome).unwrap_or_default(),
        amount: o.amount.as_ref().map(money_out),
        probability: match o.outcome {
            outcome::WON => 100,
            outcome::LOST => 0,
            _ => stage.map_or(0, |s| s.probability),
        },
        close_date: o.close_date.as_deref().and_then(date_out),
        line_items: o
            .line_items
            .iter()
            .map(|l| pb::opportunity::LineItem {
                product: l.product.clone(),
                quantity: Some(decimal_out(l.quantity)),
                unit: l.unit.clone(),
                unit_price: l.price.and_then(priced),
                amount: l
                    .price
                    .and_then(|p| p.checked_mul(l.quantity))
                    .and_then(priced),
            })
            .collect(),
        contacts: o
            .contacts
            .iter()
            .map(|c| pb::opportunity::Contact {
                person: format!("customers/{}", c.person),
                role: c.role.clone(),
                current_person: format!(
                    "customers/{}",
                    with.persons.get(&c.person).copied().unwrap_or(c.person)
                ),
            })
            .collect(),
        owner: o.owner.clone(),
        org_unit: o.org_unit.clone(),
        description: o.private.description.clone(),
        checked_items: o
            .checked
            .iter()
            .map(|c| pb::opportunity::CheckedItem {
                stage: c.stage.clone(),
                item: c.item.clone(),
                actor: c.actor.clone(),
                check_time: Some(time_out(c.time)),
            })
            .collect(),
        lead: o.lead.map(|id| format!("leads/{id}")).unwrap_or_default(),
        first_touch: first_touch_out(&o.touch),
        outcome_reason: o.reason.clone(),
        outcome_comment: o.private.comment.clone(),
        outcome_time: o.outcome_time.map(time_out),
        stage_time: (o.id > 0).then(|| time_out(o.stage_time)),
        touch_time: (o.id > 0).then(|| time_out(o.touch_time)),
        stale: open && o.id > 0 && o.stale_time <= with.now,
        overdue: open && o.id > 0 && o.overdue_time <= with.now,
        etag: if o.revision > 0 {
            etag(o.revision)
        } else {
            String::new()
        },
        revision: o.revision,
        creator: o.creator.clone(),
        create_time: (o.id > 0).then(|| time_out(o.create_time)),
        update_time: (o.id > 0).then(|| time_out(o.update_time)),
        hidden_classes: Vec::new(),
        erase_time: o.erase_time.map(time_out),
    }
}

/// A transition on its way out.
pub fn transition_out(t: &Transition) -> pb::Transition {
    let pipeline = |id: &str| {
        if id.is_empty() {
            String::new()
        } else {
            format!("pipelines/{id}")
        }
    };
    pb::Transition {
        name: format!("opportunities/{}/transitions/{}", t.opportunity, t.no),
        opportunity: format!("opportunities/{}", t.opportunity),
        kind: i32::try_from(t.kind).unwrap_or_default(),
        pipeline: pipeline(&t.pipeline),
        from_version: t.from_version,
        to_version: t.to_version,
        from_stage: t.from_stage.clone(),
        to_stage: t.to_stage.clone(),
        actor: t.actor.clone(),
        cause: t.cause.clone(),
        reason: t.reason.clone(),
        transition_time: Some(time_out(t.time)),
        amount: t.amount.as_ref().map(money_out),
        revision: t.revision,
        from_pipeline: pipeline(&t.from_pipeline),
    }
}
