//! `ListTimelineChanges`.

use std::collections::{BTreeMap, BTreeSet};

use jinke_store::changelog::{self, Filter};
use jinke_types::Failure;
use prost::Message as _;

use super::{
    Api,
    list_timeline_entries::entry,
    page::{Binding, MAX_PAGE_BYTES},
};
use crate::{
    access::{Viewer, mask},
    convert::{Check, number::time_out, pb},
    domain::TIMELINE_FEED,
    error,
    store::query::Rows,
};

/// Records opened together.
const CHUNK: usize = 50;

/// Changes of transactions and interactions that the caller may see. The next token is always set;
/// when nothing is new it is the one that came in.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::ListTimelineChangesRequest,
) -> Result<pb::ListTimelineChangesResponse, Failure> {
    let mut check = Check::new();
    let size = check.page_size(request.page_size, 100, 1_000);
    let size = check.finish(size)?;
    let binding = Binding::feed(TIMELINE_FEED);
    let after: i64 = api
        .pages
        .cursor(&binding, &request.page_token)?
        .unwrap_or_default();
    let (logged, rows) = {
        let (mut reader, rows) = api.read(&viewer).await?;
        let head = changelog::head(&mut reader).await?;
        if after > head {
            return Err(error::position_ahead(after, head));
        }
        let logged =
            changelog::list(&mut reader, after, size, &Filter::feed(TIMELINE_FEED)).await?;
        (logged, rows)
    };
    let (mut changes, mut bytes, mut position) = (Vec::new(), 0, after);
    'page: for chunk in logged.changes.chunks(CHUNK) {
        let mut numbers = BTreeSet::new();
        for change in chunk {
            numbers.insert(number(&change.subject)?);
        }
        let numbers: Vec<i64> = numbers.into_iter().collect();
        let opened: BTreeMap<i64, _> = api
            .engine
            .open_records(&numbers)
            .await?
            .into_iter()
            .map(|view| (view.record_no, view))
            .collect();
        for change in chunk {
            let view = opened.get(&number(&change.subject)?);
            // What is erased has no source any more; who sees only some sources is told nothing.
            let seen = view.map_or_else(|| rows == Rows::All, |v| rows.sees(&v.record.key.source));
            if seen {
                let mut message = pb::TimelineChange {
                    position: change.position,
                    uid: change.subject.clone(),
                    time: Some(time_out(change.time)),
                    deleted: view.is_none_or(|v| v.record.deleted),
                    entry: view.and_then(|v| entry(&v.record)),
                };
                mask(&mut message, &viewer.mask);
                bytes += message.encoded_len();
                if bytes > MAX_PAGE_BYTES && !changes.is_empty() {
                    break 'page;
                }
                changes.push(message);
            }
            position = change.position;
        }
    }
    // Read to its end: also what was passed over behind the last change need not be looked at again.
    if logged
        .changes
        .last()
        .is_none_or(|last| last.position == position)
    {
        position = logged.position;
    }
    api.numbers
        .feed_changes
        .with_label_values(&["timeline"])
        .inc_by(u64::try_from(changes.len()).unwrap_or_default());
    Ok(pb::ListTimelineChangesResponse {
        changes,
        next_page_token: api.pages.token(&binding, &position)?,
    })
}

fn number(subject: &str) -> Result<i64, Failure> {
    subject
        .parse()
        .map_err(|_| Failure::internal("a logged change names no record"))
}
