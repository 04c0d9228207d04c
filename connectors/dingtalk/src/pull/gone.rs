//! What is gone: the ids of all rows, compared with those that are known.

use std::collections::BTreeSet;

use jinke_sdk::{KnownRecords, PullError, SweepLimit, http::unreadable, incremental::hash, sweep};
use serde_json::Value;

use super::{DingtalkConnector, Stream};
use crate::{crm::CONTACT_OF, directory::is_id};

impl DingtalkConnector {
    /// Ids of all rows of a stream.
    pub(super) async fn ids(&self, stream: &Stream) -> Result<BTreeSet<String>, PullError> {
        let mut ids = BTreeSet::new();
        let mut token: Option<String> = None;
        let mut seen = BTreeSet::new();
        loop {
            let got = self
                .rows(stream, token.as_deref(), self.config.page_rows)
                .await?;
            for row in &got.rows {
                let id = row
                    .get("instanceId")
                    .and_then(Value::as_str)
                    .filter(|id| is_id(id));
                ids.insert(
                    id.ok_or_else(|| unreadable("a CRM row has no id"))?
                        .to_owned(),
                );
            }
            sweep::bounded(&ids)?;
            token = got.next;
            match &token {
                None => return Ok(ids),
                Some(next) if !seen.insert(hash(&[next.as_bytes()])) => {
                    return Err(unreadable("the pages lead back to an earlier one"));
                }
                Some(_) => {}
            }
        }
    }

    pub(super) async fn gone(
        &self,
        stream: &'static Stream,
        known: &dyn KnownRecords,
        limit: SweepLimit,
    ) -> Result<sweep::Swept, PullError> {
        let present = self.ids(stream).await?;
        // Rows may move between pages while they are listed, so what seems to be gone is looked
        // for in a second list. It is read once, when first needed.
        let again = tokio::sync::OnceCell::new();
        let recheck = |some: Vec<String>| {
            let (present, again) = (&present, &again);
            async move {
                let mut there = BTreeSet::new();
                for id in some {
                    // A link is there as long as its contact.
                    let base = id.strip_suffix(CONTACT_OF).unwrap_or(&id);
                    let found = present.contains(base)
                        || again
                            .get_or_try_init(|| self.ids(stream))
                            .await?
                            .contains(base);
                    if found {
                        there.insert(id);
                    }
                }
                Ok(there)
            }
        };
        sweep::compare(&self.config.source, &present, known, limit, recheck).await
    }
}
