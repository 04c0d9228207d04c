//! `ListJudgements`.

use jinke_types::{Failure, RecordKey};

use super::{Api, page::Binding};
use crate::{
    access::Viewer,
    convert::{Check, answer, pb, value::record_key},
    domain::JudgementView,
    store::query::Rows,
};

const METHOD: &str = "ListJudgements";
/// Chunks read for one page at most: those the caller does not see are passed over.
const MAX_CHUNKS: usize = 10;

/// Judgements by id; up to 200 a page, 50 when 0. A judgement shows when the caller sees a source
/// of each side, with the records of the sources he sees.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::ListJudgementsRequest,
) -> Result<pb::ListJudgementsResponse, Failure> {
    let mut check = Check::new();
    let size = check.page_size(request.page_size, 50, 200);
    let record = match request.record {
        None => Some(None),
        key @ Some(_) => record_key(&mut check, "record", key).map(Some),
    };
    let (size, record) = check.finish(size.zip(record))?;
    let shown = record
        .as_ref()
        .map(RecordKey::to_string)
        .unwrap_or_default();
    let retracted = request.show_retracted;
    let binding = Binding::of(
        METHOD,
        &viewer,
        &[&shown, if retracted { "retracted" } else { "" }],
    );
    let mut after: i64 = api
        .pages
        .cursor(&binding, &request.page_token)?
        .unwrap_or_default();
    let (reader, rows) = api.read(&viewer).await?;
    drop(reader);
    let mut judgements = Vec::new();
    if record.as_ref().is_some_and(|key| !rows.sees(&key.source)) {
        return Ok(pb::ListJudgementsResponse {
            judgements,
            next_page_token: String::new(),
        });
    }
    for _ in 0..MAX_CHUNKS {
        let found = api
            .engine
            .list_judgements(after, size, record.as_ref(), retracted)
            .await?;
        let more = found.len() == size as usize;
        for judgement in found {
            after = judgement.id;
            if visible(&judgement, &rows) {
                judgements.push(answer::judgement(&judgement, |key| rows.sees(&key.source)));
            }
            if judgements.len() == size as usize {
                break;
            }
        }
        if judgements.len() == size as usize {
            break;
        }
        if !more {
            return Ok(pb::ListJudgementsResponse {
                judgements,
                next_page_token: String::new(),
            });
        }
    }
    let next_page_token = api.pages.token(&binding, &after)?;
    Ok(pb::ListJudgementsResponse {
        judgements,
        next_page_token,
    })
}

/// Whether the caller sees a source of each side.
pub(super) fn visible(judgement: &JudgementView, rows: &Rows) -> bool {
    let any = |keys: &[RecordKey]| keys.iter().any(|key| rows.sees(&key.source));
    any(&judgement.left) && any(&judgement.right)
}
