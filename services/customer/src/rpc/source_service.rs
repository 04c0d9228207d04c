//! `SourceService`: each method and its handler.

use jinke_kit::grant;
use tonic::{Request, Response, Status, Streaming};

use super::{
    Api, create_source, get_source, get_source_record, ingest_source_records, list_source_records,
    list_sources, stream_source_records, update_source,
};
use crate::access::Viewer;
use crate::convert::pb::{self, source_service_server::SourceService};

#[tonic::async_trait]
impl SourceService for Api {
    async fn create_source(
        &self,
        request: Request<pb::CreateSourceRequest>,
    ) -> Result<Response<pb::Source>, Status> {
        self.answer(request, create_source::run).await
    }

    async fn get_source(
        &self,
        request: Request<pb::GetSourceRequest>,
    ) -> Result<Response<pb::Source>, Status> {
        self.answer(request, get_source::run).await
    }

    async fn list_sources(
        &self,
        request: Request<pb::ListSourcesRequest>,
    ) -> Result<Response<pb::ListSourcesResponse>, Status> {
        self.answer(request, list_sources::run).await
    }

    async fn update_source(
        &self,
        request: Request<pb::UpdateSourceRequest>,
    ) -> Result<Response<pb::Source>, Status> {
        self.answer(request, update_source::run).await
    }

    async fn ingest_source_records(
        &self,
        request: Request<pb::IngestSourceRecordsRequest>,
    ) -> Result<Response<pb::IngestSourceRecordsResponse>, Status> {
        self.answer(request, ingest_source_records::run).await
    }

    async fn get_source_record(
        &self,
        request: Request<pb::GetSourceRecordRequest>,
    ) -> Result<Response<pb::SourceRecord>, Status> {
        self.answer(request, get_source_record::run).await
    }

    async fn list_source_records(
        &self,
        request: Request<pb::ListSourceRecordsRequest>,
    ) -> Result<Response<pb::ListSourceRecordsResponse>, Status> {
        self.answer(request, list_source_records::run).await
    }

    type StreamSourceRecordsStream = stream_source_records::Results;

    async fn stream_source_records(
        &self,
        request: Request<Streaming<pb::StreamSourceRecordsRequest>>,
    ) -> Result<Response<Self::StreamSourceRecordsStream>, Status> {
        let viewer = Viewer::from(grant(&request)?);
        let results = stream_source_records::run(self.clone(), viewer, request.into_inner());
        Ok(Response::new(results))
    }
}
