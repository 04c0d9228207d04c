//! What stands at an address: leads, opportunities, activities and tasks of a customer.

use std::collections::BTreeSet;

use jinke_store::{Conn, args};
use jinke_types::Failure;

/// Resources by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attached {
    /// Leads.
    pub leads: BTreeSet<i64>,
    /// Opportunities.
    pub opportunities: BTreeSet<i64>,
    /// Activities.
    pub activities: BTreeSet<i64>,
    /// Tasks.
    pub tasks: BTreeSet<i64>,
}

async fn ids(conn: &mut Conn, text: &'static str, at: &[i64]) -> Result<BTreeSet<i64>, Failure> {
    if at.is_empty() {
        return Ok(BTreeSet::new());
    }
    let rows = conn.fetch_all(text, args![at]).await?;
    rows.iter().map(|row| row.i64("id")).collect()
}

/// What was addressed at these record numbers.
///
/// # Errors
/// Those of the store.
pub async fn at(conn: &mut Conn, addresses: &[i64]) -> Result<Attached, Failure> {
    Ok(Attached {
        leads: ids(
            conn,
            "SELECT id FROM leads WHERE customer IN LIST($1)",
            addresses,
        )
        .await?,
        opportunities: ids(
            conn,
            "SELECT id FROM opportunities WHERE customer IN LIST($1)",
            addresses,
        )
        .await?,
        activities: ids(
            conn,
            "SELECT id FROM activities WHERE customer IN LIST($1)",
            addresses,
        )
        .await?,
        tasks: ids(
            conn,
            "SELECT id FROM tasks WHERE customer IN LIST($1)",
            addresses,
        )
        .await?,
    })
}

/// Activities and tasks that belong to these leads and opportunities, whatever customer they name.
///
/// # Errors
/// Those of the store.
pub async fn of(conn: &mut Conn, owners: &Attached) -> Result<Attached, Failure> {
    let leads: Vec<i64> = owners.leads.iter().copied().collect();
    let opportunities: Vec<i64> = owners.opportunities.iter().copied().collect();
    let mut out = Attached::default();
    for (texts, owners) in [
        (
            [
                "SELECT id FROM activities WHERE lead IN LIST($1)",
                "SELECT id FROM tasks WHERE lead IN LIST($1)",
            ],
            leads,
        ),
        (
            [
                "SELECT id FROM activities WHERE opportunity IN LIST($1)",
                "SELECT id FROM tasks WHERE opportunity IN LIST($1)",
            ],
            opportunities,
        ),
    ] {
        let [activities, tasks] = texts;
        out.activities.extend(ids(conn, activities, &owners).await?);
        out.tasks.extend(ids(conn, tasks, &owners).await?);
    }
    Ok(out)
}

/// What stands at these addresses: `(subject, revision)` of every resource, by kind and in order.
///
/// # Errors
/// Those of the store.
pub async fn revisions(conn: &mut Conn, addresses: &[i64]) -> Result<Vec<(String, i64)>, Failure> {
    let mut out = Vec::new();
    for (collection, text) in [
        (
            "leads",
            "SELECT id, revision FROM leads WHERE customer IN LIST($1) ORDER BY id",
        ),
        (
            "opportunities",
            "SELECT id, revision FROM opportunities WHERE customer IN LIST($1) ORDER BY id",
        ),
        (
            "activities",
            "SELECT id, version AS revision FROM activities WHERE customer IN LIST($1) ORDER BY id",
        ),
        (
            "tasks",
            "SELECT id, revision FROM tasks WHERE customer IN LIST($1) ORDER BY id",
        ),
    ] {
        for row in conn.fetch_all(text, args![addresses]).await? {
            out.push((
                format!("{collection}/{}", row.i64("id")?),
                row.i64("revision")?,
            ));
        }
    }
    Ok(out)
}
