//! `GetSourceRecord`.

use jinke_types::{Code, Failure};

use super::Api;
use crate::{
    access::Viewer,
    convert::{Check, answer, pb, value::record_key},
    error,
};

/// The effective state of a record, or one of its versions as received.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::GetSourceRecordRequest,
) -> Result<pb::SourceRecord, Failure> {
    let mut check = Check::new();
    let key = record_key(&mut check, "key", request.key);
    if request.version < 0 {
        check.wrong::<()>("version", "must not be negative");
    }
    let key = check.finish(key)?;
    let version = Some(request.version).filter(|v| *v != 0);
    match api.engine.source_record(&key, version, &viewer.scope).await {
        Ok(view) => Ok(answer::source_record(&view)),
        Err(failure) if failure.code == Code::NotFound => Err(error::record_not_found(&key.source)),
        Err(failure) => Err(failure),
    }
}
