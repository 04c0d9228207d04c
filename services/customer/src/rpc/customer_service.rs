//! `CustomerService`: each method and its handler.

use jinke_kit::{grant, status};
use tonic::{Request, Response, Status};

use super::{
    Api, add_customer_tag, batch_get_customers, erase_customer, get_customer, get_customer_lineage,
    get_customer_stats, get_customer_totals, list_customer_changes, list_customer_revisions,
    list_customers, list_relationships, list_timeline_changes, list_timeline_entries,
    lookup_customers, merge_customers, remove_customer_tag, search_customers, unmerge_customer,
    watch_customer_changes,
};
use crate::access::Viewer;
use crate::convert::pb::{self, customer_service_server::CustomerService};

#[tonic::async_trait]
impl CustomerService for Api {
    async fn get_customer(
        &self,
        request: Request<pb::GetCustomerRequest>,
    ) -> Result<Response<pb::Customer>, Status> {
        self.answer(request, get_customer::run).await
    }

    async fn batch_get_customers(
        &self,
        request: Request<pb::BatchGetCustomersRequest>,
    ) -> Result<Response<pb::BatchGetCustomersResponse>, Status> {
        self.answer(request, batch_get_customers::run).await
    }

    async fn list_customers(
        &self,
        request: Request<pb::ListCustomersRequest>,
    ) -> Result<Response<pb::ListCustomersResponse>, Status> {
        self.answer(request, list_customers::run).await
    }

    async fn search_customers(
        &self,
        request: Request<pb::SearchCustomersRequest>,
    ) -> Result<Response<pb::SearchCustomersResponse>, Status> {
        self.answer(request, search_customers::run).await
    }

    async fn lookup_customers(
        &self,
        request: Request<pb::LookupCustomersRequest>,
    ) -> Result<Response<pb::LookupCustomersResponse>, Status> {
        self.answer(request, lookup_customers::run).await
    }

    async fn merge_customers(
        &self,
        request: Request<pb::MergeCustomersRequest>,
    ) -> Result<Response<pb::Customer>, Status> {
        self.answer(request, merge_customers::run).await
    }

    async fn unmerge_customer(
        &self,
        request: Request<pb::UnmergeCustomerRequest>,
    ) -> Result<Response<pb::UnmergeCustomerResponse>, Status> {
        self.answer(request, unmerge_customer::run).await
    }

    async fn erase_customer(
        &self,
        request: Request<pb::EraseCustomerRequest>,
    ) -> Result<Response<pb::EraseCustomerResponse>, Status> {
        self.answer(request, erase_customer::run).await
    }

    async fn get_customer_lineage(
        &self,
        request: Request<pb::GetCustomerLineageRequest>,
    ) -> Result<Response<pb::GetCustomerLineageResponse>, Status> {
        self.answer(request, get_customer_lineage::run).await
    }

    async fn list_customer_revisions(
        &self,
        request: Request<pb::ListCustomerRevisionsRequest>,
    ) -> Result<Response<pb::ListCustomerRevisionsResponse>, Status> {
        self.answer(request, list_customer_revisions::run).await
    }

    async fn list_timeline_entries(
        &self,
        request: Request<pb::ListTimelineEntriesRequest>,
    ) -> Result<Response<pb::ListTimelineEntriesResponse>, Status> {
        self.answer(request, list_timeline_entries::run).await
    }

    async fn list_relationships(
        &self,
        request: Request<pb::ListRelationshipsRequest>,
    ) -> Result<Response<pb::ListRelationshipsResponse>, Status> {
        self.answer(request, list_relationships::run).await
    }

    async fn get_customer_totals(
        &self,
        request: Request<pb::GetCustomerTotalsRequest>,
    ) -> Result<Response<pb::GetCustomerTotalsResponse>, Status> {
        self.answer(request, get_customer_totals::run).await
    }

    async fn add_customer_tag(
        &self,
        request: Request<pb::AddCustomerTagRequest>,
    ) -> Result<Response<pb::Customer>, Status> {
        self.answer(request, add_customer_tag::run).await
    }

    async fn remove_customer_tag(
        &self,
        request: Request<pb::RemoveCustomerTagRequest>,
    ) -> Result<Response<pb::Customer>, Status> {
        self.answer(request, remove_customer_tag::run).await
    }

    async fn list_customer_changes(
        &self,
        request: Request<pb::ListCustomerChangesRequest>,
    ) -> Result<Response<pb::ListCustomerChangesResponse>, Status> {
        self.answer(request, list_customer_changes::run).await
    }

    async fn list_timeline_changes(
        &self,
        request: Request<pb::ListTimelineChangesRequest>,
    ) -> Result<Response<pb::ListTimelineChangesResponse>, Status> {
        self.answer(request, list_timeline_changes::run).await
    }

    async fn get_customer_stats(
        &self,
        request: Request<pb::GetCustomerStatsRequest>,
    ) -> Result<Response<pb::GetCustomerStatsResponse>, Status> {
        self.answer(request, get_customer_stats::run).await
    }

    type WatchCustomerChangesStream = watch_customer_changes::Changes;

    async fn watch_customer_changes(
        &self,
        request: Request<pb::WatchCustomerChangesRequest>,
    ) -> Result<Response<Self::WatchCustomerChangesStream>, Status> {
        let viewer = Viewer::from(grant(&request)?);
        // Each message is masked on its way: see the handler.
        let changes = watch_customer_changes::run(self.clone(), viewer, request.into_inner())
            .await
            .map_err(status)?;
        Ok(Response::new(changes))
    }
}
