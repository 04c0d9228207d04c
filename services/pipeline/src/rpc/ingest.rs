//! `IngestLeads`: rows of a foreign system.

use jinke_types::Failure;

use super::{
    Api,
    leads::{MAX_BATCH, allowed, counted, told},
};
use crate::{
    access::Viewer,
    convert::{
        Check,
        lead::{lead_row, outcome},
        pb,
    },
    domain::RequestId,
    engine::{By, ingest::Taken},
    store::leads,
};

/// `IngestLeads`: one after the other, so that versions of one lead keep their order.
pub async fn ingest(
    api: Api,
    viewer: Viewer,
    request: pb::IngestLeadsRequest,
) -> Result<pb::IngestLeadsResponse, Failure> {
    let mut check = Check::new();
    let batch = check.request_id(&request.request_id);
    if request.rows.is_empty() || request.rows.len() > MAX_BATCH {
        check.wrong::<()>("rows", format!("are not 1 to {MAX_BATCH}"));
    }
    if request.request_id.len() > 120 {
        check.wrong::<()>("request_id", "is longer than 120 characters");
    }
    let batch = check.finish(batch)?;
    let mut results = Vec::with_capacity(request.rows.len());
    for (i, row) in request.rows.into_iter().enumerate() {
        let id = batch.as_ref().map(|batch| RequestId {
            caller: viewer.caller.name.clone(),
            method: "IngestLeads",
            id: format!("{batch}/{i}"),
            body: prost::Message::encode_to_vec(&row),
        });
        let result = match one(&api, &viewer, id, row).await {
            Ok(taken) => result(&api, taken),
            Err(failure) => pb::ingest_leads_response::Result {
                outcome: pb::ingest_leads_response::Outcome::Rejected.into(),
                lead: String::new(),
                error: Some(told(failure)?),
            },
        };
        results.push(result);
    }
    Ok(pb::IngestLeadsResponse { results })
}

async fn one(
    api: &Api,
    viewer: &Viewer,
    id: Option<RequestId>,
    row: pb::LeadRow,
) -> Result<Taken, Failure> {
    let mut check = Check::new();
    let arrived = lead_row(&mut check, row);
    let arrived = check.finish(arrived)?;
    allowed(viewer, &arrived.new)?;
    let by = By {
        viewer,
        request: id.as_ref(),
    };
    api.core.ingest_lead(&by, arrived).await
}

fn result(api: &Api, taken: Taken) -> pb::ingest_leads_response::Result {
    if let Taken::Created(lead) = &taken {
        counted(api, lead);
    }
    let lead = match &taken {
        Taken::Created(lead) => Some(lead.id),
        Taken::Updated(id) | Taken::Superseded(id) => Some(*id),
        Taken::Unchanged(id) => *id,
    };
    pb::ingest_leads_response::Result {
        outcome: outcome(&taken).into(),
        lead: lead.map(leads::place).unwrap_or_default(),
        error: None,
    }
}
