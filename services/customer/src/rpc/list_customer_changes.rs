//! `ListCustomerChanges`, and the page it shares with `WatchCustomerChanges`.

use std::collections::{BTreeMap, BTreeSet};

use jinke_store::changelog::{self, Change, Filter};
use jinke_types::Failure;
use prost::Message as _;

use super::{
    Api,
    page::{Binding, MAX_PAGE_BYTES},
};
use crate::{
    access::{Viewer, mask},
    convert::{
        Check,
        answer::{self, customer_name},
        number::time_out,
        pb,
    },
    domain::{ChangeKind, FEED},
    error,
    store::query::{Rows, feed},
};

/// Most changes of a page with snapshots: each opens a customer.
pub(super) const MAX_SNAPSHOTS: u32 = 100;

/// Snapshots made together.
const CHUNK: usize = 20;

/// Changes after a position. The next token is always set; when nothing is new it is the one that
/// came in.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::ListCustomerChangesRequest,
) -> Result<pb::ListCustomerChangesResponse, Failure> {
    let mut check = Check::new();
    let size = check.page_size(request.page_size, 100, 1_000);
    let size = check.finish(size)?;
    let after = position(&api, &request.page_token).await?;
    let page = page(&api, &viewer, after, size, request.include_snapshots).await?;
    let next_page_token = token(&api, page.position)?;
    api.numbers
        .feed_changes
        .with_label_values(&["list"])
        .inc_by(u64::try_from(page.changes.len()).unwrap_or_default());
    Ok(pb::ListCustomerChangesResponse {
        changes: page.changes,
        next_page_token,
    })
}

/// A stretch of the feed as one viewer sees it.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) changes: Vec<pb::CustomerChange>,
    pub(super) position: i64,
}

/// The token of a position; the same for the same position.
pub(super) fn token(api: &Api, position: i64) -> Result<String, Failure> {
    api.pages.token(&Binding::feed(FEED), &position)
}

/// The position in a token; the beginning without one. A token of another database is refused, and
/// one of a later state of this database too.
pub(super) async fn position(api: &Api, token: &str) -> Result<i64, Failure> {
    let after: i64 = api
        .pages
        .cursor(&Binding::feed(FEED), token)?
        .unwrap_or_default();
    if after > 0 {
        let mut reader = api.engine.database().read().await?;
        let head = changelog::head(&mut reader).await?;
        if after > head {
            return Err(error::position_ahead(after, head));
        }
    }
    Ok(after)
}

/// Up to `size` changes after `after` that the viewer may see. Those he may not see are passed
/// over, so that a page may be empty and its position still move. A page of large snapshots ends early.
pub(super) async fn page(
    api: &Api,
    viewer: &Viewer,
    after: i64,
    size: u32,
    snapshots: bool,
) -> Result<Page, Failure> {
    let size = if snapshots {
        size.min(MAX_SNAPSHOTS)
    } else {
        size
    };
    let (mut reader, rows) = api.read(viewer).await?;
    let logged = changelog::list(&mut reader, after, size, &Filter::feed(FEED)).await?;
    let changes = seen(&mut reader, &rows, logged.changes).await?;
    drop(reader);
    let (mut out, mut bytes, mut position) = (Vec::with_capacity(changes.len()), 0, after);
    for chunk in changes.chunks(CHUNK) {
        let taken = if snapshots {
            taken(api, viewer, chunk).await?
        } else {
            BTreeMap::new()
        };
        for change in chunk {
            let mut message = pb::CustomerChange {
                position: change.position,
                customer: customer_name(change.customer),
                revision: change.revision,
                kind: answer::change_kind(change.kind).into(),
                time: Some(time_out(change.time)),
                related: change.related.iter().copied().map(customer_name).collect(),
                snapshot: taken.get(&change.customer).cloned(),
            };
            // Masked first: where a page ends must not tell how much is hidden.
            mask(&mut message, &viewer.mask);
            bytes += message.encoded_len();
            if bytes > MAX_PAGE_BYTES && !out.is_empty() {
                return Ok(Page {
                    changes: out,
                    position,
                });
            }
            position = change.position;
            out.push(message);
        }
    }
    Ok(Page {
        changes: out,
        position: logged.position,
    })
}

/// A change that may be shown.
struct Seen {
    position: i64,
    customer: i64,
    revision: i64,
    kind: ChangeKind,
    time: jinke_types::Timestamp,
    related: Vec<i64>,
}

async fn seen(
    reader: &mut jinke_store::Reader,
    rows: &Rows,
    logged: Vec<Change>,
) -> Result<Vec<Seen>, Failure> {
    let mut parsed = Vec::with_capacity(logged.len());
    for change in logged {
        let customer = change
            .subject
            .parse()
            .map_err(|_| Failure::internal("a logged change names no customer"))?;
        let kind = ChangeKind::parse(&change.kind)
            .ok_or_else(|| Failure::internal("a logged change is of an unknown kind"))?;
        parsed.push(Seen {
            position: change.position,
            customer,
            revision: change.revision,
            kind,
            time: change.time,
            related: Vec::new(),
        });
    }
    let wanted: Vec<_> = parsed.iter().map(|c| (c.customer, c.revision)).collect();
    let mut made = feed::made_of(reader, rows, &wanted).await?;
    let mut out = Vec::with_capacity(parsed.len());
    for mut change in parsed {
        let made = made
            .remove(&(change.customer, change.revision))
            .unwrap_or_default();
        if *rows == Rows::All {
            change.related = made.related;
            out.push(change);
            continue;
        }
        if made.seen.is_empty() {
            continue;
        }
        let related: BTreeSet<i64> = made.related.iter().copied().collect();
        let visible = feed::seen_customers(reader, rows, &related, change.time).await?;
        change.related = made
            .related
            .into_iter()
            .filter(|id| visible.contains(id))
            .collect();
        // Of a merge with customers he does not see, a caller only learns that something changed.
        if change.related.is_empty()
            && matches!(change.kind, ChangeKind::Merged | ChangeKind::Unmerged)
        {
            change.kind = ChangeKind::Updated;
        }
        out.push(change);
    }
    Ok(out)
}

/// The customers of these changes as the viewer may see them now. One that answers as another
/// customer is absent.
async fn taken(
    api: &Api,
    viewer: &Viewer,
    changes: &[Seen],
) -> Result<BTreeMap<i64, pb::Customer>, Failure> {
    let ids: BTreeSet<i64> = changes.iter().map(|change| change.customer).collect();
    let ids: Vec<i64> = ids.into_iter().collect();
    let views = api.engine.golden_many(&ids, &viewer.scope).await?;
    Ok(views
        .iter()
        .filter(|view| ids.binary_search(&view.id).is_ok())
        .map(|view| (view.id, answer::customer(view, viewer, true)))
        .collect())
}
