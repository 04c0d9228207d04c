//! Opening files with the file connector, for programs that cannot see connectors themselves.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use jinke_types::{Code, Failure};
use sha2::{Digest, Sha256};

pub use jinke_file::{FileConfig, FileConnector, FileInput, Limits, guess_file, mapping_file};
pub use jinke_sdk::{Guess, Location, Mapping, Preview, RowError, lead::Stated};

/// Files that are ready to be imported, and their digest.
#[derive(Clone, Debug)]
pub struct OpenFiles {
    /// The connector.
    pub connector: Arc<FileConnector>,
    /// Names the content of all files and everything that decides how they are read.
    pub digest: String,
}

/// Opens files whose records belong to `source`, in the order given. Reads every file once for
/// its digest.
///
/// # Errors
/// `FILE_MISSING` or `FILE_UNREADABLE` names the file; see also [`FileConfig::check`].
pub async fn open(source: &str, files: Vec<FileInput>) -> Result<OpenFiles, Failure> {
    let config = FileConfig {
        source: source.to_owned(),
        files,
        limits: Limits::default(),
    };
    let connector = Arc::new(FileConnector::new(config)?);
    let read = connector.clone();
    let digest = tokio::task::spawn_blocking(move || digest(read.config()))
        .await
        .map_err(Failure::internal)??;
    Ok(OpenFiles { connector, digest })
}

fn digest(config: &FileConfig) -> Result<String, Failure> {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        // The length in front keeps neighbouring parts apart.
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(config.source.as_bytes());
    for file in &config.files {
        part(file.stream().as_bytes());
        part(file.mapping.to_toml()?.as_bytes());
        part(file.encoding.map_or("", |e| e.name()).as_bytes());
        part(&file.delimiter.map_or(Vec::new(), |d| vec![d]));
        part(&content(&file.path).map_err(|e| unreadable(&file.path, &e))?);
    }
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

fn content(path: &Path) -> io::Result<Vec<u8>> {
    let (mut file, mut hash) = (File::open(path)?, Sha256::new());
    let mut buffer = vec![0; 65_536];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().to_vec()),
            n => hash.update(&buffer[..n]),
        }
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if error.kind() == io::ErrorKind::NotFound {
        return Failure::new(
            Code::NotFound,
            "FILE_MISSING",
            format!("{name} does not exist"),
        );
    }
    let message = format!("{name} cannot be read: {}", error.kind());
    Failure::new(Code::FailedPrecondition, "FILE_UNREADABLE", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPPING: &str = "kind = 'organization'\nexternal_id = '编码'\n\
                           [[values]]\nattribute = 'name'\ncolumn = '名称'\n";

    async fn digest_of(path: &Path, mapping: &str) -> String {
        let mapping = Mapping::from_toml(mapping).unwrap();
        open("erp", vec![FileInput::new(path, mapping)])
            .await
            .unwrap()
            .digest
    }

    #[tokio::test]
    async fn the_digest_names_content_and_mapping_not_the_place() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("a/x.csv"), dir.path().join("b/x.csv"));
        for path in [&one, &two] {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "编码,名称\n1,甲\n").unwrap();
        }
        let first = digest_of(&one, MAPPING).await;
        assert_eq!(first, digest_of(&two, MAPPING).await);
        let partial = format!("completeness = 'partial'\n{MAPPING}");
        assert_ne!(first, digest_of(&two, &partial).await);
        std::fs::write(&two, "编码,名称\n1,乙\n").unwrap();
        assert_ne!(first, digest_of(&two, MAPPING).await);
    }

    #[tokio::test]
    async fn a_missing_file_is_named() {
        let mapping = Mapping::from_toml(MAPPING).unwrap();
        let failure = open("erp", vec![FileInput::new("/nowhere/客户.csv", mapping)]).await;
        let failure = failure.unwrap_err();
        assert_eq!(
            (failure.code, failure.reason),
            (Code::NotFound, "FILE_MISSING")
        );
        assert!(failure.message.contains("客户.csv"));
    }
}
