//! `ListRelationships`.

use jinke_types::{Body, Failure, RecordKey};

use super::{Api, get_customer, list_timeline_entries::parties};
use crate::{
    access::Viewer,
    convert::{Check, answer::customer_name, pb, record::relationship_out, value::record_key_out},
    store::query::activity,
};

/// Most relationships of one answer.
const MAX_RELATIONSHIPS: u32 = 1_000;

/// Relationships at either end of the visible records of a customer.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::ListRelationshipsRequest,
) -> Result<pb::ListRelationshipsResponse, Failure> {
    let mut check = Check::new();
    let id = check.customer_name("parent", &request.parent);
    let id = check.finish(id)?;
    let customer = get_customer::visible(&api, &viewer, id).await?;
    let numbers = {
        let (mut reader, rows) = api.read(&viewer).await?;
        let parties = parties(&customer);
        activity::relationships(&mut reader, &rows, &parties, MAX_RELATIONSHIPS).await?
    };
    let opened = api.engine.open_records(&numbers).await?;
    let ends: Vec<RecordKey> = opened
        .iter()
        .filter_map(|view| match &view.record.body {
            Body::Relationship(r) => Some([r.from.clone(), r.to.clone()]),
            _ => None,
        })
        .flatten()
        .collect();
    let holders = {
        let (mut reader, rows) = api.read(&viewer).await?;
        activity::holders_of(&mut reader, &rows, &ends).await?
    };
    let name = |key: &RecordKey| {
        holders
            .get(key)
            .copied()
            .map(customer_name)
            .unwrap_or_default()
    };
    let relationships = opened
        .iter()
        .filter_map(|view| match &view.record.body {
            Body::Relationship(r) => Some(pb::list_relationships_response::Entry {
                key: Some(record_key_out(&view.record.key)),
                relationship: Some(relationship_out(r)),
                from_customer: name(&r.from),
                to_customer: name(&r.to),
            }),
            _ => None,
        })
        .collect();
    Ok(pb::ListRelationshipsResponse { relationships })
}
