//! `ListTimelineEntries`.

use jinke_types::{Body, Failure, RecordKey};
use prost::Message as _;

use super::{
    Api, get_customer,
    page::{Binding, MAX_PAGE_BYTES},
};
use crate::{
    access::{Viewer, mask},
    convert::{
        Check,
        number::time_out,
        pb,
        record::{interaction_out, transaction_out},
        value::record_key_out,
    },
    domain::CustomerView,
    store::query::activity::{self, Moment},
};

const METHOD: &str = "ListTimelineEntries";

/// Entries opened together.
const CHUNK: usize = 50;

/// Transactions and interactions of the visible records of a customer, newest first. A page of large
/// ones holds fewer than asked for.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::ListTimelineEntriesRequest,
) -> Result<pb::ListTimelineEntriesResponse, Failure> {
    let mut check = Check::new();
    let id = check.customer_name("parent", &request.parent);
    let size = check.page_size(request.page_size, 50, 1_000);
    let (id, size) = check.finish(id.zip(size))?;
    let customer = get_customer::visible(&api, &viewer, id).await?;
    let binding = Binding::of(METHOD, &viewer, &[&request.parent]);
    let after: Option<Moment> = api.pages.cursor(&binding, &request.page_token)?;
    let mut found = {
        let (mut reader, rows) = api.read(&viewer).await?;
        let parties = parties(&customer);
        activity::timeline(&mut reader, &rows, &parties, after, size + 1).await?
    };
    let mut more = found.len() > size as usize;
    found.truncate(size as usize);
    let mut last = found.last();
    let (mut entries, mut bytes, mut before) = (Vec::with_capacity(found.len()), 0, None);
    'page: for chunk in found.chunks(CHUNK) {
        let numbers: Vec<i64> = chunk.iter().map(|moment| moment.record_no).collect();
        let views = api.engine.open_records(&numbers).await?;
        let mut views = views.iter().peekable();
        for moment in chunk {
            let view = views.next_if(|view| view.record_no == moment.record_no);
            if let Some(mut message) = view.and_then(|view| entry(&view.record)) {
                // Masked first: where a page ends must not tell how much is hidden.
                mask(&mut message, &viewer.mask);
                bytes += message.encoded_len();
                if bytes > MAX_PAGE_BYTES && !entries.is_empty() {
                    (last, more) = (before, true);
                    break 'page;
                }
                entries.push(message);
            }
            before = Some(moment);
        }
    }
    let next_page_token = match last {
        Some(moment) if more => api.pages.token(&binding, moment)?,
        _ => String::new(),
    };
    Ok(pb::ListTimelineEntriesResponse {
        entries,
        next_page_token,
    })
}

/// The records a customer's activities name.
pub(super) fn parties(customer: &CustomerView) -> Vec<RecordKey> {
    customer
        .records
        .iter()
        .map(|record| record.key.clone())
        .collect()
}

/// A transaction or interaction as the contract states it; none for other records.
pub(super) fn entry(record: &jinke_types::SourceRecord) -> Option<pb::TimelineEntry> {
    use pb::timeline_entry::Entry;
    let (time, entry) = match &record.body {
        Body::Transaction(t) => (t.time, Entry::Transaction(transaction_out(t))),
        Body::Interaction(i) => (i.time, Entry::Interaction(interaction_out(i))),
        Body::Party { .. } | Body::Relationship(_) => return None,
    };
    Some(pb::TimelineEntry {
        key: Some(record_key_out(&record.key)),
        time: Some(time_out(time)),
        entry: Some(entry),
    })
}
