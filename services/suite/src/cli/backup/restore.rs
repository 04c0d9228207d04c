//! `jinke restore`.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use jinke_store::{backup, keys::KeyRing};
use jinke_types::Failure;

use super::{FORMAT, Manifest, ServiceCopy, files, show, state_hash, storages, wrong};
use crate::{
    cli::{Global, Outcome, config::ConfigArgs},
    print::Printer,
    suite::{Area, Storage},
};

/// Arguments of `restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Folder of the backup
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Folder with the key files and credentials, as `jinke backup --keys` wrote it
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// Replace databases that are not empty; a SQLite file is moved aside
    #[arg(long)]
    replace: bool,
    /// Only check that the backup is whole, and change nothing
    #[arg(long)]
    check: bool,
    /// Services to restore [default: all of the backup]
    #[arg(long, value_enum, value_delimiter = ',')]
    services: Vec<Area>,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Puts a backup into the databases of the configuration and proves that they hold the same.
///
/// # Errors
/// `BACKUP_DAMAGED`, `BACKUP_NEWER`, `RESTORE_NOT_EMPTY`, `DATABASE_HELD`, `KEY_FILE`.
pub async fn restore(global: &Global, args: RestoreArgs, printer: &mut Printer<'_>) -> Outcome {
    let manifest = files::read_manifest(&args.from)?;
    if manifest.format != FORMAT {
        return Err(wrong(
            "BACKUP_NEWER",
            "the backup is of another format; use the program that wrote it",
        ));
    }
    check(&manifest, &args.from)?;
    if args.check {
        show(
            printer,
            &manifest,
            &args.from,
            "备份完好 the backup is whole",
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    let config = args.config.load(global, None)?;
    let storages = storages(&config, &args.services)?;
    let mut chosen: Vec<(Area, Storage, &ServiceCopy)> = Vec::new();
    for (area, storage) in &storages {
        match manifest.services.get(area.as_str()) {
            Some(copy) => chosen.push((*area, storage.clone(), copy)),
            None if args.services.is_empty() => {}
            None => {
                let why = format!("the backup has nothing of {area}");
                return Err(wrong("BACKUP_DAMAGED", why));
            }
        }
    }
    // Everything that could stop it is looked at before anything is changed.
    for (_, storage, _) in &chosen {
        vacant(storage, args.replace).await?;
    }
    if let Some(keys) = &args.keys {
        files::put_keys_back(&config, &storages, keys, args.replace)?;
    }
    for (_, storage, _) in &chosen {
        KeyRing::open(&storage.keys)?;
    }
    let mut restored = Vec::new();
    // Identity first: the others are nothing without it.
    for (area, storage, copy) in chosen.iter().rev() {
        move_aside(storage, args.replace)?;
        let tables = load(&args, storage, copy).await?;
        let same = |tables: &[backup::TableState]| state_hash([(area.as_str(), tables)]);
        if same(&tables) != same(&copy.tables) {
            return Err(wrong(
                "BACKUP_DAMAGED",
                format!("{area} does not hold what the backup says; restore it again"),
            ));
        }
        restored.push((area.as_str(), tables));
    }
    let hash = state_hash(restored.iter().map(|(area, tables)| (*area, &**tables)));
    // What a newer program adds comes after the proof.
    for (_, storage, _) in &chosen {
        storage.open().await?.close().await;
    }
    let told = Manifest {
        state_hash: hash,
        services: manifest
            .services
            .into_iter()
            .filter(|(service, _)| restored.iter().any(|(area, _)| area == service))
            .collect(),
        ..manifest
    };
    show(
        printer,
        &told,
        &args.from,
        "恢复完成，与备份一致 restored, equal to the backup",
    )?;
    Ok(ExitCode::SUCCESS)
}

/// The files are those the manifest names, and hold what it says.
fn check(manifest: &Manifest, folder: &std::path::Path) -> Result<(), Failure> {
    for (service, copy) in &manifest.services {
        let damaged = |what: &str| wrong("BACKUP_DAMAGED", format!("{service}: {what}"));
        if copy.file.contains(['/', '\\']) || copy.file.starts_with('.') {
            return Err(damaged("the manifest names a file elsewhere"));
        }
        let path = folder.join(&copy.file);
        if files::hash_of(&path)? != copy.sha256 {
            return Err(damaged("the file is not the one that was written"));
        }
        if backup::state_of(files::lines(&path)?)? != copy.tables {
            return Err(damaged("the file does not hold what the manifest says"));
        }
    }
    let all = manifest
        .services
        .iter()
        .map(|(s, c)| (s.as_str(), &*c.tables));
    if state_hash(all) != manifest.state_hash {
        return Err(wrong("BACKUP_DAMAGED", "the manifest contradicts itself"));
    }
    Ok(())
}

/// A database that holds something is not written over unasked.
async fn vacant(storage: &Storage, replace: bool) -> Result<(), Failure> {
    let not_empty = |what: &str| {
        wrong(
            "RESTORE_NOT_EMPTY",
            format!("{what} holds data; --replace writes over it"),
        )
    };
    if let Some(file) = storage.sqlite_file() {
        return if file.exists() && !replace {
            Err(not_empty(&file.display().to_string()))
        } else {
            Ok(())
        };
    }
    let Ok(db) = backup::open_beside(storage.database.clone()).await else {
        // Empty, or not there: opening it will tell.
        return Ok(());
    };
    let held = backup::state(&db).await;
    db.close().await;
    match held {
        Ok(tables) if !replace && tables.iter().any(|t| t.rows > 0) => Err(not_empty(&format!(
            "the database of {}",
            storage.database.service
        ))),
        _ => Ok(()),
    }
}

/// A SQLite file that is replaced is kept under another name.
fn move_aside(storage: &Storage, replace: bool) -> Result<(), Failure> {
    let Some(file) = storage.sqlite_file().filter(|f| replace && f.exists()) else {
        return Ok(());
    };
    if let Some(holder) = storage
        .lock_file()
        .and_then(|l| crate::suite::holder_of(&l))
    {
        return Err(wrong(
            "DATABASE_HELD",
            format!("the database file is in use by {holder}; stop that process first"),
        )
        .with("holder", holder));
    }
    let free = (1..).map(|n| file.with_extension(format!("db.before-restore-{n}")));
    let Some(aside) = free.into_iter().find(|p| !p.exists()) else {
        return Ok(());
    };
    std::fs::rename(file, &aside).map_err(|e| files::file_failed(file, &e))?;
    for ending in ["-wal", "-shm"] {
        let named = |path: &std::path::Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        let (from, to) = (named(file), named(&aside));
        if from.exists() {
            std::fs::rename(&from, &to).map_err(|e| files::file_failed(&from, &e))?;
        }
    }
    Ok(())
}

async fn load(
    args: &RestoreArgs,
    storage: &Storage,
    copy: &ServiceCopy,
) -> Result<Vec<backup::TableState>, Failure> {
    let db = backup::open_at(storage.database.clone(), storage.migrations, copy.versions).await?;
    let lines = files::lines(&args.from.join(&copy.file))?;
    let loaded = backup::load(&db, lines).await;
    db.close().await;
    loaded
}
