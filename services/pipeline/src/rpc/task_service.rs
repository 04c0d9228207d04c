//! `TaskService`: each method and its handler.

use tonic::{Request, Response, Status};

use super::{Api, tasks};
use crate::convert::pb::{self, task_service_server::TaskService};

#[tonic::async_trait]
impl TaskService for Api {
    async fn create_task(
        &self,
        request: Request<pb::CreateTaskRequest>,
    ) -> Result<Response<pb::Task>, Status> {
        self.answer(request, tasks::create).await
    }

    async fn get_task(
        &self,
        request: Request<pb::GetTaskRequest>,
    ) -> Result<Response<pb::Task>, Status> {
        self.answer(request, tasks::get).await
    }

    async fn list_tasks(
        &self,
        request: Request<pb::ListTasksRequest>,
    ) -> Result<Response<pb::ListTasksResponse>, Status> {
        self.answer(request, tasks::list).await
    }

    async fn update_task(
        &self,
        request: Request<pb::UpdateTaskRequest>,
    ) -> Result<Response<pb::Task>, Status> {
        self.answer(request, tasks::update).await
    }

    async fn assign_task(
        &self,
        request: Request<pb::AssignTaskRequest>,
    ) -> Result<Response<pb::Task>, Status> {
        self.answer(request, tasks::assign).await
    }

    async fn complete_task(
        &self,
        request: Request<pb::CompleteTaskRequest>,
    ) -> Result<Response<pb::Task>, Status> {
        self.answer(request, tasks::complete).await
    }

    async fn cancel_task(
        &self,
        request: Request<pb::CancelTaskRequest>,
    ) -> Result<Response<pb::Task>, Status> {
        self.answer(request, tasks::cancel).await
    }

    async fn list_firings(
        &self,
        request: Request<pb::ListFiringsRequest>,
    ) -> Result<Response<pb::ListFiringsResponse>, Status> {
        self.answer(request, tasks::firings).await
    }
}
