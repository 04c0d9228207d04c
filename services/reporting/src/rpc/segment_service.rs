//! `SegmentService`: each method and its handler.

use tonic::{Request, Response, Status};

use super::{Api, segment_members, segments};
use crate::convert::pb::{self, segment_service_server::SegmentService};

#[tonic::async_trait]
impl SegmentService for Api {
    async fn create_segment(
        &self,
        request: Request<pb::CreateSegmentRequest>,
    ) -> Result<Response<pb::Segment>, Status> {
        self.answer(request, segments::create).await
    }

    async fn get_segment(
        &self,
        request: Request<pb::GetSegmentRequest>,
    ) -> Result<Response<pb::Segment>, Status> {
        self.answer(request, segments::get).await
    }

    async fn list_segments(
        &self,
        request: Request<pb::ListSegmentsRequest>,
    ) -> Result<Response<pb::ListSegmentsResponse>, Status> {
        self.answer(request, segments::list).await
    }

    async fn update_segment(
        &self,
        request: Request<pb::UpdateSegmentRequest>,
    ) -> Result<Response<pb::Segment>, Status> {
        self.answer(request, segments::update).await
    }

    async fn delete_segment(
        &self,
        request: Request<pb::DeleteSegmentRequest>,
    ) -> Result<Response<pb::DeleteSegmentResponse>, Status> {
        self.answer(request, segments::delete).await
    }

    async fn list_segment_members(
        &self,
        request: Request<pb::ListSegmentMembersRequest>,
    ) -> Result<Response<pb::ListSegmentMembersResponse>, Status> {
        self.answer(request, segment_members::list).await
    }

    async fn explain_segment_membership(
        &self,
        request: Request<pb::ExplainSegmentMembershipRequest>,
    ) -> Result<Response<pb::ExplainSegmentMembershipResponse>, Status> {
        self.answer(request, segment_members::explain).await
    }

    async fn preview_segment(
        &self,
        request: Request<pb::PreviewSegmentRequest>,
    ) -> Result<Response<pb::PreviewSegmentResponse>, Status> {
        self.answer(request, segment_members::preview).await
    }

    async fn list_segment_variables(
        &self,
        request: Request<pb::ListSegmentVariablesRequest>,
    ) -> Result<Response<pb::ListSegmentVariablesResponse>, Status> {
        self.answer(request, segments::variables).await
    }
}
