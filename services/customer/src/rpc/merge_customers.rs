//! `MergeCustomers`.

use jinke_types::Failure;

use super::{Api, conflict, get_customer, request_id};
use crate::{
    access::Viewer,
    convert::{Check, answer, pb},
    domain::{MAX_COMMENT, Merge},
};

const METHOD: &str = "jinke.customer.v1.CustomerService/MergeCustomers";

/// Judges that the two addressed customers are one; the customer they are then. With
/// `validate_only` nothing is stored and `customer` is given back as it is.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::MergeCustomersRequest,
) -> Result<pb::Customer, Failure> {
    let mut check = Check::new();
    let id = check.request_id(&request.request_id);
    let id = id.and_then(|id| request_id(id, &viewer, METHOD, &request));
    let customer = check.customer_name("customer", &request.customer);
    let other = check.customer_name("other_customer", &request.other_customer);
    if customer.is_some() && customer == other {
        check.wrong::<()>("other_customer", "must be another customer");
    }
    let comment = check.text("comment", request.comment, MAX_COMMENT);
    let etag = etag(&mut check, "etag", request.etag);
    let other_etag = etag_of(&mut check, request.other_etag);
    let (((customer, other), comment), (etag, other_etag)) =
        check.finish(customer.zip(other).zip(comment).zip(etag.zip(other_etag)))?;
    // A stranger's customer is not found, whatever else is wrong with the pair.
    get_customer::visible(&api, &viewer, customer).await?;
    get_customer::visible(&api, &viewer, other).await?;
    let merge = Merge {
        customer,
        other,
        override_exclusivity: request.override_exclusivity,
        comment,
        etag,
        other_etag,
        validate_only: request.validate_only,
        creator: viewer.caller.name.clone(),
    };
    let merged = match api.engine.merge(merge, &viewer.scope, id.as_ref()).await {
        Ok(merged) => merged,
        Err(failure) => return Err(conflict::told(&api, &viewer, failure).await),
    };
    let shown = if request.validate_only {
        customer
    } else {
        merged
    };
    let view = get_customer::visible(&api, &viewer, shown).await?;
    Ok(answer::customer(&view, &viewer, true))
}

fn etag_of(check: &mut Check, text: String) -> Option<Option<String>> {
    etag(check, "other_etag", text)
}

/// An etag as the caller sent it; none when empty.
pub(super) fn etag(check: &mut Check, field: &str, text: String) -> Option<Option<String>> {
    let text = check.line(field, text, 100)?;
    Some(Some(text).filter(|text| !text.is_empty()))
}
