//! `AddCustomerTag`.

use jinke_types::Failure;

use super::{Api, get_customer, request_id};
use crate::{
    access::Viewer,
    convert::{Check, answer, pb},
    domain::MAX_TAG,
};

const METHOD: &str = "jinke.customer.v1.CustomerService/AddCustomerTag";

/// Sets a tag at the addressed record; the customer with its tags.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::AddCustomerTagRequest,
) -> Result<pb::Customer, Failure> {
    let mut check = Check::new();
    let request_id = check
        .request_id(&request.request_id)
        .and_then(|id| request_id(id, &viewer, METHOD, &request));
    let id = check.customer_name("name", &request.name);
    let tag = tag(&mut check, request.tag);
    let (id, tag) = check.finish(id.zip(tag))?;
    get_customer::visible(&api, &viewer, id).await?;
    let creator = &viewer.caller.name;
    let customer = api
        .engine
        .add_tag(id, &tag, creator, &viewer.scope, request_id.as_ref())
        .await?;
    let view = get_customer::visible(&api, &viewer, customer).await?;
    Ok(answer::customer(&view, &viewer, true))
}

/// A tag: 1 to [`MAX_TAG`] characters on one line, without blanks around it.
pub(super) fn tag(check: &mut Check, tag: String) -> Option<String> {
    let tag = check.line("tag", tag.trim().to_owned(), MAX_TAG)?;
    if tag.is_empty() {
        check.wrong("tag", "is required")
    } else {
        Some(tag)
    }
}
