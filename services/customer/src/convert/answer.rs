//! What goes out: customers, revisions, changes, explanations, reviews, judgements, sources.
//!
//! Golden values are masked here already, before counts are taken of them: how many values lost is
//! counted over values the viewer may see.

use jinke_types::{Code, Failure, RecordKey};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use super::{
    number::time_out,
    pb,
    record::{body_out, party_kind_out},
    value::{record_key_out, value_out},
};
use crate::{
    access::{Viewer, shows_comparison},
    domain::{
        ChangeKind, Cohesion, CustomerView, Decision, GoldenEntry, IngestResult, JudgementView,
        MemberRecord, Outcome, PairExplanation, RecordView, ReviewReason, ReviewView, RevisionView,
        Shown, Source, WeighedPair, etag,
    },
};
use jinke_types::{Completeness, PartyKind};

/// `customers/{id}`.
pub fn customer_name(id: i64) -> String {
    format!("customers/{id}")
}

/// A source.
pub fn source(s: &Source) -> pb::Source {
    use pb::source::Sharing;
    pb::Source {
        name: format!("sources/{}", s.id),
        uid: s.uid.to_string(),
        display_name: s.display_name.clone(),
        trust: Some(s.trust),
        org_unit: s.org_unit.clone(),
        sharing: if s.shared {
            Sharing::Group
        } else {
            Sharing::OrgUnit
        }
        .into(),
        etag: etag(s.revision),
        create_time: Some(time_out(s.create_time)),
        update_time: Some(time_out(s.update_time)),
    }
}

/// A customer. Without values, records and tags when `full` is false.
pub fn customer(view: &CustomerView, viewer: &Viewer, full: bool) -> pb::Customer {
    let mut out = pb::Customer {
        name: customer_name(view.id),
        uid: view.id.to_string(),
        kind: party_kind_out(view.kind).into(),
        display_name: view.display_name.clone(),
        revision: view.revision,
        etag: etag(view.revision),
        create_time: Some(time_out(view.create_time)),
        update_time: Some(time_out(view.update_time)),
        delete_time: view.delete_time.map(time_out),
        record_count: i32::try_from(view.records.len()).unwrap_or(i32::MAX),
        ..pb::Customer::default()
    };
    if full {
        out.values = golden_values(view.kind, &view.values, &view.records, viewer);
        out.records = view.records.iter().map(member).collect();
        out.tags = view
            .tags
            .iter()
            .map(|tag| pb::customer::Tag {
                tag: tag.tag.clone(),
                address: customer_name(tag.record_no),
                create_time: Some(time_out(tag.create_time)),
                creator: tag.creator.clone(),
            })
            .collect();
    }
    out
}

/// A line of the crosswalk.
pub fn member(record: &MemberRecord) -> pb::customer::Record {
    pb::customer::Record {
        key: Some(record_key_out(&record.key)),
        address: customer_name(record.record_no),
        deleted: record.deleted,
        version: record.version,
    }
}

/// The golden values the viewer may see.
pub fn golden_values(
    kind: PartyKind,
    values: &[GoldenEntry],
    records: &[MemberRecord],
    viewer: &Viewer,
) -> Vec<pb::GoldenValue> {
    let key = |i: usize| records.get(i).map(|r| record_key_out(&r.key));
    values
        .iter()
        .filter(|g| viewer.sees(kind, &g.value))
        .map(|g| {
            let losing = g
                .losing
                .iter()
                .filter(|l| viewer.sees(kind, &l.value))
                .count();
            pb::GoldenValue {
                value: Some(value_out(&g.value)),
                provenance: Some(pb::Provenance {
                    record: key(g.record),
                    rule: g.rule.to_owned(),
                    time: g.time.map(time_out),
                    supported_by: g
                        .supported_by
                        .iter()
                        .filter(|i| **i != g.record)
                        .filter_map(|i| key(*i))
                        .collect(),
                    losing_count: i32::try_from(losing).unwrap_or(i32::MAX),
                }),
            }
        })
        .collect()
}

/// A revision.
pub fn revision(view: &RevisionView, kind: PartyKind, viewer: &Viewer) -> pb::CustomerRevision {
    pb::CustomerRevision {
        name: format!("customers/{}/revisions/{}", view.customer, view.revision),
        revision: view.revision,
        position: 0,
        time: Some(time_out(view.time)),
        kind: change_kind(view.kind).into(),
        records: view.records.iter().map(member).collect(),
        values: golden_values(kind, &view.values, &view.records, viewer),
        party_kind: party_kind_out(kind).into(),
    }
}

/// What happened to a customer.
pub const fn change_kind(kind: ChangeKind) -> pb::ChangeKind {
    match kind {
        ChangeKind::Created => pb::ChangeKind::Created,
        ChangeKind::Updated => pb::ChangeKind::Updated,
        ChangeKind::Merged => pb::ChangeKind::Merged,
        ChangeKind::Unmerged => pb::ChangeKind::Unmerged,
        ChangeKind::Redirected => pb::ChangeKind::Redirected,
        ChangeKind::Deleted => pb::ChangeKind::Deleted,
        ChangeKind::Erased => pb::ChangeKind::Erased,
    }
}

/// A source record in its effective state or one of its versions.
pub fn source_record(view: &RecordView) -> pb::SourceRecord {
    use pb::source_record::Completeness as C;
    let record = &view.record;
    let completeness = match record.completeness {
        Completeness::Full => C::Full,
        Completeness::Partial => C::Partial,
    };
    pb::SourceRecord {
        key: Some(record_key_out(&record.key)),
        source_revision: record.source_revision,
        source_update_time: record.update_time.map(time_out),
        completeness: completeness.into(),
        deleted: record.deleted,
        version: view.version,
        customer: view.customer.map(customer_name).unwrap_or_default(),
        receive_time: Some(time_out(view.receive_time)),
        body: Some(body_out(&record.body)),
    }
}

/// What became of one record of a batch; `index` is its place in the request.
pub fn ingest_result(result: IngestResult, index: usize) -> pb::IngestResult {
    use pb::ingest_result::Outcome as O;
    let outcome = match result.outcome {
        Outcome::Created => O::Created,
        Outcome::Updated => O::Updated,
        Outcome::Unchanged => O::Unchanged,
        Outcome::Superseded => O::Superseded,
        Outcome::Rejected => O::Rejected,
    };
    pb::IngestResult {
        key: Some(record_key_out(&result.key)),
        outcome: outcome.into(),
        customer: result.customer.map(customer_name).unwrap_or_default(),
        version: result.version,
        error: result.error.map(|failure| record_error(failure, index)),
    }
}

/// The status of one record of a batch. Field paths that start within the record get its place in
/// the request before them.
pub fn record_error(mut failure: Failure, index: usize) -> jinke_proto::google::rpc::Status {
    let place = format!("records[{index}]");
    for violation in &mut failure.violations {
        if !violation.field.starts_with("records[") {
            violation.field = super::check::join(&place, &violation.field);
        }
    }
    status_message(failure)
}

/// A failure inside an answer: the same code, reason and violations that a failed call carries.
fn status_message(failure: Failure) -> jinke_proto::google::rpc::Status {
    let hidden = matches!(failure.code, Code::Internal | Code::DataLoss);
    let message = if hidden {
        tracing::error!(
            reason = failure.reason,
            "a record failed: {}",
            failure.message
        );
        "internal error; the log tells more".to_owned()
    } else {
        failure.message
    };
    let mut details = ErrorDetails::new();
    let metadata: std::collections::HashMap<_, _> = if hidden {
        Default::default()
    } else {
        failure.metadata.into_iter().collect()
    };
    details.set_error_info(failure.reason, jinke_kit::status::DOMAIN, metadata);
    if !failure.violations.is_empty() {
        details.set_bad_request(
            failure
                .violations
                .into_iter()
                .map(|v| FieldViolation::new(v.field, v.description))
                .collect::<Vec<_>>(),
        );
    }
    let code = jinke_kit::status::grpc_code(failure.code);
    let status = tonic::Status::with_error_details(code, message, details);
    // The details header of a gRPC status is an encoded google.rpc.Status.
    <jinke_proto::google::rpc::Status as prost::Message>::decode(status.details())
        .unwrap_or_default()
}

/// A step of a waterfall.
fn step(step: &jinke_resolution::Step) -> pb::ComparisonResult {
    pb::ComparisonResult {
        comparison: step.comparison.clone(),
        level: step.level.clone(),
        weight: step.weight,
        running_score: step.sum,
        left_value: step.left.clone(),
        right_value: step.right.clone(),
    }
}

/// The steps of a waterfall.
pub fn steps(list: &[jinke_resolution::Step]) -> Vec<pb::ComparisonResult> {
    list.iter().map(step).collect()
}

/// Why two records are held to be one, or not.
pub fn explanation(e: &PairExplanation, rules: &jinke_resolution::Rules) -> pb::MatchExplanation {
    let thresholds = rules.of(e.kind).thresholds;
    pb::MatchExplanation {
        left: Some(record_key_out(&e.left)),
        right: Some(record_key_out(&e.right)),
        score: e.score,
        review_threshold: thresholds.review,
        merge_threshold: thresholds.merge,
        comparisons: steps(&e.steps),
        shared_keys: e.shared_keys.clone(),
        judgements: e
            .judgements
            .iter()
            .map(|id| format!("judgements/{id}"))
            .collect(),
        exclusive_conflict: e.exclusive_conflict.clone(),
        rule_set_version: rules.version().to_owned(),
        same_customer: e.same_customer,
        party_kind: party_kind_out(e.kind).into(),
    }
}

/// What would split a customer. A score tells whether values are equal, so each is summed over the
/// comparisons whose values the viewer may see.
pub fn cohesion(c: &Cohesion, kind: PartyKind, viewer: &Viewer) -> pb::ClusterCohesion {
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let pair = |p: &WeighedPair| {
        let shown = p.weights.iter();
        let shown = shown.filter(|(name, _)| shows_comparison(&viewer.mask, name, kind));
        pb::cluster_cohesion::Pair {
            left: Some(record_key_out(&p.left)),
            right: Some(record_key_out(&p.right)),
            score: shown.map(|(_, weight)| weight).sum(),
        }
    };
    let side = |s: &Shown<RecordKey>| pb::cluster_cohesion::Side {
        records: s.first.iter().map(record_key_out).collect(),
        omitted: count(s.omitted),
    };
    let judgements = c.judgements.first.iter();
    pb::ClusterCohesion {
        records: count(c.records),
        weakest: c.weakest.as_ref().map(pair),
        sides: c.sides.iter().map(side).collect(),
        holding: c.holding.first.iter().map(pair).collect(),
        omitted_holding: count(c.holding.omitted),
        judgements: judgements.map(|id| format!("judgements/{id}")).collect(),
        omitted_judgements: count(c.judgements.omitted),
    }
}

/// A pair for a steward.
pub fn review(r: &ReviewView) -> pb::MatchReview {
    use pb::match_review::Reason;
    let reason = match r.reason {
        ReviewReason::Unsure => Reason::Unsure,
        ReviewReason::Conflict => Reason::Conflict,
        ReviewReason::Suspended => Reason::SuspendedJudgement,
    };
    pb::MatchReview {
        left: Some(record_key_out(&r.left)),
        right: Some(record_key_out(&r.right)),
        left_customer: customer_name(r.left_customer),
        right_customer: customer_name(r.right_customer),
        score: r.score,
        reason: reason.into(),
    }
}

/// A judgement, with the records of sources the caller sees.
pub fn judgement(j: &JudgementView, sees: impl Fn(&RecordKey) -> bool) -> pb::Judgement {
    use pb::judgement::Decision as D;
    let decision = match j.decision {
        Decision::Positive => D::Positive,
        Decision::Negative => D::Negative,
        Decision::Unsure => D::Unsure,
    };
    let keys = |keys: &[RecordKey]| {
        keys.iter()
            .filter(|k| sees(k))
            .map(record_key_out)
            .collect::<Vec<_>>()
    };
    pb::Judgement {
        name: format!("judgements/{}", j.id),
        decision: decision.into(),
        left: keys(&j.left),
        right: keys(&j.right),
        overrides_exclusivity: j.overrides_exclusivity,
        comment: j.comment.clone(),
        creator: j.creator.clone(),
        create_time: Some(time_out(j.create_time)),
        retract_time: j.retract_time.map(time_out),
        suspended: j.suspended,
    }
}
