//! The feed of pipeline in this service's words: opportunities, moves, pipelines, activities.

use jinke_proto::jinke::pipeline::v1::{self as pipeline, pipeline_change::Snapshot};

use super::feed::{id_of, money, no_of, time};
use crate::{
    facts::{Stage, Stages},
    feed::{Change, InteractionState, OpportunityState, Page, PipelineState, TransitionState},
};

/// A page of the feed of pipeline.
pub fn page(page: pipeline::ListPipelineChangesResponse) -> Page {
    let last = page.changes.last();
    let (position, at) = (
        last.map(|c| c.position),
        last.and_then(|c| time(c.change_time)),
    );
    let mut changes = Vec::new();
    for change in page.changes {
        if let Some(t) = change.transition {
            changes.extend(transition(t));
        }
        changes.push(match change.snapshot {
            Some(Snapshot::Opportunity(o)) => opportunity(o),
            Some(Snapshot::Pipeline(p)) => pipeline_state(p),
            Some(Snapshot::Activity(a)) => activity(a),
            _ => Change::Other,
        });
    }
    Page {
        changes,
        next: page.next_page_token,
        position,
        time: at,
    }
}

fn opportunity(o: pipeline::Opportunity) -> Change {
    let (Some(id), Some(address)) = (
        no_of(&o.name, "opportunities/"),
        no_of(&o.customer, "customers/"),
    ) else {
        return Change::Other;
    };
    let outcome = match o.outcome() {
        pipeline::opportunity::Outcome::Won => 2,
        pipeline::opportunity::Outcome::Lost => 3,
        _ => 1,
    };
    Change::Opportunity(Box::new(OpportunityState {
        id,
        address,
        holder: no_of(&o.current_customer, "customers/"),
        outcome,
        pipeline: id_of(&o.pipeline, "pipelines/"),
        version: o.pipeline_version,
        stage: o.stage,
        amount: money(o.amount),
        probability: o.probability,
        close_day: o.close_date.and_then(|d| {
            let day = chrono::NaiveDate::from_ymd_opt(
                d.year,
                u32::try_from(d.month).ok()?,
                u32::try_from(d.day).ok()?,
            )?;
            i32::try_from((day - chrono::NaiveDate::default()).num_days()).ok()
        }),
        owner: o.owner,
        org_unit: o.org_unit,
        reason: o.outcome_reason,
        create_time: time(o.create_time).unwrap_or_default(),
        outcome_time: time(o.outcome_time),
    }))
}

fn transition(t: pipeline::Transition) -> Option<Change> {
    use pipeline::transition::Kind;
    let outcome = match t.kind() {
        Kind::Won => 2,
        Kind::Lost => 3,
        _ => 1,
    };
    let number = t.name.rsplit('/').next()?.parse().ok()?;
    Some(Change::Transition(Box::new(TransitionState {
        opportunity: no_of(&t.opportunity, "opportunities/")?,
        number,
        outcome,
        pipeline: id_of(&t.pipeline, "pipelines/"),
        version: t.to_version,
        stage: t.to_stage,
        time: time(t.transition_time).unwrap_or_default(),
    })))
}

/// A pipeline; its versions are asked for apart.
fn pipeline_state(p: pipeline::Pipeline) -> Change {
    Change::Pipeline(Box::new(PipelineState {
        id: id_of(&p.name, "pipelines/"),
        name: p.display_name,
        stages: stages(p.stages),
        versions: Vec::new(),
    }))
}

/// One version of a pipeline: its number and stages.
pub(super) fn version(v: pipeline::PipelineVersion) -> (i64, Stages) {
    (v.version, stages(v.stages))
}

fn stages(list: Vec<pipeline::Stage>) -> Stages {
    let stage = |s: pipeline::Stage| Stage {
        id: s.stage,
        name: s.display_name,
        after_win: s.after_win,
    };
    list.into_iter().map(stage).collect()
}

/// An activity becomes an interaction whose id is the negative of its own.
fn activity(a: pipeline::Activity) -> Change {
    let Some(id) = no_of(&a.name, "activities/") else {
        return Change::Other;
    };
    let address = no_of(&a.customer, "customers/");
    if a.retracted || address.is_none() {
        return Change::Gone(-id);
    }
    Change::Interaction(Box::new(InteractionState {
        id: -id,
        key: (String::new(), a.name),
        party: None,
        address,
        holder: no_of(&a.current_customer, "customers/"),
        org_unit: a.org_unit,
        kind: u8::try_from(a.kind).unwrap_or_default(),
        time: time(a.activity_time).unwrap_or_default(),
        channel: a.channel,
        inbound: a.inbound,
        employee: a.owner,
        rating: None,
    }))
}
