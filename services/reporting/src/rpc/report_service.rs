//! `ReportService`: each method and its handler.

use tonic::{Request, Response, Status};

use super::{Api, reports};
use crate::convert::pb::{self, report_service_server::ReportService};

#[tonic::async_trait]
impl ReportService for Api {
    async fn create_report(
        &self,
        request: Request<pb::CreateReportRequest>,
    ) -> Result<Response<pb::Report>, Status> {
        self.answer(request, reports::create).await
    }

    async fn get_report(
        &self,
        request: Request<pb::GetReportRequest>,
    ) -> Result<Response<pb::Report>, Status> {
        self.answer(request, reports::get).await
    }

    async fn list_reports(
        &self,
        request: Request<pb::ListReportsRequest>,
    ) -> Result<Response<pb::ListReportsResponse>, Status> {
        self.answer(request, reports::list).await
    }

    async fn download_report(
        &self,
        request: Request<pb::DownloadReportRequest>,
    ) -> Result<Response<pb::DownloadReportResponse>, Status> {
        self.answer(request, reports::download).await
    }

    async fn delete_report(
        &self,
        request: Request<pb::DeleteReportRequest>,
    ) -> Result<Response<pb::DeleteReportResponse>, Status> {
        self.answer(request, reports::delete).await
    }
}
