//! The process is killed for real: a child pulls, saves each page with its cursor as one line of a
//! file, and gets SIGKILL while a request is under way. The next child goes on from the last line
//! that is whole.
//!
//! The child is the test's own program, started again with one test of it, which calls
//! [`killed_child`]:
//!
//! ```ignore
//! #[tokio::test]
//! async fn killed_child() {
//!     conformance::killed_child(|place| Box::new(acme(place))).await;
//! }
//! #[tokio::test(flavor = "multi_thread")]
//! async fn resumes_when_killed_at_every_request() {
//!     conformance::resumes_when_killed_at_every_request(&subject(), "conformance::killed_child").await;
//! }
//! ```

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use futures::StreamExt as _;
use jinke_types::SourceRecord;
use serde::{Deserialize, Serialize};

use super::{HttpSubject, Subject, whole};
use crate::{
    connector::{Connector, Cursor},
    testing::Fault,
};

const PLACE: &str = "JINKE_KILL_PLACE";
const STREAM: &str = "JINKE_KILL_STREAM";
const SAVED: &str = "JINKE_KILL_SAVED";
const PAGES: &str = "JINKE_KILL_PAGES";
/// A child that takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// One line of the file: a page that was saved.
#[derive(Serialize, Deserialize)]
struct Saved {
    records: Vec<SourceRecord>,
    cursor: Option<Cursor>,
    end: bool,
}

fn read(path: &Path) -> Vec<Saved> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    // A line that the kill cut is no page.
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// The body of the test that a parent starts as a child. Does nothing when no parent did.
/// `open` makes the connector for the place that the parent named.
pub async fn killed_child(open: impl Fn(&str) -> Box<dyn Connector>) {
    let var = |name| std::env::var(name).ok();
    let (Some(place), Some(stream), Some(saved)) = (var(PLACE), var(STREAM), var(SAVED)) else {
        return;
    };
    let stop_behind = var(PAGES).and_then(|n| n.parse::<usize>().ok());
    let path = PathBuf::from(saved);
    let cursor = read(&path).into_iter().filter_map(|s| s.cursor).next_back();
    let mut file = append(&path);
    let mut pages = open(&place).pull(&stream, cursor).await;
    let mut seen = 0;
    while let Some(page) = pages.next().await {
        let page = page.expect("no fault but the kill");
        save(&mut file, page.records, page.cursor, false);
        seen += 1;
        if stop_behind == Some(seen) {
            // The parent kills us here, in the middle of the pull.
            std::future::pending::<()>().await;
        }
    }
    save(&mut file, Vec::new(), None, true);
}

fn append(path: &Path) -> File {
    // What a kill left of a line is ended, so that the next one stands by itself.
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .expect("a file for the pages");
    writeln!(file).expect("room");
    file
}

fn save(file: &mut File, records: Vec<SourceRecord>, cursor: Option<Cursor>, end: bool) {
    let saved = Saved {
        records,
        cursor,
        end,
    };
    let line = serde_json::to_string(&saved).expect("JSON");
    writeln!(file, "{line}").expect("room");
    file.sync_data().expect("a disk");
}

struct Run<'a> {
    test: &'a str,
    place: &'a str,
    stream: &'a str,
    saved: &'a Path,
}

impl Run<'_> {
    fn start(&self, pages: Option<usize>) -> Child {
        let program = std::env::current_exe().expect("the test's own program");
        let mut command = Command::new(program);
        command
            .args(["--exact", self.test, "--nocapture"])
            .env(PLACE, self.place)
            .env(STREAM, self.stream)
            .env(SAVED, self.saved)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        match pages {
            Some(pages) => command.env(PAGES, pages.to_string()),
            None => command.env_remove(PAGES),
        };
        command.spawn().expect("a child")
    }

    /// A child that nobody kills.
    async fn finish(&self) {
        let mut child = self.start(None);
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(status) = child.try_wait().expect("a child") {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        let status = waited.await.expect("the child ends");
        assert!(status.success(), "{}: the child failed", self.stream);
        let ended = read(self.saved).last().is_some_and(|s| s.end);
        assert!(
            ended,
            "{}: the child pulled nothing; is {} its test?",
            self.stream, self.test
        );
    }

    /// What both children saved is the whole: no record is missing, none differs.
    fn compare(&self, want: &[SourceRecord], when: &str) {
        let by_id = |records: Vec<SourceRecord>| -> BTreeMap<String, SourceRecord> {
            let pairs = records.into_iter();
            pairs.map(|r| (r.key.external_id.clone(), r)).collect()
        };
        let saved: Vec<_> = read(self.saved)
            .into_iter()
            .flat_map(|s| s.records)
            .collect();
        assert_eq!(
            saved.len(),
            want.len(),
            "{}: {when}: no record twice",
            self.stream
        );
        assert_eq!(
            by_id(saved),
            by_id(want.to_vec()),
            "{}: {when}",
            self.stream
        );
    }
}

fn kill(mut child: Child) {
    // `Child::kill` is SIGKILL: nothing of the process runs any more.
    child.kill().expect("a child to kill");
    child.wait().expect("a child to wait for");
}

fn file_of(test: &str, stream: &str) -> PathBuf {
    let name: String = format!("{test}-{stream}")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let path = std::env::temp_dir().join(format!("jinke-kill-{}-{name}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

/// A child is killed while any one request is under way, and another one goes on: both together
/// have the whole, without a record more. `test` is the path of the test that calls
/// [`killed_child`], which is given the URL of the server.
pub async fn resumes_when_killed_at_every_request(subject: &dyn HttpSubject, test: &str) {
    let server = subject.server();
    for (stream, _) in subject.streams() {
        server.script([]);
        let want = whole(subject, &stream, None).await.records();
        for number in 1..=server.requests() {
            let saved = file_of(test, &stream);
            let run = Run {
                test,
                place: server.url(),
                stream: &stream,
                saved: &saved,
            };
            server.script([(number, Fault::Hang)]);
            let hung = server.hung();
            let child = run.start(None);
            let waited = tokio::time::timeout(PATIENCE, hung).await;
            kill(child);
            waited.expect("the child makes this request");
            server.script([]);
            run.finish().await;
            run.compare(&want, &format!("killed at request {number}"));
            let _ = std::fs::remove_file(&saved);
        }
    }
}

/// For a connector without a network: a child is killed behind any one page. `place` is what
/// [`killed_child`] is given.
pub async fn resumes_when_killed_behind_every_page(subject: &dyn Subject, test: &str, place: &str) {
    for (stream, _) in subject.streams() {
        let pulled = whole(subject, &stream, None).await;
        let (want, pages) = (pulled.records(), pulled.pages.len());
        assert!(pages > 1, "{stream}: a kill needs several pages");
        for page in 1..pages {
            let saved = file_of(test, &stream);
            let run = Run {
                test,
                place,
                stream: &stream,
                saved: &saved,
            };
            let child = run.start(Some(page));
            let waited = tokio::time::timeout(PATIENCE, async {
                while read(&saved).len() < page {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            });
            let waited = waited.await;
            kill(child);
            waited.expect("the child saves its pages");
            run.finish().await;
            run.compare(&want, &format!("killed behind page {page}"));
            let _ = std::fs::remove_file(&saved);
        }
    }
}
