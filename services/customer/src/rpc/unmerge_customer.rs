//! `UnmergeCustomer`.

use jinke_types::Failure;

use super::{Api, get_customer, merge_customers::etag, request_id};
use crate::{
    access::Viewer,
    convert::{Check, answer, pb, value::record_key},
    domain::{MAX_COMMENT, Unmerge},
};

const METHOD: &str = "jinke.customer.v1.CustomerService/UnmergeCustomer";
/// Most records that leave in one call.
const MAX_LEAVING: usize = 1_000;

/// Judges that the leaving records are not the party of the others; the customers that hold all of
/// them then. With `validate_only` nothing is stored and the customer is given back as it is.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::UnmergeCustomerRequest,
) -> Result<pb::UnmergeCustomerResponse, Failure> {
    let mut check = Check::new();
    let id = check.request_id(&request.request_id);
    let id = id.and_then(|id| request_id(id, &viewer, METHOD, &request));
    let customer = check.customer_name("name", &request.name);
    if request.records.is_empty() || request.records.len() > MAX_LEAVING {
        check.wrong::<()>("records", format!("must hold 1 to {MAX_LEAVING} records"));
    }
    let leaving: Option<Vec<_>> = request
        .records
        .into_iter()
        .take(MAX_LEAVING)
        .enumerate()
        .map(|(i, key)| record_key(&mut check, &format!("records[{i}]"), Some(key)))
        .collect();
    let comment = check.text("comment", request.comment, MAX_COMMENT);
    let etag = etag(&mut check, "etag", request.etag);
    let ((customer, leaving), (comment, etag)) =
        check.finish(customer.zip(leaving).zip(comment.zip(etag)))?;
    // On a replay the records have left already, so whether they are held is the engine's to say.
    get_customer::visible(&api, &viewer, customer).await?;
    let unmerge = Unmerge {
        customer,
        leaving,
        comment,
        etag,
        validate_only: request.validate_only,
        creator: viewer.caller.name.clone(),
    };
    let now = api
        .engine
        .unmerge(unmerge, &viewer.scope, id.as_ref())
        .await?;
    let ids = if request.validate_only {
        vec![get_customer::visible(&api, &viewer, customer).await?.id]
    } else {
        now
    };
    let views = api.engine.golden_many(&ids, &viewer.scope).await?;
    let customers = views
        .iter()
        .map(|view| answer::customer(view, &viewer, true))
        .collect();
    Ok(pb::UnmergeCustomerResponse { customers })
}
