//! What of the feed a caller sees.

use std::collections::BTreeSet;

use jinke_store::{Conn, args};
use jinke_types::Failure;

use super::Query;
use crate::access::Sight;

/// Which of these resources are seen; pipelines are seen by all.
///
/// # Errors
/// Those of the store.
pub async fn seen(
    conn: &mut Conn,
    sight: &Sight,
    collection: &str,
    ids: &[i64],
) -> Result<BTreeSet<i64>, Failure> {
    if *sight == Sight::All {
        return Ok(ids.iter().copied().collect());
    }
    let text = match collection {
        "leads" => "SELECT t.id FROM leads t WHERE 1 = 1",
        "opportunities" => "SELECT t.id FROM opportunities t WHERE 1 = 1",
        "activities" => "SELECT t.id FROM activities t WHERE 1 = 1",
        "tasks" => "SELECT t.id FROM tasks t WHERE 1 = 1",
        _ => return Ok(BTreeSet::new()),
    };
    let mut q = Query::new(text);
    q.seen(sight).add(" AND t.id IN LIST(?)", args![ids]);
    q.fetch(conn)
        .await?
        .iter()
        .map(|row| row.i64("id"))
        .collect()
}
