//! `StreamSourceRecords`: order, back-pressure, ends.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jinke_customer::convert::pb;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::Code;

use crate::house::{on_each_engine, organization, reason, text};

const PATIENCE: Duration = Duration::from_secs(20);

fn batch(sequence: i64, records: usize) -> pb::StreamSourceRecordsRequest {
    let record = |n| {
        let id = format!("S-{sequence}-{n}");
        organization(
            "erp",
            &id,
            vec![text("name", &format!("示例流{sequence}第{n}有限公司"))],
        )
    };
    pb::StreamSourceRecordsRequest {
        sequence,
        records: (0..records).map(record).collect(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_answered_in_order_and_a_bad_record_does_not_end_the_stream() {
    on_each_engine(async |house| {
        let mut batches: Vec<_> = (1..=6).map(|sequence| batch(sequence, 5)).collect();
        batches[2].records[3].body = None;
        let mut answers = house
            .sources("admin")
            .stream_source_records(tokio_stream::iter(batches))
            .await
            .unwrap()
            .into_inner();
        for sequence in 1..=6 {
            let answer = timeout(PATIENCE, answers.message())
                .await
                .unwrap()
                .unwrap()
                .unwrap();
            assert_eq!(answer.sequence, sequence);
            for (n, result) in answer.results.iter().enumerate() {
                let wrong = sequence == 3 && n == 3;
                let wanted = if wrong {
                    pb::ingest_result::Outcome::Rejected
                } else {
                    pb::ingest_result::Outcome::Created
                };
                assert_eq!(result.outcome(), wanted, "{result:?}");
                // An answer means durable: the record is there for a read on another connection.
                if n == 0 {
                    assert!(house.get("admin", &result.customer).await.is_ok());
                }
            }
        }
        assert!(answers.message().await.unwrap().is_none());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_message_ends_the_stream_after_the_answers_before_it() {
    on_each_engine(async |house| {
        for size in [0, 1_001] {
            let batches = vec![batch(1, 2), batch(2, size), batch(3, 2)];
            let mut answers = house
                .sources("admin")
                .stream_source_records(tokio_stream::iter(batches))
                .await
                .unwrap()
                .into_inner();
            assert_eq!(answers.message().await.unwrap().unwrap().sequence, 1);
            let end = answers.message().await.unwrap_err();
            assert_eq!(end.code(), Code::InvalidArgument, "{end:?}");
            assert_eq!(jinke_kit::failure(&end).violations[0].field, "records");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_open_stream_ends_by_itself() {
    on_each_engine(async |house| {
        let (send, requests) = mpsc::channel(1);
        send.send(batch(1, 1)).await.unwrap();
        let mut answers = house
            .sources("admin")
            .stream_source_records(ReceiverStream::new(requests))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(answers.message().await.unwrap().unwrap().sequence, 1);
        // The client keeps its side open and says nothing more.
        let end = timeout(PATIENCE, answers.message())
            .await
            .expect("it ends")
            .unwrap_err();
        assert_eq!(reason(&end), "STREAM_IDLE");
        drop(send);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_no_answers_is_not_read_from_and_then_let_go() {
    on_each_engine(async |house| {
        let pulled = Arc::new(AtomicI64::new(0));
        let count = pulled.clone();
        let endless = tokio_stream::iter(1..).map(move |sequence| {
            count.fetch_max(sequence, Ordering::SeqCst);
            batch(sequence, 1)
        });
        let mut answers = house
            .sources("admin")
            .stream_source_records(endless)
            .await
            .unwrap()
            .into_inner();
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let held = pulled.load(Ordering::SeqCst);
        assert!(
            held < 40,
            "{held} batches were taken from a client that reads nothing"
        );
        // What was answered before is still there to be read; then the stream is over.
        let mut last = 0;
        while let Ok(Ok(Some(answer))) = timeout(PATIENCE, answers.message()).await {
            assert_eq!(answer.sequence, last + 1);
            last = answer.sequence;
            assert!(last < 1_000, "the stream goes on");
        }
        let after = pulled.load(Ordering::SeqCst);
        assert_eq!(after, held, "the server went on reading");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_after_the_answers_ended_is_not_stored() {
    on_each_engine(async |house| {
        let (send, requests) = mpsc::channel(4);
        send.send(batch(1, 1)).await.unwrap();
        let mut answers = house
            .sources("admin")
            .stream_source_records(ReceiverStream::new(requests))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(answers.message().await.unwrap().unwrap().sequence, 1);
        // So it is when the client leaves, and when the kit ends the stream of an expired token.
        drop(answers);
        let _ = send.send(batch(2, 1)).await;
        timeout(PATIENCE, send.closed())
            .await
            .expect("the service stops reading");
        let key = pb::RecordKey {
            source: "sources/erp".to_owned(),
            external_id: "S-2-0".to_owned(),
        };
        let request = pb::GetSourceRecordRequest {
            key: Some(key),
            version: 0,
        };
        let found = house.sources("admin").get_source_record(request).await;
        assert_eq!(found.unwrap_err().code(), Code::NotFound);
    })
    .await;
}
