//! Pipelines: the shipped one, new ones, other stages as a new version.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use jinke_store::{Conn, counter};
use jinke_types::{Code, Failure};

use super::{By, Core, log};
use crate::{
    domain::{
        Process, change, check_etag, damaged,
        pipelines::{DEFAULT, DEFAULT_NAME, STALE_AFTER, default_process},
    },
    store::{
        opportunities,
        pipelines::{self, PipelineRow, VersionRow},
    },
};

/// Most versions kept in memory; they never change, so the rest is read when asked for.
const CACHED: usize = 1_000;
/// Most pipelines.
const MAX_PIPELINES: i64 = 1_000;

/// Stages by (pipeline, version).
#[derive(Debug, Default)]
pub struct Processes(Mutex<BTreeMap<(String, i64), Arc<Process>>>);

impl Processes {
    /// The stages of a version.
    ///
    /// # Errors
    /// `DATA_LOSS` when it is not there.
    pub async fn get(
        &self,
        conn: &mut Conn,
        pipeline: &str,
        version: i64,
    ) -> Result<Arc<Process>, Failure> {
        let key = (pipeline.to_owned(), version);
        let kept = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .cloned();
        if let Some(process) = kept {
            return Ok(process);
        }
        let process = pipelines::process(conn, pipeline, version)
            .await?
            .ok_or_else(|| damaged("pipeline"))?;
        let process = Arc::new(process);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= CACHED {
            all.clear();
        }
        all.insert(key, Arc::clone(&process));
        Ok(process)
    }
}

/// What a change of a pipeline says; what is none stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PipelineUpdate {
    /// Name.
    pub display_name: Option<String>,
    /// Stages.
    pub process: Option<Process>,
    /// Takes no new opportunities.
    pub archived: Option<bool>,
    /// Rest before an opportunity is stale.
    pub stale_after: Option<i64>,
}

impl Core {
    /// Makes the shipped pipeline when there is none of its name.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn ensure_default(&self) -> Result<(), Failure> {
        let core = self;
        core.db
            .write(async |mut tx| {
                let tx = &mut tx;
                tx.lock("pipelines").await?;
                if pipelines::get(tx, DEFAULT).await?.is_some() {
                    return Ok(());
                }
                let row = PipelineRow {
                    id: DEFAULT.to_owned(),
                    display_name: DEFAULT_NAME.to_owned(),
                    stale_after: STALE_AFTER,
                    ..PipelineRow::default()
                };
                let actor = "serviceAccounts/service-pipeline";
                core.add_pipeline(tx, row, default_process(), actor).await?;
                Ok(())
            })
            .await
    }

    async fn add_pipeline(
        &self,
        tx: &mut jinke_store::Tx,
        mut row: PipelineRow,
        process: Process,
        actor: &str,
    ) -> Result<PipelineRow, Failure> {
        let now = self.now();
        row.uid = counter::take(tx, "pipelines", 1).await?;
        if row.uid > MAX_PIPELINES {
            return Err(Failure::new(
                Code::ResourceExhausted,
                "LIMIT_REACHED",
                format!("there are {MAX_PIPELINES} pipelines already"),
            )
            .with("limit", MAX_PIPELINES));
        }
        (row.version, row.revision) = (1, 1);
        (row.create_time, row.update_time) = (now, now);
        pipelines::save(tx, &row).await?;
        let version = VersionRow {
            version: 1,
            process,
            creator: actor.to_owned(),
            create_time: now,
        };
        pipelines::add_version(tx, &row.id, &version).await?;
        log(
            tx,
            format!("pipelines/{}", row.id),
            change::CREATED,
            1,
            now,
            None,
        );
        Ok(row)
    }

    /// Makes a pipeline.
    ///
    /// # Errors
    /// `ALREADY_EXISTS`, `LIMIT_REACHED`.
    pub async fn create_pipeline(
        &self,
        by: &By<'_>,
        row: PipelineRow,
        process: Process,
    ) -> Result<String, Failure> {
        let core = self;
        core.db
            .write(async |mut tx| {
                let tx = &mut tx;
                if let Some(done) = core.claim(tx, by.request, core.now()).await? {
                    return Ok(done);
                }
                tx.lock("pipelines").await?;
                if pipelines::get(tx, &row.id).await?.is_some() {
                    return Err(Failure::new(
                        Code::AlreadyExists,
                        "ALREADY_EXISTS",
                        format!("pipelines/{} exists", row.id),
                    ));
                }
                let actor = &by.viewer.caller.name;
                let made = core
                    .add_pipeline(tx, row.clone(), process.clone(), actor)
                    .await?;
                let name = format!("pipelines/{}", made.id);
                core.complete(tx, by.request, name, 1).await?;
                Ok(made.id)
            })
            .await
    }

    /// Changes a pipeline. Other stages make a new version.
    ///
    /// # Errors
    /// `NOT_FOUND`, `ETAG_MISMATCH`.
    pub async fn update_pipeline(
        &self,
        by: &By<'_>,
        id: &str,
        etag: &str,
        update: &PipelineUpdate,
    ) -> Result<(), Failure> {
        let core = self;
        core.db
            .write(async |mut tx| {
                let tx = &mut tx;
                let now = core.now();
                if core.claim(tx, by.request, now).await?.is_some() {
                    return Ok(());
                }
                let mut row = pipelines::lock(tx, id)
                    .await?
                    .ok_or_else(|| Failure::not_found(format!("pipelines/{id}")))?;
                check_etag(etag, row.revision)?;
                let before = row.clone();
                if let Some(name) = &update.display_name {
                    row.display_name.clone_from(name);
                }
                if let Some(archived) = update.archived {
                    row.archived = archived;
                }
                if let Some(after) = update.stale_after {
                    row.stale_after = after;
                }
                if let Some(process) = &update.process {
                    let present = core.processes.get(tx, id, row.version).await?;
                    if *present != *process {
                        row.version += 1;
                        let version = VersionRow {
                            version: row.version,
                            process: process.clone(),
                            creator: by.viewer.caller.name.clone(),
                            create_time: now,
                        };
                        pipelines::add_version(tx, id, &version).await?;
                    }
                }
                if row != before {
                    row.revision += 1;
                    row.update_time = now;
                    pipelines::save(tx, &row).await?;
                    if row.stale_after != before.stale_after {
                        opportunities::restale(tx, id, row.stale_after).await?;
                    }
                    let name = format!("pipelines/{id}");
                    log(tx, name, change::UPDATED, row.revision, now, None);
                }
                core.complete(tx, by.request, format!("pipelines/{id}"), row.revision)
                    .await
            })
            .await
    }
}
