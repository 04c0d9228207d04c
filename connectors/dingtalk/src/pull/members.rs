//! Rounds over departments and members, and single ones.

use futures::stream::{self, StreamExt as _};
use jinke_sdk::{
    Cursor, DirectoryEntry, Page, Progress, PullError, PullErrorKind,
    directory::{DIRECTORY, MAX_PAGE_ENTRIES},
    incremental::hash,
};
use jinke_types::{Clock as _, SystemClock};
use serde::{Deserialize, Serialize};

use super::{DingtalkConnector, Pages};
use crate::directory;

/// Where a round stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    /// Which list, so that a cursor of another one is refused.
    list: String,
    /// `directory` behind the departments, `/id` behind a member.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    /// When the last round ended, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<i64>,
}

impl Place {
    fn cursor(&self) -> Result<Cursor, PullError> {
        Cursor::encode(self).map_err(|f| PullError::new(PullErrorKind::Unreadable, f))
    }
}

impl DingtalkConnector {
    /// A round over the directory (or its rest), or one row of it.
    pub(super) async fn directory(
        &self,
        name: &str,
        cursor: Option<Cursor>,
    ) -> Result<Pages, PullError> {
        if let Some(what) = name.strip_prefix("directory/") {
            let page = Page {
                directory: vec![directory::one(&self.api, what).await?],
                ..Page::default()
            };
            return Ok(stream::iter([Ok(page)]).boxed());
        }
        let parts = [&self.config.url, &self.config.app_key, DIRECTORY].map(str::as_bytes);
        let list = format!("{:016x}", hash(&parts));
        let mut place = match cursor {
            None => Place {
                list,
                after: None,
                ended: None,
            },
            Some(cursor) => {
                let place: Place = cursor.decode()?;
                if place.list != list {
                    return Err(Cursor::unknown());
                }
                place
            }
        };
        let round = self.config.directory_round.as_secs();
        // A clock that was set back must not stop the rounds: a time yet to come counts as none.
        let since = place.ended.map(|ended| SystemClock.now().secs() - ended);
        let fresh = since.is_some_and(|s| s >= 0 && s.unsigned_abs() < round);
        if place.after.is_none() && fresh {
            return Ok(stream::empty().boxed());
        }
        let departments = directory::departments(&self.api).await?;
        let members = directory::members(&self.api, &departments).await?;
        let total = members.len() as u64 + 1;
        let after = place.after.take();
        let mut chunks: Vec<(Option<String>, Vec<DirectoryEntry>)> = Vec::new();
        if after.is_none() {
            let mut entries = vec![DirectoryEntry::RoundBegan];
            entries.extend(departments.into_iter().map(DirectoryEntry::Department));
            // A round is begun anew when not all departments were told.
            chunks.extend(entries.chunks(MAX_PAGE_ENTRIES).map(|c| (None, c.to_vec())));
            if let Some((at, _)) = chunks.last_mut() {
                *at = Some(DIRECTORY.to_owned());
            }
        }
        let last = after.as_deref().and_then(|a| a.strip_prefix('/'));
        let rest: Vec<_> = members
            .into_iter()
            .filter(|(id, _)| last.is_none_or(|l| id.as_str() > l))
            .collect();
        for some in rest.chunks(MAX_PAGE_ENTRIES) {
            let at = some.last().map(|(id, _)| format!("/{id}"));
            let entries = some.iter().map(|(_, m)| DirectoryEntry::Member(m.clone()));
            chunks.push((at, entries.collect()));
        }
        chunks.push((None, vec![DirectoryEntry::RoundEnded]));
        let count = chunks.len();
        let mut done = total - rest.len() as u64 - u64::from(after.is_none());
        let mut pages = Vec::new();
        for (i, (at, entries)) in chunks.into_iter().enumerate() {
            let members = entries
                .iter()
                .filter(|e| matches!(e, DirectoryEntry::Member(_)));
            done += members.count() as u64 + u64::from(at.as_deref() == Some(DIRECTORY));
            place.after = at;
            if i + 1 == count {
                place.ended = Some(SystemClock.now().secs());
            }
            pages.push(place.cursor().map(|cursor| Page {
                directory: entries,
                cursor: Some(cursor),
                progress: Progress {
                    done,
                    total: Some(total),
                },
                ..Page::default()
            }));
        }
        Ok(stream::iter(pages).boxed())
    }
}
