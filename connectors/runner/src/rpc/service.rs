//! `ConnectorService`: each method and its handler.

use jinke_kit::{grant, status};
use jinke_proto::jinke::connector::v1::connector_service_server::ConnectorService;
use tonic::{Request, Response, Status};

use super::{Api, Viewer, connections, errors, outbound, pb, probe, runs};

#[tonic::async_trait]
impl ConnectorService for Api {
    async fn list_connectors(
        &self,
        request: Request<pb::ListConnectorsRequest>,
    ) -> Result<Response<pb::ListConnectorsResponse>, Status> {
        self.answer(request, probe::list_connectors).await
    }

    async fn get_connector(
        &self,
        request: Request<pb::GetConnectorRequest>,
    ) -> Result<Response<pb::Connector>, Status> {
        self.answer(request, probe::get_connector).await
    }

    async fn create_connection(
        &self,
        request: Request<pb::CreateConnectionRequest>,
    ) -> Result<Response<pb::Connection>, Status> {
        self.answer(request, connections::create).await
    }

    async fn get_connection(
        &self,
        request: Request<pb::GetConnectionRequest>,
    ) -> Result<Response<pb::Connection>, Status> {
        self.answer(request, connections::get).await
    }

    async fn list_connections(
        &self,
        request: Request<pb::ListConnectionsRequest>,
    ) -> Result<Response<pb::ListConnectionsResponse>, Status> {
        self.answer(request, connections::list).await
    }

    async fn update_connection(
        &self,
        request: Request<pb::UpdateConnectionRequest>,
    ) -> Result<Response<pb::Connection>, Status> {
        self.answer(request, connections::update).await
    }

    async fn delete_connection(
        &self,
        request: Request<pb::DeleteConnectionRequest>,
    ) -> Result<Response<pb::DeleteConnectionResponse>, Status> {
        self.answer(request, connections::delete).await
    }

    async fn check_connection(
        &self,
        request: Request<pb::CheckConnectionRequest>,
    ) -> Result<Response<pb::CheckConnectionResponse>, Status> {
        self.answer(request, probe::check_connection).await
    }

    async fn discover_connection(
        &self,
        request: Request<pb::DiscoverConnectionRequest>,
    ) -> Result<Response<pb::DiscoverConnectionResponse>, Status> {
        self.answer(request, probe::discover).await
    }

    async fn preview_mapping(
        &self,
        request: Request<pb::PreviewMappingRequest>,
    ) -> Result<Response<pb::PreviewMappingResponse>, Status> {
        self.answer(request, probe::preview).await
    }

    async fn run_connection(
        &self,
        request: Request<pb::RunConnectionRequest>,
    ) -> Result<Response<pb::Run>, Status> {
        self.answer(request, runs::start).await
    }

    async fn pause_connection(
        &self,
        request: Request<pb::PauseConnectionRequest>,
    ) -> Result<Response<pb::Connection>, Status> {
        self.answer(request, connections::pause).await
    }

    async fn resume_connection(
        &self,
        request: Request<pb::ResumeConnectionRequest>,
    ) -> Result<Response<pb::Connection>, Status> {
        self.answer(request, connections::resume).await
    }

    async fn get_run(
        &self,
        request: Request<pb::GetRunRequest>,
    ) -> Result<Response<pb::Run>, Status> {
        self.answer(request, runs::get).await
    }

    async fn list_runs(
        &self,
        request: Request<pb::ListRunsRequest>,
    ) -> Result<Response<pb::ListRunsResponse>, Status> {
        self.answer(request, runs::list).await
    }

    async fn cancel_run(
        &self,
        request: Request<pb::CancelRunRequest>,
    ) -> Result<Response<pb::Run>, Status> {
        self.answer(request, runs::cancel).await
    }

    async fn approve_sweep(
        &self,
        request: Request<pb::ApproveSweepRequest>,
    ) -> Result<Response<pb::Run>, Status> {
        self.answer(request, runs::approve).await
    }

    async fn list_record_errors(
        &self,
        request: Request<pb::ListRecordErrorsRequest>,
    ) -> Result<Response<pb::ListRecordErrorsResponse>, Status> {
        self.answer(request, errors::list).await
    }

    async fn retry_errors(
        &self,
        request: Request<pb::RetryErrorsRequest>,
    ) -> Result<Response<pb::RetryErrorsResponse>, Status> {
        self.answer(request, errors::retry).await
    }

    async fn list_dead_letters(
        &self,
        request: Request<pb::ListDeadLettersRequest>,
    ) -> Result<Response<pb::ListDeadLettersResponse>, Status> {
        self.answer(request, errors::list_letters).await
    }

    async fn get_dead_letter(
        &self,
        request: Request<pb::GetDeadLetterRequest>,
    ) -> Result<Response<pb::DeadLetter>, Status> {
        self.answer(request, errors::get_letter).await
    }

    async fn retry_dead_letter(
        &self,
        request: Request<pb::RetryDeadLetterRequest>,
    ) -> Result<Response<pb::RetryDeadLetterResponse>, Status> {
        self.answer(request, errors::retry_letter).await
    }

    async fn discard_dead_letter(
        &self,
        request: Request<pb::DiscardDeadLetterRequest>,
    ) -> Result<Response<pb::DiscardDeadLetterResponse>, Status> {
        self.answer(request, errors::discard_letter).await
    }

    async fn list_cursors(
        &self,
        request: Request<pb::ListCursorsRequest>,
    ) -> Result<Response<pb::ListCursorsResponse>, Status> {
        self.answer(request, errors::list_cursors).await
    }

    async fn reset_cursor(
        &self,
        request: Request<pb::ResetCursorRequest>,
    ) -> Result<Response<pb::ResetCursorResponse>, Status> {
        self.answer(request, errors::reset_cursor).await
    }

    async fn send_message(
        &self,
        request: Request<pb::SendMessageRequest>,
    ) -> Result<Response<pb::Delivery>, Status> {
        self.answer(request, outbound::send).await
    }

    async fn push_record(
        &self,
        request: Request<pb::PushRecordRequest>,
    ) -> Result<Response<pb::Delivery>, Status> {
        self.answer(request, outbound::push).await
    }

    async fn get_delivery(
        &self,
        request: Request<pb::GetDeliveryRequest>,
    ) -> Result<Response<pb::Delivery>, Status> {
        self.answer(request, outbound::get).await
    }

    async fn list_deliveries(
        &self,
        request: Request<pb::ListDeliveriesRequest>,
    ) -> Result<Response<pb::ListDeliveriesResponse>, Status> {
        self.answer(request, outbound::list).await
    }

    async fn list_callback_events(
        &self,
        request: Request<pb::ListCallbackEventsRequest>,
    ) -> Result<Response<pb::ListCallbackEventsResponse>, Status> {
        self.answer(request, outbound::list_events).await
    }

    type WatchRunStream = runs::Watched;

    async fn watch_run(
        &self,
        request: Request<pb::WatchRunRequest>,
    ) -> Result<Response<Self::WatchRunStream>, Status> {
        let viewer = Viewer::from(grant(&request)?);
        let watched = runs::watch(self.clone(), viewer, request.into_inner()).await;
        watched.map(Response::new).map_err(status)
    }
}
