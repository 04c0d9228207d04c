//! Single rows that an event names: `stream/id`.
//!
//! An event of a chat platform holds ids only. The row is asked for behind the answer to the
//! callback, and delivered with the event: when that fails for now, the event is tried again and
//! the row is asked for again, as it is then.

use futures::StreamExt as _;
use jinke_sdk::{CallbackEvent, MAX_PAGE_RECORDS};

use super::Trouble;
use crate::{core::Core, domain::Connection, problem::Problem};

/// The pages of one row are read up to this many.
const MAX_PAGES: usize = 10;

/// Puts the rows that `event` names into it and takes their names out.
pub(super) async fn fetch(
    core: &Core,
    connection: &Connection,
    event: &mut CallbackEvent,
) -> Result<(), Trouble> {
    if !event.pull.iter().any(|name| name.contains('/')) {
        return Ok(());
    }
    let connector = core
        .open(connection)
        .map_err(|failure| Trouble::All(Problem::from(&failure)))?;
    let (rows, streams) = std::mem::take(&mut event.pull)
        .into_iter()
        .partition::<Vec<_>, _>(|name| name.contains('/'));
    event.pull = streams;
    for name in rows {
        let stream = name.split('/').next().unwrap_or_default();
        // Streams that the connection does not take are not brought in by their events.
        let wanted = &connection.streams;
        if !wanted.is_empty() && !wanted.iter().any(|w| w == stream) {
            continue;
        }
        let mut pages = connector.pull(&name, None).await.take(MAX_PAGES);
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Trouble::of_pull(&error))?;
            event
                .records
                .extend(page.records.into_iter().take(MAX_PAGE_RECORDS));
            event.directory.extend(page.directory);
            event.leads.extend(page.leads);
        }
    }
    Ok(())
}
