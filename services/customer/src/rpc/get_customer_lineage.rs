//! `GetCustomerLineage`.

use std::collections::BTreeMap;

use jinke_types::{Failure, Timestamp, Value};

use super::{Api, get_customer};
use crate::{
    access::Viewer,
    convert::{
        Check, answer,
        number::time_out,
        pb,
        record::party_kind_out,
        value::{record_key_out, value_out},
    },
    domain::CustomerView,
};

/// Every value of every visible record behind the golden values, and the links that hold the
/// records together.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::GetCustomerLineageRequest,
) -> Result<pb::GetCustomerLineageResponse, Failure> {
    let mut check = Check::new();
    let id = check.customer_name("name", &request.name);
    let id = check.finish(id)?;
    let view = get_customer::visible(&api, &viewer, id).await?;
    let (links, cohesion) = api.engine.links(view.id, &viewer.scope).await?;
    let rules = api.engine.rules().await?;
    Ok(pb::GetCustomerLineageResponse {
        attributes: attributes(&view, &viewer),
        links: links
            .iter()
            .map(|link| answer::explanation(link, &rules))
            .collect(),
        kind: party_kind_out(view.kind).into(),
        cohesion: Some(answer::cohesion(&cohesion, view.kind, &viewer)),
    })
}

/// One candidate while they are gathered: survivors first, then by record and value.
type Candidates<'a> = BTreeMap<(bool, usize, &'a Value), Option<Timestamp>>;

fn attributes(
    view: &CustomerView,
    viewer: &Viewer,
) -> Vec<pb::get_customer_lineage_response::Attribute> {
    let mut groups: Vec<(&Value, &'static str, Candidates<'_>)> = Vec::new();
    for golden in view
        .values
        .iter()
        .filter(|g| viewer.sees(view.kind, &g.value))
    {
        let value = &golden.value;
        let same = |of: &Value| of.attribute == value.attribute && of.scope == value.scope;
        if !groups.last().is_some_and(|(first, ..)| same(first)) {
            groups.push((value, golden.rule, BTreeMap::new()));
        }
        let Some((_, _, candidates)) = groups.last_mut() else {
            continue;
        };
        for record in golden.supported_by.iter().chain([&golden.record]) {
            candidates.insert((false, *record, value), golden.time);
        }
        for losing in golden
            .losing
            .iter()
            .filter(|l| viewer.sees(view.kind, &l.value))
        {
            candidates.insert((true, losing.record, &losing.value), losing.time);
        }
    }
    groups
        .into_iter()
        .map(
            |(first, rule, candidates)| pb::get_customer_lineage_response::Attribute {
                attribute: first.attribute.clone(),
                scope: first.scope.clone(),
                rule: rule.to_owned(),
                candidates: candidates
                    .into_iter()
                    .filter_map(|((lost, record, value), time)| {
                        let record = view.records.get(record)?;
                        Some(pb::get_customer_lineage_response::Candidate {
                            value: Some(value_out(value)),
                            record: Some(record_key_out(&record.key)),
                            version: record.version,
                            time: time.map(time_out),
                            survived: !lost,
                        })
                    })
                    .collect(),
            },
        )
        .collect()
}
