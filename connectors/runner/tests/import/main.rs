//! Imports against a source service that fails on purpose, over the real wire codec.

mod fake;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use fake::{Fault, Foreign, Service, Trip};
use jinke_proto::jinke::pipeline::v1 as pipeline;
use jinke_runner::{
    Backoff, GrpcDoor, Import, ImportError, LeadDoor, Report, SourceSpec, deliver::Door, files,
    import,
};
use jinke_types::SeededEntropy;
use tonic::{Code, Status};

fn quick() -> Backoff {
    Backoff {
        first: Duration::from_millis(1),
        longest: Duration::from_millis(4),
        attempts: 5,
    }
}

/// A pipeline service that takes each lead once and refuses those without a phone.
#[derive(Default)]
struct Leads(Mutex<BTreeSet<String>>);

#[async_trait]
impl LeadDoor for Leads {
    async fn ingest(
        &self,
        request: pipeline::IngestLeadsRequest,
    ) -> Result<pipeline::IngestLeadsResponse, Status> {
        use pipeline::ingest_leads_response::{Outcome, Result as Told};
        let result = |row: pipeline::LeadRow| {
            let lead = row.lead.unwrap_or_default();
            let outcome = if lead.phones.is_empty() {
                Outcome::Rejected
            } else if self.0.lock().unwrap().insert(lead.external_id) {
                Outcome::Created
            } else {
                Outcome::Unchanged
            };
            Told {
                outcome: outcome.into(),
                ..Told::default()
            }
        };
        Ok(pipeline::IngestLeadsResponse {
            results: request.rows.into_iter().map(result).collect(),
        })
    }
}

fn job(foreign: &Arc<Foreign>, resume: Option<&std::path::Path>) -> Import {
    Import {
        source: SourceSpec::new("erp"),
        connector: foreign.clone(),
        digest: "digest".into(),
        resume_file: resume.map(Into::into),
        backoff: quick(),
        leads: Arc::new(Leads::default()),
    }
}

async fn run(service: &Service, job: Import) -> Result<Report, ImportError> {
    let door = GrpcDoor::new(service.routes());
    import(job, &door, &SeededEntropy::new(1), &mut |_| {}).await
}

fn status_of(error: &ImportError) -> Code {
    match error {
        ImportError::Refused(status) => status.code(),
        other => panic!("not refused: {other}"),
    }
}

#[tokio::test]
async fn everything_arrives_in_order_and_the_source_is_made() {
    let (service, foreign) = (
        Service::default(),
        Foreign::new(&[("a", 7, 100), ("b", 1, 3)]),
    );
    let report = run(&service, job(&foreign, None)).await.unwrap();
    assert!(report.source_created);
    assert_eq!(report.counts.created, 703);
    assert_eq!((report.retries, report.error_count()), (0, 0));
    let stored = service.stored();
    assert_eq!(stored.len(), 703);
    assert_eq!(stored.first().unwrap().0, "a-00000");
    assert_eq!(stored.last().unwrap().0, "b-00002");
    assert!(
        stored.windows(2).all(|w| w[0].0 < w[1].0),
        "the order of the file is kept"
    );
    assert!(service.batches().iter().all(|&n| n <= 500));
}

#[tokio::test]
async fn an_answer_that_is_lost_doubles_nothing() {
    let (service, foreign) = (Service::default(), Foreign::new(&[("a", 4, 500)]));
    service.plan([
        Fault::Lost(Status::unavailable("connection reset")),
        Fault::Refuse(Status::resource_exhausted("slow down")),
        Fault::Lost(Status::aborted("lost the race")),
        Fault::Lost(Status::unknown("transport error")),
    ]);
    let report = run(&service, job(&foreign, None)).await.unwrap();
    assert_eq!(report.retries, 4);
    // What was stored under a lost answer is told again from the request id, not stored again.
    assert_eq!(report.counts.created, 2_000);
    assert_eq!(service.stored().len(), 2_000);
    assert!(service.stored().iter().all(|(_, versions)| *versions == 1));
    assert_eq!(service.replays(), 3);
}

#[tokio::test]
async fn what_cannot_be_mended_is_not_tried_again() {
    let (service, foreign) = (Service::default(), Foreign::new(&[("a", 4, 500)]));
    service.plan([Fault::Refuse(Status::permission_denied("no"))]);
    let error = run(&service, job(&foreign, None)).await.unwrap_err();
    assert_eq!(status_of(&error), Code::PermissionDenied);
    assert_eq!(service.calls(), 1);
}

#[tokio::test]
async fn retries_end() {
    let (service, foreign) = (Service::default(), Foreign::new(&[("a", 1, 5)]));
    service.plan((0..50).map(|_| Fault::Refuse(Status::unavailable("down"))));
    let error = run(&service, job(&foreign, None)).await.unwrap_err();
    assert_eq!(status_of(&error), Code::Unavailable);
    assert_eq!(service.calls(), 5);
}

#[tokio::test]
async fn an_interrupted_import_goes_on_behind_its_last_durable_page() {
    let dir = tempfile::tempdir().unwrap();
    let resume = dir.path().join("erp.json");
    let (service, foreign) = (
        Service::default(),
        Foreign::new(&[("a", 10, 500), ("b", 1, 1)]),
    );
    service.plan([
        Fault::None,
        Fault::None,
        Fault::None,
        Fault::Lost(Status::permission_denied("the key was taken away")),
    ]);
    let error = run(&service, job(&foreign, Some(&resume)))
        .await
        .unwrap_err();
    assert_eq!(status_of(&error), Code::PermissionDenied);

    let report = run(&service, job(&foreign, Some(&resume))).await.unwrap();
    assert!(report.resumed);
    assert_eq!(foreign.asked(), [None, Some("3".to_owned()), None]);
    assert_eq!(service.stored().len(), 5_001);
    assert!(service.stored().iter().all(|(_, versions)| *versions == 1));
    // The batch whose answer was lost is known by its request id.
    assert_eq!(service.replays(), 1);
}

#[tokio::test]
async fn a_second_import_of_the_same_files_changes_nothing_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let resume = dir.path().join("erp.json");
    let (service, foreign) = (Service::default(), Foreign::new(&[("a", 3, 200)]));
    let first = run(&service, job(&foreign, Some(&resume))).await.unwrap();
    let second = run(&service, job(&foreign, Some(&resume))).await.unwrap();
    assert_eq!((first.counts.created, first.imported_before), (600, false));
    assert_eq!(
        (second.counts.unchanged, second.imported_before),
        (600, true)
    );
    assert!(!second.source_created && !second.resumed);
    assert_eq!(
        service.replays(),
        0,
        "a second import is not answered from memory"
    );
}

#[tokio::test]
async fn refused_rows_and_records_are_told_and_stop_nobody() {
    let (service, foreign) = (Service::default(), Foreign::new(&[("a", 2, 100)]));
    foreign.row_errors(3);
    service.reject(&["a-00005", "a-00150"]);
    let report = run(&service, job(&foreign, None)).await.unwrap();
    assert_eq!(report.counts.created, 198);
    assert_eq!(report.counts.rejected, 2);
    assert_eq!(report.row_error_count, 6);
    assert_eq!(report.error_count(), 8);
    let ids: Vec<_> = report
        .rejected
        .iter()
        .map(|r| r.external_id.as_str())
        .collect();
    assert_eq!(ids, ["a-00005", "a-00150"]);
    assert_eq!(report.rejected[0].reason, "INVALID_FIELD");
}

#[tokio::test]
async fn a_record_that_is_too_large_is_refused_before_it_is_sent() {
    let (service, foreign) = (Service::default(), Foreign::new(&[("a", 1, 3)]));
    foreign.bloat("a-00001", 300 * 1024);
    let report = run(&service, job(&foreign, None)).await.unwrap();
    assert_eq!((report.counts.created, report.counts.rejected), (2, 1));
    assert_eq!(report.rejected[0].reason, "RECORD_TOO_LARGE");
}

#[tokio::test]
async fn records_that_cannot_be_taken_now_go_again_alone() {
    let (service, foreign) = (Service::default(), Foreign::new(&[("a", 1, 100)]));
    service.plan([Fault::Busy("a-00042")]);
    let report = run(&service, job(&foreign, None)).await.unwrap();
    assert_eq!((report.counts.created, report.retries), (100, 1));
    assert_eq!(service.batches(), [100, 1]);
}

#[tokio::test]
async fn a_foreign_system_that_is_away_for_a_while_is_pulled_from_where_it_stood() {
    let (service, foreign) = (Service::default(), Foreign::new(&[("a", 6, 500)]));
    foreign.trip(Trip::Away { after_pages: 3 });
    let report = run(&service, job(&foreign, None)).await.unwrap();
    assert_eq!((report.counts.created, report.retries), (3_000, 1));
    assert_eq!(foreign.asked(), [None, Some("3".to_owned())]);
}

#[tokio::test]
async fn a_cursor_the_connector_does_not_know_is_dropped_once() {
    let dir = tempfile::tempdir().unwrap();
    let resume = dir.path().join("erp.json");
    let (service, foreign) = (Service::default(), Foreign::new(&[("a", 3, 500)]));
    service.plan([Fault::None, Fault::Refuse(Status::permission_denied("no"))]);
    run(&service, job(&foreign, Some(&resume)))
        .await
        .unwrap_err();
    foreign.trip(Trip::CursorUnknown);
    let report = run(&service, job(&foreign, Some(&resume))).await.unwrap();
    assert_eq!(foreign.asked(), [None, Some("1".to_owned()), None]);
    assert_eq!(service.stored().len(), 1_500);
    assert_eq!(report.counts.unchanged + report.counts.created, 1_500);
}

#[tokio::test]
async fn a_connector_that_panics_has_not_finished() {
    let (service, foreign) = (Service::default(), Foreign::new(&[("a", 3, 10)]));
    foreign.trip(Trip::Panic);
    let error = run(&service, job(&foreign, None)).await.unwrap_err();
    assert!(matches!(error, ImportError::Unreadable { .. }), "{error}");
}

#[tokio::test]
async fn a_slow_service_holds_the_connector_back() {
    let (service, foreign) = (Service::default(), Foreign::new(&[("a", 40, 500)]));
    service.slow(Duration::from_millis(20));
    let (door, entropy) = (GrpcDoor::new(service.routes()), SeededEntropy::new(1));
    let mut ahead = 0;
    let mut on_progress = |p: &jinke_runner::Progress| {
        ahead = ahead.max(foreign.pulled().saturating_sub(p.counts.total() / 500));
    };
    import(job(&foreign, None), &door, &entropy, &mut on_progress)
        .await
        .unwrap();
    // Two pages in the channel, one in the sender's hand, one in the batch that fills.
    assert!(ahead <= 5, "{ahead} pages were read ahead");
}

#[tokio::test]
async fn the_door_speaks_for_any_transport() {
    let service = Service::default();
    let door = GrpcDoor::new(service.routes());
    let missing = door.get_source("sources/none".into()).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
}

#[tokio::test]
async fn a_file_of_leads_goes_to_the_pipeline_and_makes_no_record() {
    let (service, foreign) = (Service::default(), Foreign::new(&[("a", 1, 1)]));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("leads.csv");
    let rows: String = (0..700).map(|i| format!("{i},公司{i},1\n")).collect();
    std::fs::write(
        &path,
        format!("编号,公司,手机\n{rows}x,没有电话,\n,没有编号,1\n"),
    )
    .unwrap();
    let mapping =
        "kind = 'lead'\nexternal_id = '编号'\n[lead]\ncompany = '公司'\nphones = '手机'\n";
    let leads = Arc::new(Leads::default());
    let job = async || {
        let mapping = files::Mapping::from_toml(mapping).unwrap();
        let input = files::FileInput::new(&path, mapping);
        let opened = files::open("expo", vec![input]).await.unwrap();
        Import {
            source: SourceSpec::new("expo"),
            connector: opened.connector,
            digest: opened.digest,
            leads: leads.clone(),
            ..self::job(&foreign, None)
        }
    };
    let report = run(&service, job().await).await.unwrap();
    assert_eq!((report.counts.created, report.counts.rejected), (700, 1));
    assert_eq!(report.row_error_count, 1);
    assert_eq!(report.rejected[0].external_id, "x");
    let again = run(&service, job().await).await.unwrap();
    assert_eq!((again.counts.created, again.counts.unchanged), (0, 700));
    assert_eq!(service.stored().len(), 0);
}
