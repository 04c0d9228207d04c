//! One SQL text, one behaviour.

use jinke_store::{Arg, Database, Rows, args, testing::on_each_engine};
use jinke_types::{Code, Failure};

use crate::MIGRATIONS;

pub(crate) async fn put(db: &Database, id: i64, name: &str) -> Result<(), Failure> {
    db.write(async |mut tx| {
        tx.execute(
            "INSERT INTO things (id, name) VALUES ($1, $2)",
            args![id, name],
        )
        .await?;
        Ok(())
    })
    .await
}

pub(crate) async fn count(db: &Database) -> i64 {
    let mut reader = db.read().await.unwrap();
    reader
        .fetch_one("SELECT COUNT(*) AS n FROM things", args![])
        .await
        .unwrap()
        .i64("n")
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn values_come_back_as_they_went() {
    on_each_engine(&MIGRATIONS, async |db| {
        let cells: [(Arg, Arg, Arg); 4] = [
            (i64::MIN.into(), "".into(), Vec::<u8>::new().into()),
            (
                i64::MAX.into(),
                "金客 𠮷🙂 Ä a\u{301}\n\t'\"\\".into(),
                vec![0_u8, 255, 0].into(),
            ),
            (0_i64.into(), None::<&str>.into(), None::<&[u8]>.into()),
            (
                7_i64.into(),
                "x".repeat(2_000).into(),
                vec![7_u8; 3_000_000].into(),
            ),
        ];
        db.write(async |mut tx| {
            for (id, name, data) in &cells {
                let args = vec![id.clone(), name.clone(), data.clone()];
                tx.execute(
                    "INSERT INTO things (id, name, data) VALUES ($1, $2, $3)",
                    args,
                )
                .await?;
            }
            Ok(())
        })
        .await
        .unwrap();
        let mut reader = db.read().await.unwrap();
        for (id, name, data) in cells {
            let row = reader
                .fetch_one(
                    "SELECT id, name, data FROM things WHERE id = $1",
                    vec![id.clone()],
                )
                .await
                .unwrap();
            assert_eq!(Arg::from(row.i64("id").unwrap()), id);
            assert_eq!(Arg::from(row.opt_text("name").unwrap()), name);
            assert_eq!(Arg::from(row.opt_bytes("data").unwrap()), data);
        }
        let row = reader
            .fetch_one(
                "SELECT CAST(1 AS BIGINT) AS yes, CAST(NULL AS BIGINT) AS none, \
                 MAX(id) AS most, COUNT(*) AS n FROM things WHERE id < $1",
                args![0_i64],
            )
            .await
            .unwrap();
        assert!(row.bool("yes").unwrap());
        assert_eq!(row.opt_i64("none").unwrap(), None);
        assert_eq!(
            (row.i64("most").unwrap(), row.i64("n").unwrap()),
            (i64::MIN, 1)
        );
        assert_eq!(row.i64("none").unwrap_err().code, Code::Internal);
        assert_eq!(row.i64("absent").unwrap_err().code, Code::Internal);
        assert_eq!(
            row.text("n").unwrap_err().code,
            Code::Internal,
            "a wrong type is no guess"
        );

        let long = "长".repeat(700_000);
        db.write(async |mut tx| {
            let insert = "INSERT INTO parts (thing, number, note) VALUES (0, 1, $1)";
            tx.execute(insert, args![&long]).await
        })
        .await
        .unwrap();
        let row = reader
            .fetch_one("SELECT note FROM parts", args![])
            .await
            .unwrap();
        assert!(
            row.text("note").unwrap() == long,
            "long text that no index holds"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_with_nul_is_refused_alike() {
    on_each_engine(&MIGRATIONS, async |db| {
        let failure = put(&db, 1, "a\0b").await.unwrap_err();
        assert_eq!(
            (failure.code, failure.reason),
            (Code::InvalidArgument, "NUL_IN_TEXT")
        );
        let mut rows = Rows::new(&["id", "name"]);
        rows.push(args![1_i64, "a\0"]);
        let failure = db
            .write(async |mut tx| tx.insert_many("things", rows.clone(), "").await)
            .await
            .unwrap_err();
        assert_eq!(failure.reason, "NUL_IN_TEXT");
        assert_eq!(count(&db).await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_compares_by_bytes() {
    on_each_engine(&MIGRATIONS, async |db| {
        let names = [
            "b", "B", "a", "A", "Ä", "é", "e\u{301}", "中", "丁", "-", " ", "𠮷", "\u{ffff}",
        ];
        for (id, name) in (0..).zip(names) {
            put(&db, id, name).await.unwrap();
        }
        let mut sorted = names.map(str::to_owned).to_vec();
        sorted.sort();
        let mut reader = db.read().await.unwrap();
        let rows = reader
            .fetch_all("SELECT name FROM things ORDER BY name", args![])
            .await
            .unwrap();
        let found: Vec<String> = rows.iter().map(|r| r.text("name").unwrap()).collect();
        assert_eq!(found, sorted);
        let rows = reader
            .fetch_all(
                "SELECT name FROM things WHERE name > $1 ORDER BY name DESC",
                args!["é"],
            )
            .await
            .unwrap();
        let found: Vec<String> = rows.iter().map(|r| r.text("name").unwrap()).collect();
        let greater: Vec<String> = sorted
            .iter()
            .rev()
            .filter(|n| n.as_str() > "é")
            .cloned()
            .collect();
        assert_eq!(found, greater);
        let one = reader
            .fetch_all("SELECT id FROM things WHERE name = $1", args!["a"])
            .await
            .unwrap();
        assert_eq!(one.len(), 1, "case counts");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_rules_have_one_reason() {
    on_each_engine(&MIGRATIONS, async |db| {
        put(&db, 1, "张伟13800138000").await.unwrap();
        for (id, name) in [(1, "other"), (2, "张伟13800138000")] {
            let failure = put(&db, id, name).await.unwrap_err();
            assert_eq!(
                (failure.code, failure.reason),
                (Code::AlreadyExists, "ROW_EXISTS")
            );
            assert!(
                !format!("{failure:?}").contains("138001"),
                "no stored value in an error"
            );
        }
        let failure = db
            .write(async |mut tx| {
                tx.execute("INSERT INTO parts (thing, number) VALUES (99, 1)", args![])
                    .await
            })
            .await
            .unwrap_err();
        assert_eq!(
            (failure.code, failure.reason),
            (Code::FailedPrecondition, "REFERENCE_BROKEN")
        );
        let failure = db
            .write(async |mut tx| {
                tx.execute(
                    "INSERT INTO things (id, revision) VALUES (3, NULL)",
                    args![],
                )
                .await
            })
            .await
            .unwrap_err();
        assert_eq!(failure.code, Code::Internal);
        let failure = db
            .read()
            .await
            .unwrap()
            .fetch_all("SELEC 1", args![])
            .await
            .unwrap_err();
        assert_eq!(failure.code, Code::Internal);
        assert!(failure.message.contains("wrong statement"), "{failure}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn upsert_and_returning_share_their_text() {
    on_each_engine(&MIGRATIONS, async |db| {
        for expected in 1..=3_i64 {
            let revision = db
                .write(async |mut tx| {
                    tx.fetch_one(
                        "INSERT INTO things (id, name, revision) VALUES ($1, $2, 1) \
                         ON CONFLICT (id) DO UPDATE SET name = excluded.name, \
                         revision = things.revision + 1 RETURNING revision",
                        args![5_i64, "n"],
                    )
                    .await?
                    .i64("revision")
                })
                .await
                .unwrap();
            assert_eq!(revision, expected);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_rows_go_in_whole_for_any_number() {
    on_each_engine(&MIGRATIONS, async |db| {
        let mut next = 0_i64;
        for size in [0, 1, 2, 255, 256, 257, 1_000, 10_001] {
            let mut rows = Rows::new(&["id", "name", "data"]);
            for id in next..next + size {
                let name = (id % 3 != 0).then(|| format!("名{id}"));
                rows.push(args![
                    id,
                    name,
                    (id % 2 == 0).then(|| id.to_be_bytes().to_vec())
                ]);
            }
            let touched = db
                .write(async |mut tx| tx.insert_many("things", rows.clone(), "").await)
                .await
                .unwrap();
            assert_eq!(i64::try_from(touched).unwrap(), size);
            next += size;
        }
        assert_eq!(count(&db).await, next);
        let mut reader = db.read().await.unwrap();
        for id in [0, 1, 2, 3, next - 1] {
            let row = reader
                .fetch_one("SELECT name, data FROM things WHERE id = $1", args![id])
                .await
                .unwrap();
            let name = (id % 3 != 0).then(|| format!("名{id}"));
            let data = (id % 2 == 0).then(|| id.to_be_bytes().to_vec());
            assert_eq!(row.opt_text("name").unwrap(), name);
            assert_eq!(row.opt_bytes("data").unwrap(), data);
        }

        let mut again = Rows::new(&["id", "name"]);
        again.push(args![1_i64, "changed"]);
        again.push(args![next, "new"]);
        let upsert = "ON CONFLICT (id) DO UPDATE SET name = excluded.name";
        db.write(async |mut tx| tx.insert_many("things", again.clone(), upsert).await)
            .await
            .unwrap();
        assert_eq!(count(&db).await, next + 1);
        let touched = db
            .write(async |mut tx| {
                tx.insert_many("things", again.clone(), "ON CONFLICT DO NOTHING")
                    .await
            })
            .await
            .unwrap();
        assert_eq!(touched, 0);

        let mut ragged = Rows::new(&["id", "name"]);
        ragged.push(args![1_i64]);
        ragged.push(args![1_i64, "b", "c"]);
        let failure = db
            .write(async |mut tx| tx.insert_many("things", ragged.clone(), "").await)
            .await
            .unwrap_err();
        assert_eq!(failure.code, Code::Internal);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_finds_its_members() {
    on_each_engine(&MIGRATIONS, async |db| {
        for (id, name) in [(i64::MIN, "a"), (-1, "B"), (3, "引\"号\\"), (i64::MAX, "d")] {
            put(&db, id, name).await.unwrap();
        }
        let mut reader = db.read().await.unwrap();
        let mut ids = async |sql: &'static str, arg: Arg| -> Vec<i64> {
            let rows = reader.fetch_all(sql, vec![arg]).await.unwrap();
            rows.iter().map(|r| r.i64("id").unwrap()).collect()
        };
        let by_id = "SELECT id FROM things WHERE id IN LIST($1) ORDER BY id";
        let by_name = "SELECT id FROM things WHERE name IN LIST($1) ORDER BY id";
        let not = "SELECT id FROM things WHERE id NOT IN LIST($1) ORDER BY id";
        assert_eq!(
            ids(by_id, vec![i64::MAX, 8, i64::MIN, i64::MAX].into()).await,
            [i64::MIN, i64::MAX]
        );
        assert_eq!(
            ids(by_id, Vec::<i64>::new().into()).await,
            Vec::<i64>::new()
        );
        assert_eq!(ids(by_name, vec!["引\"号\\", "b"].into()).await, [3]);
        assert_eq!(ids(not, vec![-1_i64, 3].into()).await, [i64::MIN, i64::MAX]);
        assert_eq!(
            ids(by_id, (0..100_000).collect::<Vec<i64>>().into()).await,
            [3]
        );
    })
    .await;
}
