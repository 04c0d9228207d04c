//! What people decide: merge, unmerge, judgements and reviews.

use jinke_types::{Code, Failure, RecordKey, RowScope};

use super::Engine;
use crate::domain::{JudgementView, Merge, NewJudgement, RequestId, ReviewView, Unmerge};

impl Engine {
    /// Judges that the two addressed records are one party; the live id of the merged customer.
    ///
    /// Errors: `NOT_FOUND`, `SAME_CUSTOMER`, `KIND_MISMATCH`, `ETAG_MISMATCH`, and `MERGE_CONFLICT`
    /// (FAILED_PRECONDITION) with metadata `conflict`, `left`, `right` and `path` when it cannot hold.
    pub async fn merge(
        &self,
        merge: Merge,
        scope: &RowScope,
        request: Option<&RequestId>,
    ) -> Result<i64, Failure> {
        let _ = (merge, scope, request);
        Err(Failure::new(
            Code::Unimplemented,
            "ENGINE_UNFINISHED",
            "this part of the engine is being built",
        ))
    }
    /// Judges that the leaving records are not the party of the others; the customers that hold the
    /// records now, by id.
    pub async fn unmerge(
        &self,
        unmerge: Unmerge,
        scope: &RowScope,
        request: Option<&RequestId>,
    ) -> Result<Vec<i64>, Failure> {
        let _ = (unmerge, scope, request);
        Err(Failure::new(
            Code::Unimplemented,
            "ENGINE_UNFINISHED",
            "this part of the engine is being built",
        ))
    }
    /// Stores a judgement. A positive one that cannot hold now is refused with `MERGE_CONFLICT`.
    pub async fn create_judgement(
        &self,
        new: NewJudgement,
        validate_only: bool,
        request: Option<&RequestId>,
    ) -> Result<JudgementView, Failure> {
        let _ = (new, validate_only, request);
        Err(Failure::new(
            Code::Unimplemented,
            "ENGINE_UNFINISHED",
            "this part of the engine is being built",
        ))
    }
    /// Takes a judgement back, as if it had never been made; it stays in the list. Doing it twice
    /// is doing it once.
    pub async fn retract_judgement(
        &self,
        id: i64,
        request: Option<&RequestId>,
    ) -> Result<JudgementView, Failure> {
        let _ = (id, request);
        Err(Failure::new(
            Code::Unimplemented,
            "ENGINE_UNFINISHED",
            "this part of the engine is being built",
        ))
    }
    /// Judgements with an id after `after`, by id.
    pub async fn list_judgements(
        &self,
        after: i64,
        limit: u32,
        record: Option<&RecordKey>,
        show_retracted: bool,
    ) -> Result<Vec<JudgementView>, Failure> {
        let _ = (after, limit, record, show_retracted);
        Err(Failure::new(
            Code::Unimplemented,
            "ENGINE_UNFINISHED",
            "this part of the engine is being built",
        ))
    }
    /// Open reviews, highest score first, after the (score, left_no, right_no) given.
    pub async fn list_reviews(
        &self,
        after: Option<(i32, i64, i64)>,
        limit: u32,
        scope: &RowScope,
    ) -> Result<Vec<ReviewView>, Failure> {
        let _ = (after, limit, scope);
        Err(Failure::new(
            Code::Unimplemented,
            "ENGINE_UNFINISHED",
            "this part of the engine is being built",
        ))
    }
}
