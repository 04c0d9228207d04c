//! Opportunities go to another version of their pipeline, or to another pipeline: on purpose only.

use jinke_types::Failure;

use super::{By, Core, opportunities::Move};
use crate::{
    domain::moved,
    store::{opportunities, pipelines},
};

impl Core {
    /// Moves an opportunity to another version or pipeline.
    ///
    /// # Errors
    /// `NOT_FOUND` for it, the pipeline or the version; those of [`Process::migrate`].
    pub async fn migrate_opportunity(
        &self,
        by: &By<'_>,
        id: i64,
        etag: &str,
        to: (&str, i64, &str),
        cause: &str,
    ) -> Result<(), Failure> {
        let core = self;
        let (pipeline, version, stage) = to;
        core.db
            .write(async |mut tx| {
                let tx = &mut tx;
                let now = core.now();
                if core.claim(tx, by.request, now).await?.is_some() {
                    return Ok(());
                }
                let (before, _) = core.held(tx, by, id, etag).await?;
                let target = if pipeline.is_empty() {
                    before.pipeline.as_str()
                } else {
                    pipeline
                };
                let row = pipelines::get(tx, target)
                    .await?
                    .ok_or_else(|| Failure::not_found(format!("pipelines/{target}")))?;
                let version = if version == 0 { row.version } else { version };
                if version > row.version {
                    let name = format!("pipelines/{target}/versions/{version}");
                    return Err(Failure::not_found(name));
                }
                let process = core.processes.get(tx, target, version).await?;
                let there = process.migrate(&before.stage, stage, before.outcome)?;
                let mut o = before.clone();
                if there.stage != o.stage || target != o.pipeline {
                    o.stage_time = now;
                }
                o.stage.clone_from(&there.stage);
                o.pipeline = row.id.clone();
                o.version = version;
                let step = Move {
                    kind: moved::MIGRATED,
                    cause: cause.to_owned(),
                };
                let actor = &by.viewer.caller.name;
                let o = core
                    .put(tx, Some(&before), o, Some(step), &process, actor)
                    .await?;
                core.complete(tx, by.request, opportunities::place(id), o.revision)
                    .await
            })
            .await
    }
}
