//! `ListSourceRecords`.

use jinke_types::Failure;

use super::{Api, get_source, page::Binding};
use crate::{
    access::Viewer,
    convert::{Check, answer, pb},
    store::query::activity,
};

const METHOD: &str = "ListSourceRecords";

/// Records of a source in order of external id.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::ListSourceRecordsRequest,
) -> Result<pb::ListSourceRecordsResponse, Failure> {
    let mut check = Check::new();
    let source = check.source_name("parent", &request.parent);
    let size = check.page_size(request.page_size, 100, 1_000);
    let (source, size) = check.finish(source.zip(size))?;
    get_source::visible(&api, &viewer, &source).await?;
    let binding = Binding::of(METHOD, &viewer, &[&source]);
    let after: String = api
        .pages
        .cursor(&binding, &request.page_token)?
        .unwrap_or_default();
    let mut found = {
        let (mut reader, _) = api.read(&viewer).await?;
        activity::records_of_source(&mut reader, &source, &after, size + 1).await?
    };
    let more = found.len() > size as usize;
    found.truncate(size as usize);
    let next_page_token = match found.last() {
        Some((_, external_id)) if more => api.pages.token(&binding, external_id)?,
        _ => String::new(),
    };
    let numbers: Vec<i64> = found.into_iter().map(|(number, _)| number).collect();
    let records = api.engine.open_records(&numbers).await?;
    let records = records.iter().map(answer::source_record).collect();
    Ok(pb::ListSourceRecordsResponse {
        records,
        next_page_token,
    })
}
