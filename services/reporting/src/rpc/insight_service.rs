//! `InsightService`: each method and its handler.

use tonic::{Request, Response, Status};

use super::{Api, episodes, insights};
use crate::convert::pb::{self, insight_service_server::InsightService};

#[tonic::async_trait]
impl InsightService for Api {
    async fn get_customer_insight(
        &self,
        request: Request<pb::GetCustomerInsightRequest>,
    ) -> Result<Response<pb::CustomerInsight>, Status> {
        self.answer(request, insights::get).await
    }

    async fn list_customer_insights(
        &self,
        request: Request<pb::ListCustomerInsightsRequest>,
    ) -> Result<Response<pb::ListCustomerInsightsResponse>, Status> {
        self.answer(request, insights::list).await
    }

    async fn publish_insights(
        &self,
        request: Request<pb::PublishInsightsRequest>,
    ) -> Result<Response<pb::PublishInsightsResponse>, Status> {
        self.answer(request, insights::publish).await
    }

    async fn evaluate_churn(
        &self,
        request: Request<pb::EvaluateChurnRequest>,
    ) -> Result<Response<pb::EvaluateChurnResponse>, Status> {
        self.answer(request, episodes::evaluate).await
    }

    async fn get_churn_episode(
        &self,
        request: Request<pb::GetChurnEpisodeRequest>,
    ) -> Result<Response<pb::ChurnEpisode>, Status> {
        self.answer(request, episodes::get).await
    }

    async fn list_churn_episodes(
        &self,
        request: Request<pb::ListChurnEpisodesRequest>,
    ) -> Result<Response<pb::ListChurnEpisodesResponse>, Status> {
        self.answer(request, episodes::list).await
    }

    async fn close_churn_episode(
        &self,
        request: Request<pb::CloseChurnEpisodeRequest>,
    ) -> Result<Response<pb::ChurnEpisode>, Status> {
        self.answer(request, episodes::close).await
    }
}
