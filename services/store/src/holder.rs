//! One process per SQLite file.
//!
//! Two processes on one file would each believe themselves the only writer: their wake-ups,
//! leases and feeds would miss each other. The operating system's lock on `<file>.lock` is
//! held as long as the database is open and falls with the process, also by SIGKILL. The
//! file's text says who holds it; it is only read when the lock is refused.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use jinke_types::{Code, Failure, Timestamp};

/// Held while the database is open.
#[derive(Debug)]
pub(crate) struct Holder {
    _file: File,
}

impl Holder {
    /// Takes the lock beside `database`, or says who has it (`DATABASE_HELD`).
    pub(crate) fn take(database: &Path, now: Timestamp) -> Result<Self, Failure> {
        let path = beside(database);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        private(&mut options);
        let mut file = options.open(&path).map_err(|e| cannot(&path, &e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(&mut file)),
            Err(TryLockError::Error(e)) => return Err(cannot(&path, &e)),
        }
        let text = format!(
            "pid {} on {} since {}\n",
            std::process::id(),
            host(),
            Timestamp::from_secs(now.secs()).to_rfc3339()
        );
        file.set_len(0).map_err(|e| cannot(&path, &e))?;
        file.write_all(text.as_bytes())
            .map_err(|e| cannot(&path, &e))?;
        Ok(Self { _file: file })
    }
}

/// Lets only the owner read a file that is about to be created.
pub(crate) fn private(options: &mut OpenOptions) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
}

fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

fn held(file: &mut File) -> Failure {
    let mut text = String::new();
    let _ = file.rewind();
    // The text is for people; whoever could write it could also lie, so it is kept short.
    let _ = file.take(200).read_to_string(&mut text);
    let holder = text
        .lines()
        .next()
        .filter(|l| !l.is_empty())
        .unwrap_or("an unknown process");
    Failure::new(
        Code::FailedPrecondition,
        "DATABASE_HELD",
        format!("the database file is in use by {holder}; stop that process first"),
    )
    .with("holder", holder)
}

fn cannot(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "DATABASE_FILE",
        format!("cannot use {}: {}", path.display(), error.kind()),
    )
}

fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .map(|h| h.trim().to_owned())
        .or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_else(|| "this host".to_owned())
}
