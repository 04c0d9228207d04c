//! What became of delivered records: what is known of them, what was refused, and how many there were.

use std::collections::BTreeMap;

use jinke_proto::jinke::customer::v1::ingest_result::Outcome;
use jinke_sdk::sweep::skeleton;
use jinke_types::{Failure, SourceRecord, Timestamp};

use crate::{
    domain::{Counted, KnownRecord, NewError},
    report::{Counts, Rejected},
    store::known,
};

/// A refusal as it is noted.
pub(super) fn rejection(rejected: Rejected) -> NewError {
    NewError {
        effect: crate::domain::ErrorEffect::Rejected,
        external_id: rejected.external_id,
        location: jinke_sdk::Location::default(),
        column: String::new(),
        reason: rejected.reason,
        message: rejected.message,
    }
}

/// Whether a record or lead was taken.
pub(super) const fn was_taken(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Rejected | Outcome::Unspecified)
}

/// What is known of delivered records afterwards.
pub(super) struct Taken {
    pub(super) known: Vec<known::KnownRow>,
    pub(super) deleted: Vec<String>,
}

/// What a sweep may compare with after these records were taken; the last of several versions of
/// one record counts.
pub(super) fn taken(
    sealer: &crate::core::Sealer,
    stream: &str,
    records: &[SourceRecord],
    outcomes: &[Outcome],
) -> Result<Taken, Failure> {
    let mut last: BTreeMap<&str, &SourceRecord> = BTreeMap::new();
    for (record, outcome) in records.iter().zip(outcomes) {
        if was_taken(*outcome) {
            last.insert(&record.key.external_id, record);
        }
    }
    let mut taken = Taken {
        known: Vec::new(),
        deleted: Vec::new(),
    };
    for record in last.into_values() {
        if record.deleted {
            taken.deleted.push(record.key.external_id.clone());
        } else {
            taken
                .known
                .push(sealer.seal_known(stream, &known_of(record, false))?);
        }
    }
    Ok(taken)
}

/// A record as it is kept for sweeps.
pub(super) fn known_of(record: &SourceRecord, gone: bool) -> KnownRecord {
    let update_time: Option<Timestamp> = record.update_time;
    KnownRecord {
        external_id: record.key.external_id.clone(),
        source_revision: record.source_revision,
        update_time,
        body: skeleton(&record.body),
        gone,
    }
}

/// Counts records for the metrics.
pub(super) fn count(numbers: &crate::numbers::Numbers, counts: &Counts) {
    for (outcome, n) in [
        ("created", counts.created),
        ("updated", counts.updated),
        ("unchanged", counts.unchanged),
        ("superseded", counts.superseded),
        ("rejected", counts.rejected),
    ] {
        if n > 0 {
            numbers.records.with_label_values(&[outcome]).inc_by(n);
        }
    }
}

/// Counts records for the progress of a stream.
pub(super) fn add(progress: &mut crate::domain::StreamProgress, counts: &Counts) {
    progress.count(Counted {
        created: counts.created,
        updated: counts.updated,
        unchanged: counts.unchanged,
        superseded: counts.superseded,
        rejected: counts.rejected,
        ..Counted::default()
    });
}
