//! `RemoveCustomerTag`.

use jinke_types::Failure;

use super::{Api, add_customer_tag::tag, get_customer, request_id};
use crate::{
    access::Viewer,
    convert::{Check, answer, pb},
};

const METHOD: &str = "jinke.customer.v1.CustomerService/RemoveCustomerTag";

/// Takes a tag away, wherever in the visible customer it was set; the customer with its tags.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::RemoveCustomerTagRequest,
) -> Result<pb::Customer, Failure> {
    let mut check = Check::new();
    let request_id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, METHOD, &request));
    let id = check.customer_name("name", &request.name);
    let tag = tag(&mut check, request.tag);
    let (id, tag) = check.finish(id.zip(tag))?;
    get_customer::visible(&api, &viewer, id).await?;
    let customer = api
        .engine
        .remove_tag(id, &tag, &viewer.scope, request_id.as_ref())
        .await?;
    let view = get_customer::visible(&api, &viewer, customer).await?;
    Ok(answer::customer(&view, &viewer, true))
}
