//! One record while a batch is applied to it: the version rules of the domain model.

use std::{cmp::Ordering, sync::Arc};

use jinke_store::keys::{DataKey, KeyRing};
use jinke_types::{Body, Code, Failure, Timestamp};

use super::{
    prepare::{Indexed, Prepared},
    state::{MAX_STATE_VALUES, Version, apply, fold},
};
use crate::{domain::Outcome, store::records::RecordRow};

/// How a version relates to what the record's row tells of its newest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is the newest version again.
    Same,
    /// It is newer than every version kept.
    Newer,
    /// The row alone cannot tell.
    Unknown,
}

/// A version that was accepted, to be written.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) number: i64,
    pub(crate) call: usize,
    pub(crate) nth: usize,
}

/// A record while a batch is applied to it.
#[derive(Debug)]
pub(crate) struct Rec {
    pub(crate) row: RecordRow,
    pub(crate) fresh: bool,
    /// Made when the record is new, else unwrapped when something is sealed.
    pub(crate) data_key: Option<DataKey>,
    /// The effective state, when it was loaded or made.
    pub(crate) body: Option<Arc<Body>>,
    /// The newest version alone is the state.
    pub(crate) alone: bool,
    /// What was derived from the state that the database holds.
    pub(crate) old: Option<Arc<Indexed>>,
    /// What is derived from the state now, when a version brought it along.
    pub(crate) new: Option<Arc<Indexed>>,
    /// All versions, when the row alone could not tell.
    pub(crate) history: Option<Vec<Version>>,
    pub(crate) accepted: Vec<Accepted>,
    /// The effective state, its deletion or its time changed.
    pub(crate) changed: bool,
}

/// Whether two keyed hashes are of the same content.
fn same_hash(ring: &KeyRing, p: &Prepared, stored: &[u8]) -> bool {
    if stored.get(..2) == p.hash.get(..2) {
        return stored == p.hash;
    }
    // Hashed under another key, before a rotation.
    let content = super::state::content(p.partial, p.deleted, &p.payload);
    ring.verify("version", &content, stored)
}

/// Where a version stands by the row alone.
pub(crate) fn place(ring: &KeyRing, row: &RecordRow, p: &Prepared) -> Place {
    match (p.stated(), row.stated) {
        (true, false) => Place::Newer,
        (false, true) => Place::Unknown,
        (true, true) => match (p.revision, p.time).cmp(&(row.revision, row.time)) {
            Ordering::Greater => Place::Newer,
            Ordering::Equal if same_hash(ring, p, &row.newest_hash) => Place::Same,
            Ordering::Equal | Ordering::Less => Place::Unknown,
        },
        (false, false) => match &row.arrival_hash {
            Some(hash) if same_hash(ring, p, hash) => Place::Same,
            _ => Place::Newer,
        },
    }
}

/// Notes in the row that `p` is the newest version, with this number.
pub(crate) fn note_newest(row: &mut RecordRow, p: &Prepared, number: i64) {
    row.newest = number;
    row.stated = p.stated();
    row.revision = p.revision;
    row.time = p.time;
    row.newest_hash.clone_from(&p.hash);
    row.deleted = p.deleted;
    note_arrival(row, p);
}

fn note_arrival(row: &mut RecordRow, p: &Prepared) {
    if !p.stated() {
        row.arrival_hash = Some(p.hash.clone());
    }
}

/// What became of a version.
enum Step {
    /// It is kept already, under this number.
    Known(i64),
    /// It is kept now.
    Stored(Outcome),
}

impl Rec {
    /// Applies a version; what became of it and the number of the version.
    pub(crate) fn take(
        &mut self,
        ring: &KeyRing,
        p: &Prepared,
        (call, nth): (usize, usize),
        now: Timestamp,
    ) -> Result<(Outcome, i64), Failure> {
        if p.kind != self.row.kind {
            return Err(Failure::new(
                Code::InvalidArgument,
                "KIND_CHANGED",
                "a record never becomes one of another kind; give it another external id",
            ));
        }
        let number = self.row.versions + 1;
        let step = match self.history.take() {
            Some(mut history) => {
                let step = self.in_history(ring, p, &mut history, number);
                self.history = Some(history);
                step?
            }
            None => self.at_tail(ring, p, number)?,
        };
        let outcome = match step {
            Step::Known(number) => return Ok((Outcome::Unchanged, number)),
            Step::Stored(_) if self.fresh && number == 1 => Outcome::Created,
            Step::Stored(outcome) => outcome,
        };
        self.row.versions = number;
        self.row.update_time = now;
        self.accepted.push(Accepted { number, call, nth });
        Ok((outcome, number))
    }

    /// The row tells enough: the version is the newest one, again or anew.
    fn at_tail(&mut self, ring: &KeyRing, p: &Prepared, number: i64) -> Result<Step, Failure> {
        match place(ring, &self.row, p) {
            Place::Same => return Ok(Step::Known(self.row.newest)),
            Place::Unknown => {
                return Err(Failure::internal(
                    "the versions of a record were not loaded",
                ));
            }
            Place::Newer => {}
        }
        if !(p.partial || p.deleted) {
            self.body = None;
        }
        let body = apply(self.body.as_deref(), p.partial, p.deleted, &p.body);
        check_size(&body)?;
        self.alone = body == apply(None, false, false, &p.body);
        self.new = if self.alone { p.indexed.clone() } else { None };
        self.body = Some(Arc::new(body));
        self.changed = true;
        note_newest(&mut self.row, p, number);
        Ok(Step::Stored(Outcome::Updated))
    }

    /// Everything is known: find the version's place and fold anew.
    fn in_history(
        &mut self,
        ring: &KeyRing,
        p: &Prepared,
        history: &mut Vec<Version>,
        number: i64,
    ) -> Result<Step, Failure> {
        let known = if p.stated() {
            history.iter().find(|v| {
                v.stated()
                    && (v.revision, v.time) == (p.revision, p.time)
                    && same_hash(ring, p, &v.hash)
            })
        } else {
            let last = history
                .iter()
                .filter(|v| !v.stated())
                .max_by_key(|v| v.number);
            last.filter(|v| same_hash(ring, p, &v.hash))
        };
        if let Some(v) = known {
            return Ok(Step::Known(v.number));
        }
        history.push(Version {
            number,
            revision: p.revision,
            time: p.time,
            hash: p.hash.clone(),
            digest: p.digest,
            partial: p.partial,
            deleted: p.deleted,
            body: Arc::clone(&p.body),
        });
        let Some((body, newest)) = fold(history) else {
            return Err(Failure::internal("a record without versions"));
        };
        if let Err(failure) = check_size(&body) {
            history.pop();
            return Err(failure);
        }
        let v = &history[newest];
        let is_newest = v.number == number;
        let same_body = self.body.as_deref() == Some(&body);
        let changed = is_newest || !same_body;
        if !same_body || is_newest {
            self.alone = body == apply(None, false, false, &v.body);
        }
        if !same_body {
            self.new = if self.alone && is_newest {
                p.indexed.clone()
            } else {
                None
            };
            self.body = Some(Arc::new(body));
        }
        let row = &mut self.row;
        (row.newest, row.stated, row.revision, row.time) =
            (v.number, v.stated(), v.revision, v.time);
        row.newest_hash.clone_from(&v.hash);
        row.deleted = v.deleted;
        note_arrival(row, p);
        self.changed |= changed;
        Ok(Step::Stored(if changed {
            Outcome::Updated
        } else {
            Outcome::Superseded
        }))
    }
}

fn check_size(body: &Body) -> Result<(), Failure> {
    match body {
        Body::Party { values, .. } if values.len() > MAX_STATE_VALUES => Err(Failure::new(
            Code::InvalidArgument,
            "TOO_MANY_VALUES",
            format!("partial versions would give the record more than {MAX_STATE_VALUES} values"),
        )),
        _ => Ok(()),
    }
}
