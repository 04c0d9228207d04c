//! What people decide: merge, unmerge, judgements and reviews.

use std::collections::BTreeSet;

use jinke_store::{Tx, counter, keys::DataKey};
use jinke_types::{Code, Failure, RecordKey, RowScope, Timestamp};

use super::{
    Core, Engine,
    attachments::addressed,
    mutate::{check_etag, number},
    resolve::{Input, ObstacleView, Resolved},
};
use crate::{
    domain::{
        Decision, JudgementView, MAX_COMMENT, MAX_JUDGED, Merge, NewJudgement, RequestId,
        ReviewView, Unmerge, damaged, key_text,
    },
    store::{
        customers, erasures,
        judgements::{self, JudgementRow},
        pairs, records, sources,
    },
};

fn precondition(reason: &'static str, message: &str) -> Failure {
    Failure::new(Code::FailedPrecondition, reason, message)
}

fn comment_aad(id: i64) -> Vec<u8> {
    format!("judgement {id} comment").into_bytes()
}

impl Core {
    fn view(&self, row: JudgementRow) -> Result<JudgementView, Failure> {
        let key = self.ring.unwrap(&row.data_key)?;
        let comment = key.open(&comment_aad(row.id), &row.comment)?;
        Ok(JudgementView {
            id: row.id,
            decision: row.decision,
            left: row.left,
            right: row.right,
            overrides_exclusivity: row.overrides,
            comment: String::from_utf8(comment).map_err(|_| damaged("comment"))?,
            creator: row.creator,
            create_time: row.create_time,
            retract_time: row.retract_time,
            suspended: row.suspended,
        })
    }

    async fn judgement(&self, tx: &mut Tx, id: i64) -> Result<JudgementView, Failure> {
        let row = judgements::by_ids(tx, &[id])
            .await?
            .remove(&id)
            .ok_or_else(|| Failure::not_found(format!("judgements/{id}")))?;
        self.view(row)
    }

    /// Stores a judgement and resolves what it names. A positive one that cannot hold, or by which
    /// an older one would be suspended or records parted, is refused.
    async fn judge(
        &self,
        tx: &mut Tx,
        new: &NewJudgement,
        now: Timestamp,
    ) -> Result<(i64, Resolved), Failure> {
        if new.comment.chars().count() > MAX_COMMENT {
            return Err(Failure::field(
                "comment",
                format!("must have at most {MAX_COMMENT} characters"),
            ));
        }
        let id = counter::take(tx, "judgements", 1).await?;
        let data_key = DataKey::generate(&*self.entropy);
        let row = JudgementRow {
            id,
            decision: new.decision,
            overrides: new.overrides_exclusivity && new.decision == Decision::Positive,
            suspended: false,
            data_key: self.ring.wrap(&data_key, &*self.entropy),
            comment: data_key.seal(&comment_aad(id), new.comment.as_bytes(), &*self.entropy),
            creator: new.creator.clone(),
            create_time: now,
            retract_time: None,
            left: new.left.clone(),
            right: new.right.clone(),
        };
        judgements::insert(tx, &row).await?;
        let judged: BTreeSet<RecordKey> = new.left.iter().chain(&new.right).cloned().collect();
        let resolved = self
            .resolve(
                tx,
                Input {
                    judged,
                    new_positive: (new.decision == Decision::Positive).then_some(id),
                    ..Input::default()
                },
                now,
            )
            .await?;
        if let Some(obstacle) = resolved.obstacles.get(&id.to_string()) {
            return Err(conflict(obstacle));
        }
        Ok((id, resolved))
    }

    async fn merge_in(
        &self,
        tx: &mut Tx,
        merge: &Merge,
        scope: &RowScope,
        now: Timestamp,
    ) -> Result<(i64, Resolved), Failure> {
        let (a, _) = addressed(tx, merge.customer, scope).await?;
        let (b, _) = addressed(tx, merge.other, scope).await?;
        if a == b {
            return Err(precondition(
                "SAME_CUSTOMER",
                "the two are one customer already",
            ));
        }
        let rows = customers::by_ids(tx, &[a, b]).await?;
        let (Some(row), Some(other)) = (rows.get(&a), rows.get(&b)) else {
            return Err(damaged("customer"));
        };
        if row.kind != other.kind {
            return Err(precondition(
                "KIND_MISMATCH",
                "an organization and a person never are one customer",
            ));
        }
        check_etag(merge.etag.as_deref(), row.revision)?;
        check_etag(merge.other_etag.as_deref(), other.revision)?;
        // The records whose ids were addressed, not those of the customers' present ids: the
        // judgement then says what the person saw, whatever is merged or unmerged later.
        let customer = erasures::standing(tx, merge.customer).await?;
        let other = erasures::standing(tx, merge.other).await?;
        let named = records::parties(tx, &[customer, other]).await?;
        let key = |no: i64| {
            named
                .iter()
                .find(|r| r.no == no)
                .map(|r| r.key.clone())
                .ok_or_else(|| damaged("record"))
        };
        let new = NewJudgement {
            decision: Decision::Positive,
            left: vec![key(customer)?],
            right: vec![key(other)?],
            overrides_exclusivity: merge.override_exclusivity,
            comment: merge.comment.clone(),
            creator: merge.creator.clone(),
        };
        let (_, resolved) = self.judge(tx, &new, now).await?;
        let live = resolved
            .customer_of(customer)
            .filter(|id| resolved.customer_of(other) == Some(*id))
            .ok_or_else(|| Failure::internal("a judgement that holds did not merge"))?;
        Ok((live, resolved))
    }

    async fn unmerge_in(
        &self,
        tx: &mut Tx,
        unmerge: &Unmerge,
        scope: &RowScope,
        now: Timestamp,
    ) -> Result<(Vec<i64>, Resolved), Failure> {
        let (live, seen) = addressed(tx, unmerge.customer, scope).await?;
        let rows = customers::by_ids(tx, &[live]).await?;
        let row = rows.get(&live).ok_or_else(|| damaged("customer"))?;
        check_etag(unmerge.etag.as_deref(), row.revision)?;
        let members = records::members(tx, &[live]).await?;
        let leaving: BTreeSet<&RecordKey> = unmerge.leaving.iter().collect();
        for (i, key) in unmerge.leaving.iter().enumerate() {
            if !members
                .iter()
                .any(|m| m.key == *key && seen.contains(&m.no))
            {
                return Err(Failure::field(
                    format!("records[{i}]"),
                    "is not a record of this customer",
                ));
            }
        }
        if leaving.is_empty() {
            return Err(Failure::field("records", "must name at least one record"));
        }
        let (left, right): (Vec<RecordKey>, Vec<RecordKey>) = members
            .iter()
            .map(|m| m.key.clone())
            .partition(|k| leaving.contains(k));
        if right.is_empty() {
            return Err(Failure::field(
                "records",
                "must leave a record with the customer",
            ));
        }
        if left.len() > MAX_JUDGED || right.len() > MAX_JUDGED {
            return Err(precondition(
                "TOO_MANY_RECORDS",
                "the customer has more records than one judgement may name",
            ));
        }
        let new = NewJudgement {
            decision: Decision::Negative,
            left,
            right,
            overrides_exclusivity: false,
            comment: unmerge.comment.clone(),
            creator: unmerge.creator.clone(),
        };
        let (_, resolved) = self.judge(tx, &new, now).await?;
        let held: BTreeSet<i64> = members
            .iter()
            .filter_map(|m| resolved.customer_of(m.no))
            .collect();
        Ok((held.into_iter().collect(), resolved))
    }

    async fn check_judgement(&self, tx: &mut Tx, new: &NewJudgement) -> Result<(), Failure> {
        for (side, keys) in [("left", &new.left), ("right", &new.right)] {
            if keys.is_empty() || keys.len() > MAX_JUDGED {
                return Err(Failure::field(
                    format!("judgement.{side}"),
                    format!("must name 1 to {MAX_JUDGED} records"),
                ));
            }
            for (i, key) in keys.iter().enumerate() {
                let long = key.external_id.chars().count() > 256;
                if !super::prepare::is_source_id(&key.source)
                    || key.external_id.is_empty()
                    || long
                    || key.external_id.contains('\0')
                {
                    return Err(Failure::field(
                        format!("judgement.{side}[{i}]"),
                        "does not name a source record",
                    ));
                }
            }
        }
        let left: BTreeSet<&RecordKey> = new.left.iter().collect();
        if new.right.iter().any(|k| left.contains(k)) {
            return Err(Failure::field(
                "judgement.right",
                "names a record of the left side",
            ));
        }
        let keys = new.left.iter().chain(&new.right).map(key_text).collect();
        let kinds: BTreeSet<_> = records::parties_by_key(tx, keys)
            .await?
            .iter()
            .map(|r| r.kind)
            .collect();
        if kinds.len() > 1 && new.decision == Decision::Positive {
            return Err(precondition(
                "KIND_MISMATCH",
                "an organization and a person never are one customer",
            ));
        }
        Ok(())
    }
}

/// `MERGE_CONFLICT` with what stands against it.
fn conflict(o: &ObstacleView) -> Failure {
    let path: Vec<String> = o.path.iter().map(|k| format!("sources/{k}")).collect();
    precondition(
        "MERGE_CONFLICT",
        "something stronger keeps the records apart",
    )
    .with("conflict", o.conflict)
    .with("detail", &o.detail)
    .with(
        "party_kind",
        match o.kind {
            jinke_types::PartyKind::Organization => "organization",
            jinke_types::PartyKind::Person => "person",
        },
    )
    .with("left", format!("sources/{}", o.left))
    .with("right", format!("sources/{}", o.right))
    .with("path", path.join(" "))
}

impl Engine {
    /// Judges that the two addressed records are one party; the live id of the merged customer.
    ///
    /// Errors: `NOT_FOUND`, `SAME_CUSTOMER`, `KIND_MISMATCH`, `ETAG_MISMATCH`, and
    /// `MERGE_CONFLICT` (FAILED_PRECONDITION) with metadata `conflict` (`negative_judgement`,
    /// `exclusive_identifier`, `weak_bridge`), `detail` (the judgement or scheme), `left`, `right`
    /// and `path` (names of records, `sources/<source>/<external id>`) when it cannot hold, when an
    /// older judgement would be suspended by it, or when records would part that are one now.
    pub async fn merge(
        &self,
        merge: Merge,
        scope: &RowScope,
        request: Option<&RequestId>,
    ) -> Result<i64, Failure> {
        let core = &self.core;
        if merge.validate_only {
            let mut tx = core.db.begin().await?;
            core.lock(&mut tx).await?;
            return Ok(core
                .merge_in(&mut tx, &merge, scope, core.clock.now())
                .await?
                .0);
        }
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
                let (live, resolved) = core.merge_in(tx, &merge, scope, now).await?;
                core.complete(tx, request, &[(format!("customers/{live}"), 0)])
                    .await?;
                Ok((live, resolved))
            })
            .await?;
        resolved.learn(core);
        Ok(live)
    }

    /// Judges that the leaving records are not the party of the others; the customers that hold
    /// the records now, by id.
    pub async fn unmerge(
        &self,
        unmerge: Unmerge,
        scope: &RowScope,
        request: Option<&RequestId>,
    ) -> Result<Vec<i64>, Failure> {
        let core = &self.core;
        if unmerge.validate_only {
            let mut tx = core.db.begin().await?;
            core.lock(&mut tx).await?;
            return Ok(core
                .unmerge_in(&mut tx, &unmerge, scope, core.clock.now())
                .await?
                .0);
        }
        let (held, resolved) = core
            .db
            .write(async |mut tx| {
                let tx = &mut tx;
                core.lock(tx).await?;
                let now = core.clock.now();
                if let Some(done) = core.claim(tx, request, now).await? {
                    let mut live = BTreeSet::new();
                    for outcome in &done {
                        let id = number(std::slice::from_ref(outcome))?;
                        live.insert(addressed(tx, id, scope).await?.0);
                    }
                    return Ok((live.into_iter().collect(), Resolved::default()));
                }
                let (held, resolved) = core.unmerge_in(tx, &unmerge, scope, now).await?;
                let names: Vec<(String, i64)> = held
                    .iter()
                    .map(|id| (format!("customers/{id}"), 0))
                    .collect();
                core.complete(tx, request, &names).await?;
                Ok((held, resolved))
            })
            .await?;
        resolved.learn(core);
        Ok(held)
    }

    /// Stores a judgement. A positive one that cannot hold now, or only by parting others, is
    /// refused with `MERGE_CONFLICT`.
    pub async fn create_judgement(
        &self,
        new: NewJudgement,
        validate_only: bool,
        request: Option<&RequestId>,
    ) -> Result<JudgementView, Failure> {
        let core = &self.core;
        if validate_only {
            let mut tx = core.db.begin().await?;
            core.lock(&mut tx).await?;
            core.check_judgement(&mut tx, &new).await?;
            let (id, _) = core.judge(&mut tx, &new, core.clock.now()).await?;
            return core.judgement(&mut tx, id).await;
        }
        let (view, resolved) = core
            .db
            .write(async |mut tx| {
                let tx = &mut tx;
                core.lock(tx).await?;
                let now = core.clock.now();
                if let Some(done) = core.claim(tx, request, now).await? {
                    return Ok((
                        core.judgement(tx, number(&done)?).await?,
                        Resolved::default(),
                    ));
                }
                core.check_judgement(tx, &new).await?;
                let (id, resolved) = core.judge(tx, &new, now).await?;
                core.complete(tx, request, &[(format!("judgements/{id}"), 1)])
                    .await?;
                Ok((core.judgement(tx, id).await?, resolved))
            })
            .await?;
        resolved.learn(core);
        Ok(view)
    }

    /// Takes a judgement back, as if it had never been made; it stays in the list. Doing it
    /// twice is doing it once.
    pub async fn retract_judgement(
        &self,
        id: i64,
        request: Option<&RequestId>,
    ) -> Result<JudgementView, Failure> {
        let core = &self.core;
        let (view, resolved) = core
            .db
            .write(async |mut tx| {
                let tx = &mut tx;
                core.lock(tx).await?;
                let now = core.clock.now();
                let replay = core.claim(tx, request, now).await?.is_some();
                let row = core.judgement(tx, id).await?;
                if replay || row.retract_time.is_some() {
                    if !replay {
                        core.complete(tx, request, &[(format!("judgements/{id}"), 2)])
                            .await?;
                    }
                    return Ok((row, Resolved::default()));
                }
                judgements::retract(tx, id, now).await?;
                let judged: BTreeSet<RecordKey> = row.left.into_iter().chain(row.right).collect();
                let input = Input {
                    judged,
                    ..Input::default()
                };
                let resolved = core.resolve(tx, input, now).await?;
                core.complete(tx, request, &[(format!("judgements/{id}"), 2)])
                    .await?;
                Ok((core.judgement(tx, id).await?, resolved))
            })
            .await?;
        resolved.learn(core);
        Ok(view)
    }

    /// Judgements with an id after `after`, by id.
    pub async fn list_judgements(
        &self,
        after: i64,
        limit: u32,
        record: Option<&RecordKey>,
        show_retracted: bool,
    ) -> Result<Vec<JudgementView>, Failure> {
        let mut reader = self.core.db.snapshot().await?;
        judgements::list(&mut reader, after, i64::from(limit), record, show_retracted)
            .await?
            .into_iter()
            .map(|row| self.core.view(row))
            .collect()
    }

    /// Open reviews, highest score first, after the (score, left_no, right_no) given. Both
    /// records must be in the scope.
    pub async fn list_reviews(
        &self,
        after: Option<(i32, i64, i64)>,
        limit: u32,
        scope: &RowScope,
    ) -> Result<Vec<ReviewView>, Failure> {
        let mut reader = self.core.db.snapshot().await?;
        let seen: Vec<String> = sources::all(&mut reader)
            .await?
            .into_values()
            .filter(|s| scope.sees(&s.org_unit, s.shared))
            .map(|s| s.id)
            .collect();
        pairs::reviews(&mut reader, after, i64::from(limit), &seen).await
    }
}
