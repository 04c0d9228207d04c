//! `GetCustomerStats`.

use jinke_types::Failure;

use super::Api;
use crate::{
    access::Viewer,
    convert::pb,
    store::{pending, query::stats::stats},
};

/// Counts of what the caller sees.
pub async fn run(
    api: Api,
    viewer: Viewer,
    _: pb::GetCustomerStatsRequest,
) -> Result<pb::GetCustomerStatsResponse, Failure> {
    let (mut reader, rows) = api.read(&viewer).await?;
    let counted = stats(&mut reader, &rows).await?;
    let pending_records = pending::count(&mut reader).await?;
    let held: i64 = counted.sources.values().map(|count| count.held).sum();
    Ok(pb::GetCustomerStatsResponse {
        sources: counted
            .sources
            .into_iter()
            .map(
                |(source, count)| pb::get_customer_stats_response::SourceCount {
                    source: format!("sources/{source}"),
                    parties: count.parties,
                    relationships: count.relationships,
                    transactions: count.transactions,
                    interactions: count.interactions,
                },
            )
            .collect(),
        organizations: counted.organizations,
        persons: counted.persons,
        merged_records: (held - counted.organizations - counted.persons).max(0),
        open_reviews: counted.open_reviews,
        pending_records,
    })
}
