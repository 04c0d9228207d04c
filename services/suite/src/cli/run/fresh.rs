//! Starting over: deletes what the suite wrote into its data folder, and nothing else.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jinke_types::{Code, Failure};

use super::write_private;
use crate::suite::{Storage, holder_of};

/// Marks a folder as ours.
const MARKER: &str = "JINKE_DATA";
/// What stands in the marker.
const MARKER_TEXT: &str = "This folder holds the data of a Jinke suite. `jinke run --fresh` deletes \
                           it only when this file is here.\n";
/// What the suite writes beside databases and keys.
const OURS: [&str; 4] = ["credentials", "samples", "endpoint", MARKER];
/// The folder that files are imported from. What lies in it is a user's, but for the samples.
const IMPORTS: &str = "imports";

/// Marks `dir` as a data folder; it is made, readable by its owner alone, when it is missing.
///
/// # Errors
/// `FILE_NOT_WRITTEN`.
pub(super) fn mark(dir: &Path) -> Result<(), Failure> {
    let marker = dir.join(MARKER);
    if marker.exists() {
        Ok(())
    } else {
        write_private(&marker, MARKER_TEXT)
    }
}

/// Deletes databases, keys, credentials and samples in `dir`. Gives back what is in the folder
/// and not ours, which stays.
///
/// # Errors
/// `NOT_A_DATA_DIR` when the folder is not empty and not marked as ours, `DATABASE_HELD` when a
/// suite runs on it, `FRESH_NEEDS_SQLITE` when the data is not in the folder.
pub(super) fn clear(dir: &Path, storages: &[Storage]) -> Result<Vec<PathBuf>, Failure> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(cannot(dir, "read", &e)),
    };
    let entries: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let marker = dir.join(MARKER);
    if fs::read_to_string(&marker).ok().as_deref() != Some(MARKER_TEXT) {
        return Err(Failure::new(
            Code::FailedPrecondition,
            "NOT_A_DATA_DIR",
            format!(
                "{} does not look like a data folder of jinke (it lacks the file {MARKER}); \
                 nothing was deleted",
                dir.display()
            ),
        ));
    }
    let mut ours: Vec<PathBuf> = OURS.iter().map(|name| dir.join(name)).collect();
    ours.push(dir.join(IMPORTS).join("samples"));
    for storage in storages {
        let Some(database) = storage.sqlite_file() else {
            return Err(Failure::new(
                Code::FailedPrecondition,
                "FRESH_NEEDS_SQLITE",
                "the data is in PostgreSQL; drop the database there, then delete the data folder",
            ));
        };
        if let Some(holder) = storage.lock_file().as_deref().and_then(holder_of) {
            return Err(Failure::new(
                Code::FailedPrecondition,
                "DATABASE_HELD",
                format!("the data folder is in use by {holder}; stop that process first"),
            )
            .with("holder", holder));
        }
        for suffix in ["", "-wal", "-shm", "-journal", ".lock"] {
            let mut file = database.as_os_str().to_owned();
            file.push(suffix);
            ours.push(file.into());
        }
        ours.extend([storage.keys.sealing.clone(), storage.keys.tokens.clone()]);
    }
    // Databases and keys that the configuration puts elsewhere are not this folder's. The marker
    // goes last, so that an interrupted deletion can be repeated.
    ours.retain(|path| path.starts_with(dir) && *path != marker);
    for path in ours.iter().chain([&marker]) {
        remove(path).map_err(|e| cannot(path, "deleted", &e))?;
    }
    for folder in [
        "keys/identity",
        "keys/customer",
        "keys/connector",
        "keys/pipeline",
        "keys/reporting",
        "keys",
        IMPORTS,
    ] {
        // Only when nothing else is in them.
        let _ = fs::remove_dir(dir.join(folder));
    }
    Ok(fs::read_dir(dir)
        .map(|left| left.flatten().map(|e| e.path()).collect())
        .unwrap_or_default())
}

fn remove(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    // A link is taken away, not followed.
    if found.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}

fn cannot(path: &Path, what: &str, error: &io::Error) -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "FILE_NOT_WRITTEN",
        format!("{} cannot be {what}: {}", path.display(), error.kind()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::{Area, Layers, config, lock_beside};

    fn storages(dir: &Path) -> Vec<Storage> {
        let set = vec![format!("server.data_dir={}", dir.display())];
        let config = config(&Layers {
            set,
            ..Layers::default()
        })
        .unwrap();
        Area::ALL
            .iter()
            .map(|a| Storage::of(*a, &config).unwrap())
            .collect()
    }

    #[test]
    fn only_a_marked_folder_is_cleared() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.docx"), "years of work").unwrap();
        let failure = clear(dir.path(), &storages(dir.path())).unwrap_err();
        assert_eq!(failure.reason, "NOT_A_DATA_DIR");
        assert!(dir.path().join("thesis.docx").exists());
    }

    #[test]
    fn what_is_not_ours_stays() {
        let dir = tempfile::tempdir().unwrap();
        mark(dir.path()).unwrap();
        for ours in ["identity.db", "customer.db", "customer.db-wal", "endpoint"] {
            fs::write(dir.path().join(ours), "x").unwrap();
        }
        fs::create_dir_all(dir.path().join("samples/deep")).unwrap();
        fs::write(dir.path().join("notes.txt"), "mine").unwrap();
        fs::create_dir_all(dir.path().join("imports/samples")).unwrap();
        let kept = clear(dir.path(), &storages(dir.path())).unwrap();
        assert_eq!(kept, [dir.path().join("notes.txt")]);
        mark(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        fs::create_dir_all(dir.path().join("imports/samples")).unwrap();
        fs::write(dir.path().join("imports/customers.xlsx"), "mine").unwrap();
        let kept = clear(dir.path(), &storages(dir.path())).unwrap();
        assert!(kept.contains(&dir.path().join("imports")), "{kept:?}");
        assert!(dir.path().join("imports/customers.xlsx").exists());
        assert!(!dir.path().join("imports/samples").exists());
    }

    #[test]
    fn a_folder_in_use_is_not_cleared() {
        let dir = tempfile::tempdir().unwrap();
        mark(dir.path()).unwrap();
        let path = lock_beside(&dir.path().join("customer.db"));
        fs::write(&path, "pid 7 on box\n").unwrap();
        let lock = fs::File::open(&path).unwrap();
        lock.lock().unwrap();
        let failure = clear(dir.path(), &storages(dir.path())).unwrap_err();
        assert_eq!(
            (failure.reason, failure.metadata["holder"].as_str()),
            ("DATABASE_HELD", "pid 7 on box")
        );
        assert!(path.exists());
    }

    #[test]
    fn an_empty_or_missing_folder_is_fresh() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(
            clear(dir.path(), &storages(dir.path())).unwrap(),
            Vec::<PathBuf>::new()
        );
        let missing = dir.path().join("none");
        assert_eq!(
            clear(&missing, &storages(&missing)).unwrap(),
            Vec::<PathBuf>::new()
        );
    }
}
