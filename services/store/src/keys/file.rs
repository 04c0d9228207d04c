//! Key files: JSON, several keys, one active, readable by the owner alone; one that another owns
//! (a mounted Secret) also by its group.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{ErrorKind, Read as _, Write as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use jinke_types::{Code, Entropy, Failure};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use super::{Keys, Secret};
use crate::holder::private;

/// Where the keys are. Back both up apart from the database: without them it is unreadable.
#[derive(Clone, Debug)]
pub struct KeyFiles {
    /// Keys that wrap data keys.
    pub sealing: PathBuf,
    /// Keys of tokens and keyed hashes.
    pub tokens: PathBuf,
}

impl KeyFiles {
    /// `sealing.key.json` and `tokens.key.json` in a folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            sealing: folder.join("sealing.key.json"),
            tokens: folder.join("tokens.key.json"),
        }
    }
}

/// A key file is small; more than this is not one.
const MAX_FILE: u64 = 64 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    active: u8,
    keys: Vec<Key>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    /// 1 to 127, so that a token is a positive number.
    id: u8,
    /// 32 bytes in base64.
    secret: String,
}

impl Drop for Key {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

pub(super) fn read(path: &Path) -> Result<Keys, Failure> {
    let file = File::open(path).map_err(|e| wrong(path, e.kind()))?;
    refuse_open_rights(path, &file)?;
    let mut text = Zeroizing::new(String::new());
    let size = file.metadata().map_err(|e| wrong(path, e.kind()))?.len();
    if size > MAX_FILE {
        return Err(wrong(path, "is too long"));
    }
    file.take(MAX_FILE)
        .read_to_string(&mut text)
        .map_err(|e| wrong(path, e.kind()))?;
    parse(&text).map_err(|what| wrong(path, what))
}

/// The error says what is wrong, never what the file holds.
fn parse(text: &str) -> Result<Keys, String> {
    let document: Document = serde_json::from_str(text).map_err(|e| {
        format!(
            "is not a key file (line {}, column {})",
            e.line(),
            e.column()
        )
    })?;
    let mut secrets = BTreeMap::new();
    for key in &document.keys {
        if !(1..=127).contains(&key.id) {
            return Err(format!("has key id {}, which is not 1 to 127", key.id));
        }
        let mut secret = Secret::default();
        let bytes = BASE64
            .decode(&key.secret)
            .map(Zeroizing::new)
            .ok()
            .filter(|b| b.len() == 32);
        let bytes = bytes.ok_or_else(|| format!("key {} is not 32 bytes in base64", key.id))?;
        secret.copy_from_slice(&bytes);
        if secrets.insert(key.id, secret).is_some() {
            return Err(format!("has key id {} twice", key.id));
        }
    }
    if !secrets.contains_key(&document.active) {
        return Err(format!(
            "names key {} as active but does not have it",
            document.active
        ));
    }
    Ok(Keys {
        active: document.active,
        secrets,
    })
}

/// Makes the file whole or not at all: written beside, synced, then linked under its name,
/// which fails when another process was quicker; that one's file is then used.
pub(super) fn create_missing(path: &Path, entropy: &dyn Entropy) -> Result<(), Failure> {
    if path.exists() {
        return Ok(());
    }
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let io = |e: std::io::Error| wrong(path, e.kind());
    std::fs::create_dir_all(folder).map_err(io)?;
    let mut tail = [0; 8];
    entropy.fill(&mut tail);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", hex::encode(tail)));
    let beside = PathBuf::from(name);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    private(&mut options);
    let mut file = options.open(&beside).map_err(io)?;
    let linked = file
        .write_all(new_document(entropy)?.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::hard_link(&beside, path));
    let _ = std::fs::remove_file(&beside);
    match linked {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(io(e)),
        _ => File::open(folder).and_then(|f| f.sync_all()).map_err(io),
    }
}

fn new_document(entropy: &dyn Entropy) -> Result<Zeroizing<String>, Failure> {
    let mut secret = Secret::default();
    entropy.fill(secret.as_mut_slice());
    let document = Document {
        active: 1,
        keys: vec![Key {
            id: 1,
            secret: BASE64.encode(secret.as_slice()),
        }],
    };
    let mut text = serde_json::to_string_pretty(&document).map_err(Failure::internal)?;
    text.push('\n');
    Ok(Zeroizing::new(text))
}

#[cfg(unix)]
fn refuse_open_rights(path: &Path, file: &File) -> Result<(), Failure> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = file.metadata().map_err(|e| wrong(path, e.kind()))?;
    let mode = metadata.mode();
    // A file of our own is for us alone. One that was put here for us, such as a mounted
    // Kubernetes Secret, belongs to root and can only be read through its group.
    let ours = std::fs::metadata("/proc/self").map_or(true, |me| me.uid() == metadata.uid());
    let allowed = if ours { 0 } else { 0o040 };
    if mode & 0o077 & !allowed == 0 {
        return Ok(());
    }
    Err(Failure::new(
        Code::FailedPrecondition,
        "KEY_FILE_OPEN",
        format!(
            "key file {} can be read by others (mode {:o}); run chmod 600 on it",
            path.display(),
            mode & 0o777
        ),
    ))
}

#[cfg(not(unix))]
fn refuse_open_rights(_: &Path, _: &File) -> Result<(), Failure> {
    Ok(())
}

fn wrong(path: &Path, what: impl std::fmt::Display) -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "KEY_FILE",
        format!("key file {}: {what}", path.display()),
    )
}
