//! Activities: write down, get, list, amend, take back, versions.

use jinke_store::args;
use jinke_types::Failure;

use super::{Api, filter, page::Binding, request_id};
use crate::{
    access::Viewer,
    convert::{
        Check,
        activity::{activity_out, amendment, new_activity},
        pb,
    },
    engine::{By, activities::Amendment},
    store::{
        activities,
        list::{self, Order},
    },
};

async fn shown(api: &Api, viewer: &Viewer, id: i64, version: i64) -> Result<pb::Activity, Failure> {
    let mut reader = api.core.db.read().await?;
    let (ring, sight) = (&api.core.ring, viewer.sight());
    let found = if version == 0 {
        activities::get(&mut reader, ring, &sight, &[id]).await?
    } else {
        let before = version.saturating_add(1);
        activities::versions(&mut reader, ring, &sight, id, before, 1).await?
    };
    found
        .first()
        .filter(|a| version == 0 || a.version == version)
        .map(activity_out)
        .ok_or_else(|| Failure::not_found(format!("activities/{id}")))
}

/// `CreateActivity`.
pub async fn create(
    api: Api,
    viewer: Viewer,
    request: pb::CreateActivityRequest,
) -> Result<pb::Activity, Failure> {
    let mut check = Check::new();
    let request_id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, "CreateActivity", &request));
    let new = match &request.activity {
        Some(a) => new_activity(&mut check, a),
        None => check.wrong("activity", "is required"),
    };
    let mut new = check.finish(new)?;
    if !new.org_unit.is_empty() {
        viewer.org_unit(&new.org_unit)?;
    }
    if new.owner.is_empty() {
        new.owner.clone_from(&viewer.caller.name);
    }
    if let Some(address) = new.customer {
        let bearer = viewer.bearer.as_ref();
        new.current = Some(api.core.customers.get(bearer, address).await?.current);
    }
    let by = By {
        viewer: &viewer,
        request: request_id.as_ref(),
    };
    let id = api.core.create_activity(&by, new).await?;
    shown(&api, &viewer, id, 0).await
}

/// `GetActivity`.
pub async fn get(
    api: Api,
    viewer: Viewer,
    request: pb::GetActivityRequest,
) -> Result<pb::Activity, Failure> {
    let mut check = Check::new();
    let id = check.numbered("name", &request.name, "activities");
    if request.version < 0 {
        check.wrong::<()>("version", "is negative");
    }
    let id = check.finish(id)?;
    shown(&api, &viewer, id, request.version).await
}

async fn conditions(
    api: &Api,
    viewer: &Viewer,
    text: &str,
) -> Result<Vec<list::Condition>, Failure> {
    let mut out = Vec::new();
    for term in filter::parse(text)? {
        out.push(match term.field.as_str() {
            "customer" => api.of_customer(term.number("customers")?).await?,
            "opportunity" => {
                let id = term.number("opportunities")?;
                ("t.opportunity = ?", args![id])
            }
            "lead" => ("t.lead = ?", args![term.number("leads")?]),
            "owner" if term.value == "me" => {
                term.equal()?;
                ("t.owner = ?", args![&viewer.caller.name])
            }
            "owner" => term.text("t.owner = ?")?,
            "kind" => {
                let n = term.word(&[
                    ("CALL", 1),
                    ("VISIT", 2),
                    ("MESSAGE", 3),
                    ("MEETING", 4),
                    ("NOTE", 5),
                ])?;
                ("t.kind = ?", args![n])
            }
            "activity_time" => term.time(filter::compared!("t.time"))?,
            _ => {
                return Err(term.unknown("customer, opportunity, lead, owner, kind, activity_time"));
            }
        });
    }
    out.push(("t.retracted = 0", Vec::new()));
    Ok(out)
}

/// `ListActivities`: newest first.
pub async fn list(
    api: Api,
    viewer: Viewer,
    request: pb::ListActivitiesRequest,
) -> Result<pb::ListActivitiesResponse, Failure> {
    let mut check = Check::new();
    let size = check.page_size(request.page_size, 50, 200);
    let size = check.finish(size)?;
    let conditions = conditions(&api, &viewer, &request.filter).await?;
    let order = Order::by("time", true);
    let binding = Binding::of("ListActivities", &viewer, &[&request.filter]);
    let after: Option<list::Place> = api.pages.place(&binding, &request.page_token)?;
    let mut reader = api.core.db.read().await?;
    let mut rows = list::rows(
        &mut reader,
        activities::SELECT,
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
    let mut out = Vec::with_capacity(rows.len());
    for row in &rows {
        out.push(activity_out(&activities::activity(row, &api.core.ring)?));
    }
    Ok(pb::ListActivitiesResponse {
        activities: out,
        next_page_token,
    })
}

/// `AmendActivity`.
pub async fn amend(
    api: Api,
    viewer: Viewer,
    request: pb::AmendActivityRequest,
) -> Result<pb::Activity, Failure> {
    let mut check = Check::new();
    let request_id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, "AmendActivity", &request));
    let a = request.activity.unwrap_or_default();
    let id = check.numbered("activity.name", &a.name, "activities");
    let content: Option<Amendment> = amendment(&mut check, &a);
    let (id, content) = check.finish(id.zip(content))?;
    let by = By {
        viewer: &viewer,
        request: request_id.as_ref(),
    };
    api.core
        .amend_activity(&by, id, &a.etag, Some(&content))
        .await?;
    shown(&api, &viewer, id, 0).await
}

/// `RetractActivity`.
pub async fn retract(
    api: Api,
    viewer: Viewer,
    request: pb::RetractActivityRequest,
) -> Result<pb::Activity, Failure> {
    let mut check = Check::new();
    let request_id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, "RetractActivity", &request));
    let id = check.numbered("name", &request.name, "activities");
    let id = check.finish(id)?;
    let by = By {
        viewer: &viewer,
        request: request_id.as_ref(),
    };
    api.core
        .amend_activity(&by, id, &request.etag, None)
        .await?;
    shown(&api, &viewer, id, 0).await
}

/// `ListActivityVersions`: newest first.
pub async fn versions(
    api: Api,
    viewer: Viewer,
    request: pb::ListActivityVersionsRequest,
) -> Result<pb::ListActivityVersionsResponse, Failure> {
    let mut check = Check::new();
    let size = check.page_size(request.page_size, 20, 100);
    let id = check.numbered("parent", &request.parent, "activities");
    let (size, id) = check.finish(size.zip(id))?;
    let binding = Binding::of("ListActivityVersions", &viewer, &[&request.parent]);
    let before: Option<i64> = api.pages.place(&binding, &request.page_token)?;
    let mut reader = api.core.db.read().await?;
    let (ring, sight) = (&api.core.ring, viewer.sight());
    let before = before.unwrap_or_default();
    let mut found = activities::versions(&mut reader, ring, &sight, id, before, size + 1).await?;
    if found.is_empty() && before == 0 {
        return Err(Failure::not_found(&request.parent));
    }
    let more = found.len() > size as usize;
    found.truncate(size as usize);
    let next_page_token = match found.last() {
        Some(last) if more => api.pages.token(&binding, &last.version)?,
        _ => String::new(),
    };
    Ok(pb::ListActivityVersionsResponse {
        activities: found.iter().map(activity_out).collect(),
        next_page_token,
    })
}
