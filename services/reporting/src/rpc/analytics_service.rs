//! `AnalyticsService`: each method and its handler.

use tonic::{Request, Response, Status};

use super::{Api, list_metric_rows, query_metrics};
use crate::convert::pb::{self, analytics_service_server::AnalyticsService};

#[tonic::async_trait]
impl AnalyticsService for Api {
    async fn list_measures(
        &self,
        request: Request<pb::ListMeasuresRequest>,
    ) -> Result<Response<pb::ListMeasuresResponse>, Status> {
        self.answer(request, query_metrics::list_measures).await
    }

    async fn query_metrics(
        &self,
        request: Request<pb::QueryMetricsRequest>,
    ) -> Result<Response<pb::QueryMetricsResponse>, Status> {
        self.answer(request, query_metrics::run).await
    }

    async fn list_metric_rows(
        &self,
        request: Request<pb::ListMetricRowsRequest>,
    ) -> Result<Response<pb::ListMetricRowsResponse>, Status> {
        self.answer(request, list_metric_rows::run).await
    }
}
