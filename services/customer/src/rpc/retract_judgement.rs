//! `RetractJudgement`.

use jinke_types::Failure;

use super::{Api, list_judgements::visible, request_id};
use crate::{
    access::Viewer,
    convert::{Check, answer, pb},
};

const METHOD: &str = "jinke.customer.v1.StewardshipService/RetractJudgement";

/// Takes a judgement that the caller sees back. Doing it twice is doing it once.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::RetractJudgementRequest,
) -> Result<pb::Judgement, Failure> {
    let mut check = Check::new();
    let request_id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, METHOD, &request));
    let id = check.judgement_name("name", &request.name);
    let id = check.finish(id)?;
    let (reader, rows) = api.read(&viewer).await?;
    drop(reader);
    let found = api.engine.list_judgements(id - 1, 1, None, true).await?;
    if !found
        .iter()
        .any(|judgement| judgement.id == id && visible(judgement, &rows))
    {
        return Err(Failure::not_found(&request.name));
    }
    let retracted = api
        .engine
        .retract_judgement(id, request_id.as_ref())
        .await?;
    Ok(answer::judgement(&retracted, |key| rows.sees(&key.source)))
}
