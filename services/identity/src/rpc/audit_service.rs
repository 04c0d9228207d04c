//! `AuditService`: one operation, one file beside this.

use std::sync::Arc;

use jinke_kit::grant;
use jinke_proto::jinke::identity::v1::{
    self as pb,
    audit_service_server::{AuditService, AuditServiceServer},
};
use tonic::{Request, Response, Status};

use super::{
    answer, deliver_audit_events, list_audit_events, list_audit_trails, verify_audit_trail,
};
use crate::core::Core;

/// `AuditService`.
struct Trails(Arc<Core>);

/// The server.
pub(super) fn server(core: &Arc<Core>) -> AuditServiceServer<impl AuditService> {
    AuditServiceServer::new(Trails(Arc::clone(core)))
}

#[tonic::async_trait]
impl AuditService for Trails {
    async fn list_audit_events(
        &self,
        request: Request<pb::ListAuditEventsRequest>,
    ) -> Result<Response<pb::ListAuditEventsResponse>, Status> {
        let grant = grant(&request)?;
        answer(list_audit_events::run(&self.0, &grant, request.into_inner()).await)
    }

    async fn verify_audit_trail(
        &self,
        request: Request<pb::VerifyAuditTrailRequest>,
    ) -> Result<Response<pb::VerifyAuditTrailResponse>, Status> {
        let grant = grant(&request)?;
        answer(verify_audit_trail::run(&self.0, &grant, request.into_inner()).await)
    }

    async fn list_audit_trails(
        &self,
        request: Request<pb::ListAuditTrailsRequest>,
    ) -> Result<Response<pb::ListAuditTrailsResponse>, Status> {
        let grant = grant(&request)?;
        answer(list_audit_trails::run(&self.0, &grant).await)
    }

    async fn deliver_audit_events(
        &self,
        request: Request<pb::DeliverAuditEventsRequest>,
    ) -> Result<Response<pb::DeliverAuditEventsResponse>, Status> {
        let grant = grant(&request)?;
        answer(deliver_audit_events::run(&self.0, &grant, request.into_inner()).await)
    }
}
