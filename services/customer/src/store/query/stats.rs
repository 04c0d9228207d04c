//! Counts over the rows a caller sees.

use std::collections::BTreeMap;

use jinke_store::{Conn, args};
use jinke_types::Failure;

use super::{Query, Rows};

/// How much of what a source has brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceCount {
    /// Party records.
    pub parties: i64,
    /// Party records that a customer holds; the others wait to be resolved.
    pub held: i64,
    /// Relationships.
    pub relationships: i64,
    /// Transactions.
    pub transactions: i64,
    /// Interactions.
    pub interactions: i64,
}

/// Counts of everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// By source; one without records is listed too.
    pub sources: BTreeMap<String, SourceCount>,
    /// Customers that are organizations.
    pub organizations: i64,
    /// Customers that are persons.
    pub persons: i64,
    /// Reviews of which both records are seen.
    pub open_reviews: i64,
}

/// Counts what the caller sees.
pub async fn stats(conn: &mut Conn, rows: &Rows) -> Result<Stats, Failure> {
    let mut out = Stats::default();
    if rows.is_nothing() {
        return Ok(out);
    }
    let sources = rows.list();
    let mut q = Query::new("SELECT id FROM sources WHERE 1 = 1");
    if let Some(sources) = &sources {
        q.add(" AND id IN LIST(?)", args![sources.clone()]);
    }
    for row in &q.fetch_all(conn).await? {
        out.sources.insert(row.text("id")?, SourceCount::default());
    }
    let mut q = Query::new(
        "SELECT source, type, COUNT(*) AS n, COUNT(customer) AS held FROM records WHERE 1 = 1",
    );
    if let Some(sources) = &sources {
        q.add(" AND source IN LIST(?)", args![sources.clone()]);
    }
    q.text.push_str(" GROUP BY source, type");
    for row in &q.fetch_all(conn).await? {
        let n = row.i64("n")?;
        let count = out.sources.entry(row.text("source")?).or_default();
        match row.i64("type")? {
            1 | 2 => {
                count.parties += n;
                count.held += row.i64("held")?;
            }
            3 => count.relationships += n,
            4 => count.transactions += n,
            _ => count.interactions += n,
        }
    }
    let mut q = Query::new("SELECT kind, COUNT(*) AS n FROM customers c WHERE live = 1");
    if let Some(sources) = &sources {
        q.add(
            " AND EXISTS (SELECT 1 FROM records r WHERE r.customer = c.id \
             AND r.source IN LIST(?))",
            args![sources.clone()],
        );
    }
    q.text.push_str(" GROUP BY kind");
    for row in &q.fetch_all(conn).await? {
        match row.i64("kind")? {
            1 => out.organizations = row.i64("n")?,
            _ => out.persons = row.i64("n")?,
        }
    }
    let mut q = Query::new("SELECT COUNT(*) AS n FROM reviews v");
    if let Some(sources) = &sources {
        q.text.push_str(
            " JOIN records a ON a.record_no = v.a JOIN records b ON b.record_no = v.b WHERE ",
        );
        q.add(
            "a.source IN LIST(?) AND b.source IN LIST(?)",
            args![sources.clone(), sources.clone()],
        );
    }
    out.open_reviews = q.fetch_one(conn).await?.i64("n")?;
    Ok(out)
}
