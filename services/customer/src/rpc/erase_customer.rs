//! `EraseCustomer`.

use jinke_types::Failure;

use super::{Api, get_customer, merge_customers::etag, request_id};
use crate::{
    access::Viewer,
    convert::{Check, pb},
    domain::Erase,
};

const METHOD: &str = "jinke.customer.v1.CustomerService/EraseCustomer";

/// Erases the records of a customer that the caller sees; how many.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::EraseCustomerRequest,
) -> Result<pb::EraseCustomerResponse, Failure> {
    let mut check = Check::new();
    let id = check.request_id(&request.request_id);
    let id = id.and_then(|id| request_id(id, &viewer, METHOD, &request));
    let customer = check.customer_name("name", &request.name);
    let etag = etag(&mut check, "etag", request.etag);
    let (customer, etag) = check.finish(customer.zip(etag))?;
    // A repeated request finds nobody there any more, and is answered all the same.
    if id.is_none() {
        get_customer::visible(&api, &viewer, customer).await?;
    }
    let erase = Erase {
        customer,
        etag,
        validate_only: request.validate_only,
    };
    let erased = api.engine.erase(erase, &viewer.scope, id.as_ref()).await?;
    Ok(pb::EraseCustomerResponse {
        records: erased.records,
        activities: erased.activities,
    })
}
