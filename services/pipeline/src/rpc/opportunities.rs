//! Opportunities: create, get, list, update, transitions.

use std::collections::BTreeSet;

use jinke_store::{Conn, args};
use jinke_types::Failure;

use super::{Api, filter, page::Binding, request_id};
use crate::{
    access::{Sight, Viewer},
    convert::{
        Check,
        opportunity::{
            ALL, FIELDS, Shown, new_opportunity, opportunity_out, transition_out,
            update as opportunity_update,
        },
        pb,
    },
    domain::{Opportunity, outcome, persons},
    engine::By,
    store::{crosswalk, list, opportunities},
};

/// Opportunities as answers, with stages and persons looked up together.
pub(super) async fn many(
    api: &Api,
    conn: &mut Conn,
    found: &[Opportunity],
) -> Result<Vec<pb::Opportunity>, Failure> {
    let all: BTreeSet<i64> = found.iter().flat_map(|o| persons(&o.contacts)).collect();
    let all: Vec<i64> = all.into_iter().collect();
    let held = crosswalk::current(conn, &all).await?;
    let now = api.core.now();
    let mut out = Vec::with_capacity(found.len());
    for o in found {
        let process = api.core.processes.get(conn, &o.pipeline, o.version).await?;
        let with = Shown {
            process: &process,
            persons: &held,
            now,
        };
        out.push(opportunity_out(o, &with));
    }
    Ok(out)
}

/// One opportunity as it is shown.
pub(super) async fn shown(api: &Api, sight: &Sight, id: i64) -> Result<pb::Opportunity, Failure> {
    let mut reader = api.core.db.read().await?;
    let found = opportunities::get(&mut reader, &api.core.ring, sight, &[id]).await?;
    many(api, &mut reader, &found)
        .await?
        .pop()
        .ok_or_else(|| Failure::not_found(opportunities::place(id)))
}

/// The present holder of the customer and of every person, as the caller may see them.
async fn resolve(api: &Api, viewer: &Viewer, o: &mut Opportunity) -> Result<(), Failure> {
    let bearer = viewer.bearer.as_ref();
    o.current = api.core.customers.get(bearer, o.customer).await?.current;
    people(api, viewer, &persons(&o.contacts)).await
}

/// Contacts are persons the caller sees.
async fn people(api: &Api, viewer: &Viewer, persons: &BTreeSet<i64>) -> Result<(), Failure> {
    let bearer = viewer.bearer.as_ref();
    for person in persons {
        if !api.core.customers.get(bearer, *person).await?.person {
            let why = "names a customer that is no person";
            return Err(Failure::field("opportunity.contacts", why));
        }
    }
    Ok(())
}

/// `CreateOpportunity`.
pub async fn create(
    api: Api,
    viewer: Viewer,
    request: pb::CreateOpportunityRequest,
) -> Result<pb::Opportunity, Failure> {
    let mut check = Check::new();
    let request_id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, "CreateOpportunity", &request));
    let stage = check.word("stage", request.stage.clone());
    let new = match &request.opportunity {
        Some(o) => new_opportunity(&mut check, o),
        None => check.wrong("opportunity", "is required"),
    };
    let (stage, mut new) = check.finish(stage.zip(new))?;
    new.org_unit = viewer.org_unit(&new.org_unit)?;
    if new.owner.is_empty() {
        new.owner.clone_from(&viewer.caller.name);
    }
    resolve(&api, &viewer, &mut new).await?;
    if request.validate_only {
        let tried = api.core.try_opportunity(new, &stage).await?;
        let mut reader = api.core.db.read().await?;
        let out = many(&api, &mut reader, std::slice::from_ref(&tried)).await?;
        return out
            .into_iter()
            .next()
            .ok_or_else(|| Failure::internal("one gives one"));
    }
    let by = By {
        viewer: &viewer,
        request: request_id.as_ref(),
    };
    let id = api.core.create_opportunity(&by, new, &stage).await?;
    shown(&api, &viewer.sight(), id).await
}

/// `GetOpportunity`.
pub async fn get(
    api: Api,
    viewer: Viewer,
    request: pb::GetOpportunityRequest,
) -> Result<pb::Opportunity, Failure> {
    let mut check = Check::new();
    let id = check.numbered("name", &request.name, "opportunities");
    let id = check.finish(id)?;
    shown(&api, &viewer.sight(), id).await
}

async fn conditions(
    api: &Api,
    viewer: &Viewer,
    text: &str,
) -> Result<Vec<list::Condition>, Failure> {
    let now = api.core.now();
    let mut out: Vec<list::Condition> = Vec::new();
    for term in filter::parse(text)? {
        let condition = match term.field.as_str() {
            "pipeline" => {
                let id = term.equal()?.strip_prefix("pipelines/").unwrap_or_default();
                ("t.pipeline = ?", args![id])
            }
            "stage" => term.text("t.stage = ?")?,
            "outcome" => {
                let n = term.word(&[("OPEN", 1), ("WON", 2), ("LOST", 3)])?;
                ("t.outcome = ?", args![n])
            }
            "owner" if term.value == "me" => {
                term.equal()?;
                ("t.owner = ?", args![&viewer.caller.name])
            }
            "owner" => term.text("t.owner = ?")?,
            "org_unit" => term.text("t.org_unit = ?")?,
            "customer" => api.of_customer(term.number("customers")?).await?,
            "lead" => ("t.lead = ?", args![term.number("leads")?]),
            "stale" if term.truth()? => (
                "t.outcome = ? AND t.stale_time <= ?",
                args![outcome::OPEN, now],
            ),
            "stale" => (
                "(t.outcome <> ? OR t.stale_time > ?)",
                args![outcome::OPEN, now],
            ),
            "overdue" if term.truth()? => (
                "t.outcome = ? AND t.overdue_time <= ?",
                args![outcome::OPEN, now],
            ),
            "overdue" => (
                "(t.outcome <> ? OR t.overdue_time > ?)",
                args![outcome::OPEN, now],
            ),
            "close_date" => {
                out.push(("t.close_date <> ''", Vec::new()));
                term.date(filter::compared!("t.close_date"))?
            }
            "create_time" => term.time(filter::compared!("t.create_time"))?,
            "update_time" => term.time(filter::compared!("t.update_time"))?,
            "stage_time" => term.time(filter::compared!("t.stage_time"))?,
            "outcome_time" => term.time(filter::compared!("t.outcome_time"))?,
            _ => {
                return Err(term.unknown(
                    "pipeline, stage, outcome, owner, org_unit, customer, lead, stale, overdue, \
                     close_date, create_time, update_time, stage_time, outcome_time",
                ));
            }
        };
        out.push(condition);
    }
    Ok(out)
}

/// `ListOpportunities`.
pub async fn list(
    api: Api,
    viewer: Viewer,
    request: pb::ListOpportunitiesRequest,
) -> Result<pb::ListOpportunitiesResponse, Failure> {
    let mut check = Check::new();
    let size = check.page_size(request.page_size, 50, 1_000);
    let size = check.finish(size)?;
    let conditions = conditions(&api, &viewer, &request.filter).await?;
    let fields = [
        ("create_time", "create_time"),
        ("update_time", "update_time"),
        ("close_date", "close_date"),
        ("stage_time", "stage_time"),
    ];
    let order = filter::order(&request.order_by, &fields, &["close_date"])?;
    let binding = Binding::of(
        "ListOpportunities",
        &viewer,
        &[&request.filter, &request.order_by],
    );
    let after: Option<list::Place> = api.pages.place(&binding, &request.page_token)?;
    let mut reader = api.core.db.read().await?;
    let mut rows = list::rows(
        &mut reader,
        opportunities::SELECT,
        &viewer.sight(),
        conditions,
        order,
        after.as_ref(),
        size + 1,
    )
    .await?;
    let more = rows.len() > size as usize;
    rows.truncate(size as usize);
    let next_page_token = match rows.last() {
        Some(row) if more => api.pages.token(&binding, &list::Place::of(row, order)?)?,
        _ => String::new(),
    };
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        found.push(opportunities::opportunity(row, &api.core.ring)?);
    }
    Ok(pb::ListOpportunitiesResponse {
        opportunities: many(&api, &mut reader, &found).await?,
        next_page_token,
    })
}

/// `UpdateOpportunity`.
pub async fn update(
    api: Api,
    viewer: Viewer,
    request: pb::UpdateOpportunityRequest,
) -> Result<pb::Opportunity, Failure> {
    let mut check = Check::new();
    let request_id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, "UpdateOpportunity", &request));
    let o = request.opportunity.unwrap_or_default();
    let id = check.numbered("opportunity.name", &o.name, "opportunities");
    let paths = check.paths(request.update_mask, FIELDS, ALL);
    let update = opportunity_update(&mut check, &paths, &o);
    let customer = paths.when("customer", || {
        check.numbered("opportunity.customer", &o.customer, "customers")
    });
    let ((id, mut update), customer) = check.finish(id.zip(update).zip(customer))?;
    if let Some(unit) = &update.org_unit {
        viewer.org_unit(unit)?;
    }
    if let Some(contacts) = &update.contacts {
        people(&api, &viewer, &persons(contacts)).await?;
    }
    if let Some(address) = customer {
        let bearer = viewer.bearer.as_ref();
        let known = api.core.customers.get(bearer, address).await?;
        update.customer = Some((address, known.current));
    }
    let by = By {
        viewer: &viewer,
        request: request_id.as_ref(),
    };
    api.core
        .update_opportunity(&by, id, &o.etag, &update)
        .await?;
    shown(&api, &viewer.sight(), id).await
}

/// `ListTransitions`.
pub async fn transitions(
    api: Api,
    viewer: Viewer,
    request: pb::ListTransitionsRequest,
) -> Result<pb::ListTransitionsResponse, Failure> {
    let mut check = Check::new();
    let size = check.page_size(request.page_size, 100, 1_000);
    let id = check.numbered("parent", &request.parent, "opportunities");
    let (size, id) = check.finish(size.zip(id))?;
    let binding = Binding::of("ListTransitions", &viewer, &[&request.parent]);
    let after: Option<i64> = api.pages.place(&binding, &request.page_token)?;
    let mut reader = api.core.db.read().await?;
    let ring = &api.core.ring;
    let seen = opportunities::get(&mut reader, ring, &viewer.sight(), &[id]).await?;
    if seen.is_empty() {
        return Err(Failure::not_found(opportunities::place(id)));
    }
    let after = after.unwrap_or_default();
    let mut found = opportunities::transitions(&mut reader, ring, id, after, size + 1).await?;
    let more = found.len() > size as usize;
    found.truncate(size as usize);
    let next_page_token = match found.last() {
        Some(last) if more => api.pages.token(&binding, &last.no)?,
        _ => String::new(),
    };
    Ok(pb::ListTransitionsResponse {
        transitions: found.iter().map(transition_out).collect(),
        next_page_token,
    })
}
