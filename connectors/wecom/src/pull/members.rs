//! Rounds over departments and members.
//!
//! All members are read in one call for each topmost department that the app sees, so that a
//! round is a picture of one moment: who moves from a department to another while it is read
//! department by department could be in neither, and would be taken for a leaver.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt as _};
use jinke_sdk::{
    DirectoryEntry, Page, Progress, PullError,
    directory::{DIRECTORY, MAX_PAGE_ENTRIES},
};

use super::{Pages, Place, WecomConnector};
use crate::directory;

impl WecomConnector {
    /// The rest of a round over the directory: all departments, then all members in the order of
    /// their ids.
    pub(super) async fn directory(&self, mut place: Place) -> Result<Pages, PullError> {
        let departments = directory::departments(&self.api).await?;
        let mut members = BTreeMap::new();
        for top in departments.iter().filter(|d| d.parent.is_none()) {
            for member in directory::members(&self.api, &top.external_id).await? {
                members.insert(member.external_id.clone(), member);
            }
        }
        let total = members.len() as u64 + 1;
        let mut chunks: Vec<(Option<String>, Vec<DirectoryEntry>)> = Vec::new();
        let after = place.after.take();
        if after.is_none() {
            let mut entries = vec![DirectoryEntry::RoundBegan];
            entries.extend(departments.into_iter().map(DirectoryEntry::Department));
            // A round is begun anew when not all departments were told.
            chunks.extend(entries.chunks(MAX_PAGE_ENTRIES).map(|c| (None, c.to_vec())));
            if let Some((at, _)) = chunks.last_mut() {
                *at = Some(DIRECTORY.to_owned());
            }
        }
        // No member's id begins with a slash, and the mark of the departments is below them all.
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
        let mut pages = Vec::new();
        place.done = total - rest.len() as u64 - u64::from(after.is_none());
        for (i, (at, entries)) in chunks.into_iter().enumerate() {
            let ended = i + 1 == count;
            let members = entries
                .iter()
                .filter(|e| matches!(e, DirectoryEntry::Member(_)));
            place.done += members.count() as u64 + u64::from(at.as_deref() == Some(DIRECTORY));
            place.after = at;
            let cursor = if ended { place.end() } else { place.cursor() };
            pages.push(cursor.map(|cursor| Page {
                directory: entries,
                cursor: Some(cursor),
                progress: Progress {
                    done: place.done,
                    total: Some(total),
                },
                ..Page::default()
            }));
        }
        Ok(stream::iter(pages).boxed())
    }
}
