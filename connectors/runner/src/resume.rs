//! The cursor file: where an import stands, so that it goes on after a crash.
//!
//! It is written beside the import, whole, into a new file that then takes the old one's
//! place; a crash leaves either the old or the new state. It holds no personal data.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// A cursor file is at most this long; a longer one is not ours.
const MAX_BYTES: u64 = 1_048_576;

/// Where one stream stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamState {
    /// Cursor of the last page whose records are durable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The stream was read to its end.
    #[serde(default)]
    pub finished: bool,
}

/// Where an import stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Id of the source.
    pub source: String,
    /// Digest of the files and mappings; another digest starts over.
    pub digest: String,
    /// How many imports of this digest were finished.
    pub run: u64,
    /// State by stream.
    pub streams: BTreeMap<String, StreamState>,
    /// Every stream was read to its end.
    #[serde(default)]
    pub finished: bool,
}

/// A cursor file and what it holds. Without a path the state is kept in memory only.
#[derive(Debug)]
pub struct Resume {
    path: Option<PathBuf>,
    /// The present state.
    pub state: State,
    /// The state was taken over from an import that did not end.
    pub resumed: bool,
}

impl Resume {
    /// Reads the cursor file, or begins anew when there is none, when it is of other files, or
    /// when it was finished. An unreadable cursor file only costs the resume, because an
    /// import from the start is idempotent; other I/O errors are returned.
    pub fn open(path: Option<PathBuf>, source: &str, digest: &str) -> io::Result<Self> {
        let old = match &path {
            Some(path) => read(path)?,
            None => None,
        };
        let old = old.filter(|s| s.source == source && s.digest == digest);
        let (state, resumed) = match old {
            Some(state) if !state.finished => {
                let begun = state
                    .streams
                    .values()
                    .any(|s| s.cursor.is_some() || s.finished);
                (state, begun)
            }
            old => {
                let run = old.map_or(0, |s| s.run + 1);
                let state = State {
                    source: source.to_owned(),
                    digest: digest.to_owned(),
                    run,
                    ..State::default()
                };
                (state, false)
            }
        };
        let resume = Self {
            path,
            state,
            resumed,
        };
        resume.save()?;
        Ok(resume)
    }

    /// Where `stream` stands.
    pub fn stream(&self, stream: &str) -> StreamState {
        self.state.streams.get(stream).cloned().unwrap_or_default()
    }

    /// Saves the cursor of `stream`.
    pub fn advance(&mut self, stream: &str, cursor: String) -> io::Result<()> {
        self.state
            .streams
            .entry(stream.to_owned())
            .or_default()
            .cursor = Some(cursor);
        self.save()
    }

    /// Saves that `stream` was read to its end.
    pub fn finish_stream(&mut self, stream: &str) -> io::Result<()> {
        self.state
            .streams
            .entry(stream.to_owned())
            .or_default()
            .finished = true;
        self.save()
    }

    /// Saves that the import is over.
    pub fn finish(&mut self) -> io::Result<()> {
        self.state.finished = true;
        self.save()
    }

    fn save(&self) -> io::Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let new = path.with_file_name(name);
        let mut file = fs::File::create(&new)?;
        file.write_all(&serde_json::to_vec_pretty(&self.state)?)?;
        file.sync_all()?;
        fs::rename(&new, path)
    }
}

fn read(path: &Path) -> io::Result<Option<State>> {
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    if found.len() > MAX_BYTES {
        return Ok(None);
    }
    Ok(serde_json::from_slice(&fs::read(path)?).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_goes_on_where_it_stood() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state/erp.json");
        let mut one = Resume::open(Some(path.clone()), "erp", "d1").unwrap();
        assert!(!one.resumed);
        one.advance("a.csv", "page 3".into()).unwrap();
        drop(one);
        let two = Resume::open(Some(path), "erp", "d1").unwrap();
        assert!(two.resumed);
        assert_eq!(two.stream("a.csv").cursor.as_deref(), Some("page 3"));
        assert_eq!(two.state.run, 0);
    }

    #[test]
    fn a_finished_import_begins_a_new_run_and_other_files_begin_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("erp.json");
        let mut one = Resume::open(Some(path.clone()), "erp", "d1").unwrap();
        one.advance("a.csv", "c".into()).unwrap();
        one.finish_stream("a.csv").unwrap();
        one.finish().unwrap();
        let two = Resume::open(Some(path.clone()), "erp", "d1").unwrap();
        assert_eq!((two.state.run, two.resumed), (1, false));
        assert_eq!(two.stream("a.csv"), StreamState::default());
        let three = Resume::open(Some(path), "erp", "d2").unwrap();
        assert_eq!((three.state.run, three.resumed), (0, false));
    }

    #[test]
    fn a_damaged_cursor_file_costs_only_the_resume() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("erp.json");
        fs::write(&path, b"{\"source\": \"erp\"").unwrap();
        let resume = Resume::open(Some(path), "erp", "d1").unwrap();
        assert_eq!((resume.state.run, resume.resumed), (0, false));
    }
}
