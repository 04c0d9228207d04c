//! The files of a backup.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use jinke_kit::{Config, client::write_secret};
use jinke_types::{Code, Failure};
use sha2::{Digest as _, Sha256};

use super::{Manifest, UNFINISHED, wrong};
use crate::suite::{Area, Storage};

const MANIFEST: &str = "manifest.json";
/// An unfinished copy to which nothing was written for so long is of a backup that died. One that
/// goes on writes all the time, but for statements that wait for the database: an hour at most.
const ABANDONED: Duration = Duration::from_secs(2 * 3_600);
/// A manifest is small; more than this is none.
const MAX_MANIFEST: u64 = 16 << 20;
/// A line of a copy is a row, and no row is larger.
const MAX_LINE: u64 = 256 << 20;
/// Files below this in the data folder prove who the services and `jinke` are.
const CREDENTIALS: &str = "credentials";

pub(super) fn file_failed(path: &Path, error: &io::Error) -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "FILE",
        format!("{}: {}", path.display(), error.kind()),
    )
}

/// The name of a folder by its time, in which names sort like times.
pub(super) fn folder_name(time: &str) -> String {
    let seconds = time.split(['.', 'Z']).next().unwrap_or(time);
    format!("jinke-{}Z", seconds.replace(':', "-"))
}

/// Makes the folder that the copy is written to.
pub(super) fn begin(out: &Path) -> Result<PathBuf, Failure> {
    if out.exists() {
        return Err(wrong("FILE", format!("{} is there already", out.display())));
    }
    let mut name = out.as_os_str().to_owned();
    name.push(UNFINISHED);
    let unfinished = PathBuf::from(name);
    if unfinished.exists() {
        // Of a backup that died.
        fs::remove_dir_all(&unfinished).map_err(|e| file_failed(&unfinished, &e))?;
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(&unfinished)
        .map_err(|e| file_failed(&unfinished, &e))?;
    Ok(unfinished)
}

/// Gives the whole copy its name.
pub(super) fn finish(unfinished: &Path, out: &Path) -> Result<(), Failure> {
    let sync = |path: &Path| File::open(path).and_then(|f| f.sync_all());
    sync(unfinished).map_err(|e| file_failed(unfinished, &e))?;
    fs::rename(unfinished, out).map_err(|e| file_failed(out, &e))?;
    match out.parent().filter(|p| !p.as_os_str().is_empty()) {
        Some(parent) => sync(parent).map_err(|e| file_failed(parent, &e)),
        None => Ok(()),
    }
}

/// Deletes what backups that died left in a folder of backups: unfinished copies to which nothing
/// was written for [`ABANDONED`], so that none that still goes on is touched.
pub(super) fn forget_unfinished(into: &Path) -> Result<Vec<PathBuf>, Failure> {
    let Ok(list) = fs::read_dir(into) else {
        // The folder is made with the first backup.
        return Ok(Vec::new());
    };
    let abandoned = |path: &Path| {
        let name = path
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default();
        let ours = name
            .strip_suffix(UNFINISHED)
            .is_some_and(|n| n.starts_with("jinke-") && n.ends_with('Z'));
        ours && last_written(path).is_some_and(|age| age > ABANDONED)
    };
    let found: Vec<PathBuf> = list
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| abandoned(path))
        .collect();
    for folder in &found {
        fs::remove_dir_all(folder).map_err(|e| file_failed(folder, &e))?;
    }
    Ok(found)
}

/// How long ago a folder or a file in it was last written.
fn last_written(folder: &Path) -> Option<Duration> {
    let files = fs::read_dir(folder).ok()?.flatten().map(|e| e.metadata());
    let all = files.chain([fs::metadata(folder)]);
    let times = all.filter_map(|m| m.and_then(|m| m.modified()).ok());
    // A time to come is of a clock that was set back: as if written now.
    times.max().map(|at| at.elapsed().unwrap_or_default())
}

/// Deletes the oldest backups of a folder, so that `keep` stay.
pub(super) fn forget_older(into: &Path, keep: u32) -> Result<Vec<PathBuf>, Failure> {
    let list = fs::read_dir(into).map_err(|e| file_failed(into, &e))?;
    let mut found: Vec<PathBuf> = list
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path
                .file_name()
                .and_then(|n| n.to_str())
                .unwrap_or_default();
            let ours = name.starts_with("jinke-") && name.ends_with('Z');
            ours && path.join(MANIFEST).is_file()
        })
        .collect();
    found.sort();
    let old = found.len().saturating_sub(keep as usize);
    found.truncate(old);
    for folder in &found {
        fs::remove_dir_all(folder).map_err(|e| file_failed(folder, &e))?;
    }
    Ok(found)
}

/// Writes the lines of one database.
pub(super) struct Writer {
    path: PathBuf,
    out: GzEncoder<BufWriter<File>>,
}

impl Writer {
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(|e| file_failed(path, &e))?;
        Ok(Self {
            path: path.to_owned(),
            out: GzEncoder::new(BufWriter::new(file), Compression::fast()),
        })
    }

    pub(super) fn line(&mut self, line: &str) -> Result<(), Failure> {
        let written = self.out.write_all(line.as_bytes());
        let written = written.and_then(|()| self.out.write_all(b"\n"));
        written.map_err(|e| file_failed(&self.path, &e))
    }

    /// Makes it durable and tells the hash of the file.
    pub(super) fn finish(self) -> Result<String, Failure> {
        let path = self.path;
        let failed = |e: io::Error| file_failed(&path, &e);
        let file = self.out.finish().map_err(failed)?;
        let file = file.into_inner().map_err(|e| failed(e.into_error()))?;
        file.sync_all().map_err(failed)?;
        hash_of(&path)
    }
}

/// SHA-256 of a file.
pub(super) fn hash_of(path: &Path) -> Result<String, Failure> {
    let failed = |e: io::Error| file_failed(path, &e);
    let mut file = File::open(path).map_err(failed)?;
    let mut sha = Sha256::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        let got = file.read(&mut piece).map_err(failed)?;
        if got == 0 {
            return Ok(hex::encode(sha.finalize()));
        }
        sha.update(&piece[..got]);
    }
}

/// The lines of a copy.
pub(super) fn lines(
    path: &Path,
) -> Result<impl Iterator<Item = Result<String, Failure>> + use<>, Failure> {
    let file = File::open(path).map_err(|e| file_failed(path, &e))?;
    let mut reader = BufReader::with_capacity(1 << 20, GzDecoder::new(file));
    let path = path.to_owned();
    Ok(std::iter::from_fn(move || {
        let mut line = String::new();
        match (&mut reader).take(MAX_LINE).read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => {
                line.truncate(line.trim_end_matches('\n').len());
                Some(Ok(line))
            }
            Err(e) => Some(Err(wrong(
                "BACKUP_DAMAGED",
                format!("{}: {}", path.display(), e.kind()),
            ))),
        }
    })
    // After an error the reader would tell it for ever.
    .scan(false, |ended, line: Result<String, Failure>| {
        if *ended {
            return None;
        }
        *ended = line.is_err();
        Some(line)
    }))
}

pub(super) fn write_manifest(folder: &Path, manifest: &Manifest) -> Result<(), Failure> {
    let path = folder.join(MANIFEST);
    let text = serde_json::to_vec_pretty(manifest).map_err(Failure::internal)?;
    write_secret(&path, &text).map_err(|e| file_failed(&path, &e))
}

pub(super) fn read_manifest(folder: &Path) -> Result<Manifest, Failure> {
    let path = folder.join(MANIFEST);
    let file = File::open(&path).map_err(|e| file_failed(&path, &e))?;
    serde_json::from_reader(BufReader::new(file.take(MAX_MANIFEST))).map_err(|_| {
        wrong(
            "BACKUP_DAMAGED",
            format!("{} cannot be read", path.display()),
        )
    })
}

/// Pairs of a key or credential file and its place in a folder of keys.
fn secrets(
    config: &Config,
    storages: &[(Area, Storage)],
    keys: &Path,
) -> Result<Vec<(PathBuf, PathBuf)>, Failure> {
    let mut pairs = Vec::new();
    for (area, storage) in storages {
        let folder = keys.join(area.as_str());
        for file in [&storage.keys.sealing, &storage.keys.tokens] {
            let name = if file == &storage.keys.sealing {
                "sealing.key.json"
            } else {
                "tokens.key.json"
            };
            pairs.push((file.clone(), folder.join(name)));
        }
    }
    let (here, there) = (config.data_dir().join(CREDENTIALS), keys.join(CREDENTIALS));
    for folder in [&here, &there] {
        let list = match fs::read_dir(folder) {
            Ok(list) => list,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(file_failed(folder, &e)),
        };
        for entry in list.flatten().filter(|e| e.path().is_file()) {
            let pair = (here.join(entry.file_name()), there.join(entry.file_name()));
            if !pairs.contains(&pair) {
                pairs.push(pair);
            }
        }
    }
    Ok(pairs)
}

/// Copies the key files and credentials to a folder.
pub(super) fn copy_keys(
    config: &Config,
    storages: &[(Area, Storage)],
    keys: &Path,
) -> Result<(), Failure> {
    for (here, there) in secrets(config, storages, keys)? {
        if here.exists() {
            let content = fs::read(&here).map_err(|e| file_failed(&here, &e))?;
            write_secret(&there, &content).map_err(|e| file_failed(&there, &e))?;
        }
    }
    Ok(())
}

/// Puts key files and credentials back. A file that is there with another content stays, and is
/// told: it may be the only key to something.
pub(super) fn put_keys_back(
    config: &Config,
    storages: &[(Area, Storage)],
    keys: &Path,
    replace: bool,
) -> Result<usize, Failure> {
    let mut put = 0;
    for (here, there) in secrets(config, storages, keys)? {
        let Ok(content) = fs::read(&there) else {
            continue;
        };
        let is_key = here.to_string_lossy().ends_with(".key.json");
        match fs::read(&here) {
            Ok(present) if present == content => continue,
            Ok(_) if is_key || !replace => {
                return Err(wrong(
                    "RESTORE_NOT_EMPTY",
                    format!(
                        "{} is there with another content; move it away first",
                        here.display()
                    ),
                ));
            }
            _ => {}
        }
        write_secret(&here, &content).map_err(|e| file_failed(&here, &e))?;
        put += 1;
    }
    Ok(put)
}
