//! Copies: from each engine into each engine, beside a running owner, of one moment.

use jinke_store::{
    Database, args,
    backup::{self, TableState, Versions},
    testing::{ENGINES, Place},
};
use jinke_types::Failure;

use crate::{MIGRATIONS, sql::put};

/// Things and parts with every kind of value: quotes, signs of all sorts, empty and absent.
async fn fill(db: &Database, count: i64) {
    db.write(async |mut tx| {
        for id in 1..=count {
            let name = format!("甲'乙\"\\\n{id}😀");
            let data: Option<Vec<u8>> = (id % 3 != 0).then(|| vec![0, 255, (id % 256) as u8]);
            let text = "INSERT INTO things (id, name, data, revision) VALUES ($1, $2, $3, $4)";
            tx.execute(text, args![-id, name, data, i64::MAX - id])
                .await?;
            let text = "INSERT INTO parts (thing, number, note) VALUES ($1, $2, $3)";
            for number in 0..2 {
                let note: Option<String> = (number == 0).then(String::new);
                tx.execute(text, args![-id, number, note]).await?;
            }
        }
        Ok(())
    })
    .await
    .expect("filled");
}

async fn copy(db: &Database) -> (Vec<String>, Vec<TableState>, Versions) {
    let held = backup::hold(db).await.expect("held");
    let versions = held.versions();
    let mut lines = Vec::new();
    let states = held
        .copy(|line| {
            lines.push(line.to_owned());
            Ok(())
        })
        .await
        .expect("copied");
    (lines, states, versions)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_the_same_on_either_engine() {
    let mut all = Vec::new();
    for from in ENGINES {
        let place = Place::new(from).await;
        let owner = Database::open(place.config(), &MIGRATIONS)
            .await
            .expect("opened");
        fill(&owner, 1_234).await;
        // Beside the owner, who goes on having the file.
        let beside = backup::open_beside(place.config())
            .await
            .expect("opened beside");
        let (lines, states, versions) = copy(&beside).await;
        beside.close().await;
        assert_eq!(backup::state(&owner).await.expect("read"), states);
        let told = backup::state_of(lines.iter().cloned().map(Ok)).expect("lines");
        assert_eq!(told, states, "the lines alone say the same");
        for to in ENGINES {
            let target = Place::new(to).await;
            let db = backup::open_at(target.config(), &MIGRATIONS, versions)
                .await
                .expect("opened");
            put(&db, 7, "what was there before").await.expect("put");
            let loaded = backup::load(&db, lines.iter().cloned().map(Ok))
                .await
                .expect("loaded");
            assert_eq!(sorted(loaded), sorted(states.clone()), "{from:?} to {to:?}");
            let (again, ..) = copy(&db).await;
            assert_eq!(set(&again), set(&lines));
            db.close().await;
            target.remove().await;
        }
        owner.close().await;
        place.remove().await;
        all.push(sorted(states));
    }
    assert_eq!(all[0], all[1], "both engines hold the same");
}

fn sorted(mut states: Vec<TableState>) -> Vec<TableState> {
    states.sort_by(|a, b| a.table.cmp(&b.table));
    states
}

fn set(lines: &[String]) -> std::collections::BTreeSet<&String> {
    lines.iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_of_one_moment_and_a_change_shows() {
    for engine in ENGINES {
        let place = Place::new(engine).await;
        let db = Database::open(place.config(), &MIGRATIONS)
            .await
            .expect("opened");
        fill(&db, 700).await;
        let before = backup::state(&db).await.expect("read");
        let held = backup::hold(&db).await.expect("held");
        put(&db, 99, "later").await.expect("put");
        let held = held.copy(|_| Ok(())).await.expect("copied");
        assert_eq!(held, before, "what came after the moment is not in it");
        let after = backup::state(&db).await.expect("read");
        assert_ne!(after, before);
        db.write(async |mut tx| {
            tx.execute("DELETE FROM things WHERE id = $1", args![99_i64])
                .await
        })
        .await
        .expect("deleted");
        assert_eq!(backup::state(&db).await.expect("read"), before);
        db.close().await;
        place.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn some_tables_are_copied_as_of_a_moment_before() {
    for engine in ENGINES {
        let place = Place::new(engine).await;
        let owner = Database::open(place.config(), &MIGRATIONS)
            .await
            .expect("opened");
        fill(&owner, 2).await;
        let beside = backup::open_beside(place.config())
            .await
            .expect("opened beside");
        let earlier = backup::hold(&beside).await.expect("held");
        let change = async |mut tx: jinke_store::Tx| {
            tx.execute("DELETE FROM parts", args![]).await?;
            tx.execute("DELETE FROM things WHERE id = -1", args![])
                .await?;
            Ok(())
        };
        owner.write(change).await.expect("changed");
        let later = backup::hold(&beside).await.expect("held");
        let mut lines = Vec::new();
        let states = later
            .copy_with(earlier, &["parts"], |line| {
                lines.push(Ok(line.to_owned()));
                Ok(())
            })
            .await
            .expect("copied");
        let rows = |table: &str| states.iter().find(|s| s.table == table).map(|s| s.rows);
        assert_eq!((rows("things"), rows("parts")), (Some(1), Some(4)));
        assert_eq!(backup::state_of(lines.into_iter()).expect("read"), states);
        // A table that is not there would silently be of the later moment.
        let (earlier, later) = (backup::hold(&beside).await, backup::hold(&beside).await);
        let later = later.expect("held");
        let refused = later.copy_with(earlier.expect("held"), &["nothing"], |_| Ok(()));
        assert_eq!(refused.await.unwrap_err().reason, "DATABASE_UNKNOWN");
        beside.close().await;
        owner.close().await;
        place.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_copy_is_refused() {
    let place = Place::new(ENGINES[0]).await;
    let db = Database::open(place.config(), &MIGRATIONS)
        .await
        .expect("opened");
    fill(&db, 3).await;
    let (lines, _, versions) = copy(&db).await;
    let load =
        async |lines: Vec<String>| backup::load(&db, lines.into_iter().map(Ok::<_, Failure>)).await;
    for damaged in [
        vec![],
        vec!["{}".to_owned()],
        vec!["[1]".to_owned()],
        vec!["{\"table\":\"nobody\",\"columns\":[]}".to_owned()],
        vec!["{\"table\":\"things\",\"columns\":[\"x\"]}".to_owned()],
        vec!["nothing".to_owned()],
        lines[..lines.len() - 3]
            .iter()
            .filter(|l| !l.contains("parts"))
            .cloned()
            .collect(),
        lines
            .iter()
            .map(|l| l.replace("[null,", "[true,"))
            .collect(),
    ] {
        assert_eq!(load(damaged).await.unwrap_err().reason, "BACKUP_DAMAGED");
    }
    // After a load that failed, the next one is whole.
    load(lines).await.expect("loaded");
    db.close().await;
    let newer = Versions {
        service: versions.service + 1,
        ..versions
    };
    let refused = backup::open_at(place.config(), &MIGRATIONS, newer)
        .await
        .unwrap_err();
    assert_eq!(refused.reason, "BACKUP_NEWER");
    place.remove().await;
}
