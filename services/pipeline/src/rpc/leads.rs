//! Leads: take in, get, list, update, assign, qualify, convert, give up, erase, first touch.

use jinke_proto::google::rpc;
use jinke_store::args;
use jinke_types::{Failure, FieldClass};

use super::{Api, filter, opportunities, page::Binding, request_id};
use crate::{
    access::{Sight, Viewer},
    convert::{
        Check,
        check::Paths,
        lead::{ALL, FIELDS, first_touch_out, lead_out, new_lead, update as lead_update},
        number::{date, positive_money},
        pb,
    },
    domain::{DISQUALIFY_REASONS, Lead, RequestId},
    engine::{
        By,
        convert::{Conversion, Target},
        leads::NewLead,
    },
    store::{crosswalk, leads, list},
};

/// Most leads of a batch.
pub const MAX_BATCH: usize = 200;

/// A lead as the viewer sees it.
pub(super) async fn visible(api: &Api, viewer: &Viewer, id: i64) -> Result<Lead, Failure> {
    let mut reader = api.core.db.read().await?;
    leads::get(&mut reader, &api.core.ring, &viewer.sight(), &[id])
        .await?
        .pop()
        .ok_or_else(|| Failure::not_found(leads::place(id)))
}

/// Counts a lead that was taken in.
pub(super) fn counted(api: &Api, lead: &Lead) {
    let label = match lead.match_result {
        1 => "known",
        2 => "unsure",
        3 => "new",
        _ => "given",
    };
    api.numbers.leads.with_label_values(&[label]).inc();
}

/// The unit a caller names must be one of his.
pub(super) fn allowed(viewer: &Viewer, new: &NewLead) -> Result<(), Failure> {
    if new.org_unit.is_empty() {
        return Ok(());
    }
    viewer.org_unit(&new.org_unit).map(drop)
}

/// `CreateLead`.
pub async fn create(
    api: Api,
    viewer: Viewer,
    request: pb::CreateLeadRequest,
) -> Result<pb::Lead, Failure> {
    let mut check = Check::new();
    let id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, "CreateLead", &request));
    let new = match request.lead {
        Some(lead) => new_lead(&mut check, "lead.", lead),
        None => check.wrong("lead", "is required"),
    };
    let new = check.finish(new)?;
    allowed(&viewer, &new)?;
    let by = By {
        viewer: &viewer,
        request: id.as_ref(),
    };
    if request.validate_only {
        return Ok(lead_out(&api.core.try_lead(&by, &new).await?));
    }
    let (lead, existing) = api.core.create_lead(&by, new).await?;
    if !existing {
        counted(&api, &lead);
    }
    Ok(lead_out(&lead))
}

/// `BatchCreateLeads`: one after the other, so that a lead finds those before it.
pub async fn batch_create(
    api: Api,
    viewer: Viewer,
    request: pb::BatchCreateLeadsRequest,
) -> Result<pb::BatchCreateLeadsResponse, Failure> {
    let mut check = Check::new();
    let batch = check.request_id(&request.request_id);
    if request.leads.is_empty() || request.leads.len() > MAX_BATCH {
        check.wrong::<()>("leads", format!("are not 1 to {MAX_BATCH}"));
    }
    if request.request_id.len() > 120 {
        check.wrong::<()>("request_id", "is longer than 120 characters");
    }
    let batch = check.finish(batch)?;
    let mut results = Vec::with_capacity(request.leads.len());
    for (i, lead) in request.leads.into_iter().enumerate() {
        let id = batch.as_ref().map(|batch| RequestId {
            caller: viewer.caller.name.clone(),
            method: "BatchCreateLeads",
            id: format!("{batch}/{i}"),
            body: prost::Message::encode_to_vec(&lead),
        });
        results.push(one(&api, &viewer, id, lead).await?);
    }
    Ok(pb::BatchCreateLeadsResponse { results })
}

async fn one(
    api: &Api,
    viewer: &Viewer,
    id: Option<RequestId>,
    lead: pb::Lead,
) -> Result<pb::batch_create_leads_response::Result, Failure> {
    let mut check = Check::new();
    let new = new_lead(&mut check, "", lead);
    let taken = match check.finish(new) {
        Ok(new) => match allowed(viewer, &new) {
            Ok(()) => {
                let by = By {
                    viewer,
                    request: id.as_ref(),
                };
                api.core.create_lead(&by, new).await
            }
            Err(failure) => Err(failure),
        },
        Err(failure) => Err(failure),
    };
    match taken {
        Ok((lead, existing)) => {
            if !existing {
                counted(api, &lead);
            }
            Ok(pb::batch_create_leads_response::Result {
                lead: Some(lead_out(&lead)),
                error: None,
                existing,
            })
        }
        Err(failure) => Ok(pb::batch_create_leads_response::Result {
            lead: None,
            error: Some(told(failure)?),
            existing: false,
        }),
    }
}

/// What is wrong with one lead is told of it; what is wrong with the house ends the call.
pub(super) fn told(failure: Failure) -> Result<rpc::Status, Failure> {
    use jinke_types::Code::{
        Aborted, AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, PermissionDenied,
    };
    if !matches!(
        failure.code,
        InvalidArgument
            | NotFound
            | AlreadyExists
            | PermissionDenied
            | FailedPrecondition
            | Aborted
    ) {
        return Err(failure);
    }
    let status = jinke_kit::status(failure);
    // The details header of a gRPC status is an encoded google.rpc.Status.
    Ok(
        prost::Message::decode(status.details()).unwrap_or_else(|_| rpc::Status {
            code: i32::from(status.code()),
            message: status.message().to_owned(),
            details: Vec::new(),
        }),
    )
}

/// `GetLead`.
pub async fn get(
    api: Api,
    viewer: Viewer,
    request: pb::GetLeadRequest,
) -> Result<pb::Lead, Failure> {
    let mut check = Check::new();
    let id = check.numbered("name", &request.name, "leads");
    let id = check.finish(id)?;
    Ok(lead_out(&visible(&api, &viewer, id).await?))
}

async fn conditions(
    api: &Api,
    viewer: &Viewer,
    text: &str,
) -> Result<Vec<list::Condition>, Failure> {
    let mut out = Vec::new();
    for term in filter::parse(text)? {
        out.push(match term.field.as_str() {
            "state" => {
                let n = term.word(&[
                    ("NEW", 1),
                    ("QUALIFIED", 2),
                    ("CONVERTED", 3),
                    ("DISQUALIFIED", 4),
                ])?;
                ("t.state = ?", args![n])
            }
            "owner" if term.value == "me" => {
                term.equal()?;
                ("t.owner = ?", args![&viewer.caller.name])
            }
            "owner" => term.text("t.owner = ?")?,
            "org_unit" => term.text("t.org_unit = ?")?,
            "customer" => api.of_customer(term.number("customers")?).await?,
            "source" => {
                let source = term.equal()?.strip_prefix("sources/").unwrap_or_default();
                ("t.source = ?", args![source])
            }
            "channel" => term.text("t.channel = ?")?,
            "company" => {
                if !viewer.allows(FieldClass::Public) {
                    return Err(Failure::field("filter", "company is hidden from you"));
                }
                term.text("t.company = ?")?
            }
            "create_time" => term.time(filter::compared!("t.create_time"))?,
            "update_time" => term.time(filter::compared!("t.update_time"))?,
            _ => {
                return Err(term.unknown(
                    "state, owner, org_unit, customer, source, channel, company, create_time, \
                     update_time",
                ));
            }
        });
    }
    Ok(out)
}

/// `ListLeads`.
pub async fn list(
    api: Api,
    viewer: Viewer,
    request: pb::ListLeadsRequest,
) -> Result<pb::ListLeadsResponse, Failure> {
    let mut check = Check::new();
    let size = check.page_size(request.page_size, 50, 1_000);
    let size = check.finish(size)?;
    let conditions = conditions(&api, &viewer, &request.filter).await?;
    let fields = [
        ("create_time", "create_time"),
        ("update_time", "update_time"),
    ];
    let order = filter::order(&request.order_by, &fields, &[])?;
    let binding = Binding::of("ListLeads", &viewer, &[&request.filter, &request.order_by]);
    let after: Option<list::Place> = api.pages.place(&binding, &request.page_token)?;
    let mut reader = api.core.db.read().await?;
    let mut rows = list::rows(
        &mut reader,
        leads::SELECT,
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
        out.push(lead_out(&leads::lead(row, &api.core.ring)?));
    }
    Ok(pb::ListLeadsResponse {
        leads: out,
        next_page_token,
    })
}

/// `UpdateLead`.
pub async fn update(
    api: Api,
    viewer: Viewer,
    request: pb::UpdateLeadRequest,
) -> Result<pb::Lead, Failure> {
    let mut check = Check::new();
    let request_id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, "UpdateLead", &request));
    let lead = request.lead.unwrap_or_default();
    let id = check.numbered("lead.name", &lead.name, "leads");
    let paths: Paths = check.paths(request.update_mask, FIELDS, ALL);
    let update = lead_update(&mut check, &paths, &lead);
    let customer = paths.when("customer", || {
        check.numbered("lead.customer", &lead.customer, "customers")
    });
    let ((id, mut update), customer) = check.finish(id.zip(update).zip(customer))?;
    if let Some(unit) = &update.org_unit {
        viewer.org_unit(unit)?;
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
    api.core.update_lead(&by, id, &lead.etag, &update).await?;
    Ok(lead_out(&visible(&api, &viewer, id).await?))
}

/// `AssignLead`. Whoever gives a lead away may not see it any more, but is told what became of it.
pub async fn assign(
    api: Api,
    viewer: Viewer,
    request: pb::AssignLeadRequest,
) -> Result<pb::Lead, Failure> {
    let mut check = Check::new();
    let request_id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, "AssignLead", &request));
    let id = check.numbered("name", &request.name, "leads");
    let owner = check.member("owner", &request.owner, true);
    let (id, owner) = check.finish(id.zip(owner))?;
    let by = By {
        viewer: &viewer,
        request: request_id.as_ref(),
    };
    api.core.assign_lead(&by, id, &request.etag, &owner).await?;
    let mut reader = api.core.db.read().await?;
    let lead = leads::get(&mut reader, &api.core.ring, &Sight::All, &[id]).await?;
    let lead = lead
        .first()
        .ok_or_else(|| Failure::not_found(leads::place(id)))?;
    Ok(lead_out(lead))
}

/// `QualifyLead`.
pub async fn qualify(
    api: Api,
    viewer: Viewer,
    request: pb::QualifyLeadRequest,
) -> Result<pb::Lead, Failure> {
    let mut check = Check::new();
    let request_id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, "QualifyLead", &request));
    let id = check.numbered("name", &request.name, "leads");
    let id = check.finish(id)?;
    let by = By {
        viewer: &viewer,
        request: request_id.as_ref(),
    };
    api.core.qualify_lead(&by, id, &request.etag).await?;
    Ok(lead_out(&visible(&api, &viewer, id).await?))
}

/// `ConvertLead`.
pub async fn convert(
    api: Api,
    viewer: Viewer,
    request: pb::ConvertLeadRequest,
) -> Result<pb::ConvertLeadResponse, Failure> {
    let mut check = Check::new();
    let request_id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, "ConvertLead", &request));
    let id = check.numbered("name", &request.name, "leads");
    let target = match request.customer.as_str() {
        "" => Some(Target::Matched),
        "new" => Some(Target::New),
        name => check
            .numbered("customer", name, "customers")
            .map(Target::Given),
    };
    let display_name = check.line("display_name", request.display_name.clone(), 200);
    let pipeline = if request.pipeline.is_empty() {
        Some(String::new())
    } else {
        check.named("pipeline", &request.pipeline, "pipelines")
    };
    let amount = positive_money(&mut check, "amount", request.amount.as_ref());
    let close_date = date(&mut check, "close_date", request.close_date.as_ref());
    let parsed = (|| {
        let conversion = Conversion {
            target: target?,
            display_name: display_name?,
            pipeline: pipeline?,
            amount: amount?,
            close_date: close_date?,
        };
        Some((id?, conversion))
    })();
    let (id, conversion) = check.finish(parsed)?;
    let by = By {
        viewer: &viewer,
        request: request_id.as_ref(),
    };
    let made = api
        .core
        .convert_lead(&by, id, &request.etag, &conversion)
        .await?;
    Ok(pb::ConvertLeadResponse {
        lead: Some(lead_out(&visible(&api, &viewer, id).await?)),
        opportunity: Some(opportunities::shown(&api, &viewer.sight(), made).await?),
    })
}

/// `DisqualifyLead`.
pub async fn disqualify(
    api: Api,
    viewer: Viewer,
    request: pb::DisqualifyLeadRequest,
) -> Result<pb::Lead, Failure> {
    let mut check = Check::new();
    let request_id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, "DisqualifyLead", &request));
    let id = check.numbered("name", &request.name, "leads");
    let reason = check.one_of("reason", request.reason.clone(), &DISQUALIFY_REASONS, false);
    let comment = check.text("comment", request.comment.clone(), 2_000);
    let (id, (reason, comment)) = check.finish(id.zip(reason.zip(comment)))?;
    let by = By {
        viewer: &viewer,
        request: request_id.as_ref(),
    };
    api.core
        .disqualify_lead(&by, id, &request.etag, &reason, &comment)
        .await?;
    Ok(lead_out(&visible(&api, &viewer, id).await?))
}

/// `EraseLead`.
pub async fn erase(
    api: Api,
    viewer: Viewer,
    request: pb::EraseLeadRequest,
) -> Result<pb::Lead, Failure> {
    let mut check = Check::new();
    let request_id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, "EraseLead", &request));
    let id = check.numbered("name", &request.name, "leads");
    let id = check.finish(id)?;
    let by = By {
        viewer: &viewer,
        request: request_id.as_ref(),
    };
    api.core.erase_lead(&by, id).await?;
    Ok(lead_out(&visible(&api, &viewer, id).await?))
}

/// `GetFirstTouch`.
pub async fn first_touch(
    api: Api,
    viewer: Viewer,
    request: pb::GetFirstTouchRequest,
) -> Result<pb::GetFirstTouchResponse, Failure> {
    let mut check = Check::new();
    let address = check.numbered("customer", &request.customer, "customers");
    let address = check.finish(address)?;
    let mut reader = api.core.db.read().await?;
    let (current, all) = crosswalk::addresses(&mut reader, address).await?;
    let lead = leads::first_touch(&mut reader, &api.core.ring, &viewer.sight(), &all).await?;
    Ok(pb::GetFirstTouchResponse {
        first_touch: lead.as_ref().and_then(|l| first_touch_out(&l.touch)),
        lead: lead.map(|l| leads::place(l.id)).unwrap_or_default(),
        current_customer: format!("customers/{current}"),
    })
}
