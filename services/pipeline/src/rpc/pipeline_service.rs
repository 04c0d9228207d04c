//! `PipelineService`: each method and its handler.

use jinke_kit::{bearer, grant, status};
use tonic::{Request, Response, Status};

use super::{Api, changes, pipelines};
use crate::access::Viewer;
use crate::convert::pb::{self, pipeline_service_server::PipelineService};

#[tonic::async_trait]
impl PipelineService for Api {
    async fn create_pipeline(
        &self,
        request: Request<pb::CreatePipelineRequest>,
    ) -> Result<Response<pb::Pipeline>, Status> {
        self.answer(request, pipelines::create).await
    }

    async fn get_pipeline(
        &self,
        request: Request<pb::GetPipelineRequest>,
    ) -> Result<Response<pb::Pipeline>, Status> {
        self.answer(request, pipelines::get).await
    }

    async fn list_pipelines(
        &self,
        request: Request<pb::ListPipelinesRequest>,
    ) -> Result<Response<pb::ListPipelinesResponse>, Status> {
        self.answer(request, pipelines::list).await
    }

    async fn update_pipeline(
        &self,
        request: Request<pb::UpdatePipelineRequest>,
    ) -> Result<Response<pb::Pipeline>, Status> {
        self.answer(request, pipelines::update).await
    }

    async fn list_pipeline_versions(
        &self,
        request: Request<pb::ListPipelineVersionsRequest>,
    ) -> Result<Response<pb::ListPipelineVersionsResponse>, Status> {
        self.answer(request, pipelines::versions).await
    }

    async fn list_pipeline_changes(
        &self,
        request: Request<pb::ListPipelineChangesRequest>,
    ) -> Result<Response<pb::ListPipelineChangesResponse>, Status> {
        self.answer(request, changes::list).await
    }

    type WatchPipelineChangesStream = changes::Changes;

    async fn watch_pipeline_changes(
        &self,
        request: Request<pb::WatchPipelineChangesRequest>,
    ) -> Result<Response<Self::WatchPipelineChangesStream>, Status> {
        let mut viewer = Viewer::from(grant(&request)?);
        viewer.bearer = bearer(&request).ok();
        // Each message is masked on its way: see the handler.
        let changes = changes::watch(self.clone(), viewer, request.into_inner())
            .await
            .map_err(status)?;
        Ok(Response::new(changes))
    }
}
