//! Opportunities, their moves, and the pipelines they run on.

use std::collections::BTreeMap;

use jinke_store::{Rows, Tx, args};
use jinke_types::Failure;

use super::short;
use crate::feed::{OpportunityState, PipelineState, TransitionState};

/// Pipelines as they are now, and the stages of all their versions.
pub(super) async fn put_pipelines(
    tx: &mut Tx,
    generation: i64,
    pipelines: &BTreeMap<&str, &PipelineState>,
) -> Result<(), Failure> {
    let mut versions = Rows::new(&["generation", "pipeline", "version", "stages"]);
    for (id, p) in pipelines {
        let stages = serde_json::to_string(&p.stages).map_err(Failure::internal)?;
        tx.execute(
            "INSERT INTO pipelines (generation, id, name, stages) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (generation, id) DO UPDATE SET name = excluded.name, \
             stages = excluded.stages",
            args![generation, *id, short(&p.name), stages],
        )
        .await?;
        for (version, stages) in &p.versions {
            let stages = serde_json::to_string(stages).map_err(Failure::internal)?;
            versions.push(args![generation, *id, *version, stages]);
        }
    }
    // A version never changes.
    tx.insert_many(
        "pipeline_versions",
        versions,
        "ON CONFLICT (generation, pipeline, version) DO NOTHING",
    )
    .await?;
    Ok(())
}

/// Opportunities as they are now, and their moves.
pub(super) async fn put(
    tx: &mut Tx,
    generation: i64,
    opportunities: &BTreeMap<i64, &OpportunityState>,
    transitions: &BTreeMap<(i64, i64), &TransitionState>,
) -> Result<(), Failure> {
    if !opportunities.is_empty() {
        let ids: Vec<i64> = opportunities.keys().copied().collect();
        tx.execute(
            "DELETE FROM opportunities WHERE generation = $1 AND id IN LIST($2)",
            args![generation, ids],
        )
        .await?;
    }
    let mut rows = Rows::new(&[
        "generation",
        "id",
        "address",
        "holder",
        "pipeline",
        "version",
        "stage",
        "outcome",
        "currency",
        "units",
        "nanos",
        "probability",
        "close_day",
        "owner",
        "org_unit",
        "reason",
        "create_time",
        "outcome_time",
    ]);
    for o in opportunities.values() {
        let amount = o.amount.as_ref();
        let (units, nanos) = amount.map_or((0, 0), |a| (a.1, a.2));
        rows.push(args![
            generation,
            o.id,
            o.address,
            o.holder,
            &o.pipeline,
            o.version,
            &o.stage,
            i64::from(o.outcome),
            amount.map(|a| a.0.as_str()),
            units,
            i64::from(nanos),
            o.probability,
            o.close_day,
            &o.owner,
            &o.org_unit,
            short(&o.reason),
            o.create_time,
            o.outcome_time
        ]);
    }
    tx.insert_many("opportunities", rows, "").await?;
    let mut rows = Rows::new(&[
        "generation",
        "opportunity",
        "number",
        "outcome",
        "pipeline",
        "version",
        "stage",
        "time",
    ]);
    for t in transitions.values() {
        rows.push(args![
            generation,
            t.opportunity,
            t.number,
            i64::from(t.outcome),
            &t.pipeline,
            t.version,
            &t.stage,
            t.time
        ]);
    }
    // A move never changes.
    tx.insert_many(
        "transitions",
        rows,
        "ON CONFLICT (generation, opportunity, number) DO NOTHING",
    )
    .await?;
    Ok(())
}
