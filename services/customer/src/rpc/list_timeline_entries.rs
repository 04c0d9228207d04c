//! `ListTimelineEntries`.

use jinke_types::{Body, Failure, RecordKey};

use super::{Api, get_customer, page::Binding};
use crate::{
    access::Viewer,
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

/// Transactions and interactions of the visible records of a customer, newest first.
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
    let more = found.len() > size as usize;
    found.truncate(size as usize);
    let next_page_token = match found.last() {
        Some(last) if more => api.pages.token(&binding, last)?,
        _ => String::new(),
    };
    let numbers: Vec<i64> = found.iter().map(|moment| moment.record_no).collect();
    let opened = api.engine.open_records(&numbers).await?;
    let entries = opened
        .iter()
        .filter_map(|view| entry(&view.record))
        .collect();
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
