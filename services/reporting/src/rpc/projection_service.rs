//! `ProjectionService`: each method and its handler.

use tonic::{Request, Response, Status};

use super::{Api, projections};
use crate::convert::pb::{self, projection_service_server::ProjectionService};

#[tonic::async_trait]
impl ProjectionService for Api {
    async fn list_projections(
        &self,
        request: Request<pb::ListProjectionsRequest>,
    ) -> Result<Response<pb::ListProjectionsResponse>, Status> {
        self.answer(request, projections::list).await
    }

    async fn rebuild_projections(
        &self,
        request: Request<pb::RebuildProjectionsRequest>,
    ) -> Result<Response<pb::Projection>, Status> {
        self.answer(request, projections::rebuild).await
    }
}
