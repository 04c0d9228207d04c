//! Which records carry tokens, and which record has a key.

use jinke_store::{Conn, args};
use jinke_types::{Failure, PartyKind, RecordKey};

use super::{Query, Rows, kind_number};

/// Postings of the rarest term that one call looks through at most.
const SLICE: i64 = 2_000;
/// Postings up to which terms are counted when the rarest is looked for.
const COUNTED: i64 = 1_000;

/// A record that carries all terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its number.
    pub record_no: i64,
    /// The customer that holds it.
    pub customer: i64,
}

/// Party records that may match, by record number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    /// The records.
    pub hits: Vec<Hit>,
    /// Go on after this record; none at the end.
    pub next: Option<i64>,
}

/// Visible party records after `after` that carry a token of every term, at most `limit`. A term
/// has one token, or two while the token key is being changed. `kind` narrows to one kind.
///
/// The work is bounded: postings of the rarest term are cut into slices of a few thousand, and a
/// call looks through one. It may find nothing and still have a next place.
pub async fn hits(
    conn: &mut Conn,
    rows: &Rows,
    terms: &[Vec<i64>],
    kind: Option<PartyKind>,
    after: i64,
    limit: u32,
) -> Result<Hits, Failure> {
    if rows.is_nothing() || terms.is_empty() {
        return Ok(Hits::default());
    }
    let mut counted = Vec::with_capacity(terms.len());
    for term in terms {
        let count = conn
            .fetch_one(
                "SELECT COUNT(*) AS n FROM (SELECT 1 AS one FROM tokens WHERE token IN LIST($1) \
                 LIMIT $2) AS counted",
                args![term.clone(), COUNTED],
            )
            .await?
            .i64("n")?;
        if count == 0 {
            return Ok(Hits::default());
        }
        counted.push((count, term));
    }
    counted.sort();
    let rarest = counted[0].1;
    // The end of the slice, from the index alone.
    let slice = conn
        .fetch_one(
            "SELECT MAX(record_no) AS last, COUNT(*) AS n FROM (SELECT record_no FROM tokens \
             WHERE token IN LIST($1) AND record_no > $2 ORDER BY record_no LIMIT $3) AS slice",
            args![rarest.clone(), after, SLICE],
        )
        .await?;
    let Some(last) = slice.opt_i64("last")? else {
        return Ok(Hits::default());
    };
    let mut q = Query::new(
        "SELECT t.record_no, r.customer FROM tokens t \
                            JOIN records r ON r.record_no = t.record_no WHERE ",
    );
    q.add(
        "t.token IN LIST(?) AND t.record_no > ? AND t.record_no <= ? AND r.customer IS NOT NULL",
        args![rarest.clone(), after, last],
    );
    for (_, term) in &counted[1..] {
        q.add(
            " AND EXISTS (SELECT 1 FROM tokens o WHERE o.token IN LIST(?) \
             AND o.record_no = t.record_no)",
            args![(*term).clone()],
        );
    }
    if let Some(kind) = kind {
        q.add(" AND r.type = ?", args![kind_number(kind)]);
    }
    if let Some(sources) = rows.list() {
        q.add(" AND r.source IN LIST(?)", args![sources]);
    }
    q.add(" ORDER BY t.record_no LIMIT ?", args![i64::from(limit)]);
    let found = q.fetch_all(conn).await?;
    let mut hits = Vec::with_capacity(found.len());
    for row in &found {
        let hit = Hit {
            record_no: row.i64("record_no")?,
            customer: row.i64("customer")?,
        };
        // Two keys in use can give one record twice.
        if hits.last() != Some(&hit) {
            hits.push(hit);
        }
    }
    let next = if found.len() == limit as usize {
        hits.last().map(|h| h.record_no)
    } else if slice.i64("n")? == SLICE {
        Some(last)
    } else {
        None
    };
    Ok(Hits { hits, next })
}

/// The customers that hold visible party records with one of these tokens, by id, at most `limit`.
pub async fn holders(
    conn: &mut Conn,
    rows: &Rows,
    tokens: &[i64],
    after: i64,
    limit: u32,
) -> Result<Vec<i64>, Failure> {
    if rows.is_nothing() || tokens.is_empty() {
        return Ok(Vec::new());
    }
    let mut q = Query::new(
        "SELECT DISTINCT r.customer FROM tokens t \
                            JOIN records r ON r.record_no = t.record_no WHERE ",
    );
    q.add(
        "t.token IN LIST(?) AND r.customer IS NOT NULL AND r.customer > ?",
        args![tokens.to_vec(), after],
    );
    if let Some(sources) = rows.list() {
        q.add(" AND r.source IN LIST(?)", args![sources]);
    }
    q.add(" ORDER BY r.customer LIMIT ?", args![i64::from(limit)]);
    q.fetch_all(conn)
        .await?
        .iter()
        .map(|row| row.i64("customer"))
        .collect()
}

/// The customer that holds a visible party record.
pub async fn holder_of(
    conn: &mut Conn,
    rows: &Rows,
    key: &RecordKey,
) -> Result<Option<i64>, Failure> {
    if !rows.sees(&key.source) {
        return Ok(None);
    }
    match conn
        .fetch_optional(
            "SELECT customer FROM records WHERE key = $1",
            args![key.to_string()],
        )
        .await?
    {
        Some(row) => row.opt_i64("customer"),
        None => Ok(None),
    }
}
