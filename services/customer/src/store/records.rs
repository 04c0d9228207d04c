//! Source records and their versions.

use jinke_store::{Arg, Conn, Engine, Row, Rows, Tx, args};
use jinke_types::{Failure, RecordKey, Timestamp};

use crate::domain::{RecordType, damaged, key_from_text, key_text};

/// A record's row without its sealed state.
#[derive(Clone, Debug)]
pub struct RecordRow {
    /// Its number.
    pub no: i64,
    /// Its name.
    pub key: RecordKey,
    /// What it is about.
    pub kind: RecordType,
    /// The customer that holds it, for parties.
    pub customer: Option<i64>,
    /// The newest version is a deletion.
    pub deleted: bool,
    /// How many versions are kept.
    pub versions: i64,
    /// Number of the version that ranks newest.
    pub newest: i64,
    /// That version has a revision or time.
    pub stated: bool,
    /// Its revision.
    pub revision: Option<i64>,
    /// Its time: the business time of the record.
    pub time: Option<Timestamp>,
    /// Its keyed hash.
    pub newest_hash: Vec<u8>,
    /// Keyed hash of the last version without revision and time.
    pub arrival_hash: Option<Vec<u8>>,
    /// The wrapped data key.
    pub data_key: Vec<u8>,
    /// When it was first received.
    pub create_time: Timestamp,
    /// When its last version was received.
    pub update_time: Timestamp,
}

const ROW: &str = "record_no, key, type, customer, deleted, versions, newest, stated, \
    source_revision, source_time, newest_hash, arrival_hash, data_key, create_time, update_time";

fn row(row: &Row) -> Result<RecordRow, Failure> {
    Ok(RecordRow {
        no: row.i64("record_no")?,
        key: key_from_text(&row.text("key")?),
        kind: RecordType::from_code(row.i64("type")?).ok_or_else(|| damaged("record"))?,
        customer: row.opt_i64("customer")?,
        deleted: row.bool("deleted")?,
        versions: row.i64("versions")?,
        newest: row.i64("newest")?,
        stated: row.bool("stated")?,
        revision: row.opt_i64("source_revision")?,
        time: row.opt_time("source_time")?,
        newest_hash: row.bytes("newest_hash")?,
        arrival_hash: row.opt_bytes("arrival_hash")?,
        data_key: row.bytes("data_key")?,
        create_time: row.time("create_time")?,
        update_time: row.time("update_time")?,
    })
}

/// The rows of these names; unknown ones are left out.
pub async fn by_keys(conn: &mut Conn, keys: Vec<String>) -> Result<Vec<RecordRow>, Failure> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    conn.fetch_all(
        jinke_store::Sql::assembled(format!("SELECT {ROW} FROM records WHERE key IN LIST($1)")),
        args![keys],
    )
    .await?
    .iter()
    .map(row)
    .collect()
}

/// The rows of these numbers; unknown ones are left out.
pub async fn by_nos(conn: &mut Conn, nos: &[i64]) -> Result<Vec<RecordRow>, Failure> {
    if nos.is_empty() {
        return Ok(Vec::new());
    }
    conn.fetch_all(
        jinke_store::Sql::assembled(format!(
            "SELECT {ROW} FROM records WHERE record_no IN LIST($1)"
        )),
        args![nos],
    )
    .await?
    .iter()
    .map(row)
    .collect()
}

/// What clustering and revisions need of a party record.
#[derive(Clone, Debug)]
pub struct PartyRow {
    /// Its number.
    pub no: i64,
    /// Its name.
    pub key: RecordKey,
    /// Organization or person, or another type when the number is not a party's.
    pub kind: RecordType,
    /// The customer that holds it.
    pub customer: Option<i64>,
    /// The newest version is a deletion.
    pub deleted: bool,
    /// How many versions are kept.
    pub versions: i64,
    /// Number of the newest version.
    pub newest: i64,
    /// Business time.
    pub time: Option<Timestamp>,
}

fn party(row: &Row) -> Result<PartyRow, Failure> {
    Ok(PartyRow {
        no: row.i64("record_no")?,
        key: key_from_text(&row.text("key")?),
        kind: RecordType::from_code(row.i64("type")?).ok_or_else(|| damaged("record"))?,
        customer: row.opt_i64("customer")?,
        deleted: row.bool("deleted")?,
        versions: row.i64("versions")?,
        newest: row.i64("newest")?,
        time: row.opt_time("source_time")?,
    })
}

const PARTY: &str = "record_no, key, type, customer, deleted, versions, newest, source_time";

async fn parties_where(
    conn: &mut Conn,
    condition: &str,
    list: Arg,
) -> Result<Vec<PartyRow>, Failure> {
    conn.fetch_all(
        jinke_store::Sql::assembled(format!("SELECT {PARTY} FROM records WHERE {condition}")),
        vec![list],
    )
    .await?
    .iter()
    .map(party)
    .collect()
}

/// Party columns of these numbers.
pub async fn parties(conn: &mut Conn, nos: &[i64]) -> Result<Vec<PartyRow>, Failure> {
    if nos.is_empty() {
        return Ok(Vec::new());
    }
    parties_where(conn, "record_no IN LIST($1)", nos.into()).await
}

/// Party columns of these names.
pub async fn parties_by_key(conn: &mut Conn, keys: Vec<String>) -> Result<Vec<PartyRow>, Failure> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    parties_where(conn, "key IN LIST($1) AND type <= 2", keys.into()).await
}

/// The members of these customers, by number.
pub async fn members(conn: &mut Conn, customers: &[i64]) -> Result<Vec<PartyRow>, Failure> {
    if customers.is_empty() {
        return Ok(Vec::new());
    }
    parties_where(
        conn,
        "customer IN LIST($1) AND customer IS NOT NULL ORDER BY record_no",
        customers.into(),
    )
    .await
}

/// Customers with a record of this source, after `after`, by id.
pub async fn customers_of_source(
    conn: &mut Conn,
    source: &str,
    after: i64,
    limit: i64,
) -> Result<Vec<i64>, Failure> {
    conn.fetch_all(
        "SELECT DISTINCT customer FROM records WHERE customer IS NOT NULL AND customer > $1 \
         AND source = $2 ORDER BY customer LIMIT $3",
        args![after, source, limit],
    )
    .await?
    .iter()
    .map(|r| r.i64("customer"))
    .collect()
}

/// A record's effective state, sealed.
#[derive(Clone, Debug)]
pub struct SealedState {
    /// The record.
    pub no: i64,
    /// Its wrapped data key.
    pub data_key: Vec<u8>,
    /// How many versions are kept.
    pub versions: i64,
    /// Number of the newest version.
    pub newest: i64,
    /// The state, when it is not the newest version alone.
    pub state: Option<Vec<u8>>,
    /// Else the newest version.
    pub payload: Option<Vec<u8>>,
}

/// The sealed effective states of these records.
pub async fn sealed_states(conn: &mut Conn, nos: &[i64]) -> Result<Vec<SealedState>, Failure> {
    if nos.is_empty() {
        return Ok(Vec::new());
    }
    conn.fetch_all(
        "SELECT r.record_no, r.data_key, r.versions, r.newest, r.state, v.payload FROM records r \
         LEFT JOIN versions v ON r.state IS NULL AND v.record_no = r.record_no \
         AND v.number = r.newest WHERE r.record_no IN LIST($1)",
        args![nos],
    )
    .await?
    .iter()
    .map(|r| {
        Ok(SealedState {
            no: r.i64("record_no")?,
            data_key: r.bytes("data_key")?,
            versions: r.i64("versions")?,
            newest: r.i64("newest")?,
            state: r.opt_bytes("state")?,
            payload: r.opt_bytes("payload")?,
        })
    })
    .collect()
}

/// One kept version.
#[derive(Clone, Debug)]
pub struct VersionRow {
    /// Its record.
    pub no: i64,
    /// Its number within the record, by arrival.
    pub number: i64,
    /// The source's revision.
    pub revision: Option<i64>,
    /// The source's time.
    pub time: Option<Timestamp>,
    /// Keyed hash of its content.
    pub hash: Vec<u8>,
    /// It says only what changed.
    pub partial: bool,
    /// It is a deletion.
    pub deleted: bool,
    /// The sealed body.
    pub payload: Vec<u8>,
    /// When it was received.
    pub receive_time: Timestamp,
}

/// All versions of these records, by record and number.
pub async fn history(conn: &mut Conn, nos: &[i64]) -> Result<Vec<VersionRow>, Failure> {
    if nos.is_empty() {
        return Ok(Vec::new());
    }
    conn.fetch_all(
        "SELECT record_no, number, source_revision, source_time, hash, completeness, deleted, \
         payload, receive_time FROM versions WHERE record_no IN LIST($1) \
         ORDER BY record_no, number",
        args![nos],
    )
    .await?
    .iter()
    .map(|r| {
        Ok(VersionRow {
            no: r.i64("record_no")?,
            number: r.i64("number")?,
            revision: r.opt_i64("source_revision")?,
            time: r.opt_time("source_time")?,
            hash: r.bytes("hash")?,
            partial: r.i64("completeness")? == 2,
            deleted: r.bool("deleted")?,
            payload: r.bytes("payload")?,
            receive_time: r.time("receive_time")?,
        })
    })
    .collect()
}

/// A record as it is written. `state` is none when the newest version alone is the state.
#[derive(Debug)]
pub struct RecordWrite {
    /// The row; its `customer` is written too.
    pub row: RecordRow,
    /// The sealed state.
    pub state: Option<Vec<u8>>,
}

/// Inserts or replaces records. Without `changed` the records exist and keep their state; only
/// the number of their versions grows.
pub async fn put(tx: &mut Tx, records: Vec<RecordWrite>, changed: bool) -> Result<(), Failure> {
    if records.is_empty() {
        return Ok(());
    }
    let mut rows = Rows::new(&[
        "record_no",
        "key",
        "source",
        "type",
        "customer",
        "deleted",
        "versions",
        "newest",
        "stated",
        "source_revision",
        "source_time",
        "newest_hash",
        "arrival_hash",
        "data_key",
        "state",
        "create_time",
        "update_time",
    ]);
    for RecordWrite { row: r, state } in records {
        rows.push(args![
            r.no,
            key_text(&r.key),
            r.key.source,
            r.kind.code(),
            r.customer,
            r.deleted,
            r.versions,
            r.newest,
            r.stated,
            r.revision,
            r.time,
            r.newest_hash,
            r.arrival_hash,
            r.data_key,
            state,
            r.create_time,
            r.update_time,
        ]);
    }
    let conflict = if changed {
        "ON CONFLICT (record_no) DO UPDATE SET customer = excluded.customer, \
         deleted = excluded.deleted, versions = excluded.versions, newest = excluded.newest, \
         stated = excluded.stated, source_revision = excluded.source_revision, \
         source_time = excluded.source_time, newest_hash = excluded.newest_hash, \
         arrival_hash = excluded.arrival_hash, state = excluded.state, \
         update_time = excluded.update_time"
    } else {
        "ON CONFLICT (record_no) DO UPDATE SET versions = excluded.versions, \
         arrival_hash = excluded.arrival_hash, update_time = excluded.update_time"
    };
    tx.insert_many("records", rows, conflict).await?;
    Ok(())
}

/// Adds versions.
pub async fn put_versions(tx: &mut Tx, versions: Vec<VersionRow>) -> Result<(), Failure> {
    if versions.is_empty() {
        return Ok(());
    }
    let mut rows = Rows::new(&[
        "record_no",
        "number",
        "source_revision",
        "source_time",
        "hash",
        "completeness",
        "deleted",
        "payload",
        "receive_time",
    ]);
    for v in versions {
        rows.push(args![
            v.no,
            v.number,
            v.revision,
            v.time,
            v.hash,
            if v.partial { 2_i64 } else { 1 },
            v.deleted,
            v.payload,
            v.receive_time,
        ]);
    }
    tx.insert_many("versions", rows, "").await?;
    Ok(())
}

/// Says which customer holds each record: (record, customer).
pub async fn assign(tx: &mut Tx, moved: &[(i64, i64)]) -> Result<(), Failure> {
    if moved.is_empty() {
        return Ok(());
    }
    match tx.engine() {
        Engine::Postgres => {
            let (nos, customers): (Vec<i64>, Vec<i64>) = moved.iter().copied().unzip();
            tx.execute(
                "UPDATE records SET customer = u.customer \
                 FROM UNNEST($1::int8[], $2::int8[]) AS u(record_no, customer) \
                 WHERE records.record_no = u.record_no",
                args![nos, customers],
            )
            .await?;
        }
        Engine::Sqlite => {
            let list = serde_json::to_string(moved).map_err(Failure::internal)?;
            tx.execute(
                "UPDATE records SET customer = u.customer \
                 FROM (SELECT json_extract(value, '$[0]') AS record_no, \
                 json_extract(value, '$[1]') AS customer FROM json_each($1)) AS u \
                 WHERE records.record_no = u.record_no",
                args![list],
            )
            .await?;
        }
    }
    Ok(())
}

/// Party records after `after`, by number: for rebuilding and checking everything.
pub async fn page_of_parties(
    conn: &mut Conn,
    after: i64,
    limit: i64,
) -> Result<Vec<PartyRow>, Failure> {
    page(conn, "", after, limit).await
}

/// Like [`page_of_parties`], without those of which nothing is derived yet.
pub async fn page_of_resolved(
    conn: &mut Conn,
    after: i64,
    limit: i64,
) -> Result<Vec<PartyRow>, Failure> {
    let resolved = "AND NOT EXISTS (SELECT 1 FROM pending p \
        WHERE p.record_no = records.record_no AND p.pairs = 2)";
    page(conn, resolved, after, limit).await
}

async fn page(
    conn: &mut Conn,
    which: &str,
    after: i64,
    limit: i64,
) -> Result<Vec<PartyRow>, Failure> {
    conn.fetch_all(
        jinke_store::Sql::assembled(format!(
            "SELECT {PARTY} FROM records WHERE record_no > $1 AND type <= 2 {which} \
             ORDER BY record_no LIMIT $2"
        )),
        args![after, limit],
    )
    .await?
    .iter()
    .map(party)
    .collect()
}
