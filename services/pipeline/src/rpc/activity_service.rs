//! `ActivityService`: each method and its handler.

use tonic::{Request, Response, Status};

use super::{Api, activities};
use crate::convert::pb::{self, activity_service_server::ActivityService};

#[tonic::async_trait]
impl ActivityService for Api {
    async fn create_activity(
        &self,
        request: Request<pb::CreateActivityRequest>,
    ) -> Result<Response<pb::Activity>, Status> {
        self.answer(request, activities::create).await
    }

    async fn get_activity(
        &self,
        request: Request<pb::GetActivityRequest>,
    ) -> Result<Response<pb::Activity>, Status> {
        self.answer(request, activities::get).await
    }

    async fn list_activities(
        &self,
        request: Request<pb::ListActivitiesRequest>,
    ) -> Result<Response<pb::ListActivitiesResponse>, Status> {
        self.answer(request, activities::list).await
    }

    async fn amend_activity(
        &self,
        request: Request<pb::AmendActivityRequest>,
    ) -> Result<Response<pb::Activity>, Status> {
        self.answer(request, activities::amend).await
    }

    async fn retract_activity(
        &self,
        request: Request<pb::RetractActivityRequest>,
    ) -> Result<Response<pb::Activity>, Status> {
        self.answer(request, activities::retract).await
    }

    async fn list_activity_versions(
        &self,
        request: Request<pb::ListActivityVersionsRequest>,
    ) -> Result<Response<pb::ListActivityVersionsResponse>, Status> {
        self.answer(request, activities::versions).await
    }
}
