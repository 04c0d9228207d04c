//! Customers out: what survives from the members a caller sees.

use std::collections::{BTreeMap, BTreeSet};

use jinke_resolution::{Member, survive};
use jinke_store::Conn;
use jinke_types::{
    Body, Code, Completeness, Failure, PartyKind, RecordKey, RowScope, SourceRecord, Timestamp,
    Value,
};

use super::{Core, Engine, state};
use crate::{
    domain::{
        CustomerView, GoldenEntry, Losing, MemberRecord, RecordView, RevisionView, Source, damaged,
        key_text,
    },
    store::{
        customers::{self, RevisionRow},
        erasures,
        records::{self, VersionRow},
        sources, tags,
    },
};

/// A member with its values, as survivorship takes it.
pub(crate) struct Loaded {
    pub(crate) record: MemberRecord,
    pub(crate) kind: PartyKind,
    pub(crate) trust: i32,
    pub(crate) time: Option<Timestamp>,
    pub(crate) values: Vec<Value>,
}

impl Core {
    /// What survives of these members: display name and values. Indices are of `members`.
    pub(crate) fn survivors(&self, members: &[Loaded]) -> (String, Vec<GoldenEntry>) {
        let list: Vec<Member<'_>> = members
            .iter()
            .map(|m| Member {
                key: &m.record.key,
                kind: m.kind,
                trust: m.trust,
                deleted: m.record.deleted,
                business_time: m.time,
                values: &m.values,
            })
            .collect();
        let golden = survive(&list, &self.policy);
        let time = |member: usize, value: &Value| value.valid_from.or(members[member].time);
        let values = golden
            .values
            .into_iter()
            .map(|g| GoldenEntry {
                record: g.member,
                rule: g.rule,
                time: g.business_time,
                supported_by: g.supported_by,
                losing: g
                    .losing
                    .iter()
                    .map(|(m, v)| {
                        let value = &members[*m].values[*v];
                        Losing {
                            value: value.clone(),
                            record: *m,
                            time: time(*m, value),
                        }
                    })
                    .collect(),
                value: g.value,
            })
            .collect();
        (golden.display_name, values)
    }

    /// The members of these customers that the scope shows, with their values.
    pub(crate) async fn members(
        &self,
        conn: &mut Conn,
        ids: &[i64],
        scope: &RowScope,
        known: &BTreeMap<String, Source>,
    ) -> Result<BTreeMap<i64, Vec<Loaded>>, Failure> {
        let mut rows = records::members(conn, ids).await?;
        rows.retain(|r| sees(scope, known, &r.key));
        let nos: Vec<i64> = rows.iter().map(|r| r.no).collect();
        let mut bodies = BTreeMap::new();
        for chunk in nos.chunks(5_000) {
            bodies.extend(self.bodies(conn, chunk).await?);
        }
        let mut out: BTreeMap<i64, Vec<Loaded>> = BTreeMap::new();
        for row in rows {
            let (Some(customer), Some(kind)) = (row.customer, row.kind.party()) else {
                continue;
            };
            let body = bodies.remove(&row.no).ok_or_else(|| damaged("record"))?;
            let trust = known.get(&row.key.source).map_or(0, |s| s.trust);
            out.entry(customer).or_default().push(Loaded {
                record: MemberRecord {
                    record_no: row.no,
                    key: row.key,
                    deleted: row.deleted,
                    version: row.newest,
                },
                kind,
                trust,
                time: row.time,
                values: values_of(body),
            });
        }
        Ok(out)
    }
}

/// Whether the scope shows records of the key's source.
pub(crate) fn sees(scope: &RowScope, known: &BTreeMap<String, Source>, key: &RecordKey) -> bool {
    known
        .get(&key.source)
        .is_some_and(|s| scope.sees(&s.org_unit, s.shared))
}

fn values_of(body: Body) -> Vec<Value> {
    match body {
        Body::Party { values, .. } => values,
        _ => Vec::new(),
    }
}

fn not_found(id: i64) -> Failure {
    Failure::not_found(format!("customers/{id}"))
}

impl Engine {
    /// The customer that `id` addresses, over the sources in `scope`. `NOT_FOUND` when there is
    /// none or the caller sees none of its records.
    pub async fn golden(&self, id: i64, scope: &RowScope) -> Result<CustomerView, Failure> {
        let mut reader = self.core.db.snapshot().await?;
        let Some(live) = customers::resolve(&mut reader, id).await? else {
            let erased = erasures::successor(&mut reader, id).await?.is_some();
            // Who sees only some sources is not told that there was somebody.
            return Err(if erased && *scope == RowScope::All {
                Failure::new(
                    Code::NotFound,
                    "CUSTOMER_ERASED",
                    format!("customers/{id} was erased"),
                )
            } else {
                not_found(id)
            });
        };
        self.golden_in(&mut reader, &[live], scope)
            .await?
            .pop()
            .ok_or_else(|| not_found(id))
    }

    /// Like [`Engine::golden`] for many live customer ids at once, in the order given; ids
    /// without visible records are left out.
    pub async fn golden_many(
        &self,
        ids: &[i64],
        scope: &RowScope,
    ) -> Result<Vec<CustomerView>, Failure> {
        let mut reader = self.core.db.snapshot().await?;
        self.golden_in(&mut reader, ids, scope).await
    }

    async fn golden_in(
        &self,
        conn: &mut Conn,
        ids: &[i64],
        scope: &RowScope,
    ) -> Result<Vec<CustomerView>, Failure> {
        let known = sources::all(conn).await?;
        let mut rows = customers::by_ids(conn, ids).await?;
        let mut members = self.core.members(conn, ids, scope, &known).await?;
        let nos: Vec<i64> = members
            .values()
            .flatten()
            .map(|m| m.record.record_no)
            .collect();
        let mut tagged = tags::at(conn, &nos).await?;
        let mut out = Vec::with_capacity(ids.len());
        for id in ids {
            let (Some(row), Some(list)) = (rows.remove(id), members.remove(id)) else {
                continue;
            };
            let (display_name, values) = self.core.survivors(&list);
            let own: BTreeSet<i64> = list.iter().map(|m| m.record.record_no).collect();
            let (tags, rest) = tagged.into_iter().partition(|t| own.contains(&t.record_no));
            tagged = rest;
            out.push(CustomerView {
                id: *id,
                kind: row.kind,
                revision: row.revision,
                display_name,
                values,
                records: list.into_iter().map(|m| m.record).collect(),
                tags,
                create_time: row.create_time,
                update_time: row.update_time,
                delete_time: row.delete_time,
            });
        }
        Ok(out)
    }

    /// A customer as it was at a revision: `id` is the exact id, no redirect is followed. Values
    /// are those of the versions known then, ranked by the trust the sources had then, over the
    /// sources the caller sees now.
    pub async fn golden_at(
        &self,
        id: i64,
        revision: i64,
        scope: &RowScope,
    ) -> Result<RevisionView, Failure> {
        let missing = || Failure::not_found(format!("customers/{id}/revisions/{revision}"));
        let before = revision.checked_add(1).ok_or_else(missing)?;
        let found = self.revisions(id, Some(before), 1, scope).await?.pop();
        found.filter(|r| r.revision == revision).ok_or_else(missing)
    }

    /// The latest revisions of a customer below `before`, newest first. `NOT_FOUND` when there
    /// are none at all that the caller may see.
    pub async fn revisions(
        &self,
        id: i64,
        before: Option<i64>,
        limit: u32,
        scope: &RowScope,
    ) -> Result<Vec<RevisionView>, Failure> {
        let mut reader = self.core.db.snapshot().await?;
        let conn = &mut *reader;
        let known = sources::all(conn).await?;
        let rows =
            customers::revisions(conn, id, before.unwrap_or(i64::MAX), i64::from(limit)).await?;
        let mut nos: BTreeSet<i64> = rows
            .iter()
            .flat_map(|r| r.members.iter().map(|m| m.0))
            .collect();
        nos.insert(id);
        let nos: Vec<i64> = nos.into_iter().collect();
        let mut parties = records::by_nos(conn, &nos).await?;
        parties.retain(|r| sees(scope, &known, &r.key));
        if parties.is_empty() {
            return Err(not_found(id));
        }
        let nos: Vec<i64> = parties.iter().map(|r| r.no).collect();
        let mut versions: BTreeMap<i64, Vec<VersionRow>> = BTreeMap::new();
        for v in records::history(conn, &nos).await? {
            versions.entry(v.no).or_default().push(v);
        }
        let mut past = BTreeMap::new();
        for row in parties {
            let list = versions.remove(&row.no).unwrap_or_default();
            let opened = state::open_history(&self.core.ring, &row.data_key, &list)?;
            past.insert(row.no, (row, opened));
        }
        let mut out = Vec::with_capacity(rows.len());
        for row in rows {
            let trust = sources::trust_at(conn, row.time).await?;
            out.extend(self.revision(row, &past, &trust)?);
        }
        Ok(out)
    }

    /// One revision; none when the caller sees none of its records.
    fn revision(
        &self,
        row: RevisionRow,
        past: &BTreeMap<i64, (records::RecordRow, Vec<state::Version>)>,
        trust: &BTreeMap<String, i32>,
    ) -> Result<Option<RevisionView>, Failure> {
        let mut members = Vec::new();
        for (no, known) in &row.members {
            let Some((record, versions)) = past.get(no) else {
                continue;
            };
            let then: Vec<state::Version> = versions
                .iter()
                .filter(|v| v.number <= *known)
                .cloned()
                .collect();
            let (body, newest) = state::fold(&then).ok_or_else(|| damaged("record"))?;
            members.push(Loaded {
                record: MemberRecord {
                    record_no: *no,
                    key: record.key.clone(),
                    deleted: then[newest].deleted,
                    version: then[newest].number,
                },
                kind: record.kind.party().ok_or_else(|| damaged("record"))?,
                trust: trust.get(&record.key.source).copied().unwrap_or(0),
                time: then[newest].time,
                values: values_of(body),
            });
        }
        if members.is_empty() && !row.members.is_empty() {
            return Ok(None);
        }
        let (_, values) = self.core.survivors(&members);
        Ok(Some(RevisionView {
            customer: row.customer,
            revision: row.revision,
            kind: row.kind,
            time: row.time,
            related: row.related,
            records: members.into_iter().map(|m| m.record).collect(),
            values,
        }))
    }

    /// The effective state of a record, or one of its versions as received.
    pub async fn source_record(
        &self,
        key: &RecordKey,
        version: Option<i64>,
        scope: &RowScope,
    ) -> Result<RecordView, Failure> {
        let missing = || Failure::not_found(format!("sources/{}", key.source));
        let mut reader = self.core.db.snapshot().await?;
        let conn = &mut *reader;
        let known = sources::all(conn).await?;
        if !sees(scope, &known, key) {
            return Err(missing());
        }
        let row = records::by_keys(conn, vec![key_text(key)])
            .await?
            .pop()
            .ok_or_else(missing)?;
        let Some(number) = version else {
            return self
                .open_in(conn, &[row.no])
                .await?
                .pop()
                .ok_or_else(missing);
        };
        let history = records::history(conn, &[row.no]).await?;
        let v = history
            .into_iter()
            .find(|v| v.number == number)
            .ok_or_else(missing)?;
        let data_key = self.core.ring.unwrap(&row.data_key)?;
        let (body, _) = state::open_payload(&data_key, row.no, number, &v.payload)?;
        Ok(RecordView {
            record_no: row.no,
            record: SourceRecord {
                key: row.key,
                source_revision: v.revision,
                update_time: v.time,
                completeness: if v.partial {
                    Completeness::Partial
                } else {
                    Completeness::Full
                },
                deleted: v.deleted,
                body,
            },
            version: number,
            customer: row.customer,
            receive_time: v.receive_time,
        })
    }

    /// The effective states of these records, in the order given; unknown ones are left out. For
    /// timelines, relationships and lists of source records: the caller checks the scope.
    pub async fn open_records(&self, record_nos: &[i64]) -> Result<Vec<RecordView>, Failure> {
        let mut reader = self.core.db.snapshot().await?;
        self.open_in(&mut reader, record_nos).await
    }

    async fn open_in(&self, conn: &mut Conn, nos: &[i64]) -> Result<Vec<RecordView>, Failure> {
        let rows = records::by_nos(conn, nos).await?;
        let mut bodies = self.core.bodies(conn, nos).await?;
        let mut views = BTreeMap::new();
        for row in rows {
            let body = bodies.remove(&row.no).ok_or_else(|| damaged("record"))?;
            let view = RecordView {
                record_no: row.no,
                record: SourceRecord {
                    key: row.key,
                    source_revision: row.revision,
                    update_time: row.time,
                    completeness: Completeness::Full,
                    deleted: row.deleted,
                    body,
                },
                version: row.newest,
                customer: row.customer,
                receive_time: row.update_time,
            };
            views.insert(row.no, view);
        }
        Ok(nos.iter().filter_map(|no| views.remove(no)).collect())
    }
}
