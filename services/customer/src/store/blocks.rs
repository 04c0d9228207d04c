//! Keyed hashes of blocking keys: who shares a key, in the order in which blocks are read.
//!
//! A block may hold any number of records. Every look-up says how many it wants, so that none
//! costs more for a large block than for a small one, but for [`part`] and [`holders`].

use std::collections::{BTreeMap, BTreeSet};

use jinke_store::{Conn, Engine, Row, Rows, Tx, args};
use jinke_types::Failure;

/// A record in a block: ordered by core, place and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held {
    /// Keyed hash of its name core, 0 without one.
    pub core: i64,
    /// Its place among the records of its core.
    pub place: i64,
    /// Its number.
    pub no: i64,
}

fn held(row: &Row) -> Result<Held, Failure> {
    Ok(Held {
        core: row.i64("core")?,
        place: row.i64("place")?,
        no: row.i64("record_no")?,
    })
}

/// All records of those blocks that hold fewer than the number given with them, and which of the blocks
/// hold as many or more.
pub async fn below(
    conn: &mut Conn,
    asked: &BTreeMap<i64, i64>,
) -> Result<(BTreeMap<i64, Vec<Held>>, BTreeSet<i64>), Failure> {
    if asked.is_empty() {
        return Ok((BTreeMap::new(), BTreeSet::new()));
    }
    if conn.engine() == Engine::Postgres {
        let (tokens, most): (Vec<i64>, Vec<i64>) = asked.iter().unzip();
        let rows = conn
            .fetch_all(
                "SELECT p.token, h.core, h.place, h.record_no \
                 FROM UNNEST($1::int8[], $2::int8[]) AS p(token, most) \
                 CROSS JOIN LATERAL (SELECT b.core, b.place, b.record_no FROM blocks b \
                 WHERE b.token = p.token LIMIT p.most) AS h",
                args![tokens, most],
            )
            .await?;
        let mut found: BTreeMap<i64, Vec<Held>> = BTreeMap::new();
        for row in &rows {
            found.entry(row.i64("token")?).or_default().push(held(row)?);
        }
        let full = |token: &i64, list: &[Held]| {
            let most = asked.get(token).copied().unwrap_or(0);
            i64::try_from(list.len()).unwrap_or(i64::MAX) >= most
        };
        let (large, small): (BTreeMap<_, _>, BTreeMap<_, _>) =
            found.into_iter().partition(|(t, list)| full(t, list));
        return Ok((small, large.into_keys().collect()));
    }
    // LIMIT cannot name a column, and a join cannot be limited by row: counted first, each limit by
    // itself.
    let mut by_limit: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for (token, most) in asked {
        by_limit.entry(*most).or_default().push(*token);
    }
    let (mut small, mut large) = (Vec::new(), BTreeSet::new());
    for (most, tokens) in by_limit {
        let list = serde_json::to_string(&tokens).map_err(Failure::internal)?;
        let rows = conn
            .fetch_all(
                "SELECT p.value AS token, (SELECT COUNT(*) FROM (SELECT 1 FROM blocks AS b \
                 WHERE b.token = p.value LIMIT $2)) AS n FROM json_each($1) AS p",
                args![list, most],
            )
            .await?;
        for row in &rows {
            match (row.i64("token")?, row.i64("n")?) {
                (_, 0) => {}
                (token, n) if n < most => small.push(token),
                (token, _) => {
                    large.insert(token);
                }
            }
        }
    }
    Ok((whole(conn, &small).await?, large))
}

/// All records of these blocks, which are to be small ones.
async fn whole(conn: &mut Conn, tokens: &[i64]) -> Result<BTreeMap<i64, Vec<Held>>, Failure> {
    let mut out: BTreeMap<i64, Vec<Held>> = BTreeMap::new();
    if tokens.is_empty() {
        return Ok(out);
    }
    let rows = conn
        .fetch_all(
            "SELECT token, core, place, record_no FROM blocks WHERE token IN LIST($1)",
            args![tokens],
        )
        .await?;
    for row in &rows {
        out.entry(row.i64("token")?).or_default().push(held(row)?);
    }
    Ok(out)
}

/// The distinct cores of these blocks (0 included), up to `most` of each, by hops from core to
/// core.
pub async fn cores(
    conn: &mut Conn,
    tokens: &[i64],
    most: i64,
) -> Result<BTreeMap<i64, BTreeSet<i64>>, Failure> {
    let mut out: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
    if tokens.is_empty() {
        return Ok(out);
    }
    let hops = "UNION ALL SELECT c.token, (SELECT MIN(b.core) FROM blocks AS b \
        WHERE b.token = c.token AND b.core > c.core), c.n + 1 FROM c \
        WHERE c.core IS NOT NULL AND c.n < $2) \
        SELECT token, core FROM c WHERE core IS NOT NULL";
    let rows = match conn.engine() {
        Engine::Postgres => {
            let text = format!(
                "WITH RECURSIVE c(token, core, n) AS (SELECT p.token, \
                 (SELECT MIN(b.core) FROM blocks AS b WHERE b.token = p.token), CAST(1 AS BIGINT) \
                 FROM UNNEST($1::int8[]) AS p(token) {hops}"
            );
            conn.fetch_all(jinke_store::Sql::assembled(text), args![tokens, most])
                .await?
        }
        Engine::Sqlite => {
            let list = serde_json::to_string(tokens).map_err(Failure::internal)?;
            let text = format!(
                "WITH RECURSIVE c(token, core, n) AS (SELECT p.value, \
                 (SELECT MIN(b.core) FROM blocks AS b WHERE b.token = p.value), 1 \
                 FROM json_each($1) AS p {hops}"
            );
            conn.fetch_all(jinke_store::Sql::assembled(text), args![list, most])
                .await?
        }
    };
    for row in &rows {
        out.entry(row.i64("token")?)
            .or_default()
            .insert(row.i64("core")?);
    }
    Ok(out)
}

/// The first records of one core of a block, as many as given with it, by place.
pub async fn parts(
    conn: &mut Conn,
    asked: &BTreeMap<(i64, i64), i64>,
) -> Result<BTreeMap<(i64, i64), Vec<Held>>, Failure> {
    let mut out: BTreeMap<(i64, i64), Vec<Held>> = BTreeMap::new();
    if asked.is_empty() {
        return Ok(out);
    }
    let rows = match conn.engine() {
        Engine::Postgres => {
            let tokens: Vec<i64> = asked.keys().map(|k| k.0).collect();
            let cores: Vec<i64> = asked.keys().map(|k| k.1).collect();
            let most: Vec<i64> = asked.values().copied().collect();
            conn.fetch_all(
                "SELECT p.token, h.core, h.place, h.record_no \
                 FROM UNNEST($1::int8[], $2::int8[], $3::int8[]) AS p(token, core, most) \
                 CROSS JOIN LATERAL (SELECT b.core, b.place, b.record_no FROM blocks b \
                 WHERE b.token = p.token AND b.core = p.core \
                 ORDER BY b.place, b.record_no LIMIT p.most) AS h",
                args![tokens, cores, most],
            )
            .await?
        }
        Engine::Sqlite => {
            let mut by_limit: BTreeMap<i64, Vec<(i64, i64)>> = BTreeMap::new();
            for (at, most) in asked {
                by_limit.entry(*most).or_default().push(*at);
            }
            let mut rows = Vec::new();
            for (most, list) in by_limit {
                let list = serde_json::to_string(&list).map_err(Failure::internal)?;
                // The place of the last one within the limit bounds the stretch of the index
                // that is read.
                rows.extend(
                    conn.fetch_all(
                        "SELECT b.token, b.core, b.place, b.record_no FROM json_each($1) AS p \
                         CROSS JOIN blocks AS b ON b.token = json_extract(p.value, '$[0]') \
                         AND b.core = json_extract(p.value, '$[1]') AND b.place <= COALESCE(\
                         (SELECT x.place FROM blocks AS x \
                         WHERE x.token = json_extract(p.value, '$[0]') \
                         AND x.core = json_extract(p.value, '$[1]') \
                         ORDER BY x.place LIMIT 1 OFFSET $2), 9223372036854775807)",
                        args![list, most - 1],
                    )
                    .await?,
                );
            }
            rows
        }
    };
    for row in &rows {
        let held = held(row)?;
        out.entry((row.i64("token")?, held.core))
            .or_default()
            .push(held);
    }
    for list in out.values_mut() {
        list.sort_unstable();
    }
    Ok(out)
}

/// All records of one core of a block.
pub async fn part(conn: &mut Conn, token: i64, core: i64) -> Result<Vec<i64>, Failure> {
    conn.fetch_all(
        "SELECT record_no FROM blocks WHERE token = $1 AND core = $2",
        args![token, core],
    )
    .await?
    .iter()
    .map(|r| r.i64("record_no"))
    .collect()
}

/// Records of a block, at most `most`.
pub async fn holders(conn: &mut Conn, token: i64, most: i64) -> Result<Vec<i64>, Failure> {
    conn.fetch_all(
        "SELECT record_no FROM blocks WHERE token = $1 LIMIT $2",
        args![token, most],
    )
    .await?
    .iter()
    .map(|r| r.i64("record_no"))
    .collect()
}

/// What a batch changes in the blocks: (token, where).
#[derive(Debug, Default)]
pub struct BlockChanges {
    /// Added.
    pub added: BTreeSet<(i64, Held)>,
    /// Taken away.
    pub removed: BTreeSet<(i64, Held)>,
}

/// Writes the changes. With `again`, rows that are there already are left as they are.
pub async fn write(tx: &mut Tx, changes: BlockChanges, again: bool) -> Result<(), Failure> {
    if !changes.removed.is_empty() {
        let list = changes.removed.iter();
        match tx.engine() {
            Engine::Postgres => {
                let mut columns: [Vec<i64>; 4] = Default::default();
                for (token, h) in list {
                    for (column, v) in columns.iter_mut().zip([*token, h.core, h.place, h.no]) {
                        column.push(v);
                    }
                }
                let [tokens, cores, places, nos] = columns;
                tx.execute(
                    "DELETE FROM blocks USING \
                     UNNEST($1::int8[], $2::int8[], $3::int8[], $4::int8[]) \
                     AS u(token, core, place, record_no) WHERE blocks.token = u.token \
                     AND blocks.core = u.core AND blocks.place = u.place \
                     AND blocks.record_no = u.record_no",
                    args![tokens, cores, places, nos],
                )
                .await?;
            }
            Engine::Sqlite => {
                let list: Vec<[i64; 4]> = list.map(|(t, h)| [*t, h.core, h.place, h.no]).collect();
                let list = serde_json::to_string(&list).map_err(Failure::internal)?;
                tx.execute(
                    "DELETE FROM blocks WHERE (token, core, place, record_no) IN \
                     (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), \
                     json_extract(value, '$[2]'), json_extract(value, '$[3]') \
                     FROM json_each($1))",
                    args![list],
                )
                .await?;
            }
        }
    }
    if changes.added.is_empty() {
        return Ok(());
    }
    // Sorted, the index is walked once from left to right; without a conflict clause an insert
    // is a good deal cheaper.
    let mut rows = Rows::new(&["token", "core", "place", "record_no"]);
    for (token, h) in changes.added {
        rows.push(args![token, h.core, h.place, h.no]);
    }
    let conflict = if again { "ON CONFLICT DO NOTHING" } else { "" };
    tx.insert_many("blocks", rows, conflict).await?;
    Ok(())
}

/// Blocks after a row, in order, for going through all of them.
pub async fn page(
    conn: &mut Conn,
    after: (i64, Held),
    limit: i64,
) -> Result<Vec<(i64, Held)>, Failure> {
    let (token, h) = after;
    conn.fetch_all(
        "SELECT token, core, place, record_no FROM blocks \
         WHERE (token, core, place, record_no) > ($1, $2, $3, $4) \
         ORDER BY token, core, place, record_no LIMIT $5",
        args![token, h.core, h.place, h.no, limit],
    )
    .await?
    .iter()
    .map(|r| Ok((r.i64("token")?, held(r)?)))
    .collect()
}

/// Every row, for checking.
pub async fn all(conn: &mut Conn) -> Result<BTreeSet<(i64, Held)>, Failure> {
    conn.fetch_all("SELECT token, core, place, record_no FROM blocks", args![])
        .await?
        .iter()
        .map(|r| Ok((r.i64("token")?, held(r)?)))
        .collect()
}
