//! `GetCustomer`.

use jinke_types::{Code, Failure};

use super::Api;
use crate::{
    access::Viewer,
    convert::{Check, answer, pb},
    domain::CustomerView,
    error,
};

/// A customer by its id, or by the id of any record it holds.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::GetCustomerRequest,
) -> Result<pb::Customer, Failure> {
    let mut check = Check::new();
    let id = check.customer_name("name", &request.name);
    let full = full(&mut check, request.view, true);
    let (id, full) = check.finish(id.zip(full))?;
    let view = visible(&api, &viewer, id).await?;
    Ok(answer::customer(&view, &viewer, full))
}

/// Whether a view is the full one.
pub(super) fn full(check: &mut Check, view: i32, default: bool) -> Option<bool> {
    let view: pb::CustomerView = check.known_enum("view", "CustomerView", view)?;
    Some(match view {
        pb::CustomerView::Unspecified => default,
        pb::CustomerView::Basic => false,
        pb::CustomerView::Full => true,
    })
}

/// The customer that an id addresses. One without a visible record is not found, in the same words
/// as one that never was.
pub(super) async fn visible(api: &Api, viewer: &Viewer, id: i64) -> Result<CustomerView, Failure> {
    match api.engine.golden(id, &viewer.scope).await {
        Err(failure) if failure.code == Code::NotFound && failure.reason == "NOT_FOUND" => {
            Err(error::customer_not_found(id))
        }
        other => other,
    }
}
