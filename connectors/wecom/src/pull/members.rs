//! Rounds over departments and members.

use std::sync::Arc;

use futures::stream::{self, StreamExt as _};
use jinke_sdk::{
    Department, DirectoryEntry, Page, Progress, PullError,
    directory::{DIRECTORY, MAX_PAGE_ENTRIES},
};

use super::{Place, WecomConnector};
use crate::directory;

impl WecomConnector {
    /// The rest of a round over the directory: all departments, then the members of each.
    pub(super) fn directory(
        self,
        departments: Vec<Department>,
        place: Place,
    ) -> impl futures::Stream<Item = Result<Page, PullError>> + Send + use<> {
        let order: Arc<Vec<String>> =
            Arc::new(departments.iter().map(|d| d.external_id.clone()).collect());
        let total = order.len() as u64 + 1;
        // The tree may have changed since: a department that is no longer there begins anew.
        let after = place.after.as_ref();
        let begun = after.and_then(|a| order.iter().position(|id| id == a).map(|i| i + 1));
        let first = match (begun, after) {
            (Some(next), _) => next,
            (None, Some(a)) if a == DIRECTORY => 0,
            _ => {
                return stream::iter(departments_pages(departments, &place, total))
                    .chain(self.members(order, place, 0, total))
                    .boxed();
            }
        };
        self.members(order, place, first, total).boxed()
    }

    fn members(
        self,
        order: Arc<Vec<String>>,
        place: Place,
        first: usize,
        total: u64,
    ) -> impl futures::Stream<Item = Result<Page, PullError>> + Send + use<> {
        let last = order.len();
        stream::iter(first..last)
            .then(move |i| {
                let (connector, order, place) = (self.clone(), order.clone(), place.clone());
                async move { connector.department(&order, i, place, total).await }
            })
            .flat_map(|pages| match pages {
                Ok(pages) => stream::iter(pages.into_iter().map(Ok).collect::<Vec<_>>()),
                Err(error) => stream::iter(vec![Err(error)]),
            })
            .scan(false, |ended, item| {
                // Nothing comes behind an error.
                let go_on = !std::mem::replace(ended, item.is_err());
                std::future::ready(go_on.then_some(item))
            })
    }

    async fn department(
        &self,
        order: &[String],
        i: usize,
        place: Place,
        total: u64,
    ) -> Result<Vec<Page>, PullError> {
        let mut members = directory::members(&self.api, &order[i]).await?;
        // A member of several departments is told once, with the first of them in the order.
        members.retain(|m| {
            let first = order.iter().find(|id| m.departments.contains(id));
            first.is_none_or(|first| *first == order[i])
        });
        let done = i as u64 + 2;
        let behind = Place {
            after: Some(order[i].clone()),
            done,
            ..place.clone()
        };
        let cursor = if i + 1 == order.len() {
            behind.end()?
        } else {
            behind.cursor()?
        };
        // A department of many members is begun again when it was not read to its end.
        let before = Place {
            after: Some(if i == 0 {
                DIRECTORY.to_owned()
            } else {
                order[i - 1].clone()
            }),
            done: done - 1,
            ..place
        }
        .cursor()?;
        let mut pages: Vec<Page> = members
            .chunks(MAX_PAGE_ENTRIES)
            .map(|some| Page {
                directory: some.iter().cloned().map(DirectoryEntry::Member).collect(),
                cursor: Some(before.clone()),
                progress: Progress {
                    done: done - 1,
                    total: Some(total),
                },
                ..Page::default()
            })
            .collect();
        if pages.is_empty() {
            pages.push(Page::default());
        }
        if let Some(page) = pages.last_mut() {
            page.cursor = Some(cursor);
            page.progress = Progress {
                done,
                total: Some(total),
            };
        }
        Ok(pages)
    }
}

fn departments_pages(
    departments: Vec<Department>,
    place: &Place,
    total: u64,
) -> Vec<Result<Page, PullError>> {
    let entries: Vec<_> = departments
        .into_iter()
        .map(DirectoryEntry::Department)
        .collect();
    let chunks = entries.chunks(MAX_PAGE_ENTRIES);
    let last = chunks.len();
    let page = |(i, some): (usize, &[DirectoryEntry])| {
        let mut here = place.clone();
        let ended = i + 1 == last;
        here.after = ended.then(|| DIRECTORY.to_owned());
        here.ended = if ended { here.ended } else { None };
        let cursor = here.cursor()?;
        Ok(Page {
            directory: some.to_vec(),
            cursor: Some(cursor),
            progress: Progress {
                done: u64::from(ended),
                total: Some(total),
            },
            ..Page::default()
        })
    };
    chunks.enumerate().map(page).collect()
}
