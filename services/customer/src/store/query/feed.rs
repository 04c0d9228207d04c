//! What a change of the feed may show.
//!
//! The change log names customers and revisions; what made up a customer at a revision stands in
//! `revisions`. A caller sees a change when he sees one of the records that made the customer up
//! then, or, when it held none any more, just before.

use std::collections::{BTreeMap, BTreeSet};

use jinke_store::{Conn, args};
use jinke_types::{Failure, Timestamp};

use super::Rows;

/// What made up a customer at one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Numbers of the records that the caller sees.
    pub seen: Vec<i64>,
    /// Other customers concerned.
    pub related: Vec<i64>,
}

/// For each (customer, revision): what made it up, over the rows seen. A revision without members
/// takes those of the one before it.
pub async fn made_of(
    conn: &mut Conn,
    rows: &Rows,
    wanted: &[(i64, i64)],
) -> Result<BTreeMap<(i64, i64), Made>, Failure> {
    let mut out = BTreeMap::new();
    let mut members = BTreeMap::new();
    let customers: Vec<i64> = wanted
        .iter()
        .map(|(c, _)| *c)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let wanted: BTreeSet<_> = wanted.iter().copied().collect();
    let (Some(least), Some(most)) = (
        wanted.iter().map(|w| w.1).min(),
        wanted.iter().map(|w| w.1).max(),
    ) else {
        return Ok(out);
    };
    let found = conn
        .fetch_all(
            "SELECT customer, revision, related, members FROM revisions \
             WHERE customer IN LIST($1) AND revision >= $2 AND revision <= $3",
            args![customers, least, most],
        )
        .await?;
    for row in &found {
        let at = (row.i64("customer")?, row.i64("revision")?);
        if !wanted.contains(&at) {
            continue;
        }
        let mut listed = member_numbers(&row.text("members")?)?;
        if listed.is_empty() && *rows != Rows::All {
            listed = members_before(conn, at.0, at.1).await?;
        }
        members.insert(at, listed);
        out.insert(
            at,
            Made {
                seen: Vec::new(),
                related: numbers(&row.text("related")?)?,
            },
        );
    }
    let all: BTreeSet<i64> = members.values().flatten().copied().collect();
    let seen = seen_records(conn, rows, &all).await?;
    for (at, made) in &mut out {
        made.seen = members[at]
            .iter()
            .copied()
            .filter(|n| seen.contains(n))
            .collect();
    }
    Ok(out)
}

async fn members_before(
    conn: &mut Conn,
    customer: i64,
    revision: i64,
) -> Result<Vec<i64>, Failure> {
    let row = conn
        .fetch_optional(
            "SELECT members FROM revisions WHERE customer = $1 AND revision < $2 \
             AND members <> '' ORDER BY revision DESC LIMIT 1",
            args![customer, revision],
        )
        .await?;
    row.map_or(Ok(Vec::new()), |row| member_numbers(&row.text("members")?))
}

/// Of these customers, those of whose records the caller saw one at `time`.
pub async fn seen_customers(
    conn: &mut Conn,
    rows: &Rows,
    customers: &BTreeSet<i64>,
    time: Timestamp,
) -> Result<BTreeSet<i64>, Failure> {
    if *rows == Rows::All {
        return Ok(customers.clone());
    }
    let mut out = BTreeSet::new();
    for customer in customers {
        let row = conn
            .fetch_optional(
                "SELECT members FROM revisions WHERE customer = $1 AND time <= $2 \
                 AND members <> '' ORDER BY revision DESC LIMIT 1",
                args![*customer, time],
            )
            .await?;
        let Some(row) = row else { continue };
        let members = member_numbers(&row.text("members")?)?.into_iter().collect();
        if !seen_records(conn, rows, &members).await?.is_empty() {
            out.insert(*customer);
        }
    }
    Ok(out)
}

async fn seen_records(
    conn: &mut Conn,
    rows: &Rows,
    records: &BTreeSet<i64>,
) -> Result<BTreeSet<i64>, Failure> {
    let Some(sources) = rows.list() else {
        return Ok(records.clone());
    };
    if records.is_empty() {
        return Ok(BTreeSet::new());
    }
    let numbers: Vec<i64> = records.iter().copied().collect();
    let found = conn
        .fetch_all(
            "SELECT record_no FROM records WHERE record_no IN LIST($1) AND source IN LIST($2)",
            args![numbers, sources],
        )
        .await?;
    found.iter().map(|row| row.i64("record_no")).collect()
}

/// Positions of revisions in the feed.
pub async fn positions(
    conn: &mut Conn,
    feed: &str,
    customer: i64,
    revisions: &[i64],
) -> Result<BTreeMap<i64, i64>, Failure> {
    let (Some(least), Some(most)) = (revisions.iter().min(), revisions.iter().max()) else {
        return Ok(BTreeMap::new());
    };
    let found = conn
        .fetch_all(
            "SELECT revision, position FROM jinke_changes WHERE feed = $1 AND subject = $2 \
             AND revision >= $3 AND revision <= $4",
            args![feed, customer.to_string(), *least, *most],
        )
        .await?;
    found
        .iter()
        .map(|row| Ok((row.i64("revision")?, row.i64("position")?)))
        .collect()
}

fn numbers(list: &str) -> Result<Vec<i64>, Failure> {
    list.split(',')
        .filter(|s| !s.is_empty())
        .map(number)
        .collect()
}

/// The record numbers of `no:versions,no:versions`.
fn member_numbers(list: &str) -> Result<Vec<i64>, Failure> {
    list.split(',')
        .filter(|s| !s.is_empty())
        .map(|member| number(member.split(':').next().unwrap_or_default()))
        .collect()
}

fn number(text: &str) -> Result<i64, Failure> {
    text.parse()
        .map_err(|_| Failure::internal("a stored revision cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_or_refused() {
        assert_eq!(member_numbers("5:2,7:1").unwrap(), [5, 7]);
        assert_eq!(member_numbers("").unwrap(), Vec::<i64>::new());
        assert_eq!(numbers("3,4").unwrap(), [3, 4]);
        assert!(member_numbers("x:1").is_err());
    }
}
