//! What customers would be under another rule set, and where that differs.

use std::collections::{BTreeMap, BTreeSet};

use jinke_store::{Conn, Row, Rows, Tx, args, counter};
use jinke_types::{Failure, Timestamp};

use super::records;
use crate::domain::damaged;

/// Which of the two states of everything derived from scores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lane {
    /// Under the rule sets in force.
    #[default]
    Active,
    /// Under the rule set of the dry run.
    Shadow,
}

impl Lane {
    /// The table of pairs.
    pub const fn pairs(self) -> &'static str {
        match self {
            Self::Active => "pairs",
            Self::Shadow => "shadow_pairs",
        }
    }
    /// The table of reviews.
    pub const fn reviews(self) -> &'static str {
        match self {
            Self::Active => "reviews",
            Self::Shadow => "shadow_reviews",
        }
    }
}

/// A dry run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DryRunRow {
    /// Its number.
    pub id: i64,
    /// The rule set that is tried.
    pub rule_set: i64,
    /// Grows with every list of differences.
    pub revision: i64,
    /// Its differences are listed.
    pub built: bool,
    /// When it began.
    pub create_time: Timestamp,
}

/// The dry run that stands, if one does.
pub async fn standing(conn: &mut Conn) -> Result<Option<DryRunRow>, Failure> {
    conn.fetch_optional(
        "SELECT id, rule_set, revision, built, create_time FROM dry_runs",
        args![],
    )
    .await?
    .map(|r| {
        Ok(DryRunRow {
            id: r.i64("id")?,
            rule_set: r.i64("rule_set")?,
            revision: r.i64("revision")?,
            built: r.bool("built")?,
            create_time: r.time("create_time")?,
        })
    })
    .transpose()
}

/// Begins a dry run; one that stood is taken down.
pub async fn begin(
    tx: &mut Tx,
    rule_set: i64,
    creator: &str,
    now: Timestamp,
) -> Result<i64, Failure> {
    clear(tx).await?;
    let id = counter::take(tx, "dry_runs", 1).await?;
    tx.execute(
        "INSERT INTO dry_runs (id, rule_set, revision, built, creator, create_time) \
         VALUES ($1, $2, 0, 0, $3, $4)",
        args![id, rule_set, creator, now],
    )
    .await?;
    Ok(id)
}

/// Takes down what stands.
pub async fn clear(tx: &mut Tx) -> Result<(), Failure> {
    for text in [
        "DELETE FROM shadow_pairs",
        "DELETE FROM shadow_reviews",
        "DELETE FROM shadow_customers",
        "DELETE FROM differences",
        "DELETE FROM dry_runs",
    ] {
        tx.execute(text, args![]).await?;
    }
    Ok(())
}

/// Notes that the differences are listed, in a new revision.
pub async fn listed(tx: &mut Tx, id: i64) -> Result<(), Failure> {
    tx.execute(
        "UPDATE dry_runs SET revision = revision + 1, built = 1 WHERE id = $1",
        args![id],
    )
    .await?;
    Ok(())
}

/// The customers of these records under the dry run.
pub async fn customers(conn: &mut Conn, nos: &[i64]) -> Result<BTreeMap<i64, i64>, Failure> {
    conn.fetch_all(
        "SELECT record_no, customer FROM shadow_customers WHERE record_no IN LIST($1)",
        args![nos],
    )
    .await?
    .iter()
    .map(|r| Ok((r.i64("record_no")?, r.i64("customer")?)))
    .collect()
}

/// The records of these customers under the dry run.
pub async fn members(conn: &mut Conn, ids: &[i64]) -> Result<Vec<records::PartyRow>, Failure> {
    let mut of = BTreeMap::new();
    for r in conn
        .fetch_all(
            "SELECT record_no, customer FROM shadow_customers WHERE customer IN LIST($1)",
            args![ids],
        )
        .await?
    {
        of.insert(r.i64("record_no")?, r.i64("customer")?);
    }
    let nos: Vec<i64> = of.keys().copied().collect();
    let mut rows = Vec::new();
    for chunk in nos.chunks(5_000) {
        rows.extend(records::parties(conn, chunk).await?);
    }
    for row in &mut rows {
        row.customer = of.get(&row.no).copied();
    }
    Ok(rows)
}

/// How many records these customers have under the dry run.
pub async fn sizes(conn: &mut Conn, ids: &[i64]) -> Result<BTreeMap<i64, i64>, Failure> {
    conn.fetch_all(
        "SELECT customer, COUNT(*) AS n FROM shadow_customers WHERE customer IN LIST($1) \
         GROUP BY customer",
        args![ids],
    )
    .await?
    .iter()
    .map(|r| Ok((r.i64("customer")?, r.i64("n")?)))
    .collect()
}

/// Assigns records to customers under the dry run.
pub async fn assign(tx: &mut Tx, customers: &BTreeMap<i64, i64>) -> Result<(), Failure> {
    if customers.is_empty() {
        return Ok(());
    }
    let mut rows = Rows::new(&["record_no", "customer"]);
    for (no, customer) in customers {
        rows.push(args![*no, *customer]);
    }
    tx.insert_many(
        "shadow_customers",
        rows,
        "ON CONFLICT (record_no) DO UPDATE SET customer = excluded.customer",
    )
    .await?;
    Ok(())
}

/// A record with its customer in force and under the dry run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Placed {
    /// Its number.
    pub no: i64,
    /// In force.
    pub before: i64,
    /// Under the dry run.
    pub after: i64,
}

fn placed(r: &Row) -> Result<Placed, Failure> {
    Ok(Placed {
        no: r.i64("record_no")?,
        before: r.i64("before_id")?,
        after: r.i64("after_id")?,
    })
}

const PLACED: &str = "SELECT r.record_no, r.customer AS before_id, s.customer AS after_id \
    FROM shadow_customers s JOIN records r ON r.record_no = s.record_no WHERE ";

/// All records of customers that are not the same under both. A customer's id is its smallest
/// record, so customers are the same when all their records have the same customer in both.
pub async fn moved(conn: &mut Conn) -> Result<BTreeSet<Placed>, Failure> {
    let text = format!("{PLACED} r.customer <> s.customer");
    let rows = conn
        .fetch_all(jinke_store::Sql::assembled(text), args![])
        .await?;
    let mut out = BTreeSet::new();
    let (mut before, mut after) = (BTreeSet::new(), BTreeSet::new());
    for r in &rows {
        let p = placed(r)?;
        before.extend([p.before, p.after]);
        after.extend([p.before, p.after]);
        out.insert(p);
    }
    for (ids, column) in [(before, "r.customer"), (after, "s.customer")] {
        let ids: Vec<i64> = ids.into_iter().collect();
        for chunk in ids.chunks(5_000) {
            let text = format!("{PLACED} {column} IN LIST($1)");
            let rows = conn
                .fetch_all(jinke_store::Sql::assembled(text), args![chunk])
                .await?;
            for r in &rows {
                out.insert(placed(r)?);
            }
        }
    }
    Ok(out)
}

/// The records of each customer, in order.
pub type Groups = Vec<Vec<i64>>;

/// Records that would be divided otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DifferenceRow {
    /// The smallest of them.
    pub component: i64,
    /// As they are divided in force.
    pub before: Groups,
    /// As they would be.
    pub after: Groups,
    /// It is in the list that was looked at last.
    pub approved: bool,
}

/// Differences after (approved, component), those that nobody saw yet first.
pub async fn differences(
    conn: &mut Conn,
    dry_run: i64,
    after: Option<(bool, i64)>,
    limit: i64,
) -> Result<Vec<DifferenceRow>, Failure> {
    let (approved, component) = after.map_or((-1, 0), |(a, c)| (i64::from(a), c));
    conn.fetch_all(
        "SELECT component, before_groups, after_groups, approved FROM differences \
         WHERE dry_run = $1 AND (approved > $2 OR (approved = $2 AND component > $3)) \
         ORDER BY approved, component LIMIT $4",
        args![dry_run, approved, component, limit],
    )
    .await?
    .iter()
    .map(|r| {
        let groups = |name: &str| -> Result<Groups, Failure> {
            serde_json::from_str(&r.text(name)?).map_err(|_| damaged("dry run"))
        };
        Ok(DifferenceRow {
            component: r.i64("component")?,
            before: groups("before_groups")?,
            after: groups("after_groups")?,
            approved: r.bool("approved")?,
        })
    })
    .collect()
}

/// Replaces the list of differences.
pub async fn put_differences(
    tx: &mut Tx,
    dry_run: i64,
    list: &[DifferenceRow],
) -> Result<(), Failure> {
    tx.execute("DELETE FROM differences WHERE dry_run = $1", args![dry_run])
        .await?;
    if list.is_empty() {
        return Ok(());
    }
    let mut rows = Rows::new(&[
        "dry_run",
        "component",
        "before_groups",
        "after_groups",
        "approved",
    ]);
    for d in list {
        let text = |groups: &Groups| serde_json::to_string(groups).map_err(Failure::internal);
        rows.push(args![
            dry_run,
            d.component,
            text(&d.before)?,
            text(&d.after)?,
            d.approved
        ]);
    }
    tx.insert_many("differences", rows, "").await?;
    Ok(())
}

/// Exchanges pairs and reviews with those of the dry run. Both engines rename tables within a
/// transaction, so that it costs the same for any number of rows.
pub async fn exchange(tx: &mut Tx) -> Result<(), Failure> {
    for text in [
        "ALTER TABLE pairs RENAME TO former_pairs",
        "ALTER TABLE shadow_pairs RENAME TO pairs",
        "ALTER TABLE former_pairs RENAME TO shadow_pairs",
        "ALTER TABLE reviews RENAME TO former_reviews",
        "ALTER TABLE shadow_reviews RENAME TO reviews",
        "ALTER TABLE former_reviews RENAME TO shadow_reviews",
    ] {
        tx.execute(text, args![]).await?;
    }
    Ok(())
}

/// Copies the pairs and reviews of the other kind of party into the shadow, before the exchange.
pub async fn copy_others(tx: &mut Tx, kind: i64) -> Result<(), Failure> {
    tx.execute(
        "INSERT INTO shadow_pairs (a, b, score) SELECT p.a, p.b, p.score FROM pairs p \
         JOIN records r ON r.record_no = p.a WHERE r.type <> $1",
        args![kind],
    )
    .await?;
    tx.execute(
        "INSERT INTO shadow_reviews (a, b, score, reason) \
         SELECT p.a, p.b, p.score, p.reason FROM reviews p \
         JOIN records r ON r.record_no = p.a WHERE r.type <> $1",
        args![kind],
    )
    .await?;
    Ok(())
}

/// How many customers and reviews there are, in force and under the dry run, of one kind.
pub async fn counts(conn: &mut Conn, kind: i64) -> Result<[i64; 4], Failure> {
    let mut one = async |text: &'static str, args: Vec<jinke_store::Arg>| {
        conn.fetch_one(text, args).await?.i64("n")
    };
    Ok([
        one(
            "SELECT COUNT(*) AS n FROM customers WHERE live = 1 AND kind = $1",
            args![kind],
        )
        .await?,
        one(
            "SELECT COUNT(DISTINCT customer) AS n FROM shadow_customers",
            args![],
        )
        .await?,
        one(
            "SELECT COUNT(*) AS n FROM reviews v JOIN records r ON r.record_no = v.a \
             WHERE r.type = $1",
            args![kind],
        )
        .await?,
        one("SELECT COUNT(*) AS n FROM shadow_reviews", args![]).await?,
    ])
}

/// How many differences there are, and how many of them nobody approved yet.
pub async fn difference_counts(conn: &mut Conn, dry_run: i64) -> Result<(i64, i64), Failure> {
    let row = conn
        .fetch_one(
            "SELECT COUNT(*) AS n, CAST(COALESCE(SUM(CASE WHEN approved = 0 THEN 1 ELSE 0 END), 0) \
             AS BIGINT) AS unapproved FROM differences WHERE dry_run = $1",
            args![dry_run],
        )
        .await?;
    Ok((row.i64("n")?, row.i64("unapproved")?))
}
