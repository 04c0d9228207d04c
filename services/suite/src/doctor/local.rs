//! What can be seen on this machine without a server.

use std::{
    fs, io,
    io::Read,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use jinke_store::keys::KeyRing;
use jinke_types::{Clock, Timestamp};
use tokio::net::{TcpListener, TcpStream};

use super::{Finding, Health};
use crate::{
    connect::endpoint_file,
    suite::{Area, Storage, holder_of},
};

/// Below this much free space writing will soon fail.
const LITTLE_SPACE: u64 = 200 << 20;
/// Below this much it is worth a look.
const LOW_SPACE: u64 = 2 << 30;
/// A clock before this time (2026-01-01) is wrong: the program is younger.
const BUILT: Timestamp = Timestamp::from_secs(1_767_225_600);

/// Folder and rights of the data.
pub(super) fn data_dir(dir: &Path) -> Vec<Finding> {
    const CHECK: &str = "data folder";
    let shown = dir.display();
    match fs::metadata(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return vec![Finding::good(
                CHECK,
                format!("{shown} is made at the first start"),
            )];
        }
        Err(e) => {
            return vec![Finding::bad(
                CHECK,
                format!("{shown}: {}", e.kind()),
                "let this user read it, or choose another with --data-dir",
            )];
        }
        Ok(found) if !found.is_dir() => {
            return vec![Finding::bad(
                CHECK,
                format!("{shown} is not a folder"),
                "choose another with --data-dir",
            )];
        }
        Ok(_) => {}
    }
    let mut findings = Vec::new();
    if let Some(mode) = open_to_others(dir) {
        findings.push(Finding::bad(
            CHECK,
            format!("{shown} is open to other users (mode {mode:o})"),
            format!("chmod 700 {shown}"),
        ));
    }
    let probe = dir.join(format!(".doctor-{}", std::process::id()));
    match fs::File::options()
        .write(true)
        .create_new(true)
        .open(&probe)
    {
        Ok(_) => {
            // A probe that stays behind is empty and harmless.
            let _ = fs::remove_file(&probe);
        }
        Err(e) => findings.push(Finding::bad(
            CHECK,
            format!("{shown} cannot be written: {}", e.kind()),
            format!("make this user its owner: chown -R $USER {shown}"),
        )),
    }
    if findings.is_empty() {
        findings.push(Finding::good(
            CHECK,
            format!("{shown} is private and writable"),
        ));
    }
    findings
}

/// The rights of a file or folder, when group or others have any.
fn open_to_others(path: &Path) -> Option<u32> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
        (mode & 0o077 != 0).then_some(mode)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// Free space where the data is, or will be.
pub(super) fn disk(dir: &Path) -> Finding {
    const CHECK: &str = "disk";
    let Some(free) = dir.ancestors().chain([Path::new(".")]).find_map(free_bytes) else {
        return Finding::notice(CHECK, "the free space cannot be told", "look with `df`");
    };
    space(free)
}

fn space(free: u64) -> Finding {
    let found = format!("{} MiB free", free >> 20);
    if free < LITTLE_SPACE {
        Finding::bad(
            "disk",
            found,
            "make room: the database refuses writes on a full disk",
        )
    } else if free < LOW_SPACE {
        Finding::notice("disk", found, "make room before a large import")
    } else {
        Finding::good("disk", found)
    }
}

fn free_bytes(path: &Path) -> Option<u64> {
    if path.as_os_str().is_empty() {
        return None;
    }
    #[cfg(unix)]
    {
        let stat = rustix::fs::statvfs(path).ok()?;
        Some(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
    #[cfg(not(unix))]
    None
}

/// The key files of a service.
pub(super) fn keys(area: Area, storage: &Storage) -> Finding {
    let check = format!("{area} keys");
    let files = [&storage.keys.sealing, &storage.keys.tokens];
    let missing: Vec<_> = files
        .iter()
        .filter(|f| !f.exists())
        .map(|f| f.display().to_string())
        .collect();
    let written = storage.sqlite_file().is_none_or(Path::exists);
    if missing.len() == files.len() && !written {
        return Finding::good(check, "are made at the first start");
    }
    if !missing.is_empty() {
        let found = format!("missing: {}", missing.join(", "));
        let mend = "put them back from your backup; without them the data cannot be read";
        return if written && storage.sqlite_file().is_some() {
            Finding::bad(check, found, mend)
        } else {
            // Whether a PostgreSQL database was written already is not known here.
            Finding::notice(
                check,
                found,
                format!("made at the first start; else {mend}"),
            )
        };
    }
    for file in files {
        if let Some(mode) = open_to_others(file) {
            return Finding::bad(
                check,
                format!("{} is open to other users (mode {mode:o})", file.display()),
                format!("chmod 600 {}", file.display()),
            );
        }
    }
    match KeyRing::open(&storage.keys) {
        Ok(_) => Finding::good(
            check,
            "are there and private; back them up apart from the data",
        ),
        Err(failure) => Finding::bad(
            check,
            failure.message,
            "put the key files back from your backup",
        ),
    }
}

/// The database of a service, without opening it: opening would migrate it.
pub(super) async fn database(area: Area, storage: &Storage) -> Finding {
    let check = format!("{area} database");
    let Some(file) = storage.sqlite_file() else {
        let answers = postgres(check, &storage.database.url).await;
        return match answers.health {
            Health::Bad => answers,
            _ => migrations(answers, storage).await,
        };
    };
    let shown = file.display();
    if !file.exists() {
        return Finding::good(check, format!("{shown} is made at the first start"));
    }
    if let Some(holder) = storage.lock_file().as_deref().and_then(holder_of) {
        return Finding::good(check, format!("{shown} is in use by {holder}"));
    }
    if let Some(mode) = open_to_others(file) {
        return Finding::bad(
            check,
            format!("{shown} is open to other users (mode {mode:o})"),
            format!("chmod 600 {shown}"),
        );
    }
    match magic(file) {
        Ok(true) => {
            let there = Finding::good(check, format!("{shown} is there; nobody uses it now"));
            migrations(there, storage).await
        }
        Ok(false) => Finding::bad(
            check,
            format!("{shown} is no SQLite database"),
            "restore it from a backup, or move it away to start anew",
        ),
        Err(e) => Finding::bad(
            check,
            format!("{shown} cannot be read: {}", e.kind()),
            "let this user read it",
        ),
    }
}

/// What was found, and which migrations the database has. Nothing is applied.
async fn migrations(found: Finding, storage: &Storage) -> Finding {
    let (check, there) = (found.check, found.found);
    let say = |what: String| format!("{there}; {what}");
    let survey = match jinke_store::survey(&storage.database, storage.migrations).await {
        Ok(survey) => survey,
        Err(failure) => {
            let mend = "let this user read it";
            return Finding::bad(check, say(failure.message), mend);
        }
    };
    if !survey.broken.is_empty() {
        let which = survey.broken.join(", ");
        let mend = "restore the database from its backup";
        return Finding::bad(check, say(format!("applied in part: {which}")), mend);
    }
    if !survey.changed.is_empty() {
        let which = survey.changed.join(", ");
        let mend = "use the program that made it: migrations never change";
        return Finding::bad(
            check,
            say(format!("applied with another text: {which}")),
            mend,
        );
    }
    if !survey.unknown.is_empty() {
        let mend = "use that program, or a newer one";
        let what = format!("a newer program was here (migrations {:?})", survey.unknown);
        return Finding::bad(check, say(what), mend);
    }
    if survey.applied == 0 {
        return Finding::good(
            check,
            say("its tables are made at the first start".to_owned()),
        );
    }
    if survey.missing.is_empty() {
        return Finding::good(check, say(format!("all {} migrations", survey.applied)));
    }
    let which = survey.missing.join(", ");
    let mend = "`jinke migrate`, or the next start, applies them; back up before";
    Finding::notice(check, say(format!("migrations wait: {which}")), mend)
}

/// Whether a file is a SQLite database, or empty and about to become one.
fn magic(file: &Path) -> io::Result<bool> {
    let mut head = Vec::new();
    fs::File::open(file)?.take(16).read_to_end(&mut head)?;
    Ok(head.is_empty() || head == b"SQLite format 3\0")
}

async fn postgres(check: String, url: &str) -> Finding {
    let Some(place) = host_and_port(url) else {
        let mend = "write it as postgres://user:password@host:port/database";
        return Finding::bad(check, "the URL of the database has no host", mend);
    };
    let connect = TcpStream::connect(&place);
    match tokio::time::timeout(Duration::from_secs(5), connect).await {
        Ok(Ok(_)) => Finding::good(check, format!("PostgreSQL answers at {place}")),
        Ok(Err(e)) => Finding::bad(
            check,
            format!("nothing answers at {place}: {}", e.kind()),
            "start PostgreSQL, or correct database.url",
        ),
        Err(_) => Finding::bad(
            check,
            format!("{place} did not answer within 5 s"),
            "look at the network between here and there",
        ),
    }
}

/// `host:port` of a PostgreSQL URL. Never shows its password.
fn host_and_port(url: &str) -> Option<String> {
    let rest = url.split_once("://")?.1;
    let authority = rest.split(['/', '?']).next()?;
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    if host.is_empty() {
        return None;
    }
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    Some(if has_port {
        host.to_owned()
    } else {
        format!("{host}:5432")
    })
}

/// The clock against what it must be after: this program, and the files of the data.
pub(super) fn clock(clock: &dyn Clock, files: &[PathBuf]) -> Finding {
    const CHECK: &str = "clock";
    let now = clock.now();
    let mend = "set the clock (NTP): tokens, versions and validity depend on it";
    if now < BUILT {
        return Finding::bad(CHECK, format!("shows {}", now.to_rfc3339()), mend);
    }
    let newest = files
        .iter()
        .filter_map(|f| fs::metadata(f).ok()?.modified().ok())
        .max();
    let newest = newest.and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
    if let Some(newest) = newest {
        let ahead = Timestamp(i64::try_from(newest.as_micros()).unwrap_or(i64::MAX));
        if ahead > now.plus(Duration::from_secs(300)) {
            let found = format!(
                "shows {}, but the data was written at {}",
                now.to_rfc3339(),
                ahead.to_rfc3339()
            );
            return Finding::bad(CHECK, found, mend);
        }
    }
    Finding::good(CHECK, Timestamp::from_secs(now.secs()).to_rfc3339())
}

/// Whether the port is free, or taken by this very suite.
pub(super) async fn port(addr: SocketAddr, data_dir: &Path) -> Finding {
    let check = format!("port {}", addr.port());
    match TcpListener::bind(addr).await {
        Ok(_) => Finding::good(check, format!("{addr} is free")),
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
            let own = fs::read_to_string(endpoint_file(data_dir)).unwrap_or_default();
            if own.trim().ends_with(&format!(":{}", addr.port())) {
                Finding::good(
                    check,
                    format!("{addr} is in use, as the suite of this folder does"),
                )
            } else {
                Finding::bad(
                    check,
                    format!("{addr} is in use by another program"),
                    "stop it, or choose another address with --listen",
                )
            }
        }
        Err(e) => Finding::bad(
            check,
            format!("{addr} cannot be listened on: {}", e.kind()),
            "choose another address with --listen",
        ),
    }
}

#[cfg(test)]
mod tests {
    use jinke_types::ManualClock;

    use super::{super::Health, *};

    #[test]
    fn little_space_is_said() {
        assert_eq!(space(100 << 20).health, Health::Bad);
        assert_eq!(space(1 << 30).health, Health::Notice);
        assert_eq!(space(100 << 30).health, Health::Good);
    }

    #[cfg(unix)]
    #[test]
    fn an_open_folder_gets_the_command_that_closes_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let findings = data_dir(dir.path());
        assert_eq!(findings[0].health, Health::Bad);
        assert!(findings[0].mend.starts_with("chmod 700"), "{findings:?}");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(data_dir(dir.path())[0].health, Health::Good);
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            0,
            "nothing is left behind"
        );
    }

    #[test]
    fn a_clock_that_went_back_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("customer.db");
        fs::write(&file, "x").unwrap();
        let slow = ManualClock::new(BUILT);
        assert_eq!(
            clock(&slow, std::slice::from_ref(&file)).health,
            Health::Bad
        );
        assert_eq!(
            clock(&ManualClock::new(Timestamp(0)), &[]).health,
            Health::Bad
        );
        assert_eq!(
            clock(&jinke_types::SystemClock, &[file]).health,
            Health::Good
        );
    }

    #[test]
    fn the_place_of_a_database_is_found_without_its_password() {
        let place = |url| host_and_port(url);
        assert_eq!(
            place("postgres://u:p@ss@db:6543/x").as_deref(),
            Some("db:6543")
        );
        assert_eq!(
            place("postgres://db/x?sslmode=require").as_deref(),
            Some("db:5432")
        );
        assert_eq!(place("postgres:///x"), None);
    }

    #[tokio::test]
    async fn a_foreign_program_on_the_port_is_told_from_our_own() {
        let dir = tempfile::tempdir().unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = taken.local_addr().unwrap();
        assert_eq!(port(addr, dir.path()).await.health, Health::Bad);
        fs::write(endpoint_file(dir.path()), format!("http://{addr}\n")).unwrap();
        assert_eq!(port(addr, dir.path()).await.health, Health::Good);
        drop(taken);
        assert_eq!(port(addr, dir.path()).await.health, Health::Good);
    }
}
