//! Pipelines, stages and assignment rules.

use std::collections::BTreeSet;

use super::{
    Check,
    number::{duration, duration_out, time_out},
    pb,
};
use crate::{
    domain::{
        Item, Process, Stage,
        assign::{ROUND_ROBIN, Rule, RuleBody},
        etag, process,
    },
    store::pipelines::{PipelineRow, VersionRow},
};

/// Most stages of a pipeline.
pub const MAX_STAGES: usize = 50;
/// Most items of a checklist.
pub const MAX_ITEMS: usize = 50;
/// Most owners of a rule.
pub const MAX_OWNERS: usize = 200;
/// Most regions and channels of a rule.
pub const MAX_CONDITIONS: usize = 200;

/// The stages of a pipeline.
pub fn process(check: &mut Check, stages: Vec<pb::Stage>) -> Option<Process> {
    if stages.is_empty() || stages.len() > MAX_STAGES {
        return check.wrong("pipeline.stages", format!("are not 1 to {MAX_STAGES}"));
    }
    let ids: BTreeSet<String> = stages.iter().map(|s| s.stage.clone()).collect();
    if ids.len() != stages.len() {
        return check.wrong("pipeline.stages", "hold one id twice");
    }
    let mut out = Vec::with_capacity(stages.len());
    for (i, s) in stages.into_iter().enumerate() {
        out.push(stage(check, &format!("pipeline.stages[{i}]"), s, &ids)?);
    }
    let opens = out.iter().take_while(|s| !s.after_win).count();
    if opens == 0 || out[opens..].iter().any(|s| !s.after_win) {
        let why = "begin with a stage before the win; those after the win stand last";
        return check.wrong("pipeline.stages", why);
    }
    if !out.iter().any(|s| s.allows_win) {
        return check.wrong("pipeline.stages", "have none in which to win (allows_win)");
    }
    Some(Process(out))
}

fn stage(check: &mut Check, path: &str, s: pb::Stage, ids: &BTreeSet<String>) -> Option<Stage> {
    let at = |field: &str| format!("{path}.{field}");
    let id = check.id(&at("stage"), &s.stage);
    let name = check.required(&at("display_name"), s.display_name, 100);
    if !(0..=100).contains(&s.probability) {
        check.wrong::<()>(at("probability"), "is not between 0 and 100");
    }
    let unknown = s.required_fields.iter().find(|f| !process::is_field(f));
    if s.required_fields.len() > 20 || unknown.is_some() {
        let why = "are not up to 20 of amount, close_date, line_items, contacts, contacts.<role>, \
                   owner, description";
        check.wrong::<()>(at("required_fields"), why);
    }
    if s.next_stages.iter().any(|n| !ids.contains(n)) || s.next_stages.len() > MAX_STAGES {
        check.wrong::<()>(at("next_stages"), "name a stage that is not there");
    }
    if s.allows_win && s.after_win {
        check.wrong::<()>(at("allows_win"), "cannot be set after the win");
    }
    if s.checklist.len() > MAX_ITEMS {
        check.wrong::<()>(at("checklist"), format!("has more than {MAX_ITEMS} items"));
        return None;
    }
    let mut items = Vec::new();
    let mut seen = BTreeSet::new();
    for (i, item) in s.checklist.into_iter().enumerate() {
        let field = format!("{path}.checklist[{i}]");
        let id = check.id(&format!("{field}.item"), &item.item)?;
        let text = check.required(&format!("{field}.text"), item.text, 200)?;
        if !seen.insert(id.clone()) {
            return check.wrong(format!("{field}.item"), "is there twice");
        }
        items.push(Item {
            item: id,
            text,
            optional: item.optional,
        });
    }
    Some(Stage {
        stage: id?,
        display_name: name?,
        probability: s.probability,
        required_fields: s.required_fields,
        checklist: items,
        next_stages: s.next_stages,
        time_limit: duration(check, &at("time_limit"), s.time_limit)?.filter(|d| *d > 0),
        allows_win: s.allows_win,
        after_win: s.after_win,
    })
}

/// A stage on its way out.
pub fn stage_out(s: &Stage) -> pb::Stage {
    pb::Stage {
        stage: s.stage.clone(),
        display_name: s.display_name.clone(),
        probability: s.probability,
        required_fields: s.required_fields.clone(),
        checklist: s
            .checklist
            .iter()
            .map(|i| pb::stage::ChecklistItem {
                item: i.item.clone(),
                text: i.text.clone(),
                optional: i.optional,
            })
            .collect(),
        next_stages: s.next_stages.clone(),
        time_limit: s.time_limit.map(duration_out),
        allows_win: s.allows_win,
        after_win: s.after_win,
    }
}

/// A pipeline on its way out, with the stages of one version.
pub fn pipeline_out(p: &PipelineRow, version: i64, process: &Process) -> pb::Pipeline {
    pb::Pipeline {
        name: format!("pipelines/{}", p.id),
        uid: format!("pipeline-{}", p.uid),
        display_name: p.display_name.clone(),
        stages: process.0.iter().map(stage_out).collect(),
        version,
        archived: p.archived,
        stale_after: Some(duration_out(p.stale_after)),
        etag: etag(p.revision),
        create_time: Some(time_out(p.create_time)),
        update_time: Some(time_out(p.update_time)),
        revision: p.revision,
    }
}

/// A version on its way out.
pub fn version_out(pipeline: &str, v: &VersionRow, running: i64) -> pb::PipelineVersion {
    pb::PipelineVersion {
        name: format!("pipelines/{pipeline}/versions/{}", v.version),
        version: v.version,
        stages: v.process.0.iter().map(stage_out).collect(),
        create_time: Some(time_out(v.create_time)),
        creator: v.creator.clone(),
        opportunity_count: running,
    }
}

/// What a rule says. Fields that are not named are not looked at.
pub fn rule(check: &mut Check, r: pb::AssignmentRule) -> Option<RuleBody> {
    let at = |field: &str| format!("assignment_rule.{field}");
    let display_name = check.line(&at("display_name"), r.display_name, 200);
    let mut lists = Vec::new();
    for (field, list, max) in [("regions", r.regions, 100), ("channels", r.channels, 63)] {
        if list.len() > MAX_CONDITIONS {
            return check.wrong(at(field), format!("are more than {MAX_CONDITIONS}"));
        }
        let mut out = Vec::new();
        for (i, one) in list.into_iter().enumerate() {
            out.push(check.required(&format!("assignment_rule.{field}[{i}]"), one, max)?);
        }
        lists.push(out);
    }
    let strategy = check.choice::<pb::assignment_rule::Strategy>(
        &at("strategy"),
        r.strategy,
        Some(ROUND_ROBIN),
    );
    if r.owners.is_empty() || r.owners.len() > MAX_OWNERS {
        check.wrong::<()>(at("owners"), format!("are not 1 to {MAX_OWNERS}"));
        return None;
    }
    let mut owners = Vec::new();
    for (i, owner) in r.owners.iter().enumerate() {
        owners.push(check.member(&format!("assignment_rule.owners[{i}]"), owner, false)?);
    }
    let org_unit = check.org_unit(&at("org_unit"), &r.org_unit);
    let channels = lists.pop()?;
    Some(RuleBody {
        display_name: display_name?,
        regions: lists.pop()?,
        channels,
        strategy: strategy?,
        owners,
        org_unit: org_unit?,
        disabled: r.disabled,
    })
}

/// A rule on its way out.
pub fn rule_out(r: &Rule) -> pb::AssignmentRule {
    pb::AssignmentRule {
        name: format!("assignmentRules/{}", r.id),
        display_name: r.body.display_name.clone(),
        priority: i32::try_from(r.priority).unwrap_or(i32::MAX),
        regions: r.body.regions.clone(),
        channels: r.body.channels.clone(),
        strategy: i32::try_from(r.body.strategy).unwrap_or_default(),
        owners: r.body.owners.clone(),
        org_unit: r.body.org_unit.clone(),
        disabled: r.body.disabled,
        etag: etag(r.revision),
        revision: r.revision,
        create_time: Some(time_out(r.create_time)),
        update_time: Some(time_out(r.update_time)),
    }
}
