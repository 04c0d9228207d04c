//! `BatchGetCustomers`.

use jinke_types::Failure;

use super::{Api, get_customer};
use crate::{
    access::Viewer,
    convert::{Check, answer, pb},
};

/// Most names of one call.
const MAX_NAMES: usize = 100;

/// Customers in the order asked for. One that is not found fails the call, named in the message.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::BatchGetCustomersRequest,
) -> Result<pb::BatchGetCustomersResponse, Failure> {
    let mut check = Check::new();
    if request.names.is_empty() || request.names.len() > MAX_NAMES {
        check.wrong::<()>("names", format!("must hold 1 to {MAX_NAMES} names"));
    }
    let full = get_customer::full(&mut check, request.view, true);
    let ids: Option<Vec<i64>> = request
        .names
        .iter()
        .take(MAX_NAMES)
        .enumerate()
        .map(|(i, name)| check.customer_name(format!("names[{i}]"), name))
        .collect();
    let (ids, full) = check.finish(ids.zip(full))?;
    let mut customers = Vec::with_capacity(ids.len());
    for id in ids {
        let view = get_customer::visible(&api, &viewer, id).await?;
        customers.push(answer::customer(&view, &viewer, full));
    }
    Ok(pb::BatchGetCustomersResponse { customers })
}
