//! Writing the sample files once, and importing them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use jinke_kit::Peer;
use jinke_runner::{
    Backoff, GrpcDoor, Import, Report, SourceSpec,
    files::{self, FileInput, mapping_file},
    import as run_import,
};
use jinke_types::{Code, Failure, OsEntropy};
use serde::{Deserialize, Serialize};

use super::write_private;
use crate::{
    cli::import::{failed, write_errors},
    progress::{ImportProgress, say},
    samples::write_samples,
};

/// The samples are the same on every machine.
const SEED: u64 = 7_420;

/// The list of sample files, kept so that a second run imports the same ones.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    companies: usize,
    sources: Vec<Source>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Source {
    id: String,
    display_name: String,
    trust: i32,
    /// Data and mapping, relative to the folder of the samples.
    files: Vec<(PathBuf, PathBuf)>,
}

/// The import of one source, and the file with its errors, if there were any.
pub(super) struct Imported {
    pub(super) display_name: String,
    pub(super) report: Report,
    pub(super) errors: Option<PathBuf>,
}

/// Writes the samples below `data_dir` unless they are there, and imports every source.
///
/// # Errors
/// When a file cannot be written or read, or the service refuses.
pub(super) async fn import(
    peer: &Peer,
    data_dir: &Path,
    companies: usize,
) -> Result<Vec<Imported>, Failure> {
    let folder = data_dir.join("samples");
    let manifest = manifest(&folder, companies)?;
    let door = GrpcDoor::new(peer.clone());
    let mut imported = Vec::new();
    for source in manifest.sources {
        let mut inputs = Vec::new();
        for (data, mapping) in &source.files {
            inputs.push(FileInput::new(
                folder.join(data),
                mapping_file(&folder.join(mapping))?,
            ));
        }
        let opened = files::open(&source.id, inputs).await?;
        let job = Import {
            source: SourceSpec {
                id: source.id.clone(),
                display_name: source.display_name.clone(),
                trust: Some(source.trust),
                ..SourceSpec::default()
            },
            connector: opened.connector,
            digest: opened.digest,
            resume_file: Some(data_dir.join("imports").join(format!("{}.json", source.id))),
            backoff: Backoff::default(),
        };
        let mut progress = ImportProgress::new(&source.display_name);
        let report = run_import(job, &door, &OsEntropy, &mut |p| progress.show(p))
            .await
            .map_err(failed)?;
        progress.finish(&report);
        let mut errors = None;
        // A resumed import only knows the errors behind its cursor; an older report is fuller.
        if report.error_count() > 0 {
            let path = folder.join(format!("errors-{}.csv", source.id));
            write_errors(&report, &path)?;
            errors = Some(path);
        }
        imported.push(Imported {
            display_name: source.display_name,
            report,
            errors,
        });
    }
    Ok(imported)
}

fn manifest(folder: &Path, companies: usize) -> Result<Manifest, Failure> {
    let path = folder.join("manifest.json");
    if let Some(found) = fs::read(&path)
        .ok()
        .and_then(|t| serde_json::from_slice(&t).ok())
    {
        return Ok(found);
    }
    say(&format!(
        "生成示例数据 writing sample files to {}",
        folder.display()
    ));
    let written = write_samples(folder, SEED, companies).map_err(|e| {
        Failure::new(
            Code::FailedPrecondition,
            "FILE_NOT_WRITTEN",
            format!("samples: {e:#}"),
        )
    })?;
    let inside = |path: &Path| path.strip_prefix(folder).unwrap_or(path).to_owned();
    let source = |s: &crate::samples::SampleSource| Source {
        id: s.id.to_owned(),
        display_name: s.display_name.to_owned(),
        trust: s.trust,
        files: s
            .files
            .iter()
            .map(|f| (inside(&f.path), inside(&f.mapping)))
            .collect(),
    };
    let sources = written.sources.iter().map(source).collect();
    let manifest = Manifest {
        companies: written.organizations,
        sources,
    };
    // Written last: without it the files are written anew, so half of them are never imported.
    let text = serde_json::to_string_pretty(&manifest).map_err(Failure::internal)?;
    write_private(&path, &text)?;
    Ok(manifest)
}
