//! Sources: their trust, org unit and sharing.

use jinke_types::{Code, Failure};

use super::Engine;
use crate::domain::{NewSource, RequestId, Source, SourceUpdate};

impl Engine {
    /// Creates a source. `SOURCE_EXISTS` when the id is taken.
    pub async fn create_source(
        &self,
        new: NewSource,
        request: Option<&RequestId>,
    ) -> Result<Source, Failure> {
        let _ = (new, request);
        Err(Failure::new(
            Code::Unimplemented,
            "ENGINE_UNFINISHED",
            "this part of the engine is being built",
        ))
    }
    /// One source by id; `NOT_FOUND`.
    pub async fn get_source(&self, id: &str) -> Result<Source, Failure> {
        let _ = (id,);
        Err(Failure::new(
            Code::Unimplemented,
            "ENGINE_UNFINISHED",
            "this part of the engine is being built",
        ))
    }
    /// Sources with an id after `after`, by id.
    pub async fn list_sources(&self, after: &str, limit: u32) -> Result<Vec<Source>, Failure> {
        let _ = (after, limit);
        Err(Failure::new(
            Code::Unimplemented,
            "ENGINE_UNFINISHED",
            "this part of the engine is being built",
        ))
    }
    /// Changes a source; `ETAG_MISMATCH` (ABORTED) when `etag` is stale. Another trust or sharing gives
    /// every customer of the source a revision.
    pub async fn update_source(
        &self,
        id: &str,
        update: SourceUpdate,
        etag: Option<&str>,
        request: Option<&RequestId>,
    ) -> Result<Source, Failure> {
        let _ = (id, update, etag, request);
        Err(Failure::new(
            Code::Unimplemented,
            "ENGINE_UNFINISHED",
            "this part of the engine is being built",
        ))
    }
}
