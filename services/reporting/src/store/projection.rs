//! Generations of the star: where they stand, the switch, what is left to remove.

use jinke_store::{Conn, Tx, args, counter, cursor};
use jinke_types::{Code, Failure, Timestamp};

use crate::feed::FEEDS;

/// Being built.
pub const BUILDING: i64 = 1;
/// Answers questions.
pub const SERVING: i64 = 2;
/// Replaced.
pub const RETIRED: i64 = 3;

/// Tables of the star.
pub const TABLES: [&str; 12] = [
    "customers",
    "customer_values",
    "parties",
    "transactions",
    "transaction_lines",
    "interactions",
    "opportunities",
    "transitions",
    "pipelines",
    "products",
    "persons",
    "pipeline_versions",
];

/// What a generation holds: grows when tables or columns come that only a new pass through the feeds
/// can fill.
pub const SHAPE: i64 = 2;

/// A generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// Its number.
    pub no: i64,
    /// [`BUILDING`], [`SERVING`] or [`RETIRED`].
    pub state: i64,
    /// Grows with every page applied.
    pub sequence: i64,
    /// When it was begun.
    pub create_time: Timestamp,
    /// When it began to serve.
    pub serve_time: Option<Timestamp>,
    /// The [`SHAPE`] it was begun with.
    pub shape: i64,
}

/// Where a generation stands in a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedState {
    /// Name of the feed.
    pub feed: String,
    /// Last position applied.
    pub position: i64,
    /// Changes applied.
    pub applied: i64,
    /// When it was looked at last.
    pub check_time: Option<Timestamp>,
    /// Time of the last change applied.
    pub change_time: Option<Timestamp>,
    /// Nothing newer was there then.
    pub caught_up: bool,
    /// Why the last step failed.
    pub last_error: String,
}

/// The name of a generation as a follower.
pub fn follower(generation: i64) -> String {
    format!("projection-{generation}")
}

/// All generations, oldest first.
pub async fn list(conn: &mut Conn) -> Result<Vec<Generation>, Failure> {
    conn.fetch_all(
        "SELECT generation, state, sequence, create_time, serve_time, shape FROM projections \
         ORDER BY generation",
        args![],
    )
    .await?
    .iter()
    .map(|row| {
        Ok(Generation {
            no: row.i64("generation")?,
            state: row.i64("state")?,
            sequence: row.i64("sequence")?,
            create_time: row.time("create_time")?,
            serve_time: row.opt_time("serve_time")?,
            shape: row.i64("shape")?,
        })
    })
    .collect()
}

/// The one that answers. There is one from the first start on.
pub async fn serving(conn: &mut Conn) -> Result<Generation, Failure> {
    list(conn)
        .await?
        .into_iter()
        .find(|g| g.state == SERVING)
        .ok_or_else(|| {
            Failure::new(
                Code::Unavailable,
                "PROJECTION_MISSING",
                "the tables behind the answers are not there yet",
            )
        })
}

/// Where a generation stands in its feeds, in the order of [`FEEDS`].
pub async fn feeds(conn: &mut Conn, generation: i64) -> Result<Vec<FeedState>, Failure> {
    let rows = conn
        .fetch_all(
            "SELECT feed, position, applied, check_time, change_time, caught_up, last_error \
             FROM projection_feeds WHERE generation = $1",
            args![generation],
        )
        .await?;
    let mut states = Vec::new();
    for row in &rows {
        states.push(FeedState {
            feed: row.text("feed")?,
            position: row.i64("position")?,
            applied: row.i64("applied")?,
            check_time: row.opt_time("check_time")?,
            change_time: row.opt_time("change_time")?,
            caught_up: row.bool("caught_up")?,
            last_error: row.text("last_error")?,
        });
    }
    states.sort_by_key(|s| FEEDS.iter().position(|f| *f == s.feed));
    Ok(states)
}

/// Begins the first generation, which serves from the start. When there is one of an older shape it
/// goes on serving, and a new one is built beside it; one that is being built in an older shape is
/// given up.
pub async fn begin_first(tx: &mut Tx, now: Timestamp) -> Result<(), Failure> {
    tx.lock("projections").await?;
    let all = list(tx).await?;
    let Some(serving) = all.iter().find(|g| g.state == SERVING) else {
        return begin(tx, SERVING, now).await.map(drop);
    };
    if serving.shape >= SHAPE {
        return Ok(());
    }
    match all.iter().find(|g| g.state == BUILDING) {
        Some(building) if building.shape >= SHAPE => return Ok(()),
        Some(building) => {
            tx.execute(
                "UPDATE projections SET state = 3 WHERE generation = $1",
                args![building.no],
            )
            .await?;
        }
        None => {}
    }
    begin(tx, BUILDING, now).await.map(drop)
}

/// Begins to build one beside the serving one; the one that is being built already, when there is.
pub async fn begin_building(tx: &mut Tx, now: Timestamp) -> Result<i64, Failure> {
    tx.lock("projections").await?;
    match list(tx).await?.iter().find(|g| g.state == BUILDING) {
        Some(building) => Ok(building.no),
        None => begin(tx, BUILDING, now).await,
    }
}

async fn begin(tx: &mut Tx, state: i64, now: Timestamp) -> Result<i64, Failure> {
    let no = counter::take(tx, "projections", 1).await?;
    let serve_time = (state == SERVING).then_some(now);
    tx.execute(
        "INSERT INTO projections (generation, state, sequence, create_time, serve_time, shape) \
         VALUES ($1, $2, 0, $3, $4, $5)",
        args![no, state, now, serve_time, SHAPE],
    )
    .await?;
    for feed in FEEDS {
        tx.execute(
            "INSERT INTO projection_feeds (generation, feed, position, applied, caught_up, \
             last_error) VALUES ($1, $2, 0, 0, 0, '')",
            args![no, feed],
        )
        .await?;
    }
    Ok(no)
}

/// The token a generation goes on at in a feed; empty for the beginning.
pub async fn token(conn: &mut Conn, generation: i64, feed: &str) -> Result<String, Failure> {
    let cursor = cursor::load(conn, &follower(generation), feed).await?;
    Ok(cursor.map(|c| c.token).unwrap_or_default())
}

/// Moves the cursor from `from` to `to` in the transaction that has the effect. The generation's
/// row is written first: it is locked from here on, so that two replicas cannot both go on.
pub async fn advance(
    tx: &mut Tx,
    generation: i64,
    feed: &str,
    from: &str,
    to: &str,
    now: Timestamp,
) -> Result<(), Failure> {
    let held = tx
        .execute(
            "UPDATE projections SET sequence = sequence + 1 WHERE generation = $1 AND state <> 3",
            args![generation],
        )
        .await?;
    if held != 1 {
        return Err(Failure::new(
            Code::FailedPrecondition,
            "CURSOR_MOVED",
            "the generation was retired meanwhile",
        ));
    }
    let from = Some(from).filter(|f| !f.is_empty());
    cursor::advance(tx, &follower(generation), feed, from, to, now).await
}

/// Notes how far a feed was applied.
pub async fn note(
    tx: &mut Tx,
    generation: i64,
    feed: &str,
    page: &crate::feed::Page,
    caught_up: bool,
    now: Timestamp,
) -> Result<(), Failure> {
    let count = i64::try_from(page.changes.len()).unwrap_or(i64::MAX);
    tx.execute(
        "UPDATE projection_feeds SET position = COALESCE($3, position), applied = applied + $4, \
         check_time = $5, change_time = COALESCE($6, change_time), caught_up = $7, last_error = '' \
         WHERE generation = $1 AND feed = $2",
        args![
            generation,
            feed,
            page.position,
            count,
            now,
            page.time,
            caught_up
        ],
    )
    .await?;
    Ok(())
}

/// Notes that a step failed, by the reason alone: a message may hold what is not ours to show.
pub async fn note_error(
    tx: &mut Tx,
    generation: i64,
    feed: &str,
    reason: &str,
) -> Result<(), Failure> {
    tx.execute(
        "UPDATE projection_feeds SET last_error = $3, caught_up = 0 \
         WHERE generation = $1 AND feed = $2",
        args![generation, feed, reason],
    )
    .await?;
    Ok(())
}

/// Lets a generation that has caught up with every feed, and is no further back than the serving
/// one, serve in its place. Whether it did.
pub async fn switch(tx: &mut Tx, generation: i64, now: Timestamp) -> Result<bool, Failure> {
    tx.lock("projections").await?;
    let all = list(tx).await?;
    let building = all
        .iter()
        .any(|g| g.no == generation && g.state == BUILDING);
    let Some(old) = all.iter().find(|g| g.state == SERVING) else {
        return Ok(false);
    };
    let (new, now_serving) = (feeds(tx, generation).await?, feeds(tx, old.no).await?);
    let ahead = new
        .iter()
        .zip(&now_serving)
        .all(|(n, o)| n.caught_up && n.position >= o.position);
    if !building || !ahead {
        return Ok(false);
    }
    tx.execute(
        "UPDATE projections SET state = 3 WHERE generation = $1",
        args![old.no],
    )
    .await?;
    tx.execute(
        "UPDATE projections SET state = 2, serve_time = $2 WHERE generation = $1",
        args![generation, now],
    )
    .await?;
    Ok(true)
}

/// Removes some rows of a retired generation; whether it is gone.
pub async fn remove_some(tx: &mut Tx, generation: i64, most: i64) -> Result<bool, Failure> {
    const DELETES: [(&str, &str); 12] = [
        ("customers", "id"),
        ("customer_values", "customer"),
        ("parties", "no"),
        ("transactions", "id"),
        ("transaction_lines", "id"),
        ("interactions", "id"),
        ("opportunities", "id"),
        ("transitions", "opportunity"),
        ("pipelines", "id"),
        ("products", "no"),
        ("persons", "no"),
        ("pipeline_versions", "pipeline"),
    ];
    for (table, key) in DELETES {
        let text = format!(
            "DELETE FROM {table} WHERE generation = $1 AND {key} IN \
             (SELECT {key} FROM {table} WHERE generation = $1 ORDER BY {key} LIMIT $2)"
        );
        let removed = tx
            .execute(jinke_store::Sql::assembled(text), args![generation, most])
            .await?;
        if removed > 0 {
            return Ok(false);
        }
    }
    for feed in FEEDS {
        cursor::reset(tx, &follower(generation), feed).await?;
    }
    tx.execute(
        "DELETE FROM projection_feeds WHERE generation = $1",
        args![generation],
    )
    .await?;
    tx.execute(
        "DELETE FROM projections WHERE generation = $1 AND state = 3",
        args![generation],
    )
    .await?;
    Ok(true)
}

/// Rows of a generation by table, in the order of [`TABLES`].
pub async fn counts(conn: &mut Conn, generation: i64) -> Result<[i64; TABLES.len()], Failure> {
    let mut counts = [0; TABLES.len()];
    for (count, table) in counts.iter_mut().zip(TABLES) {
        let text = format!("SELECT COUNT(*) AS n FROM {table} WHERE generation = $1");
        *count = conn
            .fetch_one(jinke_store::Sql::assembled(text), args![generation])
            .await?
            .i64("n")?;
    }
    Ok(counts)
}
