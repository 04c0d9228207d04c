//! `DryRunRuleSet`, `GetDryRun`, `ListDryRunDifferences`, `DeleteDryRun`.

use std::sync::Arc;

use jinke_proto::google::longrunning;
use jinke_store::operation::Job;
use jinke_types::{Failure, RecordKey};

use super::{Api, operations, page::Binding, rule_set::number};
use crate::{
    access::Viewer,
    convert::{Check, number::time_out, pb, value::record_key_out},
    engine::{
        Engine,
        dry_run::{DifferenceView, DryRunView},
    },
};

const METHOD: &str = "jinke.customer.v1.MatchService/ListDryRunDifferences";

/// `DryRunRuleSet`.
pub async fn start(
    api: Api,
    viewer: Viewer,
    request: pb::DryRunRuleSetRequest,
) -> Result<longrunning::Operation, Failure> {
    operations::sees_all(&viewer)?;
    let mut check = Check::new();
    let id = number(&mut check, "name", "ruleSets", &request.name);
    api.engine.rule_set(check.finish(id)?).await?;
    let background = &api.background;
    background
        .start(&viewer, operations::DRY_RUN, &request)
        .await
}

/// Does it. A dry run that was interrupted begins anew.
pub(super) async fn work(
    engine: &Engine,
    request: &pb::DryRunRuleSetRequest,
    job: &Arc<Job>,
) -> Result<pb::DryRun, Failure> {
    let mut check = Check::new();
    let id = number(&mut check, "name", "ruleSets", &request.name);
    let id = check.finish(id)?;
    let creator = job.operation().caller.as_str();
    let view = engine
        .dry_run(id, creator, operations::progress(job))
        .await?;
    Ok(out(&view))
}

fn out(view: &DryRunView) -> pb::DryRun {
    let [
        customers_before,
        customers_after,
        reviews_before,
        reviews_after,
    ] = view.counts;
    pb::DryRun {
        name: format!("dryRuns/{}", view.row.id),
        rule_set: format!("ruleSets/{}", view.row.rule_set),
        revision: view.row.revision,
        merges: view.merges,
        splits: view.splits,
        differences: view.differences.0,
        unapproved: view.differences.1,
        customers_before,
        customers_after,
        reviews_before,
        reviews_after,
        create_time: Some(time_out(view.row.create_time)),
    }
}

/// `GetDryRun`.
pub async fn get(
    api: Api,
    viewer: Viewer,
    request: pb::GetDryRunRequest,
) -> Result<pb::DryRun, Failure> {
    operations::sees_all(&viewer)?;
    let mut check = Check::new();
    let id = number(&mut check, "name", "dryRuns", &request.name);
    Ok(out(&api.engine.dry_run_view(check.finish(id)?).await?))
}

/// `ListDryRunDifferences`.
pub async fn differences(
    api: Api,
    viewer: Viewer,
    request: pb::ListDryRunDifferencesRequest,
) -> Result<pb::ListDryRunDifferencesResponse, Failure> {
    operations::sees_all(&viewer)?;
    let mut check = Check::new();
    let id = number(&mut check, "parent", "dryRuns", &request.parent);
    let size = check.page_size(request.page_size, 50, 200);
    let (id, size) = check.finish(id.zip(size))?;
    let binding = Binding::of(METHOD, &viewer, &[&request.parent]);
    let after: Option<(bool, i64)> = api.pages.cursor(&binding, &request.page_token)?;
    let list = api
        .engine
        .dry_run_differences(id, after, i64::from(size))
        .await?;
    let full = list.len() == size as usize;
    let next_page_token = match list.last().filter(|_| full) {
        Some(last) => api
            .pages
            .token(&binding, &(last.approved, last.component))?,
        None => String::new(),
    };
    Ok(pb::ListDryRunDifferencesResponse {
        differences: list.into_iter().map(difference).collect(),
        next_page_token,
    })
}

fn difference(d: DifferenceView) -> pb::DryRunDifference {
    use pb::dry_run_difference::{Group, Kind};
    let kind = match (d.before.len(), d.after.len()) {
        (_, 1) => Kind::Merge,
        (1, _) => Kind::Split,
        _ => Kind::Change,
    };
    let groups = |list: Vec<(i64, Vec<RecordKey>)>| {
        list.into_iter()
            .map(|(customer, records)| Group {
                customer: format!("customers/{customer}"),
                records: records.iter().map(record_key_out).collect(),
            })
            .collect()
    };
    pb::DryRunDifference {
        kind: kind.into(),
        before: groups(d.before),
        after: groups(d.after),
        approved: d.approved,
    }
}

/// `DeleteDryRun`.
pub async fn delete(
    api: Api,
    viewer: Viewer,
    request: pb::DeleteDryRunRequest,
) -> Result<pb::DeleteDryRunResponse, Failure> {
    operations::sees_all(&viewer)?;
    let mut check = Check::new();
    let id = number(&mut check, "name", "dryRuns", &request.name);
    api.engine.delete_dry_run(check.finish(id)?).await?;
    Ok(pb::DeleteDryRunResponse {})
}
