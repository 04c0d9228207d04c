//! The settings of a file connection.

use std::path::{Path, PathBuf};

use encoding_rs::Encoding;
use jinke_sdk::{ConfigKey, Mapping, Part, PartKind, Settings, Spec, ValueType, Verification};
use jinke_types::{Failure, Violation};

use crate::{error::io, limits::Limits};

/// A file connection: whose records the files hold, and the files in the order they are
/// pulled in.
#[derive(Clone, Debug)]
pub struct FileConfig {
    /// Id of the source the records belong to.
    pub source: String,
    /// The files; for a workbook one entry per sheet.
    pub files: Vec<FileInput>,
    /// Limits of each file.
    pub limits: Limits,
}

/// One file, or one sheet of a workbook.
#[derive(Clone, Debug)]
pub struct FileInput {
    /// Where it is.
    pub path: PathBuf,
    /// How its rows are read. Its `sheet` names the sheet of a workbook.
    pub mapping: Mapping,
    /// The encoding, when it shall not be found out.
    pub encoding: Option<&'static Encoding>,
    /// The delimiter, when it shall not be found out.
    pub delimiter: Option<u8>,
}

impl FileInput {
    /// A file whose encoding and delimiter are found out.
    pub fn new(path: impl Into<PathBuf>, mapping: Mapping) -> Self {
        Self {
            path: path.into(),
            mapping,
            encoding: None,
            delimiter: None,
        }
    }

    /// Name of the file, without its folder.
    pub fn name(&self) -> String {
        self.path
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    /// Id of the stream: the name of the file, and `#<sheet>` when the mapping names one.
    pub fn stream(&self) -> String {
        match &self.mapping.sheet {
            Some(sheet) => format!("{}#{sheet}", self.name()),
            None => self.name(),
        }
    }
}

/// The keys of a file connection.
pub fn spec() -> Spec {
    let key = |name, about, value| ConfigKey {
        name,
        about,
        value,
        required: true,
        secret: false,
        default: None,
    };
    Spec {
        kind: "file",
        display_name: "文件（CSV、Excel）",
        about: "Reads CSV and XLSX files by a mapping. Encoding (UTF-8, UTF-16, GB18030, Big5), \
                delimiter (comma, tab, semicolon) and header row are found out.",
        keys: vec![
            key(
                "source",
                "Id of the source the records belong to.",
                ValueType::Text,
            ),
            key(
                "files",
                "The files in the order they are pulled in, parties first. Each table has `path`, \
                 `mapping` (path of a mapping file) and optionally `encoding` (a WHATWG label, \
                 e.g. gb18030) and `delimiter` (one of , ; or a tab).",
                ValueType::Tables,
            ),
        ],
        parts: vec![Part {
            name: "files",
            kind: PartKind::Stream,
            about: "customers, contacts, orders, invoices, payments, messages and leads of CSV and XLSX",
            verification: Verification::DocumentationOnly,
            evidence: "files made by the tests in every encoding named above, workbooks by one \
                       writing library; none saved by Excel or WPS themselves, no .xls",
        }],
    }
}

/// Reads settings; mapping files are read now, data files later.
pub fn read(settings: &Settings) -> Result<FileConfig, Failure> {
    let mut files = Vec::new();
    for (i, table) in settings.tables("files").into_iter().enumerate() {
        let at = |key: &str| format!("settings.files[{i}].{key}");
        let known = ["path", "mapping", "encoding", "delimiter"];
        if let Some(other) = table.keys().find(|k| !known.contains(&k.as_str())) {
            return Err(Failure::field(at(other), "there is no such key"));
        }
        let text = |key: &str| match table.get(key) {
            None => Ok(None),
            Some(toml::Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(Failure::field(at(key), "must be text")),
        };
        let required =
            |key: &str| text(key)?.ok_or_else(|| Failure::field(at(key), "must be given"));
        let mapping = mapping_file(Path::new(required("mapping")?))?;
        let mut file = FileInput::new(required("path")?, mapping);
        if let Some(label) = text("encoding")? {
            file.encoding = Some(
                Encoding::for_label(label.as_bytes())
                    .ok_or_else(|| Failure::field(at("encoding"), "is no known encoding"))?,
            );
        }
        file.delimiter = match text("delimiter")? {
            None => None,
            Some("," | ";" | "\t") => text("delimiter")?.and_then(|t| t.bytes().next()),
            Some(_) => return Err(Failure::field(at("delimiter"), "must be , or ; or a tab")),
        };
        files.push(file);
    }
    let source = settings.text("source").unwrap_or_default().to_owned();
    let config = FileConfig {
        source,
        files,
        limits: Limits::default(),
    };
    config.check()?;
    Ok(config)
}

impl FileConfig {
    /// Refuses an empty source, no files, and two files with the same stream id.
    pub fn check(&self) -> Result<(), Failure> {
        let mut violations = Vec::new();
        let mut bad = |field: String, why: &str| {
            violations.push(Violation {
                field,
                description: why.to_owned(),
            });
        };
        if self.source.is_empty() {
            bad("settings.source".to_owned(), "must be given");
        }
        if self.files.is_empty() {
            bad("settings.files".to_owned(), "must name at least one file");
        }
        for (i, file) in self.files.iter().enumerate() {
            if file.name().is_empty() {
                bad(
                    format!("settings.files[{i}].path"),
                    "is not the path of a file",
                );
            }
            if self.files[..i]
                .iter()
                .any(|earlier| earlier.stream() == file.stream())
            {
                bad(
                    format!("settings.files[{i}].path"),
                    "another file has the same name and sheet",
                );
            }
        }
        if violations.is_empty() {
            Ok(())
        } else {
            Err(Failure::fields(violations))
        }
    }
}

/// Reads a mapping file; the failure names the file and the line.
pub fn mapping_file(path: &Path) -> Result<Mapping, Failure> {
    use std::io::Read;
    let name = path
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    let file = std::fs::File::open(path).map_err(|e| io(&name, &e))?;
    let mut text = String::new();
    let limit = jinke_sdk::mapping::MAX_MAPPING_BYTES as u64 + 1;
    file.take(limit)
        .read_to_string(&mut text)
        .map_err(|e| io(&name, &e))?;
    Mapping::from_toml(&text).map_err(|mut failure| {
        failure.message = format!("{name}: {}", failure.message);
        failure
    })
}
