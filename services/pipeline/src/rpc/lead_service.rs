//! `LeadService`: each method and its handler.

use tonic::{Request, Response, Status};

use super::{Api, ingest, leads, rules};
use crate::convert::pb::{self, lead_service_server::LeadService};

#[tonic::async_trait]
impl LeadService for Api {
    async fn create_lead(
        &self,
        request: Request<pb::CreateLeadRequest>,
    ) -> Result<Response<pb::Lead>, Status> {
        self.answer(request, leads::create).await
    }

    async fn batch_create_leads(
        &self,
        request: Request<pb::BatchCreateLeadsRequest>,
    ) -> Result<Response<pb::BatchCreateLeadsResponse>, Status> {
        self.answer(request, leads::batch_create).await
    }

    async fn ingest_leads(
        &self,
        request: Request<pb::IngestLeadsRequest>,
    ) -> Result<Response<pb::IngestLeadsResponse>, Status> {
        self.answer(request, ingest::ingest).await
    }

    async fn get_lead(
        &self,
        request: Request<pb::GetLeadRequest>,
    ) -> Result<Response<pb::Lead>, Status> {
        self.answer(request, leads::get).await
    }

    async fn list_leads(
        &self,
        request: Request<pb::ListLeadsRequest>,
    ) -> Result<Response<pb::ListLeadsResponse>, Status> {
        self.answer(request, leads::list).await
    }

    async fn update_lead(
        &self,
        request: Request<pb::UpdateLeadRequest>,
    ) -> Result<Response<pb::Lead>, Status> {
        self.answer(request, leads::update).await
    }

    async fn assign_lead(
        &self,
        request: Request<pb::AssignLeadRequest>,
    ) -> Result<Response<pb::Lead>, Status> {
        self.answer(request, leads::assign).await
    }

    async fn qualify_lead(
        &self,
        request: Request<pb::QualifyLeadRequest>,
    ) -> Result<Response<pb::Lead>, Status> {
        self.answer(request, leads::qualify).await
    }

    async fn convert_lead(
        &self,
        request: Request<pb::ConvertLeadRequest>,
    ) -> Result<Response<pb::ConvertLeadResponse>, Status> {
        self.answer(request, leads::convert).await
    }

    async fn disqualify_lead(
        &self,
        request: Request<pb::DisqualifyLeadRequest>,
    ) -> Result<Response<pb::Lead>, Status> {
        self.answer(request, leads::disqualify).await
    }

    async fn erase_lead(
        &self,
        request: Request<pb::EraseLeadRequest>,
    ) -> Result<Response<pb::Lead>, Status> {
        self.answer(request, leads::erase).await
    }

    async fn get_first_touch(
        &self,
        request: Request<pb::GetFirstTouchRequest>,
    ) -> Result<Response<pb::GetFirstTouchResponse>, Status> {
        self.answer(request, leads::first_touch).await
    }

    async fn create_assignment_rule(
        &self,
        request: Request<pb::CreateAssignmentRuleRequest>,
    ) -> Result<Response<pb::AssignmentRule>, Status> {
        self.answer(request, rules::create).await
    }

    async fn list_assignment_rules(
        &self,
        request: Request<pb::ListAssignmentRulesRequest>,
    ) -> Result<Response<pb::ListAssignmentRulesResponse>, Status> {
        self.answer(request, rules::list).await
    }

    async fn update_assignment_rule(
        &self,
        request: Request<pb::UpdateAssignmentRuleRequest>,
    ) -> Result<Response<pb::AssignmentRule>, Status> {
        self.answer(request, rules::update).await
    }

    async fn delete_assignment_rule(
        &self,
        request: Request<pb::DeleteAssignmentRuleRequest>,
    ) -> Result<Response<pb::DeleteAssignmentRuleResponse>, Status> {
        self.answer(request, rules::delete).await
    }
}
