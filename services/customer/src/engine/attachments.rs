//! What people attach to a customer. It stays with the record whose id was addressed.

use jinke_types::{Code, Failure, RowScope};

use super::Engine;
use crate::domain::RequestId;

impl Engine {
    /// Sets a tag at the addressed record; the live id of its customer. Twice is once.
    /// `TAG_LIMIT` (FAILED_PRECONDITION) when the record has [`crate::domain::MAX_TAGS`].
    pub async fn add_tag(
        &self,
        id: i64,
        tag: &str,
        creator: &str,
        scope: &RowScope,
        request: Option<&RequestId>,
    ) -> Result<i64, Failure> {
        let _ = (id, tag, creator, scope, request);
        Err(Failure::new(
            Code::Unimplemented,
            "ENGINE_UNFINISHED",
            "this part of the engine is being built",
        ))
    }
    /// Takes a tag away, wherever in the visible customer it was set; the live id of the customer.
    pub async fn remove_tag(
        &self,
        id: i64,
        tag: &str,
        scope: &RowScope,
        request: Option<&RequestId>,
    ) -> Result<i64, Failure> {
        let _ = (id, tag, scope, request);
        Err(Failure::new(
            Code::Unimplemented,
            "ENGINE_UNFINISHED",
            "this part of the engine is being built",
        ))
    }
}
