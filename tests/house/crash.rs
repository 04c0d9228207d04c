//! SIGKILL at random moments during an import: nothing acknowledged is lost, nothing doubles, and
//! the golden records are those of an undisturbed run.

use std::{collections::BTreeSet, path::Path, time::Duration};

use jinke_proto::jinke::customer::v1::{
    IngestSourceRecordsRequest, ListSourceRecordsRequest, SourceRecord, ingest_result::Outcome,
};
use jinke_store::{Engine, testing::Place};
use jinke_tests::{
    companies::{SOURCES, record},
    state::{difference, golden, short},
    suite::{Clients, Suite},
};
use jinke_types::{Entropy as _, SeededEntropy};

const RECORDS: u64 = 1_200;
const BATCH: usize = 40;
const KILLS: u32 = 20;

fn records() -> Vec<SourceRecord> {
    (0..RECORDS).map(|n| record(7, n)).collect()
}

async fn send(api: &mut Clients, batch: &[SourceRecord]) -> Result<(), tonic::Status> {
    let request = IngestSourceRecordsRequest {
        records: batch.to_vec(),
        ..IngestSourceRecordsRequest::default()
    };
    for result in api
        .sources
        .ingest_source_records(request)
        .await?
        .into_inner()
        .results
    {
        assert!(
            matches!(result.outcome(), Outcome::Created | Outcome::Unchanged),
            "{:?}",
            result.outcome()
        );
    }
    Ok(())
}

async fn sources(api: &mut Clients) {
    for source in SOURCES {
        api.ensure_source(source).await.expect("a source");
    }
}

async fn undisturbed(dir: &Path) -> std::collections::BTreeMap<String, String> {
    let suite = Suite::start(&dir.join("calm"), None)
        .await
        .expect("the suite starts");
    let mut api = Clients::new(&suite.login().await.expect("login"));
    sources(&mut api).await;
    for batch in records().chunks(BATCH) {
        send(&mut api, batch).await.expect("ingest");
    }
    let state = golden(&mut api).await.expect("state");
    suite.kill().await.expect("kill");
    state
}

async fn killed_at_random(engine: Engine) {
    let dir = tempfile::tempdir().expect("a folder");
    let expected = undisturbed(dir.path()).await;
    let place = Place::new(engine).await;
    let url = (engine == Engine::Postgres).then(|| place.config().url);
    let data = dir.path().join("killed");
    let dice = SeededEntropy::new(20_261_122);
    let all = records();
    let batches: Vec<_> = all.chunks(BATCH).collect();
    let mut acknowledged = 0;
    for kill in 0..KILLS {
        let suite = Suite::start(&data, url.as_deref())
            .await
            .expect("the suite starts again");
        let channel = suite.login().await.expect("login");
        let mut api = Clients::new(&channel);
        sources(&mut api).await;
        // Some batches go through whole, then one is killed at a random moment of its life. When
        // all are in, an old one is sent again: it must change nothing.
        let share = (batches.len() - acknowledged) / (KILLS - kill) as usize;
        for _ in 1..share.max(1) {
            send(&mut api, batches[acknowledged]).await.expect("ingest");
            acknowledged += 1;
        }
        let doomed = acknowledged.min(batches.len() - 1);
        let mut bytes = [0; 2];
        dice.fill(&mut bytes);
        let life = Duration::from_micros(u64::from(u16::from_le_bytes(bytes)) * 2);
        tokio::select! {
            () = tokio::time::sleep(life) => {}
            answer = send(&mut api, batches[doomed]) => {
                answer.expect("ingest");
                acknowledged = (doomed + 1).max(acknowledged);
            }
        }
        suite.kill().await.expect("kill");
    }
    let suite = Suite::start(&data, url.as_deref())
        .await
        .expect("the suite starts again");
    let mut api = Clients::new(&suite.login().await.expect("login"));
    sources(&mut api).await;
    for batch in &batches[acknowledged..] {
        send(&mut api, batch).await.expect("ingest");
    }
    suite.kill().await.expect("kill");

    let suite = Suite::start(&data, url.as_deref())
        .await
        .expect("the suite starts");
    let mut api = Clients::new(&suite.login().await.expect("login"));
    let state = golden(&mut api).await.expect("state");
    if let Some(difference) = difference(&expected, &state) {
        panic!("{engine:?} after {KILLS} kills:\n{difference}");
    }
    // Each record is there once, with one version.
    let mut seen = BTreeSet::new();
    for source in SOURCES {
        let mut page_token = String::new();
        loop {
            let request = ListSourceRecordsRequest {
                parent: format!("sources/{source}"),
                page_size: 1000,
                page_token,
            };
            let page = api
                .sources
                .list_source_records(request)
                .await
                .expect("list")
                .into_inner();
            for record in page.records {
                assert_eq!(record.version, 1);
                assert!(seen.insert(short(record.key.as_ref().expect("key"))));
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
    }
    assert_eq!(seen.len() as u64, RECORDS);
    suite.kill().await.expect("kill");
    place.remove().await;
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_by_kills_on_sqlite() {
    killed_at_random(Engine::Sqlite).await;
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_by_kills_on_postgres() {
    killed_at_random(Engine::Postgres).await;
}
