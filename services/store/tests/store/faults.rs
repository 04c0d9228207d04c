//! A process killed in the middle, and a file that is held.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use jinke_store::{
    Database, DatabaseConfig, Engine, args,
    changelog::{self, Filter},
    testing::{Folder, Place},
};
use jinke_types::{Code, Entropy as _, Failure, SeededEntropy};

use crate::MIGRATIONS;

/// A writer process, killed when the test ends in whatever way.
struct Writer(Child, BufReader<ChildStdout>);

impl Writer {
    /// Starts one and waits for its first committed batch.
    fn start(url: &str) -> (Self, i64) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_store-writer"))
            .arg(url)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut writer = Self(child, out);
        let mut line = String::new();
        writer.1.read_line(&mut line).unwrap();
        let first = line.trim().parse().expect("the writer commits");
        (writer, first)
    }

    /// Kills it with SIGKILL; the last batch it said was committed.
    fn kill(mut self) -> Option<i64> {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
        let mut text = String::new();
        self.1.read_to_string(&mut text).unwrap();
        // The last line may be cut in the middle by the kill.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().last().map(|l| l.parse().unwrap())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_nine() {
    let folder = Folder::fresh();
    let url = format!("sqlite:{}", folder.path().join("killed.db").display());
    let dice = SeededEntropy::new(47);
    let mut acknowledged = 0;
    for round in 0..10 {
        let (writer, first) = Writer::start(&url);
        let mut roll = [0; 1];
        dice.fill(&mut roll);
        tokio::time::sleep(Duration::from_millis(u64::from(roll[0]))).await;
        acknowledged = writer.kill().unwrap_or(first);

        // The dead process's lock is gone with it.
        let db = Database::open(DatabaseConfig::new("test", &url), &MIGRATIONS)
            .await
            .unwrap();
        let mut reader = db.read().await.unwrap();
        let row = reader
            .fetch_one(
                "SELECT (SELECT COUNT(*) FROM things) AS things, \
                 (SELECT COALESCE(MAX(id), 0) FROM things) AS last, \
                 (SELECT COUNT(*) FROM parts) AS parts, \
                 (SELECT COUNT(*) FROM jinke_changes) AS changes",
                args![],
            )
            .await
            .unwrap();
        let get = |column: &str| row.i64(column).unwrap();
        assert!(
            get("last") >= acknowledged,
            "round {round}: an acknowledged batch is lost"
        );
        assert!(
            get("last") <= acknowledged + 1,
            "round {round}: at most one was on its way"
        );
        assert_eq!(get("things"), get("last"), "none is missing between");
        assert_eq!(get("parts"), get("things") * 10, "each batch is whole");
        assert_eq!(get("changes"), get("things"), "with its change");
        let head = changelog::head(&mut reader).await.unwrap();
        assert_eq!(head, get("things"));
        let page = changelog::list(&mut reader, head - 1, 10, &Filter::default())
            .await
            .unwrap();
        assert_eq!(page.changes.len(), 1);
        let sound = reader
            .fetch_one(
                "SELECT integrity_check AS said FROM pragma_integrity_check",
                args![],
            )
            .await
            .unwrap();
        assert_eq!(sound.text("said").unwrap(), "ok");
        drop(reader);
        db.close().await;
    }
    assert!(acknowledged > 10, "the writers really wrote");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_is_refused_and_told_by_whom() {
    let folder = Folder::fresh();
    let url = format!("sqlite:{}", folder.path().join("held.db").display());
    let (writer, _) = Writer::start(&url);
    let pid = writer.0.id();
    let open = async || Database::open(DatabaseConfig::new("test", &url), &MIGRATIONS).await;
    let refused = open().await.unwrap_err();
    assert_eq!(
        (refused.code, refused.reason),
        (Code::FailedPrecondition, "DATABASE_HELD")
    );
    assert!(
        refused.message.contains(&format!("pid {pid} on ")),
        "{refused}"
    );
    assert!(
        refused.metadata["holder"].contains(" since 20"),
        "{refused:?}"
    );
    writer.kill();

    let db = open().await.expect("the lock falls with its process");
    let here = open().await.unwrap_err();
    assert!(
        here.message
            .contains(&format!("pid {} ", std::process::id())),
        "{here}"
    );
    db.close().await;
    assert_eq!(db.ping().await.unwrap_err().reason, "DATABASE_CLOSED");
    open()
        .await
        .expect("closing gives the file free, though a handle is left")
        .close()
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_private_and_set_to_be_durable() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new(Engine::Sqlite).await;
    let db = Database::open(place.config(), &MIGRATIONS).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    let mut pragma = async |sql: &'static str| {
        tx.fetch_one(sql, args![])
            .await
            .unwrap()
            .i64("value")
            .unwrap()
    };
    assert_eq!(
        pragma("SELECT synchronous AS value FROM pragma_synchronous").await,
        2
    );
    assert_eq!(
        pragma("SELECT foreign_keys AS value FROM pragma_foreign_keys").await,
        1
    );
    assert_eq!(
        pragma("SELECT secure_delete AS value FROM pragma_secure_delete").await,
        1
    );
    let mode = tx
        .fetch_one(
            "SELECT journal_mode AS value FROM pragma_journal_mode",
            args![],
        )
        .await
        .unwrap();
    assert_eq!(mode.text("value").unwrap(), "wal");
    drop(tx);
    for entry in std::fs::read_dir(place.file().unwrap().parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
    db.close().await;
}

/// The server ends a session in the middle of a transaction.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_rolls_back_and_is_replaced() {
    let place = Place::new(Engine::Postgres).await;
    let db = Database::open(place.config(), &MIGRATIONS).await.unwrap();
    let other = Database::open(place.config(), &MIGRATIONS).await.unwrap();
    let lost = db
        .write(async |mut tx| {
            tx.execute("INSERT INTO things (id) VALUES (1)", args![])
                .await?;
            let pid = tx
                .fetch_one("SELECT pg_backend_pid() AS pid", args![])
                .await?
                .i64("pid")?;
            other
                .read()
                .await?
                .fetch_all("SELECT pg_terminate_backend($1::INT)", args![pid])
                .await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
            tx.execute("INSERT INTO things (id) VALUES (2)", args![])
                .await
        })
        .await
        .unwrap_err();
    assert_eq!(
        (lost.code, lost.reason),
        (Code::Unavailable, "DATABASE_UNREACHABLE")
    );
    let count = async || -> Result<i64, Failure> {
        let mut reader = db.read().await?;
        reader
            .fetch_one("SELECT COUNT(*) AS n FROM things", args![])
            .await?
            .i64("n")
    };
    assert_eq!(count().await, Ok(0));
    db.close().await;
    other.close().await;
    place.remove().await;
}

/// A process that is stopped in the middle of a transaction does nothing in it. The others wait no
/// longer than that is allowed for, and when it goes on, what it did is gone and is done anew.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_stops_in_a_transaction_is_shut_out() {
    let place = Place::new(Engine::Postgres).await;
    let mut config = place.config();
    config.idle_timeout = Duration::from_secs(2);
    let open = async || Database::open(config.clone(), &MIGRATIONS).await.unwrap();
    let (stopped, other) = (open().await, open().await);
    let attempts = std::sync::atomic::AtomicU32::new(0);
    let (holds, held) = tokio::sync::watch::channel(false);
    let (ends, ended) = tokio::sync::watch::channel(false);
    let slow = stopped.write(async |mut tx| {
        tx.lock("turn").await?;
        let attempt = attempts.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        tx.execute(
            "INSERT INTO things (id) VALUES ($1)",
            args![i64::from(attempt) + 10],
        )
        .await?;
        if attempt == 0 {
            // It sleeps until the other is through, however long that takes.
            holds.send_replace(true);
            let _ = ended.clone().wait_for(|ended| *ended).await;
        }
        tx.execute("INSERT INTO things (id) VALUES (2)", args![])
            .await
    });
    let quick = async {
        let _ = held.clone().wait_for(|held| *held).await;
        let done = other
            .write(async |mut tx| {
                tx.lock("turn").await?;
                tx.execute("INSERT INTO things (id) VALUES (1)", args![])
                    .await
            })
            .await;
        ends.send_replace(true);
        done
    };
    let (slow, quick) = tokio::join!(slow, quick);
    assert_eq!((slow, quick), (Ok(1), Ok(1)));
    let mut reader = other.read().await.unwrap();
    let ids: Vec<i64> = reader
        .fetch_all("SELECT id FROM things ORDER BY id", args![])
        .await
        .unwrap()
        .iter()
        .map(|row| row.i64("id").unwrap())
        .collect();
    assert_eq!(ids, [1, 2, 11], "the first attempt left nothing");
    drop(reader);
    stopped.close().await;
    other.close().await;
    place.remove().await;
}

/// A server that takes everything and answers nothing, as behind a network that swallows packets:
/// the statement is given up, its connection closed, and the next goes through again.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_holds_nobody_for_ever() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let place = Place::new(Engine::Postgres).await;
    let url = place.config().url;
    let after = url.split_once('@').unwrap().1;
    let server = after.split('/').next().unwrap().to_owned();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let between = listener.local_addr().unwrap().to_string();
    let (silence, silent) = tokio::sync::watch::channel(false);
    let to = server.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = tokio::net::TcpStream::connect(&to).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move {
                let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
            });
            let mut silent = silent.clone();
            tokio::spawn(async move {
                let mut buffer = vec![0; 65_536];
                while let Ok(n @ 1..) = from_server.read(&mut buffer).await {
                    let _ = silent.wait_for(|silent| !silent).await;
                    if to_client.write_all(&buffer[..n]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    let mut config = place.config();
    config.url = url.replace(&server, &between);
    config.statement_timeout = Duration::from_secs(2);
    config.max_connections = 2;
    config.acquire_timeout = Duration::from_secs(8);
    let db = Database::open(config, &MIGRATIONS).await.unwrap();
    let put = async |id: i64| {
        db.write(async |mut tx| {
            tx.execute("INSERT INTO things (id) VALUES ($1)", args![id])
                .await
        })
        .await
    };
    put(1).await.unwrap();
    silence.send_replace(true);
    let began = std::time::Instant::now();
    let failed = put(2).await.unwrap_err();
    assert_eq!(failed.code, Code::Unavailable, "{failed}");
    assert!(began.elapsed() < Duration::from_secs(90));
    assert!(
        tokio::time::timeout(Duration::from_secs(3), db.ping())
            .await
            .is_err()
            || db.ping().await.is_err()
    );
    silence.send_replace(false);
    let began = std::time::Instant::now();
    while put(3).await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(90), "it never heals");
    }
    db.close().await;
    place.remove().await;
}
