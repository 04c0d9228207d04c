//! What the values of dimensions are called: names beside codes, ids and resource names.
//!
//! A name is shown to who sees the row it stands in. Names of users are of the class person name.

use std::collections::{BTreeMap, BTreeSet};

use jinke_types::{Failure, FieldClass};

use super::Api;
use crate::{
    access::Viewer,
    convert::pb,
    facts::{Frame, Stage},
    measures::Dimension,
    store::directory,
};

/// Puts a label beside every value of the rows.
pub(super) async fn put(
    api: &Api,
    viewer: &Viewer,
    frame: &Frame,
    dimensions: &[&'static Dimension],
    rows: &mut [pb::MetricRow],
) -> Result<(), Failure> {
    if dimensions.is_empty() {
        return Ok(());
    }
    let people = people(api, viewer, rows).await?;
    let products = if dimensions.iter().any(|d| d.id == "product") {
        frame.product_names()
    } else {
        BTreeMap::new()
    };
    let pipeline = dimensions.iter().position(|d| d.id == "pipeline");
    for row in rows {
        let of = pipeline.and_then(|n| row.dimension_values.get(n));
        row.dimension_labels = dimensions
            .iter()
            .zip(&row.dimension_values)
            .map(|(d, value)| match d.id {
                "product" => products.get(value.as_str()).map(|name| (*name).to_owned()),
                "person" | "sales_owner" | "owner" => people.get(value).cloned(),
                "stage" => stage(frame, of.map(String::as_str), value),
                id => named(frame, id, value),
            })
            .map(Option::unwrap_or_default)
            .collect();
    }
    Ok(())
}

/// Names of the users among the values, for those who may read names of persons.
async fn people(
    api: &Api,
    viewer: &Viewer,
    rows: &[pb::MetricRow],
) -> Result<BTreeMap<String, String>, Failure> {
    let users: BTreeSet<&str> = rows
        .iter()
        .flat_map(|row| &row.dimension_values)
        .map(String::as_str)
        .filter(|value| value.starts_with("users/"))
        .collect();
    if users.is_empty() || !viewer.mask.allows(FieldClass::PersonName) {
        return Ok(BTreeMap::new());
    }
    let mut conn = api.core.db.read().await?;
    directory::names(&mut conn, &api.core.ring, &users).await
}

fn named(frame: &Frame, dimension: &str, value: &str) -> Option<String> {
    match dimension {
        "customer" => {
            let id = value.strip_prefix("customers/")?.parse().ok()?;
            Some(frame.customer(frame.find(id)?).name.clone())
        }
        "org_unit" | "person_org_unit" => Some(frame.units.get(value)?.name.clone()),
        "source" => {
            let found = frame.sources.iter().find(|s| s.id == value)?;
            Some(found.name.clone())
        }
        "pipeline" => frame.pipelines.get(value).cloned(),
        _ => None,
    }
}

/// A stage's name as the newest version says it that has the stage: of the row's pipeline, or of the
/// first that has one of that id.
fn stage(frame: &Frame, pipeline: Option<&str>, id: &str) -> Option<String> {
    let mine = |of: &str| pipeline.is_none_or(|p| p == of);
    let name = |stages: &[Stage]| {
        let found = stages.iter().find(|s| s.id == id)?;
        Some(found.name.clone())
    };
    let newest = frame.stages.iter().filter(|(p, _)| mine(p));
    let older = frame.versions.iter().rev().filter(|((p, _), _)| mine(p));
    newest
        .map(|(_, stages)| stages)
        .chain(older.map(|(_, stages)| stages))
        .find_map(|stages| name(stages))
}
