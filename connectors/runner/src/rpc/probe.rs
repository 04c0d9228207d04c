//! Kinds of connectors, and what can be asked of a connection without changing anything.

use std::time::Duration;

use jinke_sdk::Mapping;
use jinke_types::{Code, Failure};

use super::{
    Api, Viewer, answer,
    check::{self, Check},
    pb,
};
use crate::problem::Problem;

/// A foreign system that has not answered by then is not asked longer: the caller waits.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for a foreign system, at most [`PATIENCE`].
async fn patiently<T>(asked: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let late = || {
        Failure::new(
            Code::Unavailable,
            "FOREIGN_SILENT",
            "the foreign system did not answer within a minute",
        )
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(late()),
    }
}

/// The kinds of connectors.
pub async fn list_connectors(
    api: Api,
    viewer: Viewer,
    request: pb::ListConnectorsRequest,
) -> Result<pb::ListConnectorsResponse, Failure> {
    const METHOD: &str = "ListConnectors";
    let size = check::page_size(request.page_size)? as usize;
    let from = api
        .pages
        .number(METHOD, "", &viewer, &request.page_token, 0)?;
    let from = usize::try_from(from).unwrap_or(0);
    let kinds = api.core.registry.kinds();
    let next = from.saturating_add(size);
    Ok(pb::ListConnectorsResponse {
        connectors: kinds
            .iter()
            .skip(from)
            .take(size)
            .map(answer::connector)
            .collect(),
        next_page_token: if next < kinds.len() {
            api.pages.token(METHOD, "", &viewer, &next.to_string())
        } else {
            String::new()
        },
    })
}

/// One kind.
pub async fn get_connector(
    api: Api,
    _: Viewer,
    request: pb::GetConnectorRequest,
) -> Result<pb::Connector, Failure> {
    let kind = request.name.strip_prefix("connectors/");
    let Some(kind) = kind else {
        return Err(Failure::field(
            "name",
            "must have the form connectors/{connector}",
        ));
    };
    api.core.registry.get(kind).map(answer::connector)
}

/// Whether the foreign system can be reached.
pub async fn check_connection(
    api: Api,
    viewer: Viewer,
    request: pb::CheckConnectionRequest,
) -> Result<pb::CheckConnectionResponse, Failure> {
    let id = check::connection_id("name", &request.name)?;
    let connection = api.visible(&viewer, id).await?;
    let began = api.core.clock.now();
    let checked = match api.core.open(&connection) {
        Ok(connector) => patiently(connector.check()).await,
        Err(failure) => Err(failure),
    };
    let micros = api.core.clock.now().0.saturating_sub(began.0).max(0);
    Ok(pb::CheckConnectionResponse {
        error: checked.err().map(|f| Problem::from(&f).status()),
        duration: Some(prost_types::Duration {
            seconds: micros / 1_000_000,
            nanos: i32::try_from(micros % 1_000_000 * 1_000).unwrap_or(0),
        }),
    })
}

/// The streams it has now.
pub async fn discover(
    api: Api,
    viewer: Viewer,
    request: pb::DiscoverConnectionRequest,
) -> Result<pb::DiscoverConnectionResponse, Failure> {
    let id = check::connection_id("name", &request.name)?;
    let connection = api.visible(&viewer, id).await?;
    let spec = &api.core.registry.get(&connection.connector)?.spec;
    let connector = api.core.open(&connection)?;
    let found = patiently(connector.discover()).await?;
    Ok(pb::DiscoverConnectionResponse {
        streams: found.iter().map(|s| answer::stream(s, spec)).collect(),
    })
}

/// How the first rows are read.
pub async fn preview(
    api: Api,
    viewer: Viewer,
    request: pb::PreviewMappingRequest,
) -> Result<pb::PreviewMappingResponse, Failure> {
    let mut check = Check::default();
    let rows = match request.rows {
        0 => 10,
        n @ 1..=100 => usize::try_from(n).unwrap_or(10),
        _ => {
            check.wrong("rows", "must be between 0 and 100");
            0
        }
    };
    if request.stream.is_empty() {
        check.wrong("stream", "is required");
    }
    check.done()?;
    let id = check::connection_id("name", &request.name)?;
    let connection = api.visible(&viewer, id).await?;
    let mapping = match request.mapping.as_str() {
        "" => None,
        text => Some(Mapping::from_toml(text)?),
    };
    let spec = &api.core.registry.get(&connection.connector)?.spec;
    let connector = api.core.open(&connection)?;
    let found = patiently(connector.discover()).await?;
    let Some(schema) = found.iter().find(|s| s.stream == request.stream) else {
        return Err(Failure::new(
            Code::NotFound,
            "STREAM_UNKNOWN",
            "the connection has no such stream",
        ));
    };
    let page = patiently(connector.preview(&request.stream, mapping, rows)).await?;
    Ok(answer::preview(
        &page,
        answer::stream(schema, spec),
        &viewer.mask,
    ))
}
