//! Walking through pages: by offset, or by a cursor or link that the foreign system gives.
//!
//! Offsets drift: when a row before the offset goes, the next page skips one. Use them only on
//! lists that do not change while they are read, or where an overlap catches what was skipped.
//! Where a system can order by id and filter `id > n`, that is better than both.

use std::collections::BTreeSet;

use crate::{connector::PullError, http::unreadable};

/// A list is followed over at most this many links.
pub const MAX_LINKS: usize = 1_000_000;

/// Pages by offset and limit.
#[derive(Clone, Debug)]
pub struct OffsetPages {
    offset: u64,
    limit: u64,
    done: bool,
}

impl OffsetPages {
    /// From `offset` on, `limit` rows a page.
    pub const fn new(offset: u64, limit: u64) -> Self {
        Self {
            offset,
            limit,
            done: false,
        }
    }
    /// Offset and limit of the page to ask for; `None` after the last.
    pub const fn next(&self) -> Option<(u64, u64)> {
        if self.done {
            None
        } else {
            Some((self.offset, self.limit))
        }
    }
    /// Tells how many rows came. `total` is how many there are, when the system says so; without
    /// it a short page is the last one.
    pub fn got(&mut self, rows: u64, total: Option<u64>) {
        self.offset = self.offset.saturating_add(rows);
        self.done = match total {
            // A page without rows ends the walk whatever the total claims.
            Some(total) => rows == 0 || self.offset >= total,
            None => rows < self.limit,
        };
    }
}

/// Pages by a link or cursor of the foreign system, which is passed back as it came.
#[derive(Clone, Debug, Default)]
pub struct LinkPages {
    next: Option<String>,
    begun: bool,
    seen: BTreeSet<u64>,
}

impl LinkPages {
    /// From the first page on, or from a link that an earlier pull saved.
    pub fn new(saved: Option<String>) -> Self {
        Self {
            begun: false,
            next: saved,
            seen: BTreeSet::new(),
        }
    }
    /// What to ask for: `Some(None)` is the first page, `None` means that the last was read.
    pub fn next(&self) -> Option<Option<&str>> {
        match (&self.next, self.begun) {
            (Some(link), _) => Some(Some(link)),
            (None, false) => Some(None),
            (None, true) => None,
        }
    }
    /// Tells which link the page held. Blank counts as none. A link that was followed before is
    /// an error: it would lead round for ever.
    pub fn got(&mut self, link: Option<String>) -> Result<(), PullError> {
        self.begun = true;
        self.next = link.filter(|l| !l.is_empty());
        if let Some(link) = &self.next
            && (self.seen.len() >= MAX_LINKS
                || !self
                    .seen
                    .insert(crate::incremental::hash(&[link.as_bytes()])))
        {
            self.next = None;
            return Err(unreadable(
                "the foreign system's pages lead back to an earlier one",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_end_by_a_short_page_or_the_total() {
        let mut pages = OffsetPages::new(0, 10);
        pages.got(10, None);
        assert_eq!(pages.next(), Some((10, 10)));
        pages.got(3, None);
        assert_eq!(pages.next(), None);
        let mut pages = OffsetPages::new(0, 10);
        pages.got(7, Some(14));
        assert_eq!(pages.next(), Some((7, 10)), "the server gives fewer a page");
        pages.got(7, Some(14));
        assert_eq!(pages.next(), None);
        let mut pages = OffsetPages::new(0, 10);
        pages.got(0, Some(14));
        assert_eq!(pages.next(), None, "a lying total does not loop");
    }

    #[test]
    fn links_are_verbatim_and_may_not_lead_back() {
        let mut pages = LinkPages::new(None);
        assert_eq!(pages.next(), Some(None));
        pages.got(Some("/x?a=%2F+b".to_owned())).unwrap();
        assert_eq!(pages.next(), Some(Some("/x?a=%2F+b")));
        pages.got(Some("/y".to_owned())).unwrap();
        let error = pages.got(Some("/x?a=%2F+b".to_owned())).unwrap_err();
        assert_eq!(error.failure.reason, "FOREIGN_UNREADABLE");
        assert_eq!(pages.next(), None);
        let mut pages = LinkPages::new(Some("saved".to_owned()));
        assert_eq!(pages.next(), Some(Some("saved")));
        pages.got(Some(String::new())).unwrap();
        assert_eq!(pages.next(), None);
    }
}
