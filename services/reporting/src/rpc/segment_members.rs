//! `ListSegmentMembers`, `ExplainSegmentMembership`, `PreviewSegment`.

use std::{collections::BTreeSet, sync::Arc};

use chrono::NaiveDate;
use jinke_types::Failure;

use super::{
    Api,
    segments::{id_of, not_found, rule, stated},
};
use crate::{
    access::Viewer,
    calendar::Period,
    convert::{Check, parameters, pb},
    facts::Frame,
    measures::Context,
    parameters::Parameters,
    segment::Rule,
    store::segments::{self, SegmentRow},
};

const METHOD: &str = "ListSegmentMembers";
/// Members a preview shows.
const SHOWN: usize = 100;
/// Comings and goings a preview names.
const NAMED: usize = 1_000;

/// A stored segment, ready to be evaluated by a viewer who may.
async fn stored(
    api: &Api,
    viewer: &Viewer,
    id: &str,
) -> Result<(SegmentRow, Rule, Parameters), Failure> {
    let row = segments::get(&mut *api.core.db.read().await?, id).await?;
    let row = row.ok_or_else(|| not_found(id))?;
    let rule = Rule::parse(&row.conditions)
        .map_err(|(_, why)| Failure::internal(format!("a stored condition {why}")))?;
    if rule.financial() {
        viewer.needs_financial("a condition of the segment")?;
    }
    let p = parameters::read(Some(&stated(&row)?), &api.core.defaults)?;
    Ok((row, rule, p))
}

const fn on(day: NaiveDate) -> Period {
    Period {
        start: day,
        end: day,
    }
}

fn members(context: &Context<'_>, rule: &Rule) -> Vec<u32> {
    context
        .population()
        .filter(|place| rule.holds(context, *place))
        .collect()
}

fn values(list: Vec<(&'static str, Option<String>)>) -> Vec<pb::SegmentValue> {
    list.into_iter()
        .map(|(variable, value)| pb::SegmentValue {
            variable: variable.to_owned(),
            value: value.unwrap_or_default(),
        })
        .collect()
}

fn member(context: &Context<'_>, rule: &Rule, place: u32) -> pb::SegmentMember {
    let customer = context.frame.customer(place);
    pb::SegmentMember {
        customer: format!("customers/{}", customer.id),
        display_name: customer.name.clone(),
        values: values(rule.values(context, place)),
    }
}

fn size(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A page of members.
pub async fn list(
    api: Api,
    viewer: Viewer,
    request: pb::ListSegmentMembersRequest,
) -> Result<pb::ListSegmentMembersResponse, Failure> {
    let mut check = Check::new();
    let id = id_of(&mut check, "parent", &request.parent);
    let page = check.page_size(request.page_size, 50, 1_000);
    let day = check.date("as_of", request.as_of.as_ref());
    check.done()?;
    let (row, rule, p) = stored(&api, &viewer, &id).await?;
    let day = day.unwrap_or_else(|| api.core.today(&p));
    let fingerprint = viewer.fingerprint();
    let bound = format!("{} {} {day}", row.uid, row.revision);
    let parts = [METHOD, &viewer.caller.name, &fingerprint, &bound];
    let after: i64 = api
        .core
        .pages
        .cursor(&parts, &request.page_token)?
        .unwrap_or(i64::MIN);
    let frame = api.core.frame(&viewer.scope, false).await?;
    let basis = parameters::basis(&frame, &p, day, Vec::new());
    let (members, total, last) = api
        .core
        .compute(move || {
            let context = Context::new(&frame, &p, on(day));
            let all = members(&context, &rule);
            let id = |place: u32| frame.customer(place).id;
            let start = all.partition_point(|place| id(*place) <= after);
            let end = all.len().min(start + page);
            let last = (end < all.len()).then(|| id(all[end - 1]));
            let list: Vec<_> = all[start..end]
                .iter()
                .map(|place| member(&context, &rule, *place))
                .collect();
            Ok((list, all.len(), last))
        })
        .await?;
    Ok(pb::ListSegmentMembersResponse {
        members,
        next_page_token: match last {
            Some(last) => api.core.pages.token(&parts, &last)?,
            None => String::new(),
        },
        total_size: size(total),
        basis: Some(basis),
    })
}

/// Each condition with its values for one customer.
pub async fn explain(
    api: Api,
    viewer: Viewer,
    request: pb::ExplainSegmentMembershipRequest,
) -> Result<pb::ExplainSegmentMembershipResponse, Failure> {
    let mut check = Check::new();
    let id = id_of(&mut check, "name", &request.name);
    let address = check.number_in("customer", &request.customer, "customers/", "");
    let day = check.date("as_of", request.as_of.as_ref());
    check.done()?;
    let (_, rule, p) = stored(&api, &viewer, &id).await?;
    let day = day.unwrap_or_else(|| api.core.today(&p));
    let frame = api.core.frame(&viewer.scope, false).await?;
    let place = frame
        .resolve(address)
        .ok_or_else(|| Failure::not_found(format!("customers/{address}")))?;
    let basis = parameters::basis(&frame, &p, day, Vec::new());
    let customer = format!("customers/{}", frame.customer(place).id);
    let (member, outcomes) = api
        .core
        .compute(move || {
            let context = Context::new(&frame, &p, on(day));
            let counted = context.population().any(|other| other == place);
            let outcomes = rule.explain(&context, place);
            Ok((counted && outcomes.iter().all(|o| o.holds), outcomes))
        })
        .await?;
    Ok(pb::ExplainSegmentMembershipResponse {
        member,
        customer,
        conditions: outcomes
            .into_iter()
            .map(|o| pb::explain_segment_membership_response::Condition {
                expression: o.expression,
                holds: o.holds,
                values: values(o.values),
                error: o.error.unwrap_or_default(),
            })
            .collect(),
        basis: Some(basis),
    })
}

/// Whom conditions would find, and how that differs from a stored segment.
pub async fn preview(
    api: Api,
    viewer: Viewer,
    request: pb::PreviewSegmentRequest,
) -> Result<pb::PreviewSegmentResponse, Failure> {
    let mut check = Check::new();
    let rule = rule(&mut check, "conditions", &request.conditions);
    let p = parameters::parse(
        &mut check,
        "parameters",
        request.parameters.as_ref(),
        &api.core.defaults,
    );
    let other =
        (!request.segment.is_empty()).then(|| id_of(&mut check, "segment", &request.segment));
    let day = api.day(&mut check, "as_of", request.as_of.as_ref(), &p);
    check.done()?;
    let rule = rule.ok_or_else(|| Failure::internal("checked conditions are missing"))?;
    if rule.financial() {
        viewer.needs_financial("a condition")?;
    }
    let present = match other {
        Some(id) => Some(stored(&api, &viewer, &id).await?),
        None => None,
    };
    let frame = api.core.frame(&viewer.scope, false).await?;
    let basis = parameters::basis(&frame, &p, day, Vec::new());
    let shared = Arc::clone(&frame);
    let (shown, found, before) = api
        .core
        .compute(move || {
            let context = Context::new(&shared, &p, on(day));
            let found = members(&context, &rule);
            let shown: Vec<_> = found
                .iter()
                .take(SHOWN)
                .map(|place| member(&context, &rule, *place))
                .collect();
            let before = present.map(|(_, rule, p)| {
                let context = Context::new(&shared, &p, on(day));
                members(&context, &rule)
            });
            Ok((shown, found, before))
        })
        .await?;
    let now: BTreeSet<u32> = found.iter().copied().collect();
    let then: BTreeSet<u32> = before
        .as_deref()
        .unwrap_or(&found)
        .iter()
        .copied()
        .collect();
    let names = |frame: &Frame, places: Vec<u32>| -> Vec<String> {
        places
            .into_iter()
            .take(NAMED)
            .map(|place| format!("customers/{}", frame.customer(place).id))
            .collect()
    };
    let joining: Vec<u32> = now.difference(&then).copied().collect();
    let leaving: Vec<u32> = then.difference(&now).copied().collect();
    Ok(pb::PreviewSegmentResponse {
        total_size: size(found.len()),
        members: shown,
        joining_size: size(joining.len()),
        leaving_size: size(leaving.len()),
        joining: names(&frame, joining),
        leaving: names(&frame, leaving),
        basis: Some(basis),
    })
}
