//! `ListCustomers`.

use std::collections::BTreeSet;

use jinke_types::{Code, Failure};
use prost::Message as _;

use super::{
    Api, filter, get_customer,
    page::{Binding, MAX_PAGE_BYTES},
    search_customers::{Scan, name_terms},
};
use crate::{
    access::{Viewer, mask},
    convert::{Check, answer, pb},
    domain::CustomerView,
    error,
    store::query::{self, OrderField, list},
};

const METHOD: &str = "ListCustomers";
/// Most customers whose name is compared for a filter by name.
const MAX_NAMED: usize = 1_000;

/// Customers opened together.
const CHUNK: usize = 20;

/// Customers that pass the filter, in order. A page of large ones holds fewer than asked for.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::ListCustomersRequest,
) -> Result<pb::ListCustomersResponse, Failure> {
    let mut check = Check::new();
    let size = check.page_size(request.page_size, 50, 1_000);
    let full = get_customer::full(&mut check, request.view, false);
    let (size, full) = check.finish(size.zip(full))?;
    let filter = filter::parse_filter(&request.filter)?;
    let order = filter::parse_order(&request.order_by, &filter)?;
    let binding = Binding::of(METHOD, &viewer, &[&request.filter, &request.order_by]);
    let after: Option<list::Place> = api.pages.cursor(&binding, &request.page_token)?;

    let named = match &filter.display_name {
        None => None,
        Some(name) => Some(customers_named(&api, &viewer, name).await?),
    };
    let mut places = {
        let (mut reader, rows) = api.read(&viewer).await?;
        if order.field == OrderField::DisplayName
            && !query::is_everything(&mut reader, &rows).await?
        {
            return Err(error::order_needs_all_rows());
        }
        let only = named
            .as_ref()
            .map(|ids| ids.iter().copied().collect::<Vec<_>>());
        list::customers(
            &mut reader,
            &rows,
            &filter,
            only,
            order,
            after.as_ref(),
            size + 1,
        )
        .await?
    };
    let more = places.len() > size as usize;
    places.truncate(size as usize);
    let mut last = places.last();
    let (mut customers, mut bytes, mut before) = (Vec::with_capacity(places.len()), 0, None);
    let mut more = more;
    'page: for chunk in places.chunks(CHUNK) {
        let ids: Vec<i64> = chunk.iter().map(|place| place.id).collect();
        let views = api.engine.golden_many(&ids, &viewer.scope).await?;
        let mut views = views.iter().peekable();
        for place in chunk {
            if let Some(view) = views.next_if(|view| view.id == place.id) {
                let mut customer = answer::customer(view, &viewer, full);
                // Masked first: where a page ends must not tell how much is hidden.
                mask(&mut customer, &viewer.mask);
                bytes += customer.encoded_len();
                if bytes > MAX_PAGE_BYTES && !customers.is_empty() {
                    (last, more) = (before, true);
                    break 'page;
                }
                customers.push(customer);
            }
            before = Some(place);
        }
    }
    let next_page_token = match last {
        Some(place) if more => api.pages.token(&binding, place)?,
        _ => String::new(),
    };
    Ok(pb::ListCustomersResponse {
        customers,
        next_page_token,
    })
}

/// The customers whose name, as the viewer sees it, is exactly this. No column holds that name, so
/// they are found by search terms and compared after opening.
async fn customers_named(api: &Api, viewer: &Viewer, name: &str) -> Result<BTreeSet<i64>, Failure> {
    let mut out = BTreeSet::new();
    let mut scan = Scan::new(api, viewer, name_terms(api, name), 0);
    let mut compared = 0;
    while let Some(views) = scan.next().await? {
        compared += views.len();
        if compared > MAX_NAMED {
            return Err(Failure::new(
                Code::FailedPrecondition,
                "FILTER_TOO_BROAD",
                "too many names are similar to this display_name; search for it instead",
            ));
        }
        let same = |view: &&CustomerView| {
            let name_hidden = view.kind == jinke_types::PartyKind::Person
                && !viewer.allows(jinke_types::FieldClass::PersonName);
            !name_hidden && view.display_name == name
        };
        out.extend(
            views
                .iter()
                .map(|(_, view)| view)
                .filter(same)
                .map(|view| view.id),
        );
    }
    Ok(out)
}
