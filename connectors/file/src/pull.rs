//! The connector: checks, discovers and pulls files on a thread of its own, so that a slow
//! disk holds up nobody, and at most two pages wait in memory.

use std::{fs::File, io::Read, ops::ControlFlow, sync::Arc};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use jinke_sdk::{
    Connector, Cursor, Guess, Mapping, Page, Preview, PullError, PullErrorKind, Row, Settings,
    Spec, StreamSchema, guess,
};
use jinke_types::{Code, Failure};
use sha2::{Digest, Sha256};

use crate::{
    config::{self, FileConfig, FileInput},
    encoding::scan,
    error::{io, stop, unreadable},
    head::{Head, schema},
    header,
    limits::Limits,
    table::{Input, Place, Table, top_rows},
    text::TextFile,
    workbook::{OLE_MAGIC, Workbook, ZIP_MAGIC, ole_failure},
};

/// Reads CSV and XLSX files.
#[derive(Clone, Debug)]
pub struct FileConnector {
    config: Arc<FileConfig>,
}

/// Which reader a file needs, by its first bytes and never by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Workbook,
}

impl FileConnector {
    /// A connector for a config that [`FileConfig::check`] accepts.
    pub fn new(config: FileConfig) -> Result<Self, Failure> {
        config.check()?;
        Ok(Self {
            config: Arc::new(config),
        })
    }

    /// The config.
    pub fn config(&self) -> &FileConfig {
        &self.config
    }

    fn input(&self, stream: &str) -> Result<FileInput, Failure> {
        let found = self.config.files.iter().find(|f| f.stream() == stream);
        found.cloned().ok_or_else(|| {
            Failure::new(
                Code::NotFound,
                "STREAM_UNKNOWN",
                "the connection has no such stream",
            )
        })
    }

    /// The first `n` rows of a stream (at most 1,000) as they would be read.
    pub async fn preview(&self, stream: &str, n: usize) -> Result<Preview, Failure> {
        self.preview_of(self.input(stream)?, n).await
    }

    async fn preview_of(&self, input: FileInput, n: usize) -> Result<Preview, Failure> {
        let config = Arc::clone(&self.config);
        blocking(move || {
            let head = Head::read(&input, config.limits, Some(&input.mapping), n.min(1_000))?;
            let top = top_rows(&head.rows, &head.merged);
            let header = header::find(&input.mapping, &top);
            let names = header.as_ref().map(|h| h.names.clone()).unwrap_or_default();
            let below = header.map_or(0, |h| h.row);
            let rows: Vec<Row> = head.below(&input.name(), below).collect();
            input.mapping.preview(&config.source, &names, &rows, n)
        })
        .await
    }
}

/// Proposes a mapping for a file from its headers.
pub async fn guess_file(
    path: impl Into<std::path::PathBuf>,
    sheet: Option<String>,
) -> Result<Guess, Failure> {
    let mut mapping = guess(&[]).mapping;
    mapping.sheet.clone_from(&sheet);
    let input = FileInput::new(path, mapping);
    blocking(move || {
        let head = Head::read(&input, Limits::default(), None, 0)?;
        let top = top_rows(&head.rows, &head.merged);
        let names = header::likeliest(&top).map(|h| h.names).unwrap_or_default();
        let mut guess = guess(&names);
        guess.mapping.sheet = sheet;
        Ok(guess)
    })
    .await
}

#[async_trait]
impl Connector for FileConnector {
    fn spec() -> Spec {
        config::spec()
    }

    fn open(settings: &Settings) -> Result<Self, Failure> {
        Self::new(config::read(settings)?)
    }

    async fn check(&self) -> Result<(), Failure> {
        let config = Arc::clone(&self.config);
        blocking(move || {
            config
                .files
                .iter()
                .try_for_each(|file| format_of(file).map(|_| ()))
        })
        .await
    }

    async fn discover(&self) -> Result<Vec<StreamSchema>, Failure> {
        let config = Arc::clone(&self.config);
        blocking(move || {
            config
                .files
                .iter()
                .map(|input| schema(input, config.limits))
                .collect()
        })
        .await
    }

    async fn preview(
        &self,
        stream: &str,
        mapping: Option<Mapping>,
        rows: usize,
    ) -> Result<Page, Failure> {
        let mut input = self.input(stream)?;
        if let Some(mapping) = mapping {
            input.mapping = Mapping {
                // Which sheet is read belongs to the stream.
                sheet: input.mapping.sheet.take(),
                ..mapping
            };
        }
        let preview = self.preview_of(input, rows).await?;
        let mut page = Page::default();
        for row in preview.rows {
            page.records.extend(row.records);
            page.leads.extend(row.leads);
            page.row_errors.extend(row.errors);
        }
        let told = |what: &str, names: Vec<String>| {
            (!names.is_empty()).then(|| format!("{what}: {}", names.join("、")))
        };
        page.notes
            .extend(told("columns the file lacks", preview.missing));
        page.notes
            .extend(told("columns that are not read", preview.unmapped));
        Ok(page)
    }

    async fn pull(
        &self,
        stream: &str,
        cursor: Option<Cursor>,
    ) -> BoxStream<'static, Result<Page, PullError>> {
        let place = match cursor.map(|c| c.decode::<Place>()).transpose() {
            Ok(place) => place,
            Err(error) => return stream::iter([Err(error)]).boxed(),
        };
        let input = match self.input(stream) {
            Ok(input) => input,
            Err(failure) => return stream::iter([Err(stop(failure))]).boxed(),
        };
        let config = Arc::clone(&self.config);
        let (sender, receiver) = tokio::sync::mpsc::channel(2);
        let worker = tokio::task::spawn_blocking(move || {
            let mut send = |page| match sender.blocking_send(Ok(page)) {
                Ok(()) => ControlFlow::Continue(()),
                // Nobody listens any more.
                Err(_) => ControlFlow::Break(()),
            };
            if let Err(error) = read(&input, &config, place, &mut send) {
                let _ = sender.blocking_send(Err(error));
            }
        });
        stream::unfold(
            (receiver, Some(worker)),
            |(mut receiver, worker)| async move {
                if let Some(item) = receiver.recv().await {
                    return Some((item, (receiver, worker)));
                }
                // A parser that panics on a hostile file ends the pull, not the process.
                match worker?.await {
                    Ok(()) => None,
                    Err(_) => Some((Err(stop(reader_failed())), (receiver, None))),
                }
            },
        )
        .boxed()
    }
}

fn reader_failed() -> Failure {
    unreadable(
        "the file",
        "cannot be read; it is damaged in a way the reader does not know",
    )
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(reader_failed()))
}

pub(crate) fn format_of(input: &FileInput) -> Result<Format, Failure> {
    let name = input.name();
    let mut head = Vec::new();
    // A pipe or a device would never end.
    if !std::fs::metadata(&input.path)
        .map_err(|e| io(&name, &e))?
        .is_file()
    {
        return Err(unreadable(&name, "is not a regular file"));
    }
    let mut file = File::open(&input.path).map_err(|e| io(&name, &e))?;
    (&mut file)
        .take(8)
        .read_to_end(&mut head)
        .map_err(|e| io(&name, &e))?;
    if head.starts_with(OLE_MAGIC) {
        return Err(ole_failure(&name, &input.path));
    }
    Ok(if head.starts_with(ZIP_MAGIC) {
        Format::Workbook
    } else {
        Format::Text
    })
}

fn digest_file(input: &FileInput) -> Result<String, Failure> {
    let name = input.name();
    let mut file = File::open(&input.path).map_err(|e| io(&name, &e))?;
    let mut hash = Sha256::new();
    std::io::copy(&mut file, &mut hash).map_err(|e| io(&name, &e))?;
    Ok(hex::encode(hash.finalize()))
}

/// Names the mapping and whatever else decides what the rows yield.
fn digest_mapping(input: &FileInput, source: &str) -> Result<String, Failure> {
    let mut hash = Sha256::new();
    hash.update(input.mapping.to_toml()?);
    let encoding = input.encoding.map(encoding_rs::Encoding::name);
    hash.update(format!("\0{source}\0{encoding:?}\0{:?}", input.delimiter));
    Ok(hex::encode(hash.finalize()))
}

/// Where to start: behind what an earlier pull read of the same content by the same
/// mapping; `None` when that is all.
fn start(content: String, mapping: String, earlier: Option<Place>) -> Option<Place> {
    match earlier {
        Some(place) if place.content == content && place.mapping == mapping => {
            if place.done {
                None
            } else {
                Some(place)
            }
        }
        _ => Some(Place {
            content,
            mapping,
            row: 0,
            done: false,
        }),
    }
}

fn read(
    input: &FileInput,
    config: &FileConfig,
    earlier: Option<Place>,
    send: &mut dyn FnMut(Page) -> ControlFlow<()>,
) -> Result<(), PullError> {
    let file = input.name();
    let mapping = digest_mapping(input, &config.source).map_err(stop)?;
    let verify = |before: &str| -> Result<(), Failure> {
        if digest_file(input)? == before {
            return Ok(());
        }
        Err(Failure::new(
            Code::Aborted,
            "FILE_CHANGED",
            format!("{file} was changed while it was read; pull again"),
        ))
    };
    let result = match format_of(input).map_err(stop)? {
        Format::Text => (|| {
            let (text, scan) = (
                File::open(&input.path).map_err(|e| io(&file, &e))?,
                input.encoding,
            );
            let scan = scan_text(&file, text, scan)?;
            let content = scan.digest.clone();
            let Some(place) = start(content.clone(), mapping, earlier) else {
                return Ok(());
            };
            let text = TextFile {
                file: &file,
                path: &input.path,
                scan: &scan,
                limits: config.limits,
            };
            let delimiter = match input.delimiter {
                Some(delimiter) => delimiter,
                None => text.delimiter(Some(&input.mapping))?,
            };
            let notes = vec![scan.decision.note(), delimiter_note(delimiter)];
            let mut table = Table::new(table_input(input, config, &file, None, place, notes), send);
            text.rows(delimiter, &mut table)?;
            table.finish(|| verify(&content))
        })(),
        Format::Workbook => (|| {
            let content = digest_file(input)?;
            let Some(place) = start(content.clone(), mapping, earlier) else {
                return Ok(());
            };
            let mut workbook = Workbook::open(&file, &input.path, config.limits)?;
            let (sheet, notes) = workbook.sheet(input.mapping.sheet.as_deref())?;
            let mut table = Table::new(
                table_input(input, config, &file, Some(&sheet), place, notes),
                send,
            );
            workbook.rows(&sheet, &mut table)?;
            table.finish(|| verify(&content))
        })(),
    };
    result.map_err(|failure| match failure.reason {
        "FILE_CHANGED" => PullError::new(PullErrorKind::Changed, failure),
        _ => stop(failure),
    })
}

fn table_input<'a>(
    input: &'a FileInput,
    config: &'a FileConfig,
    file: &'a str,
    sheet: Option<&'a str>,
    place: Place,
    notes: Vec<String>,
) -> Input<'a> {
    let (mapping, source, limits) = (&input.mapping, config.source.as_str(), config.limits);
    Input {
        mapping,
        source,
        file,
        sheet,
        limits,
        place,
        notes,
    }
}

pub(crate) fn scan_text(
    file: &str,
    input: File,
    named: Option<&'static encoding_rs::Encoding>,
) -> Result<crate::encoding::Scan, Failure> {
    scan(input, named).map_err(|e| io(file, &e))
}

pub(crate) fn delimiter_note(delimiter: u8) -> String {
    let name = match delimiter {
        b'\t' => "tab",
        b';' => "semicolon",
        _ => "comma",
    };
    format!("cells are parted by {name}")
}
