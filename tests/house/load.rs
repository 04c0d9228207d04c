//! Ingest that goes on whatever happens: a batch is sent until it is acknowledged.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use jinke_proto::jinke::customer::v1::{
    IngestSourceRecordsRequest, ListSourceRecordsRequest, ingest_result::Outcome,
};
use jinke_tests::{
    companies::{SOURCES, record},
    state::{difference, golden, short},
    suite::{Clients, Suite},
};
use tokio::task::JoinHandle;
use tonic::{Code, Request};

const BATCH: u64 = 5;
const SEED: u64 = 7;
/// Between two batches of one sender: enough to be in the middle of things, little enough to
/// compare in the end.
const PAUSE: Duration = Duration::from_millis(100);
/// An attempt that takes longer is given up and made again.
const ATTEMPT: Duration = Duration::from_secs(4);

/// Codes that say: not now. Any other would be a lie about what happened.
const PASSING: &[Code] = &[
    Code::Unavailable,
    Code::DeadlineExceeded,
    Code::Cancelled,
    Code::Aborted,
    Code::ResourceExhausted,
    Code::Unknown,
];

/// Senders that take turns over one stream of records.
pub struct Load {
    next: Arc<AtomicU64>,
    acknowledged: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    lies: Arc<Mutex<BTreeSet<String>>>,
    senders: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts a sender over each of these.
    pub fn start(over: Vec<Clients>) -> Self {
        let mut load = Self {
            next: Arc::default(),
            acknowledged: Arc::default(),
            stop: Arc::default(),
            lies: Arc::default(),
            senders: Vec::new(),
        };
        for api in over {
            load.senders.push(tokio::spawn(sender(
                api,
                Arc::clone(&load.next),
                Arc::clone(&load.acknowledged),
                Arc::clone(&load.stop),
                Arc::clone(&load.lies),
            )));
        }
        load
    }

    /// Batches acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Waits until that many more batches are acknowledged.
    pub async fn goes_on(&self, more: u64, within: Duration, after: &str) {
        let goal = self.acknowledged() + more;
        let waited = tokio::time::timeout(within, async {
            while self.acknowledged() < goal {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let came = waited.await.is_ok();
        assert!(came, "ingest did not go on within {within:?} after {after}");
    }

    /// Ends it; how many records were sent and acknowledged.
    pub async fn end(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        for sender in self.senders {
            sender.await.expect("a sender");
        }
        let lies = self.lies.lock().expect("no panic").clone();
        assert!(lies.is_empty(), "said of what passes: {lies:?}");
        self.next.load(Ordering::SeqCst)
    }
}

async fn sender(
    mut api: Clients,
    next: Arc<AtomicU64>,
    acknowledged: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    lies: Arc<Mutex<BTreeSet<String>>>,
) {
    while !stop.load(Ordering::SeqCst) {
        let first = next.fetch_add(BATCH, Ordering::SeqCst);
        while let Err(status) = send(&mut api, first, BATCH).await {
            if !PASSING.contains(&status.code()) {
                let mut lies = lies.lock().expect("no panic");
                lies.insert(format!("{:?}: {}", status.code(), status.message()));
            }
            tokio::time::sleep(PAUSE).await;
        }
        acknowledged.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(PAUSE).await;
    }
}

/// Sends records `first` and following.
pub async fn send(api: &mut Clients, first: u64, count: u64) -> Result<(), tonic::Status> {
    send_within(api, first, count, ATTEMPT).await
}

/// The same, given up after this time.
pub async fn send_within(
    api: &mut Clients,
    first: u64,
    count: u64,
    within: Duration,
) -> Result<(), tonic::Status> {
    let mut request = Request::new(IngestSourceRecordsRequest {
        records: (first..first + count).map(|n| record(SEED, n)).collect(),
        ..IngestSourceRecordsRequest::default()
    });
    request.set_timeout(within);
    let answer = api.sources.ingest_source_records(request).await?;
    for result in answer.into_inner().results {
        assert!(
            matches!(result.outcome(), Outcome::Created | Outcome::Unchanged),
            "{:?}",
            result.error
        );
    }
    Ok(())
}

/// Makes the sources of the records.
pub async fn sources(api: &mut Clients) {
    for source in SOURCES {
        api.ensure_source(source).await.expect("a source");
    }
}

/// Nothing acknowledged is lost and nothing doubled: each of the first `count` records is there
/// once, with one version, and the customers are those of a run in which nothing happened.
pub async fn nothing_happened(api: &mut Clients, dir: &Path, count: u64) {
    let mut seen = BTreeSet::new();
    for source in SOURCES {
        let mut page_token = String::new();
        loop {
            let request = ListSourceRecordsRequest {
                parent: format!("sources/{source}"),
                page_size: 1000,
                page_token,
            };
            let page = api.sources.list_source_records(request).await;
            let page = page.expect("a list").into_inner();
            for record in page.records {
                let key = short(record.key.as_ref().expect("a key"));
                assert_eq!(record.version, 1, "{key}");
                assert!(seen.insert(key.clone()), "{key} is there twice");
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
    }
    assert_eq!(seen.len() as u64, count);
    let calm = Suite::start(&dir.join("calm"), None)
        .await
        .expect("the suite starts");
    let mut other = Clients::new(&calm.login().await.expect("login"));
    sources(&mut other).await;
    for first in (0..count).step_by(200) {
        let some = 200.min(count - first);
        while send(&mut other, first, some).await.is_err() {}
    }
    let expected = golden(&mut other).await.expect("state");
    let found = golden(api).await.expect("state");
    if let Some(difference) = difference(&expected, &found) {
        panic!("{difference}");
    }
    calm.kill().await.expect("kill");
}
