//! `ListCustomerRevisions`.

use jinke_types::Failure;

use super::{Api, get_customer, page::Binding};
use crate::{
    access::Viewer,
    convert::{Check, answer, pb},
    domain::{ChangeKind, FEED, RevisionView},
    store::query::{Rows, feed},
};

const METHOD: &str = "ListCustomerRevisions";

/// Revisions of a customer, newest first. One at which the customer held no record that the caller
/// sees is left out, so a page may hold fewer than asked for and still have a next one.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::ListCustomerRevisionsRequest,
) -> Result<pb::ListCustomerRevisionsResponse, Failure> {
    let mut check = Check::new();
    let id = check.customer_name("parent", &request.parent);
    let size = check.page_size(request.page_size, 20, 100);
    let (id, size) = check.finish(id.zip(size))?;
    let customer = get_customer::visible(&api, &viewer, id).await?;
    let binding = Binding::of(METHOD, &viewer, &[&request.parent]);
    // The customer's id is in the cursor: after a merge the addressed id answers with another.
    let cursor: Option<(i64, i64)> = api.pages.cursor(&binding, &request.page_token)?;
    let (of, before) = cursor.map_or((customer.id, None), |(of, before)| (of, Some(before)));
    let mut found = api
        .engine
        .revisions(of, before, size + 1, &viewer.scope)
        .await?;
    let more = found.len() > size as usize;
    found.truncate(size as usize);
    let next_page_token = match found.last() {
        Some(last) if more => api.pages.token(&binding, &(of, last.revision))?,
        _ => String::new(),
    };
    let numbers: Vec<i64> = found.iter().map(|r| r.revision).collect();
    let (mut reader, rows) = api.read(&viewer).await?;
    let wanted: Vec<_> = numbers.iter().map(|n| (of, *n)).collect();
    let made = feed::made_of(&mut reader, &rows, &wanted).await?;
    let positions = feed::positions(&mut reader, FEED, of, &numbers).await?;
    let mut revisions = Vec::with_capacity(found.len());
    for view in &mut found {
        let seen = made
            .get(&(of, view.revision))
            .is_some_and(|m| !m.seen.is_empty());
        if rows != Rows::All && !seen {
            continue;
        }
        plain_kind(&mut reader, &rows, view).await?;
        let mut out = answer::revision(view, customer.kind, &viewer);
        out.position = positions.get(&view.revision).copied().unwrap_or_default();
        revisions.push(out);
    }
    Ok(pb::ListCustomerRevisionsResponse {
        revisions,
        next_page_token,
    })
}

/// A merge with customers that the caller does not see is an update to him.
async fn plain_kind(
    reader: &mut jinke_store::Reader,
    rows: &Rows,
    view: &mut RevisionView,
) -> Result<(), Failure> {
    if matches!(view.kind, ChangeKind::Merged | ChangeKind::Unmerged) && *rows != Rows::All {
        let related = view.related.iter().copied().collect();
        if feed::seen_customers(reader, rows, &related, view.time)
            .await?
            .is_empty()
        {
            view.kind = ChangeKind::Updated;
        }
    }
    Ok(())
}
