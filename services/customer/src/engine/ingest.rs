//! Records in: versions, resolution and changes in one transaction.

use jinke_types::{Code, Failure, SourceRecord};

use super::Engine;
use crate::domain::{IngestResult, RequestId};

impl Engine {
    /// Ingests up to [`crate::domain::MAX_BATCH`] records; one durable result per record, in order.
    /// Calls that wait at the same time share a transaction.
    pub async fn ingest(
        &self,
        records: Vec<SourceRecord>,
        request: Option<RequestId>,
    ) -> Result<Vec<IngestResult>, Failure> {
        let _ = (records, request);
        Err(Failure::new(
            Code::Unimplemented,
            "ENGINE_UNFINISHED",
            "this part of the engine is being built",
        ))
    }
    /// What [`Engine::ingest`] would answer, without storing anything.
    pub async fn check_ingest(
        &self,
        records: Vec<SourceRecord>,
    ) -> Result<Vec<IngestResult>, Failure> {
        let _ = (records,);
        Err(Failure::new(
            Code::Unimplemented,
            "ENGINE_UNFINISHED",
            "this part of the engine is being built",
        ))
    }
}
