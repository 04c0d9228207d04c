//! The cases every connector passes. A connector's tests make a [`Subject`] and call the
//! functions here, each from a test of its own, so that a failure names the case.
//!
//! | case | every connector | over HTTP |
//! |---|---|---|
//! | [`reads_everything`] | x | |
//! | [`resumes_behind_every_page`] | x | |
//! | [`refuses_foreign_cursors`] | x | |
//! | [`resumes_when_dropped_at_every_request`] | | x |
//! | [`resumes_when_killed_at_every_request`], by SIGKILL | | x |
//! | [`resumes_when_killed_behind_every_page`], by SIGKILL | without a network | |
//! | [`survives_every_fault_at_every_request`] | | x |
//! | [`bears_repeated_and_shifted_pages`] | | x |
//! | [`waits_when_throttled`] | | x |
//! | [`renews_the_session_once`] | | x |
//! | [`follows_changes`] | | x |
//! | [`goes_on_when_columns_drift`] | | x |
//! | [`refuses_hostile_bodies`] | | x |
//! | [`tells_an_absent_server`] | | x |
//! | [`sweeps`] | | x |
//!
//! The functions panic with a sentence when a case fails, as tests do.

mod changes;
mod faults;
mod kill;
mod pages;

use std::collections::BTreeSet;

use crate::{
    MAX_CURSOR_BYTES, MAX_PAGE_ERRORS, MAX_PAGE_RECORDS,
    connector::{Connector, Cursor, PullErrorKind},
    testing::{FakeServer, Pulled, pull},
};

pub use changes::{follows_changes, goes_on_when_columns_drift, sweeps};
pub use faults::{
    refuses_hostile_bodies, renews_the_session_once, resumes_when_dropped_at_every_request,
    survives_every_fault_at_every_request, tells_an_absent_server, waits_when_throttled,
};
pub use kill::{
    killed_child, resumes_when_killed_at_every_request, resumes_when_killed_behind_every_page,
};
pub use pages::bears_repeated_and_shifted_pages;

/// A connector with something to read.
pub trait Subject: Send + Sync {
    /// A connector as after a restart of the process: it shares nothing with an earlier one but
    /// its settings.
    fn connector(&self) -> Box<dyn Connector>;
    /// The streams to pull, with how many records each has at least. They should need several
    /// pages.
    fn streams(&self) -> Vec<(String, usize)>;
}

/// A subject whose foreign system is simulated over HTTP.
///
/// The connector's settings should make waits short and time limits a second or two, so that
/// the cases end soon.
pub trait HttpSubject: Subject {
    /// The server of the simulator.
    fn server(&self) -> &FakeServer;
    /// Ends every open session, as a restart of the foreign system may.
    fn end_sessions(&self);
    /// Logins so far.
    fn logins(&self) -> u64;
    /// Makes `count` new rows of `stream` that all carry the time `second` (seconds after the
    /// newest time that is there at the start), and tells their external ids.
    fn add(&self, stream: &str, count: usize, second: i64) -> Vec<String>;
    /// Changes a row, which then carries the time `second`.
    fn change(&self, stream: &str, external_id: &str, second: i64);
    /// Deletes a row without a trace, if rows of the stream can be deleted.
    fn delete(&self, stream: &str, external_id: &str);
    /// Takes one column away, gives another one another type and adds a new one; undoes it again
    /// with `false`.
    fn drift(&self, on: bool);
    /// Whether the foreign system tells what changed since a time. Where it does not, a pull from
    /// the end is another whole round, and what matters is which versions in it are new.
    fn tells_changes(&self) -> bool {
        true
    }
}

/// Pulls that must end well.
pub(crate) async fn whole(subject: &dyn Subject, stream: &str, from: Option<Cursor>) -> Pulled {
    let pulled = pull(&*subject.connector(), stream, from).await;
    assert_eq!(pulled.error, None, "pulling {stream}");
    check_pages(stream, &pulled);
    pulled
}

fn check_pages(stream: &str, pulled: &Pulled) {
    for page in &pulled.pages {
        assert!(page.records.len() <= MAX_PAGE_RECORDS, "{stream}: records");
        assert!(page.row_errors.len() <= MAX_PAGE_ERRORS, "{stream}: errors");
        let cursor = page.cursor.as_ref().map_or(0, |c| c.0.len());
        assert!(
            cursor <= MAX_CURSOR_BYTES,
            "{stream}: a cursor of {cursor} bytes"
        );
        assert!(cursor > 0, "{stream}: a page without a cursor");
        let units = page.progress.done;
        assert!(
            page.progress.total.is_none_or(|t| t >= units),
            "{stream}: progress"
        );
    }
}

/// A connector lists its streams, reads each to the end within the limits, reads the same again,
/// and yields nothing from its last cursor while nothing changes.
pub async fn reads_everything(subject: &dyn Subject) {
    let connector = subject.connector();
    connector.check().await.expect("the check passes");
    let listed = connector.discover().await.expect("streams are listed");
    for (stream, least) in subject.streams() {
        assert!(
            listed
                .iter()
                .any(|s| s.stream == stream && !s.columns.is_empty()),
            "{stream} is not listed with its columns"
        );
        let first = whole(subject, &stream, None).await;
        let records = first.records();
        assert!(
            records.len() >= least,
            "{stream}: {} records",
            records.len()
        );
        assert!(first.pages.len() > 1, "{stream}: one page proves little");
        let keys: BTreeSet<_> = records.iter().map(|r| &r.key).collect();
        assert_eq!(keys.len(), records.len(), "{stream}: a record came twice");
        let again = whole(subject, &stream, None).await;
        assert_eq!(records, again.records(), "{stream}: read again");
        let idle = whole(subject, &stream, first.cursor(None)).await;
        assert!(
            idle.records().is_empty(),
            "{stream}: records without a change"
        );
    }
}

/// Pulling from the cursor of any page yields the rest of the whole.
pub async fn resumes_behind_every_page(subject: &dyn Subject) {
    for (stream, _) in subject.streams() {
        let all = whole(subject, &stream, None).await;
        for (i, page) in all.pages.iter().enumerate() {
            let rest = whole(subject, &stream, page.cursor.clone()).await;
            let mut want = Vec::new();
            for later in &all.pages[i + 1..] {
                want.extend(later.records.clone());
            }
            assert_eq!(rest.records(), want, "{stream}: behind page {i}");
        }
    }
}

/// A cursor that is damaged, of another stream or of nobody is refused, not guessed at.
pub async fn refuses_foreign_cursors(subject: &dyn Subject) {
    let streams = subject.streams();
    for (stream, _) in &streams {
        let long = "x".repeat(MAX_CURSOR_BYTES + 1);
        for text in [
            "",
            "{}",
            "[1]",
            "null",
            "\u{0}",
            "{\"a\":[[[[]]]]}",
            long.as_str(),
        ] {
            let cursor = Some(Cursor(text.to_owned()));
            let pulled = pull(&*subject.connector(), stream, cursor).await;
            assert!(pulled.pages.is_empty(), "{stream}: {text:.20}");
            let kind = pulled.error.map(|e| e.kind);
            assert_eq!(
                kind,
                Some(PullErrorKind::CursorUnknown),
                "{stream}: {text:.20}"
            );
        }
    }
    let unknown = pull(&*subject.connector(), "no such stream", None).await;
    assert!(unknown.error.is_some() && unknown.pages.is_empty());
}
