//! Sources: their trust, org unit and sharing.

use jinke_store::counter;
use jinke_types::{Code, Failure};

use super::{Engine, mutate::check_etag, prepare::is_source_id, resolve::Input};
use crate::{
    domain::{NewSource, RequestId, Source, SourceUpdate},
    store::{records, sources},
};

/// Longest name of a source in characters.
const MAX_NAME: usize = 200;
/// Longest org unit in characters.
const MAX_ORG_UNIT: usize = 256;
/// Customers that one step recomputes when a source changed.
const STEP: i64 = 5_000;

fn check(source: &Source) -> Result<(), Failure> {
    let text = |field: &str, text: &str, max: usize| {
        if text.chars().count() > max || text.contains('\0') {
            return Err(Failure::field(
                field,
                format!("must have at most {max} characters"),
            ));
        }
        Ok(())
    };
    text("source.display_name", &source.display_name, MAX_NAME)?;
    text("source.org_unit", &source.org_unit, MAX_ORG_UNIT)?;
    if !(0..=100).contains(&source.trust) {
        return Err(Failure::field("source.trust", "must be between 0 and 100"));
    }
    Ok(())
}

impl Engine {
    /// Creates a source. `SOURCE_EXISTS` when the id is taken.
    pub async fn create_source(
        &self,
        new: NewSource,
        request: Option<&RequestId>,
    ) -> Result<Source, Failure> {
        if !is_source_id(&new.id) {
            return Err(Failure::field(
                "source_id",
                "must be 1 to 63 of a-z, 0-9 and -, starting with a letter",
            ));
        }
        let core = &self.core;
        core.db
            .write(async |mut tx| {
                let tx = &mut tx;
                core.lock(tx).await?;
                let now = core.clock.now();
                if core.claim(tx, request, now).await?.is_some() {
                    return sources::get(tx, &new.id)
                        .await?
                        .ok_or_else(|| Failure::not_found(format!("sources/{}", new.id)));
                }
                if sources::get(tx, &new.id).await?.is_some() {
                    return Err(Failure::new(
                        Code::AlreadyExists,
                        "SOURCE_EXISTS",
                        "there is a source with this id",
                    )
                    .with("source", format!("sources/{}", new.id)));
                }
                let source = Source {
                    id: new.id.clone(),
                    uid: counter::take(tx, "sources", 1).await?,
                    display_name: new.display_name.clone(),
                    trust: new.trust,
                    org_unit: new.org_unit.clone(),
                    shared: new.shared,
                    revision: 1,
                    create_time: now,
                    update_time: now,
                };
                check(&source)?;
                sources::put(tx, &source).await?;
                core.complete(tx, request, &[(format!("sources/{}", source.id), 1)])
                    .await?;
                Ok(source)
            })
            .await
    }

    /// One source by id; `NOT_FOUND`.
    pub async fn get_source(&self, id: &str) -> Result<Source, Failure> {
        let mut reader = self.core.db.read().await?;
        sources::get(&mut reader, id)
            .await?
            .ok_or_else(|| Failure::not_found(format!("sources/{id}")))
    }

    /// Sources with an id after `after`, by id.
    pub async fn list_sources(&self, after: &str, limit: u32) -> Result<Vec<Source>, Failure> {
        let mut reader = self.core.db.read().await?;
        sources::list(&mut reader, after, limit).await
    }

    /// Changes a source; `ETAG_MISMATCH` (ABORTED) when `etag` is stale. Another trust, sharing
    /// or org unit gives every customer of the source a revision.
    pub async fn update_source(
        &self,
        id: &str,
        update: SourceUpdate,
        etag: Option<&str>,
        request: Option<&RequestId>,
    ) -> Result<Source, Failure> {
        let core = &self.core;
        let (source, resolved) = core
            .db
            .write(async |mut tx| {
                let tx = &mut tx;
                core.lock(tx).await?;
                let now = core.clock.now();
                let replay = core.claim(tx, request, now).await?.is_some();
                let old = sources::get(tx, id)
                    .await?
                    .ok_or_else(|| Failure::not_found(format!("sources/{id}")))?;
                if replay {
                    return Ok((old, Vec::new()));
                }
                check_etag(etag, old.revision)?;
                let update = update.clone();
                let mut source = Source {
                    display_name: update
                        .display_name
                        .unwrap_or_else(|| old.display_name.clone()),
                    trust: update.trust.unwrap_or(old.trust),
                    org_unit: update.org_unit.unwrap_or_else(|| old.org_unit.clone()),
                    shared: update.shared.unwrap_or(old.shared),
                    ..old.clone()
                };
                check(&source)?;
                let mut resolved = Vec::new();
                if source != old {
                    source.revision += 1;
                    source.update_time = now;
                    sources::put(tx, &source).await?;
                    let weighs = |s: &Source| (s.trust, s.shared, s.org_unit.clone());
                    if weighs(&source) != weighs(&old) {
                        let mut after = i64::MIN;
                        loop {
                            let ids = records::customers_of_source(tx, id, after, STEP).await?;
                            let Some(last) = ids.last() else { break };
                            after = *last;
                            let touched = ids.into_iter().collect();
                            let input = Input {
                                touched,
                                ..Input::default()
                            };
                            resolved.push(core.resolve(tx, input, now).await?);
                        }
                    }
                }
                let name = format!("sources/{id}");
                core.complete(tx, request, &[(name, source.revision)])
                    .await?;
                Ok((source, resolved))
            })
            .await?;
        for r in resolved {
            r.learn(core);
        }
        Ok(source)
    }
}
