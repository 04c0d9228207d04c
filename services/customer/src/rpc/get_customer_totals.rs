//! `GetCustomerTotals`.

use std::collections::BTreeMap;

use jinke_types::{Failure, FieldClass, Money};

use super::{Api, get_customer, list_timeline_entries::parties};
use crate::{
    access::Viewer,
    convert::{Check, number::money_out, pb, record::transaction_kind_out},
    domain::transaction_from_code,
    store::query::activity::{self, Sum},
};

/// Sums of the transactions of a customer's visible records, by kind and currency.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::GetCustomerTotalsRequest,
) -> Result<pb::GetCustomerTotalsResponse, Failure> {
    let mut check = Check::new();
    let id = check.customer_name("name", &request.name);
    let id = check.finish(id)?;
    let customer = get_customer::visible(&api, &viewer, id).await?;
    let sums = {
        let (mut reader, rows) = api.read(&viewer).await?;
        activity::totals(&mut reader, &rows, &parties(&customer)).await?
    };
    // The currency belongs to the amount: whoever may not see amounts gets one line per kind, as
    // if there were no currencies.
    let financial = viewer.allows(FieldClass::Financial);
    let mut lines = BTreeMap::<(i64, String), Sum>::new();
    for ((kind, currency), sum) in sums {
        let currency = if financial { currency } else { String::new() };
        let line = lines.entry((kind, currency)).or_default();
        line.count += sum.count;
        line.amount = sum.amount;
    }
    let totals = lines
        .into_iter()
        .map(|((kind, currency), sum)| {
            let kind = transaction_from_code(kind)
                .ok_or_else(|| Failure::internal("a stored sum is of an unknown kind"))?;
            let amount = (!currency.is_empty()).then(|| {
                money_out(&Money {
                    currency,
                    amount: sum.amount,
                })
            });
            Ok(pb::get_customer_totals_response::Total {
                kind: transaction_kind_out(kind).into(),
                count: sum.count,
                amount,
            })
        })
        .collect::<Result<_, Failure>>()?;
    Ok(pb::GetCustomerTotalsResponse { totals })
}
