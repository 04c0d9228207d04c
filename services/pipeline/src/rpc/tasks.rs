//! Tasks: create, get, inbox, update, assign, complete, cancel, what their timers did.

use jinke_store::args;
use jinke_types::Failure;

use super::{Api, filter, page::Binding, request_id};
use crate::{
    access::{Sight, Viewer},
    convert::{
        Check, pb,
        task::{FIELDS, firing_out, new_task, task_out, update as task_update},
    },
    domain::{Task, task_state},
    engine::{By, leads::Look},
    store::{
        list::{self, Order},
        tasks,
    },
};

async fn shown(api: &Api, sight: &Sight, id: i64) -> Result<pb::Task, Failure> {
    let mut reader = api.core.db.read().await?;
    let task: Task = tasks::get(&mut reader, &api.core.ring, sight, &[id])
        .await?
        .pop()
        .ok_or_else(|| Failure::not_found(tasks::place(id)))?;
    Ok(task_out(&task, api.core.now()))
}

/// `CreateTask`. Whoever makes a task for another is shown it once, though he may not see it later.
pub async fn create(
    api: Api,
    viewer: Viewer,
    request: pb::CreateTaskRequest,
) -> Result<pb::Task, Failure> {
    let mut check = Check::new();
    let request_id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, "CreateTask", &request));
    let new = match &request.task {
        Some(t) => new_task(&mut check, t),
        None => check.wrong("task", "is required"),
    };
    let mut new = check.finish(new)?;
    if !new.org_unit.is_empty() {
        viewer.org_unit(&new.org_unit)?;
    }
    let mut look = Look::default();
    if let Some(address) = new.customer {
        look = api.core.look_at(&viewer, address).await?;
        new.current = look.customer.map(|(_, current)| current);
    }
    let foreign_origin = new.origin.is_some();
    let by = By {
        viewer: &viewer,
        request: request_id.as_ref(),
    };
    let id = api.core.create_task(&by, new, &look).await?;
    // One found by its origin is another's work: it is shown by the usual rules.
    let sight = if foreign_origin {
        viewer.sight()
    } else {
        Sight::All
    };
    shown(&api, &sight, id).await
}

/// `GetTask`.
pub async fn get(
    api: Api,
    viewer: Viewer,
    request: pb::GetTaskRequest,
) -> Result<pb::Task, Failure> {
    let mut check = Check::new();
    let id = check.numbered("name", &request.name, "tasks");
    let id = check.finish(id)?;
    shown(&api, &viewer.sight(), id).await
}

async fn conditions(
    api: &Api,
    viewer: &Viewer,
    text: &str,
) -> Result<Vec<list::Condition>, Failure> {
    let now = api.core.now();
    let mut out = Vec::new();
    for term in filter::parse(text)? {
        out.push(match term.field.as_str() {
            "owner" if term.value == "me" => {
                term.equal()?;
                ("t.owner = ?", args![&viewer.caller.name])
            }
            "owner" => term.text("t.owner = ?")?,
            "org_unit" => term.text("t.org_unit = ?")?,
            "state" => {
                let n = term.word(&[("OPEN", 1), ("DONE", 2), ("CANCELLED", 3)])?;
                ("t.state = ?", args![n])
            }
            "kind" => {
                let n = term.word(&[
                    ("FOLLOW_UP", 1),
                    ("RETENTION", 2),
                    ("OVERDUE", 3),
                    ("OTHER", 4),
                ])?;
                ("t.kind = ?", args![n])
            }
            "customer" => api.of_customer(term.number("customers")?).await?,
            "opportunity" => {
                let id = term.number("opportunities")?;
                ("t.opportunity = ?", args![id])
            }
            "lead" => ("t.lead = ?", args![term.number("leads")?]),
            "origin" => term.text("t.origin = ?")?,
            "overdue" if term.truth()? => (
                "t.state = ? AND t.due_time < ?",
                args![task_state::OPEN, now],
            ),
            "overdue" => (
                "(t.state <> ? OR t.due_time >= ?)",
                args![task_state::OPEN, now],
            ),
            "due_time" => term.time(filter::compared!("t.due_time"))?,
            _ => {
                return Err(term.unknown(
                    "owner, org_unit, state, kind, customer, opportunity, lead, origin, overdue, \
                     due_time",
                ));
            }
        });
    }
    Ok(out)
}

/// `ListTasks`: by due time.
pub async fn list(
    api: Api,
    viewer: Viewer,
    request: pb::ListTasksRequest,
) -> Result<pb::ListTasksResponse, Failure> {
    let mut check = Check::new();
    let size = check.page_size(request.page_size, 50, 1_000);
    let size = check.finish(size)?;
    let conditions = conditions(&api, &viewer, &request.filter).await?;
    let order = Order::by("due_time", false);
    let binding = Binding::of("ListTasks", &viewer, &[&request.filter]);
    let after: Option<list::Place> = api.pages.place(&binding, &request.page_token)?;
    let mut reader = api.core.db.read().await?;
    let mut rows = list::rows(
        &mut reader,
        tasks::SELECT,
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
    let now = api.core.now();
    let mut out = Vec::with_capacity(rows.len());
    for row in &rows {
        out.push(task_out(&tasks::task(row, &api.core.ring)?, now));
    }
    Ok(pb::ListTasksResponse {
        tasks: out,
        next_page_token,
    })
}

/// `UpdateTask`.
pub async fn update(
    api: Api,
    viewer: Viewer,
    request: pb::UpdateTaskRequest,
) -> Result<pb::Task, Failure> {
    let mut check = Check::new();
    let request_id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, "UpdateTask", &request));
    let t = request.task.unwrap_or_default();
    let id = check.numbered("task.name", &t.name, "tasks");
    let paths = check.paths(request.update_mask, FIELDS, FIELDS);
    let update = task_update(&mut check, &paths, &t);
    let (id, update) = check.finish(id.zip(update))?;
    let by = By {
        viewer: &viewer,
        request: request_id.as_ref(),
    };
    api.core.update_task(&by, id, &t.etag, &update).await?;
    shown(&api, &viewer.sight(), id).await
}

/// `AssignTask`. Whoever gives a task away is told what became of it.
pub async fn assign(
    api: Api,
    viewer: Viewer,
    request: pb::AssignTaskRequest,
) -> Result<pb::Task, Failure> {
    let mut check = Check::new();
    let request_id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, "AssignTask", &request));
    let id = check.numbered("name", &request.name, "tasks");
    let owner = check.member("owner", &request.owner, false);
    let (id, owner) = check.finish(id.zip(owner))?;
    let by = By {
        viewer: &viewer,
        request: request_id.as_ref(),
    };
    api.core.assign_task(&by, id, &request.etag, &owner).await?;
    shown(&api, &Sight::All, id).await
}

/// `CompleteTask`.
pub async fn complete(
    api: Api,
    viewer: Viewer,
    request: pb::CompleteTaskRequest,
) -> Result<pb::Task, Failure> {
    let mut check = Check::new();
    let request_id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, "CompleteTask", &request));
    let id = check.numbered("name", &request.name, "tasks");
    let outcome = match check.word("outcome", request.outcome.clone()) {
        Some(outcome) if outcome.is_empty() => check.wrong("outcome", "is required"),
        outcome => outcome,
    };
    let comment = check.text("comment", request.comment.clone(), 2_000);
    let (id, (outcome, comment)) = check.finish(id.zip(outcome.zip(comment)))?;
    let by = By {
        viewer: &viewer,
        request: request_id.as_ref(),
    };
    api.core
        .close_task(&by, id, &request.etag, Some(&outcome), &comment)
        .await?;
    shown(&api, &viewer.sight(), id).await
}

/// `CancelTask`.
pub async fn cancel(
    api: Api,
    viewer: Viewer,
    request: pb::CancelTaskRequest,
) -> Result<pb::Task, Failure> {
    let mut check = Check::new();
    let request_id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, "CancelTask", &request));
    let id = check.numbered("name", &request.name, "tasks");
    let comment = check.text("comment", request.comment.clone(), 2_000);
    let (id, comment) = check.finish(id.zip(comment))?;
    let by = By {
        viewer: &viewer,
        request: request_id.as_ref(),
    };
    api.core
        .close_task(&by, id, &request.etag, None, &comment)
        .await?;
    shown(&api, &viewer.sight(), id).await
}

/// `ListFirings`: oldest first.
pub async fn firings(
    api: Api,
    viewer: Viewer,
    request: pb::ListFiringsRequest,
) -> Result<pb::ListFiringsResponse, Failure> {
    let mut check = Check::new();
    let size = check.page_size(request.page_size, 100, 1_000);
    let id = check.numbered("parent", &request.parent, "tasks");
    let (size, id) = check.finish(size.zip(id))?;
    let binding = Binding::of("ListFirings", &viewer, &[&request.parent]);
    let after: Option<i64> = api.pages.place(&binding, &request.page_token)?;
    let mut reader = api.core.db.read().await?;
    let sight = viewer.sight();
    if tasks::get(&mut reader, &api.core.ring, &sight, &[id])
        .await?
        .is_empty()
    {
        return Err(Failure::not_found(tasks::place(id)));
    }
    let after = after.unwrap_or_default();
    let mut found = tasks::firings(&mut reader, id, after, size + 1).await?;
    let more = found.len() > size as usize;
    found.truncate(size as usize);
    let next_page_token = match found.last() {
        Some(last) if more => api.pages.token(&binding, &last.no)?,
        _ => String::new(),
    };
    Ok(pb::ListFiringsResponse {
        firings: found.iter().map(firing_out).collect(),
        next_page_token,
    })
}
