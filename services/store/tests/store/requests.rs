//! Request ids: replays, reuse, arrivals together.

use jinke_store::{
    Database, args,
    keys::KeyRing,
    request::{self, Claim, Outcome, Request},
    testing::on_each_engine,
};
use jinke_types::{Code, Failure, SeededEntropy, Timestamp};

use crate::{MIGRATIONS, at};

fn merge<'a>(id: &'a str, body: &'a [u8]) -> Request<'a> {
    Request {
        caller: "users/u1",
        method: "customer/Merge",
        id,
        body,
    }
}

/// A mutation as a handler writes it.
async fn mutate(
    db: &Database,
    ring: &KeyRing,
    request: &Request<'_>,
    now: Timestamp,
) -> Result<Claim, Failure> {
    db.write(async |mut tx| {
        let claim = request::claim(&mut tx, ring, request, now).await?;
        if claim == Claim::New {
            let revision = tx
                .fetch_one(
                    "INSERT INTO things (id, revision) VALUES (1, 1) \
                     ON CONFLICT (id) DO UPDATE SET revision = things.revision + 1 \
                     RETURNING revision",
                    args![],
                )
                .await?
                .i64("revision")?;
            let outcome = Outcome {
                name: "things/1".into(),
                revision,
            };
            request::complete(&mut tx, request, &[outcome]).await?;
        }
        Ok(claim)
    })
    .await
}

fn replayed(revision: i64) -> Result<Claim, Failure> {
    Ok(Claim::Replay(vec![Outcome {
        name: "things/1".into(),
        revision,
    }]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_sent_twice_happens_once() {
    on_each_engine(&MIGRATIONS, async |db| {
        let ring = KeyRing::in_memory(&SeededEntropy::new(1));
        let run =
            async |request: Request<'_>, now: i64| mutate(&db, &ring, &request, at(now)).await;
        assert_eq!(run(merge("a", b"x"), 0).await, Ok(Claim::New));
        assert_eq!(run(merge("a", b"x"), 1).await, replayed(1));
        let reused = run(merge("a", b"y"), 1).await.unwrap_err();
        assert_eq!(
            (reused.code, reused.reason),
            (Code::InvalidArgument, "REQUEST_ID_REUSED")
        );
        assert_eq!(run(merge("b", b"x"), 1).await, Ok(Claim::New));
        let other = Request {
            caller: "users/u2",
            ..merge("a", b"y")
        };
        assert_eq!(
            run(other, 1).await,
            Ok(Claim::New),
            "ids belong to their caller"
        );
        let long = "x".repeat(request::MAX_ID + 1);
        for bad in ["", long.as_str()] {
            assert_eq!(
                run(merge(bad, b"x"), 1).await.unwrap_err().violations[0].field,
                "request_id"
            );
        }

        let week = 7 * 24 * 60 * 60;
        assert_eq!(run(merge("a", b"x"), week - 1).await, replayed(1));
        assert_eq!(
            run(merge("a", b"other"), week).await,
            Ok(Claim::New),
            "forgotten in 7 days"
        );
        let purged = db
            .write(async |mut tx| request::purge(&mut tx, at(week + 1)).await)
            .await
            .unwrap();
        assert_eq!(purged, 2, "b and the other caller's");
        assert_eq!(run(merge("a", b"other"), week + 1).await, replayed(4));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_arrive_together_happen_once() {
    on_each_engine(&MIGRATIONS, async |db| {
        let ring = std::sync::Arc::new(KeyRing::in_memory(&SeededEntropy::new(1)));
        for round in 1..=5 {
            let id = round.to_string();
            let tasks: Vec<_> = (0..6)
                .map(|_| {
                    let (db, ring, id) = (db.clone(), ring.clone(), id.clone());
                    tokio::spawn(async move { mutate(&db, &ring, &merge(&id, b"x"), at(1)).await })
                })
                .collect();
            let mut new = 0;
            for task in tasks {
                match task.await.unwrap() {
                    Ok(Claim::New) => new += 1,
                    replay => assert_eq!(replay, replayed(round)),
                }
            }
            assert_eq!(new, 1);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_names_and_a_keyed_hash_are_kept_of_a_request() {
    on_each_engine(&MIGRATIONS, async |db| {
        let ring = KeyRing::in_memory(&SeededEntropy::new(1));
        mutate(&db, &ring, &merge("a", "张伟".as_bytes()), at(0))
            .await
            .unwrap();
        let mut reader = db.read().await.unwrap();
        let row = reader
            .fetch_one("SELECT digest, outcome FROM jinke_requests", args![])
            .await
            .unwrap();
        let digest = row.bytes("digest").unwrap();
        assert_eq!((digest.len(), &digest[..2]), (34, &[1, 1][..]));
        assert_eq!(
            row.text("outcome").unwrap(),
            r#"[{"name":"things/1","revision":1}]"#
        );
    })
    .await;
}
