//! A group of ingest calls in one transaction, step by step.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use jinke_resolution::Rules;
use jinke_store::{
    Tx, counter,
    keys::{DataKey, KeyRing},
    request::{self, Claim},
};
use jinke_types::{AuditIntent, Body, Code, Failure, PartyKind, Timestamp};

use super::{
    Core, activity,
    prepare::{Indexed, Prepared, index},
    record::{Place, Rec, note_newest, place},
    resolve::{self, Input, PartyChange, Resolved},
    state,
};
use crate::{
    domain::{IngestResult, Outcome, RequestId, Source, key_text},
    store::{
        pending,
        records::{self, RecordRow, RecordWrite, VersionRow},
        sources,
    },
};

/// One ingest call, prepared.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) records: Vec<Prepared>,
    pub(crate) request: Option<RequestId>,
    /// New parties are stored now and resolved in the background.
    pub(crate) later: bool,
    /// What it leaves in the audit trail when the process dies after its change.
    pub(crate) intent: Option<Arc<AuditIntent>>,
}

/// What a transaction gives when it commits.
#[derive(Debug)]
pub(crate) struct Applied {
    /// Per call, one result per record.
    pub(crate) results: Vec<Result<Vec<IngestResult>, Failure>>,
    /// What the caches learn from it.
    pub(crate) resolved: Resolved,
}

/// Applies the calls. The caller holds the resolve lock.
pub(crate) async fn run(
    core: &Core,
    tx: &mut Tx,
    calls: &[Arc<Call>],
    now: Timestamp,
) -> Result<Applied, Failure> {
    let mut claims = Vec::with_capacity(calls.len());
    for call in calls {
        claims.push(claim(core, tx, call, now).await);
    }
    // A database error ends the transaction; a reused id only its own call.
    let mut claimed: Vec<Result<Claim, Failure>> = Vec::with_capacity(calls.len());
    for claim in claims {
        match claim {
            Err(f)
                if !matches!(
                    f.reason,
                    "REQUEST_ID_REUSED" | "REQUEST_IN_PROGRESS" | "INVALID_FIELD"
                ) =>
            {
                return Err(f);
            }
            other => claimed.push(other),
        }
    }
    let known = sources::all(tx).await?;
    let mut batch = load(core, tx, calls, &claimed, &known).await?;
    let mut results: Vec<Result<Vec<IngestResult>, Failure>> = Vec::with_capacity(calls.len());
    for (c, (call, claim)) in calls.iter().zip(&claimed).enumerate() {
        results.push(match claim {
            Err(failure) => Err(failure.clone()),
            Ok(claim) => {
                let taken = taken(claim, call);
                let records = call.records.iter().enumerate();
                Ok(records
                    .map(|(n, p)| batch.take(core, p, (c, n), taken.contains(&p.key_text), now))
                    .collect())
            }
        });
    }
    let resolved = write(core, tx, calls, &mut batch, now).await?;
    for (result, call) in results.iter_mut().zip(calls) {
        let Ok(list) = result else { continue };
        for (r, p) in list.iter_mut().zip(&call.records) {
            if r.outcome == Outcome::Rejected || p.kind.party().is_none() {
                continue;
            }
            if let Some(rec) = batch.recs.get(&p.key_text) {
                r.customer = resolved.customer_of(rec.row.no).or(rec.row.customer);
            }
        }
    }
    for ((call, claim), result) in calls.iter().zip(&claimed).zip(&results) {
        if let (Some(id), Ok(Claim::New), Ok(list)) = (&call.request, claim, result) {
            request::complete(tx, &as_request(id), &refusals(list)).await?;
        }
    }
    Ok(Applied { results, resolved })
}

/// What is kept of a call with a request id: the records it refused.
fn refusals(results: &[IngestResult]) -> Vec<request::Outcome> {
    let refused = results.iter().filter(|r| r.outcome == Outcome::Rejected);
    refused
        .map(|r| request::Outcome {
            name: key_text(&r.key),
            revision: 0,
        })
        .collect()
}

/// The records that a call made before took then. One that it refused is looked at anew: to answer
/// that it is unchanged would say that it is stored.
fn taken(claim: &Claim, call: &Call) -> HashSet<String> {
    let Claim::Replay(refused) = claim else {
        return HashSet::new();
    };
    let refused: HashSet<&str> = refused.iter().map(|r| r.name.as_str()).collect();
    let keys = call.records.iter().map(|p| p.key_text.as_str());
    keys.filter(|k| !refused.contains(k))
        .map(str::to_owned)
        .collect()
}

/// The store's form of a request id.
pub(crate) fn as_request(id: &RequestId) -> request::Request<'_> {
    request::Request {
        caller: &id.caller,
        method: id.method,
        id: &id.id,
        body: &id.body,
    }
}

async fn claim(core: &Core, tx: &mut Tx, call: &Call, now: Timestamp) -> Result<Claim, Failure> {
    match &call.request {
        None => Ok(Claim::New),
        Some(id) => request::claim(tx, &core.ring, &as_request(id), now).await,
    }
}

/// The records that a group of calls names.
struct Batch {
    recs: HashMap<String, Rec>,
    known: BTreeMap<String, Source>,
    next_no: i64,
}

impl Batch {
    fn take(
        &mut self,
        core: &Core,
        p: &Prepared,
        at: (usize, usize),
        replay: bool,
        now: Timestamp,
    ) -> IngestResult {
        let result = |outcome, version, error| IngestResult {
            key: p.key.clone(),
            outcome,
            customer: None,
            version,
            error,
        };
        if let Some(failure) = refused(p, &self.known) {
            return result(Outcome::Rejected, 0, Some(failure));
        }
        if replay && let Some(rec) = self.recs.get(&p.key_text).filter(|r| r.row.versions > 0) {
            return result(Outcome::Unchanged, rec.row.newest, None);
        }
        let rec = self.recs.entry(p.key_text.clone()).or_insert_with(|| {
            let data_key = DataKey::generate(&*core.entropy);
            self.next_no += 1;
            Rec {
                row: fresh_row(
                    p,
                    self.next_no - 1,
                    core.ring.wrap(&data_key, &*core.entropy),
                    now,
                ),
                fresh: true,
                data_key: Some(data_key),
                body: None,
                alone: false,
                old: None,
                new: None,
                history: Some(Vec::new()),
                accepted: Vec::new(),
                changed: false,
            }
        });
        match rec.take(&core.ring, p, at, now) {
            Ok((outcome, version)) => result(outcome, version, None),
            Err(failure) => result(Outcome::Rejected, 0, Some(failure)),
        }
    }
}

/// Why a record is refused before its state is looked at.
fn refused(p: &Prepared, known: &BTreeMap<String, Source>) -> Option<Failure> {
    if let Some(failure) = &p.refused {
        return Some(failure.clone());
    }
    if !known.contains_key(&p.key.source) {
        return Some(
            Failure::new(
                Code::FailedPrecondition,
                "SOURCE_UNKNOWN",
                "the source does not exist; create it first",
            )
            .with("source", format!("sources/{}", p.key.source)),
        );
    }
    None
}

fn fresh_row(p: &Prepared, no: i64, data_key: Vec<u8>, now: Timestamp) -> RecordRow {
    RecordRow {
        no,
        key: p.key.clone(),
        kind: p.kind,
        customer: None,
        deleted: false,
        versions: 0,
        newest: 0,
        stated: false,
        revision: None,
        time: None,
        newest_hash: Vec::new(),
        arrival_hash: None,
        data_key,
        create_time: now,
        update_time: now,
    }
}

/// Loads what is needed to apply the calls, and takes numbers for new records.
async fn load(
    core: &Core,
    tx: &mut Tx,
    calls: &[Arc<Call>],
    claimed: &[Result<Claim, Failure>],
    known: &BTreeMap<String, Source>,
) -> Result<Batch, Failure> {
    let mut named: BTreeMap<&str, Vec<&Prepared>> = BTreeMap::new();
    for (call, _) in calls.iter().zip(claimed).filter(|(_, c)| c.is_ok()) {
        for p in call.records.iter().filter(|p| refused(p, known).is_none()) {
            named.entry(&p.key_text).or_default().push(p);
        }
    }
    let keys = named.keys().map(|k| (*k).to_owned()).collect();
    let rows = records::by_keys(tx, keys).await?;
    let mut whole = Vec::new();
    let mut states = Vec::new();
    for row in &rows {
        match need(core, row, &named) {
            Need::Nothing => {}
            Need::Indexed if core.cache.has(row.no, row.versions) => {}
            Need::Indexed | Need::State => states.push(row.no),
            Need::History => {
                states.push(row.no);
                whole.push(row.no);
            }
        }
    }
    let fresh = named.len() - rows.len();
    let next_no = match u32::try_from(fresh).unwrap_or(u32::MAX) {
        0 => 0,
        n => counter::take(tx, "records", n).await?,
    };
    let mut bodies: HashMap<i64, Body> = HashMap::new();
    for sealed in records::sealed_states(tx, &states).await? {
        bodies.insert(sealed.no, state::open_state(&core.ring, &sealed)?);
    }
    let mut histories: HashMap<i64, Vec<VersionRow>> = HashMap::new();
    for version in records::history(tx, &whole).await? {
        histories.entry(version.no).or_default().push(version);
    }
    let mut recs = HashMap::with_capacity(named.len());
    for row in rows {
        let body = bodies.remove(&row.no).map(Arc::new);
        let old = match (
            row.kind.party(),
            core.cache.get(row.no, row.versions),
            &body,
        ) {
            (Some(_), Some(old), _) => Some(old),
            (Some(kind), None, Some(body)) => {
                Some(Arc::new(of_body(&core.ring, &core.rules, kind, body)))
            }
            _ => None,
        };
        let history = match histories.remove(&row.no) {
            Some(rows) => Some(state::open_history(&core.ring, &row.data_key, &rows)?),
            None => None,
        };
        let key = key_text(&row.key);
        recs.insert(
            key,
            Rec {
                row,
                fresh: false,
                data_key: None,
                body,
                alone: false,
                old,
                new: None,
                history,
                accepted: Vec::new(),
                changed: false,
            },
        );
    }
    Ok(Batch {
        recs,
        known: known.clone(),
        next_no,
    })
}

/// What must be loaded of a record before versions are applied to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    Nothing,
    Indexed,
    State,
    History,
}

/// Walks through the versions as [`Rec::take`] will, by the row alone.
fn need(core: &Core, row: &RecordRow, named: &BTreeMap<&str, Vec<&Prepared>>) -> Need {
    let key = key_text(&row.key);
    let mut at = row.clone();
    let mut most = Need::Nothing;
    for p in named.get(key.as_str()).into_iter().flatten() {
        if p.kind != row.kind {
            continue;
        }
        let one = match place(&core.ring, &at, p) {
            Place::Same => Need::Nothing,
            Place::Unknown => Need::History,
            Place::Newer => {
                note_newest(&mut at, p, 0);
                match (p.partial || p.deleted, p.kind.party()) {
                    (true, _) => Need::State,
                    (false, Some(_)) => Need::Indexed,
                    (false, None) => Need::Nothing,
                }
            }
        };
        most = most.max(one);
    }
    most
}

/// What is derived from the values of a party's body.
pub(crate) fn of_body(ring: &KeyRing, rules: &Rules, kind: PartyKind, body: &Body) -> Indexed {
    match body {
        Body::Party { values, .. } => index(ring, rules, kind, values),
        _ => index(ring, rules, kind, &[]),
    }
}

/// Resolves what changed and writes everything.
async fn write(
    core: &Core,
    tx: &mut Tx,
    calls: &[Arc<Call>],
    batch: &mut Batch,
    now: Timestamp,
) -> Result<Resolved, Failure> {
    let mut order: Vec<&mut Rec> = batch
        .recs
        .values_mut()
        .filter(|r| !r.accepted.is_empty())
        .collect();
    order.sort_by_key(|r| r.row.no);
    let mut changes = Vec::new();
    let mut activities = Vec::new();
    let known: Vec<i64> = order
        .iter()
        .filter(|r| !r.fresh && r.changed && r.row.kind.party().is_some())
        .map(|r| r.row.no)
        .collect();
    let waiting = pending::unresolved(tx, &known).await?;
    let mut later = Vec::new();
    for rec in &mut order {
        let Some(kind) = rec.row.kind.party() else {
            if rec.changed {
                activities.push((rec.row.clone(), rec.body.clone(), rec.fresh));
            }
            continue;
        };
        // What waits is resolved as it will be then.
        if !rec.changed || waiting.contains(&rec.row.no) {
            continue;
        }
        if rec.fresh && rec.accepted.iter().all(|a| calls[a.call].later) {
            later.push(rec.row.no);
            continue;
        }
        let new = match (&rec.new, &rec.body) {
            (Some(new), _) => Arc::clone(new),
            (None, Some(body)) => Arc::new(of_body(&core.ring, &core.rules, kind, body)),
            (None, None) => return Err(Failure::internal("a changed record has no state")),
        };
        changes.push(PartyChange {
            no: rec.row.no,
            key: rec.row.key.clone(),
            kind,
            fresh: rec.fresh,
            old: rec.old.clone(),
            new,
            customer: rec.row.customer,
            deleted: rec.row.deleted,
            versions: rec.row.versions,
            newest: rec.row.newest,
            time: rec.row.time,
        });
    }
    let input = Input {
        changes,
        bounded: true,
        ..Input::default()
    };
    let mut resolved = resolve::run(core, tx, input, &batch.known, now).await?;
    resolved.left |= !later.is_empty();
    pending::put_unresolved(tx, later).await?;
    let mut rows = Vec::with_capacity(order.len());
    let mut counts = Vec::new();
    let mut versions = Vec::new();
    for rec in order {
        let key = match rec.data_key.take() {
            Some(key) => key,
            None => core.ring.unwrap(&rec.row.data_key)?,
        };
        for a in &rec.accepted {
            let p = &calls[a.call].records[a.nth];
            versions.push(VersionRow {
                no: rec.row.no,
                number: a.number,
                revision: p.revision,
                time: p.time,
                hash: p.hash.clone(),
                partial: p.partial,
                deleted: p.deleted,
                payload: state::seal_payload(
                    &key,
                    rec.row.no,
                    a.number,
                    &p.payload,
                    &*core.entropy,
                ),
                receive_time: now,
            });
        }
        let mut row = rec.row.clone();
        row.customer = resolved.customer_of(row.no).or(row.customer);
        rec.row.customer = row.customer;
        match (&rec.body, rec.changed) {
            // The state stands; only an older version was added.
            (_, false) => counts.push(RecordWrite { row, state: None }),
            (Some(body), true) if !rec.alone => {
                let sealed = state::seal_state(&key, row.no, body, &*core.entropy)?;
                rows.push(RecordWrite {
                    row,
                    state: Some(sealed),
                });
            }
            _ => rows.push(RecordWrite { row, state: None }),
        }
    }
    records::put(tx, rows, true).await?;
    records::put(tx, counts, false).await?;
    records::put_versions(tx, versions).await?;
    activity::write(tx, activities, now).await?;
    Ok(resolved)
}
