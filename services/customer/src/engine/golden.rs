//! Customers out: what survives from the members a caller sees.

use jinke_types::{Code, Failure, PartyKind, RecordKey, RowScope, Value};

use super::Engine;
use crate::domain::{CustomerView, MatchCandidate, PairExplanation, RecordView, RevisionView};

impl Engine {
    /// The customer that `id` addresses, over the sources in `scope`. `NOT_FOUND` when there is none
    /// or the caller sees none of its records.
    pub async fn golden(&self, id: i64, scope: &RowScope) -> Result<CustomerView, Failure> {
        let _ = (id, scope);
        Err(Failure::new(
            Code::Unimplemented,
            "ENGINE_UNFINISHED",
            "this part of the engine is being built",
        ))
    }
    /// Like [`Engine::golden`] for many live customer ids at once, in the order given; ids without
    /// visible records are left out.
    pub async fn golden_many(
        &self,
        ids: &[i64],
        scope: &RowScope,
    ) -> Result<Vec<CustomerView>, Failure> {
        let _ = (ids, scope);
        Err(Failure::new(
            Code::Unimplemented,
            "ENGINE_UNFINISHED",
            "this part of the engine is being built",
        ))
    }
    /// A customer as it was at a revision: `id` is the exact id, no redirect is followed.
    pub async fn golden_at(
        &self,
        id: i64,
        revision: i64,
        scope: &RowScope,
    ) -> Result<RevisionView, Failure> {
        let _ = (id, revision, scope);
        Err(Failure::new(
            Code::Unimplemented,
            "ENGINE_UNFINISHED",
            "this part of the engine is being built",
        ))
    }
    /// The latest revisions of a customer below `before`, newest first.
    pub async fn revisions(
        &self,
        id: i64,
        before: Option<i64>,
        limit: u32,
        scope: &RowScope,
    ) -> Result<Vec<RevisionView>, Failure> {
        let _ = (id, before, limit, scope);
        Err(Failure::new(
            Code::Unimplemented,
            "ENGINE_UNFINISHED",
            "this part of the engine is being built",
        ))
    }
    /// The effective state of a record, or one of its versions as received: (record, number of that
    /// version, customer).
    pub async fn source_record(
        &self,
        key: &RecordKey,
        version: Option<i64>,
        scope: &RowScope,
    ) -> Result<RecordView, Failure> {
        let _ = (key, version, scope);
        Err(Failure::new(
            Code::Unimplemented,
            "ENGINE_UNFINISHED",
            "this part of the engine is being built",
        ))
    }
    /// The effective states of these records, in the order given; unknown ones are left out. For
    /// timelines, relationships and lists of source records.
    pub async fn open_records(&self, record_nos: &[i64]) -> Result<Vec<RecordView>, Failure> {
        let _ = (record_nos,);
        Err(Failure::new(
            Code::Unimplemented,
            "ENGINE_UNFINISHED",
            "this part of the engine is being built",
        ))
    }
    /// Why two party records are held to be one, or not.
    pub async fn explain(
        &self,
        left: &RecordKey,
        right: &RecordKey,
        scope: &RowScope,
    ) -> Result<PairExplanation, Failure> {
        let _ = (left, right, scope);
        Err(Failure::new(
            Code::Unimplemented,
            "ENGINE_UNFINISHED",
            "this part of the engine is being built",
        ))
    }
    /// The tree of links that holds a customer together, strongest first.
    pub async fn links(&self, id: i64, scope: &RowScope) -> Result<Vec<PairExplanation>, Failure> {
        let _ = (id, scope);
        Err(Failure::new(
            Code::Unimplemented,
            "ENGINE_UNFINISHED",
            "this part of the engine is being built",
        ))
    }
    /// The records that a party would match, best first, at most `limit`; nothing is stored.
    pub async fn match_party(
        &self,
        kind: PartyKind,
        values: &[Value],
        scope: &RowScope,
        limit: usize,
    ) -> Result<Vec<MatchCandidate>, Failure> {
        let _ = (kind, values, scope, limit);
        Err(Failure::new(
            Code::Unimplemented,
            "ENGINE_UNFINISHED",
            "this part of the engine is being built",
        ))
    }
}
