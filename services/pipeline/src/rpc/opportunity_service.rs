//! `OpportunityService`: each method and its handler.

use tonic::{Request, Response, Status};

use super::{Api, board, moves, opportunities};
use crate::convert::pb::{self, opportunity_service_server::OpportunityService};

#[tonic::async_trait]
impl OpportunityService for Api {
    async fn create_opportunity(
        &self,
        request: Request<pb::CreateOpportunityRequest>,
    ) -> Result<Response<pb::Opportunity>, Status> {
        self.answer(request, opportunities::create).await
    }

    async fn get_opportunity(
        &self,
        request: Request<pb::GetOpportunityRequest>,
    ) -> Result<Response<pb::Opportunity>, Status> {
        self.answer(request, opportunities::get).await
    }

    async fn list_opportunities(
        &self,
        request: Request<pb::ListOpportunitiesRequest>,
    ) -> Result<Response<pb::ListOpportunitiesResponse>, Status> {
        self.answer(request, opportunities::list).await
    }

    async fn update_opportunity(
        &self,
        request: Request<pb::UpdateOpportunityRequest>,
    ) -> Result<Response<pb::Opportunity>, Status> {
        self.answer(request, opportunities::update).await
    }

    async fn advance_opportunity(
        &self,
        request: Request<pb::AdvanceOpportunityRequest>,
    ) -> Result<Response<pb::Opportunity>, Status> {
        self.answer(request, moves::advance).await
    }

    async fn win_opportunity(
        &self,
        request: Request<pb::WinOpportunityRequest>,
    ) -> Result<Response<pb::Opportunity>, Status> {
        self.answer(request, moves::win).await
    }

    async fn lose_opportunity(
        &self,
        request: Request<pb::LoseOpportunityRequest>,
    ) -> Result<Response<pb::Opportunity>, Status> {
        self.answer(request, moves::lose).await
    }

    async fn reopen_opportunity(
        &self,
        request: Request<pb::ReopenOpportunityRequest>,
    ) -> Result<Response<pb::Opportunity>, Status> {
        self.answer(request, moves::reopen).await
    }

    async fn assign_opportunity(
        &self,
        request: Request<pb::AssignOpportunityRequest>,
    ) -> Result<Response<pb::Opportunity>, Status> {
        self.answer(request, moves::assign).await
    }

    async fn migrate_opportunity(
        &self,
        request: Request<pb::MigrateOpportunityRequest>,
    ) -> Result<Response<pb::Opportunity>, Status> {
        self.answer(request, moves::migrate).await
    }

    async fn check_opportunity_item(
        &self,
        request: Request<pb::CheckOpportunityItemRequest>,
    ) -> Result<Response<pb::Opportunity>, Status> {
        self.answer(request, moves::check_item).await
    }

    async fn list_transitions(
        &self,
        request: Request<pb::ListTransitionsRequest>,
    ) -> Result<Response<pb::ListTransitionsResponse>, Status> {
        self.answer(request, opportunities::transitions).await
    }

    async fn get_board(
        &self,
        request: Request<pb::GetBoardRequest>,
    ) -> Result<Response<pb::GetBoardResponse>, Status> {
        self.answer(request, board::board).await
    }

    async fn get_forecast(
        &self,
        request: Request<pb::GetForecastRequest>,
    ) -> Result<Response<pb::GetForecastResponse>, Status> {
        self.answer(request, board::forecast).await
    }
}
