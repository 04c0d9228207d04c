//! `StewardshipService`: each method and its handler.

use tonic::{Request, Response, Status};

use super::{Api, create_judgement, list_judgements, list_match_reviews, retract_judgement};
use crate::convert::pb::{self, stewardship_service_server::StewardshipService};

#[tonic::async_trait]
impl StewardshipService for Api {
    async fn list_match_reviews(
        &self,
        request: Request<pb::ListMatchReviewsRequest>,
    ) -> Result<Response<pb::ListMatchReviewsResponse>, Status> {
        self.answer(request, list_match_reviews::run).await
    }

    async fn create_judgement(
        &self,
        request: Request<pb::CreateJudgementRequest>,
    ) -> Result<Response<pb::Judgement>, Status> {
        self.answer(request, create_judgement::run).await
    }

    async fn list_judgements(
        &self,
        request: Request<pb::ListJudgementsRequest>,
    ) -> Result<Response<pb::ListJudgementsResponse>, Status> {
        self.answer(request, list_judgements::run).await
    }

    async fn retract_judgement(
        &self,
        request: Request<pb::RetractJudgementRequest>,
    ) -> Result<Response<pb::Judgement>, Status> {
        self.answer(request, retract_judgement::run).await
    }
}
