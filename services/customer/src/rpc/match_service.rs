//! `MatchService`: each method and its handler.

use tonic::{Request, Response, Status};

use jinke_proto::google::longrunning;

use super::{Api, explain_match, list_rule_sets, match_party, rebuild_customers};
use crate::convert::pb::{self, match_service_server::MatchService};

#[tonic::async_trait]
impl MatchService for Api {
    async fn list_rule_sets(
        &self,
        request: Request<pb::ListRuleSetsRequest>,
    ) -> Result<Response<pb::ListRuleSetsResponse>, Status> {
        self.answer(request, list_rule_sets::run).await
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
