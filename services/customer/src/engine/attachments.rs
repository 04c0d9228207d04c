//! What people attach to a customer. It stays with the record whose id was addressed.

use std::collections::BTreeSet;

use jinke_store::Tx;
use jinke_types::{Code, Failure, RowScope, Timestamp};

use super::{
    Core, Engine,
    mutate::number,
    resolve::{Input, Resolved},
};
use crate::{
    domain::{MAX_TAG, MAX_TAGS, RequestId},
    store::{customers, erasures, records, sources, tags},
};

/// The live id that `id` addresses and the records of it that the scope shows.
pub(crate) async fn addressed(
    tx: &mut Tx,
    id: i64,
    scope: &RowScope,
) -> Result<(i64, Vec<i64>), Failure> {
    let missing = || Failure::not_found(format!("customers/{id}"));
    let live = customers::resolve(tx, id).await?.ok_or_else(missing)?;
    let known = sources::all(tx).await?;
    let seen: Vec<i64> = records::members(tx, &[live])
        .await?
        .iter()
        .filter(|m| {
            known
                .get(&m.key.source)
                .is_some_and(|s| scope.sees(&s.org_unit, s.shared))
        })
        .map(|m| m.no)
        .collect();
    if seen.is_empty() {
        Err(missing())
    } else {
        Ok((live, seen))
    }
}

impl Core {
    async fn touch(&self, tx: &mut Tx, id: i64, now: Timestamp) -> Result<Resolved, Failure> {
        let input = Input {
            touched: BTreeSet::from([id]),
            ..Input::default()
        };
        self.resolve(tx, input, now).await
    }
}

impl Engine {
    /// Sets a tag at the addressed record; the live id of its customer. Twice is once.
    /// `TAG_LIMIT` (FAILED_PRECONDITION) when the record has [`MAX_TAGS`].
    pub async fn add_tag(
        &self,
        id: i64,
        tag: &str,
        creator: &str,
        scope: &RowScope,
        request: Option<&RequestId>,
    ) -> Result<i64, Failure> {
        if tag.trim().is_empty() || tag.chars().count() > MAX_TAG || tag.contains('\0') {
            return Err(Failure::field(
                "tag",
                format!("must have 1 to {MAX_TAG} characters"),
            ));
        }
        let core = &self.core;
        let (live, resolved) = core
            .db
            .write(async |mut tx| {
                let tx = &mut tx;
                core.lock(tx).await?;
                let now = core.clock.now();
                if let Some(done) = core.claim(tx, request, now).await? {
                    let (live, _) = addressed(tx, number(&done)?, scope).await?;
                    return Ok((live, Resolved::default()));
                }
                let (live, _) = addressed(tx, id, scope).await?;
                let id = erasures::standing(tx, id).await?;
                let present = tags::at(tx, &[id]).await?;
                let is_there = present.iter().any(|t| t.tag == tag);
                if !is_there && present.len() >= MAX_TAGS {
                    return Err(Failure::new(
                        Code::FailedPrecondition,
                        "TAG_LIMIT",
                        format!("a record carries at most {MAX_TAGS} tags"),
                    ));
                }
                let mut resolved = Resolved::default();
                if tags::add(tx, id, tag, creator, now).await? {
                    resolved = core.touch(tx, live, now).await?;
                }
                core.complete(tx, request, &[(format!("customers/{id}"), 0)])
                    .await?;
                Ok((live, resolved))
            })
            .await?;
        resolved.learn(core);
        Ok(live)
    }

    /// Takes a tag away, wherever in the visible customer it was set; the live id of the
    /// customer.
    pub async fn remove_tag(
        &self,
        id: i64,
        tag: &str,
        scope: &RowScope,
        request: Option<&RequestId>,
    ) -> Result<i64, Failure> {
        let core = &self.core;
        let (live, resolved) = core
            .db
            .write(async |mut tx| {
                let tx = &mut tx;
                core.lock(tx).await?;
                let now = core.clock.now();
                if let Some(done) = core.claim(tx, request, now).await? {
                    let (live, _) = addressed(tx, number(&done)?, scope).await?;
                    return Ok((live, Resolved::default()));
                }
                let (live, seen) = addressed(tx, id, scope).await?;
                let mut resolved = Resolved::default();
                if tags::remove(tx, &seen, tag).await? {
                    resolved = core.touch(tx, live, now).await?;
                }
                core.complete(tx, request, &[(format!("customers/{id}"), 0)])
                    .await?;
                Ok((live, resolved))
            })
            .await?;
        resolved.learn(core);
        Ok(live)
    }
}
