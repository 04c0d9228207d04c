//! The audit trail: events of every service, chained by keyed hashes.
//!
//! The hash of an event covers the hash before it, so no event can be changed, taken out or put in
//! without the key. The note of the last event and that of the last one dropped have a keyed hash
//! of their own: without it a trail could be cut at either end.

use std::collections::BTreeSet;

use jinke_store::{Arg, Conn, Rows, Sql, Tx, args, keys::KeyRing};
use jinke_types::{Failure, Timestamp};

use crate::{convert, domain::AuditEntry};

/// The chain of one service as its note says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trail {
    pub(crate) service: String,
    pub(crate) last_sequence: i64,
    pub(crate) last_time: Timestamp,
    pub(crate) last_hash: Vec<u8>,
    last_mac: Vec<u8>,
    pub(crate) checkpoint_sequence: i64,
    pub(crate) checkpoint_hash: Vec<u8>,
    checkpoint_mac: Vec<u8>,
}

/// An event as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) service: String,
    pub(crate) sequence: i64,
    receive_time: Timestamp,
    pub(crate) time: Timestamp,
    kind: i64,
    caller: String,
    method: String,
    verb: String,
    pub(crate) body: Vec<u8>,
    pub(crate) hash: Vec<u8>,
}

/// Which events to list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pub(crate) caller: String,
    pub(crate) resource: String,
    pub(crate) method: String,
    pub(crate) service: String,
    /// 0 for every kind.
    pub(crate) kind: i32,
    pub(crate) start: Option<Timestamp>,
    pub(crate) end: Option<Timestamp>,
    /// Where the page before ended: time, service, sequence.
    pub(crate) before: Option<(Timestamp, String, i64)>,
    pub(crate) limit: usize,
}

/// The bytes of these parts, each with its length, so that no two lists of parts are alike.
fn joined(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in parts {
        out.extend_from_slice(&(part.len() as u64).to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

const EVENT: &str = "audit event";
const HEAD: &str = "audit head";
const CHECKPOINT: &str = "audit checkpoint";

impl Trail {
    fn note(&self, sequence: i64, hash: &[u8], time: Timestamp) -> Vec<u8> {
        joined(&[
            self.service.as_bytes(),
            &sequence.to_be_bytes(),
            hash,
            &time.0.to_be_bytes(),
        ])
    }

    fn head(&self) -> Vec<u8> {
        self.note(self.last_sequence, &self.last_hash, self.last_time)
    }

    fn checkpoint(&self) -> Vec<u8> {
        self.note(
            self.checkpoint_sequence,
            &self.checkpoint_hash,
            Timestamp(0),
        )
    }

    /// Whether the note of the last event is ours.
    pub(crate) fn head_holds(&self, ring: &KeyRing) -> bool {
        ring.verify(HEAD, &self.head(), &self.last_mac)
    }

    /// Whether the note of the events dropped is ours.
    pub(crate) fn checkpoint_holds(&self, ring: &KeyRing) -> bool {
        ring.verify(CHECKPOINT, &self.checkpoint(), &self.checkpoint_mac)
    }
}

impl Kept {
    fn sealed(&self, before: &[u8]) -> Vec<u8> {
        joined(&[
            before,
            self.service.as_bytes(),
            &self.sequence.to_be_bytes(),
            &self.receive_time.0.to_be_bytes(),
            &self.body,
        ])
    }

    /// Whether the event is what its hash was made of, and its columns and `resources` are what
    /// it says.
    pub(crate) fn holds(
        &self,
        ring: &KeyRing,
        before: &[u8],
        resources: &BTreeSet<String>,
    ) -> bool {
        ring.verify(EVENT, &self.sealed(before), &self.hash)
            && convert::audit::read(&self.body).is_ok_and(|entry| {
                let same = Self::of(&self.service, self.sequence, self.receive_time, &entry);
                entry.resources == *resources
                    && Self {
                        hash: self.hash.clone(),
                        ..same
                    } == *self
            })
    }

    /// An event as it will be kept, without its hash.
    fn of(service: &str, sequence: i64, receive_time: Timestamp, entry: &AuditEntry) -> Self {
        Self {
            service: service.to_owned(),
            sequence,
            receive_time,
            time: entry.time,
            kind: entry.kind,
            caller: entry.caller.clone(),
            method: entry.method.clone(),
            verb: verb(&entry.method).to_owned(),
            body: entry.body.clone(),
            hash: Vec::new(),
        }
    }
}

/// The last part of a method: `GetCustomer`.
fn verb(method: &str) -> &str {
    method.rsplit('/').next().unwrap_or(method)
}

const TRAIL: &str = "service, last_sequence, last_time, last_hash, last_mac, \
                     checkpoint_sequence, checkpoint_hash, checkpoint_mac";
const COLUMNS: &[&str] = &[
    "service",
    "sequence",
    "receive_time",
    "time",
    "kind",
    "caller",
    "method",
    "verb",
    "body",
    "hash",
];

fn trail(row: &jinke_store::Row) -> Result<Trail, Failure> {
    Ok(Trail {
        service: row.text("service")?,
        last_sequence: row.i64("last_sequence")?,
        last_time: row.time("last_time")?,
        last_hash: row.bytes("last_hash")?,
        last_mac: row.bytes("last_mac")?,
        checkpoint_sequence: row.i64("checkpoint_sequence")?,
        checkpoint_hash: row.bytes("checkpoint_hash")?,
        checkpoint_mac: row.bytes("checkpoint_mac")?,
    })
}

fn kept(row: &jinke_store::Row) -> Result<Kept, Failure> {
    Ok(Kept {
        service: row.text("service")?,
        sequence: row.i64("sequence")?,
        receive_time: row.time("receive_time")?,
        time: row.time("time")?,
        kind: row.i64("kind")?,
        caller: row.text("caller")?,
        method: row.text("method")?,
        verb: row.text("verb")?,
        body: row.bytes("body")?,
        hash: row.bytes("hash")?,
    })
}

/// Every trail, in order of service.
pub(crate) async fn trails(conn: &mut Conn) -> Result<Vec<Trail>, Failure> {
    let sql = format!("SELECT {TRAIL} FROM audit_trails ORDER BY service");
    let rows = conn.fetch_all(Sql::assembled(sql), args![]).await?;
    rows.iter().map(trail).collect()
}

/// The trail of a service.
pub(crate) async fn get(conn: &mut Conn, service: &str) -> Result<Option<Trail>, Failure> {
    let sql = format!("SELECT {TRAIL} FROM audit_trails WHERE service = $1");
    let row = conn
        .fetch_optional(Sql::assembled(sql), args![service])
        .await?;
    row.as_ref().map(trail).transpose()
}

/// Holds the trail of a service until the transaction ends; a new one when there is none.
pub(crate) async fn hold(tx: &mut Tx, ring: &KeyRing, service: &str) -> Result<Trail, Failure> {
    let new = Trail {
        service: service.to_owned(),
        ..Trail::default()
    };
    let sql = format!(
        "INSERT INTO audit_trails ({TRAIL}) VALUES ($1, 0, $2, $3, $4, 0, $3, $5) \
         ON CONFLICT (service) DO UPDATE SET last_sequence = audit_trails.last_sequence \
         RETURNING {TRAIL}"
    );
    let row = tx
        .fetch_one(
            Sql::assembled(sql),
            args![
                service,
                new.last_time,
                Vec::<u8>::new(),
                ring.hmac(HEAD, &new.head()),
                ring.hmac(CHECKPOINT, &new.checkpoint())
            ],
        )
        .await?;
    trail(&row)
}

/// Whether these events, at their sequences, are the ones kept.
pub(crate) async fn same(
    tx: &mut Tx,
    service: &str,
    events: &[(i64, AuditEntry)],
) -> Result<bool, Failure> {
    let (Some((first, _)), Some((last, _))) = (events.first(), events.last()) else {
        return Ok(true);
    };
    let rows = tx
        .fetch_all(
            "SELECT sequence, body FROM audit_events \
             WHERE service = $1 AND sequence >= $2 AND sequence <= $3 ORDER BY sequence",
            args![service, *first, *last],
        )
        .await?;
    let there = rows
        .iter()
        .map(|row| Ok((row.i64("sequence")?, row.bytes("body")?)))
        .collect::<Result<Vec<_>, Failure>>()?;
    let sent: Vec<_> = events
        .iter()
        .map(|(n, entry)| (*n, entry.body.clone()))
        .collect();
    Ok(there == sent)
}

/// Chains events to a trail that the transaction holds. Their sequences are beyond its last one.
pub(crate) async fn append(
    tx: &mut Tx,
    ring: &KeyRing,
    mut trail: Trail,
    events: &[(i64, AuditEntry)],
    now: Timestamp,
) -> Result<(), Failure> {
    let mut rows = Rows::new(COLUMNS);
    let mut names = Rows::new(&["service", "sequence", "resource"]);
    for (sequence, entry) in events {
        let mut kept = Kept::of(&trail.service, *sequence, now, entry);
        kept.hash = ring.hmac(EVENT, &kept.sealed(&trail.last_hash));
        trail.last_sequence = *sequence;
        trail.last_hash.clone_from(&kept.hash);
        for resource in &entry.resources {
            names.push(args![&trail.service, *sequence, resource]);
        }
        rows.push(args![
            kept.service,
            kept.sequence,
            kept.receive_time,
            kept.time,
            kept.kind,
            kept.caller,
            kept.method,
            kept.verb,
            kept.body,
            kept.hash
        ]);
    }
    trail.last_time = now;
    tx.insert_many("audit_events", rows, "").await?;
    tx.insert_many("audit_resources", names, "").await?;
    tx.execute(
        "UPDATE audit_trails SET last_sequence = $1, last_time = $2, last_hash = $3, \
         last_mac = $4 WHERE service = $5",
        args![
            trail.last_sequence,
            trail.last_time,
            &trail.last_hash,
            ring.hmac(HEAD, &trail.head()),
            &trail.service
        ],
    )
    .await
    .map(drop)
}

/// Events, newest first.
pub(crate) async fn list(conn: &mut Conn, query: &Query) -> Result<Vec<Kept>, Failure> {
    let mut args: Vec<Arg> = args![];
    let mut conditions = String::new();
    let mut narrow = |condition: &str, values: Vec<Arg>| {
        let mut text = condition.to_owned();
        for value in values {
            args.push(value);
            text = text.replacen('?', &format!("${}", args.len()), 1);
        }
        conditions.push_str(" AND ");
        conditions.push_str(&text);
    };
    let mut join = "";
    if !query.resource.is_empty() {
        join = " JOIN audit_resources r ON r.service = e.service AND r.sequence = e.sequence";
        narrow("r.resource = ?", args![&query.resource]);
    }
    if !query.caller.is_empty() {
        narrow("e.caller = ?", args![&query.caller]);
    }
    if !query.method.is_empty() {
        narrow("e.verb = ?", args![verb(&query.method)]);
        if query.method.contains('/') {
            narrow("e.method = ?", args![&query.method]);
        }
    }
    if !query.service.is_empty() {
        narrow("e.service = ?", args![&query.service]);
    }
    if query.kind != 0 {
        narrow("e.kind = ?", args![i64::from(query.kind)]);
    }
    if let Some(start) = query.start {
        narrow("e.time >= ?", args![start]);
    }
    if let Some(end) = query.end {
        narrow("e.time < ?", args![end]);
    }
    if let Some((time, service, sequence)) = &query.before {
        narrow(
            "(e.time < ? OR (e.time = ? AND \
             (e.service < ? OR (e.service = ? AND e.sequence < ?))))",
            args![*time, *time, service, service, *sequence],
        );
    }
    let columns: Vec<_> = COLUMNS.iter().map(|c| format!("e.{c} AS {c}")).collect();
    let limit = query.limit as i64;
    args.push(limit.into());
    let sql = format!(
        "SELECT {} FROM audit_events e{join} WHERE 1 = 1{conditions} \
         ORDER BY e.time DESC, e.service DESC, e.sequence DESC LIMIT ${}",
        columns.join(", "),
        args.len()
    );
    let rows = conn.fetch_all(Sql::assembled(sql), args).await?;
    rows.iter().map(kept).collect()
}

/// Events of a service after a sequence, oldest first, each with the resources kept beside it.
pub(crate) async fn after(
    conn: &mut Conn,
    service: &str,
    sequence: i64,
    limit: usize,
) -> Result<Vec<(Kept, BTreeSet<String>)>, Failure> {
    let sql = format!(
        "SELECT {} FROM audit_events WHERE service = $1 AND sequence > $2 \
         ORDER BY sequence LIMIT $3",
        COLUMNS.join(", ")
    );
    let rows = conn
        .fetch_all(Sql::assembled(sql), args![service, sequence, limit as i64])
        .await?;
    let mut events: Vec<(Kept, BTreeSet<String>)> = rows
        .iter()
        .map(|row| Ok((kept(row)?, BTreeSet::new())))
        .collect::<Result<_, Failure>>()?;
    let Some((last, _)) = events.last() else {
        return Ok(events);
    };
    let last = last.sequence;
    let names = conn
        .fetch_all(
            "SELECT sequence, resource FROM audit_resources \
             WHERE service = $1 AND sequence > $2 AND sequence <= $3",
            args![service, sequence, last],
        )
        .await?;
    for row in &names {
        let of = row.i64("sequence")?;
        if let Ok(at) = events.binary_search_by_key(&of, |(kept, _)| kept.sequence) {
            events[at].1.insert(row.text("resource")?);
        }
    }
    Ok(events)
}

/// The hash of one event.
pub(crate) async fn hash_of(
    conn: &mut Conn,
    service: &str,
    sequence: i64,
) -> Result<Option<Vec<u8>>, Failure> {
    conn.fetch_optional(
        "SELECT hash FROM audit_events WHERE service = $1 AND sequence = $2",
        args![service, sequence],
    )
    .await?
    .map(|row| row.bytes("hash"))
    .transpose()
}

/// Drops the oldest events of a trail that the transaction holds: those received before `before`,
/// and those beyond the `most` newest; at most `batch`. How many. The checkpoint keeps the hash
/// that the next event rests on.
pub(crate) async fn trim(
    tx: &mut Tx,
    ring: &KeyRing,
    mut trail: Trail,
    before: Timestamp,
    most: i64,
    batch: usize,
) -> Result<usize, Failure> {
    let rows = tx
        .fetch_all(
            "SELECT sequence, receive_time, hash FROM audit_events WHERE service = $1 \
             ORDER BY sequence LIMIT $2",
            args![&trail.service, batch as i64],
        )
        .await?;
    let mut dropped = 0;
    for row in &rows {
        let sequence = row.i64("sequence")?;
        if row.time("receive_time")? >= before && sequence > trail.last_sequence - most {
            break;
        }
        dropped += 1;
        trail.checkpoint_sequence = sequence;
        trail.checkpoint_hash = row.bytes("hash")?;
    }
    if dropped == 0 {
        return Ok(0);
    }
    for table in [
        "DELETE FROM audit_resources WHERE service = $1 AND sequence <= $2",
        "DELETE FROM audit_events WHERE service = $1 AND sequence <= $2",
    ] {
        tx.execute(table, args![&trail.service, trail.checkpoint_sequence])
            .await?;
    }
    tx.execute(
        "UPDATE audit_trails SET checkpoint_sequence = $1, checkpoint_hash = $2, \
         checkpoint_mac = $3 WHERE service = $4",
        args![
            trail.checkpoint_sequence,
            &trail.checkpoint_hash,
            ring.hmac(CHECKPOINT, &trail.checkpoint()),
            &trail.service
        ],
    )
    .await?;
    Ok(dropped)
}
