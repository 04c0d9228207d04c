//! `MatchService`: each method and its handler.

use tonic::{Request, Response, Status};

use jinke_proto::google::longrunning;

use super::{
    Api, dry_run, explain_match, list_rule_sets, match_party, rebuild_customers, rule_set,
};
use crate::convert::pb::{self, match_service_server::MatchService};

#[tonic::async_trait]
impl MatchService for Api {
    async fn list_rule_sets(
        &self,
        request: Request<pb::ListRuleSetsRequest>,
    ) -> Result<Response<pb::ListRuleSetsResponse>, Status> {
        self.answer(request, list_rule_sets::run).await
    }

    async fn get_rule_set(
        &self,
        request: Request<pb::GetRuleSetRequest>,
    ) -> Result<Response<pb::RuleSet>, Status> {
        self.answer(request, rule_set::get).await
    }

    async fn create_rule_set(
        &self,
        request: Request<pb::CreateRuleSetRequest>,
    ) -> Result<Response<pb::RuleSet>, Status> {
        self.answer(request, rule_set::create).await
    }

    async fn train_rule_set(
        &self,
        request: Request<pb::TrainRuleSetRequest>,
    ) -> Result<Response<longrunning::Operation>, Status> {
        self.answer(request, rule_set::train).await
    }

    async fn evaluate_rule_set(
        &self,
        request: Request<pb::EvaluateRuleSetRequest>,
    ) -> Result<Response<longrunning::Operation>, Status> {
        self.answer(request, rule_set::evaluate).await
    }

    async fn dry_run_rule_set(
        &self,
        request: Request<pb::DryRunRuleSetRequest>,
    ) -> Result<Response<longrunning::Operation>, Status> {
        self.answer(request, dry_run::start).await
    }

    async fn get_dry_run(
        &self,
        request: Request<pb::GetDryRunRequest>,
    ) -> Result<Response<pb::DryRun>, Status> {
        self.answer(request, dry_run::get).await
    }

    async fn list_dry_run_differences(
        &self,
        request: Request<pb::ListDryRunDifferencesRequest>,
    ) -> Result<Response<pb::ListDryRunDifferencesResponse>, Status> {
        self.answer(request, dry_run::differences).await
    }

    async fn delete_dry_run(
        &self,
        request: Request<pb::DeleteDryRunRequest>,
    ) -> Result<Response<pb::DeleteDryRunResponse>, Status> {
        self.answer(request, dry_run::delete).await
    }

    async fn activate_rule_set(
        &self,
        request: Request<pb::ActivateRuleSetRequest>,
    ) -> Result<Response<longrunning::Operation>, Status> {
        self.answer(request, rule_set::activate).await
    }

    async fn rebuild_customers(
        &self,
        request: Request<pb::RebuildCustomersRequest>,
    ) -> Result<Response<longrunning::Operation>, Status> {
        self.answer(request, rebuild_customers::run).await
    }

    async fn explain_match(
        &self,
        request: Request<pb::ExplainMatchRequest>,
    ) -> Result<Response<pb::MatchExplanation>, Status> {
        self.answer(request, explain_match::run).await
    }

    async fn match_party(
        &self,
        request: Request<pb::MatchPartyRequest>,
    ) -> Result<Response<pb::MatchPartyResponse>, Status> {
        self.answer(request, match_party::run).await
    }
}
