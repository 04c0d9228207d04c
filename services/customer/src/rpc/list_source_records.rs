//! `ListSourceRecords`.

use jinke_types::Failure;
use prost::Message as _;

use super::{
    Api, get_source,
    page::{Binding, MAX_PAGE_BYTES},
};
use crate::{
    access::{Viewer, mask},
    convert::{Check, answer, pb},
    store::query::activity,
};

const METHOD: &str = "ListSourceRecords";

/// Records opened together.
const CHUNK: usize = 20;

/// Records of a source in order of external id. A page of large records holds fewer than asked for.
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
    let mut more = found.len() > size as usize;
    found.truncate(size as usize);
    let mut last = found.last().map(|(_, external_id)| external_id.clone());
    let mut cut = None;
    let (mut records, mut bytes) = (Vec::with_capacity(found.len()), 0);
    'page: for chunk in found.chunks(CHUNK) {
        let numbers: Vec<i64> = chunk.iter().map(|(number, _)| *number).collect();
        for view in api.engine.open_records(&numbers).await? {
            let mut record = answer::source_record(&view);
            // Masked first: where a page ends must not tell how much is hidden.
            mask(&mut record, &viewer.mask);
            bytes += record.encoded_len();
            if bytes > MAX_PAGE_BYTES && !records.is_empty() {
                (last, more) = (cut, true);
                break 'page;
            }
            cut = Some(view.record.key.external_id);
            records.push(record);
        }
    }
    let next_page_token = match last {
        Some(external_id) if more => api.pages.token(&binding, &external_id)?,
        _ => String::new(),
    };
    Ok(pb::ListSourceRecordsResponse {
        records,
        next_page_token,
    })
}
