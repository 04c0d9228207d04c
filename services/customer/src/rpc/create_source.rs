//! `CreateSource`.

use jinke_types::{Failure, RowScope};

use super::{Api, request_id};
use crate::{
    access::Viewer,
    convert::{Check, answer, check::is_source_id, pb},
    domain::NewSource,
    error,
};

const METHOD: &str = "jinke.customer.v1.SourceService/CreateSource";

/// Most characters of a display name.
pub const MAX_NAME: usize = 200;

/// Creates a source. A caller whose rights end at org units can only create sources of those.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::CreateSourceRequest,
) -> Result<pb::Source, Failure> {
    let mut check = Check::new();
    let id = check.request_id(&request.request_id);
    let id = id.and_then(|id| request_id(id, &viewer, METHOD, &request));
    if !is_source_id(&request.source_id) {
        check.wrong::<()>(
            "source_id",
            "is not 1 to 63 of a-z 0-9 -, starting with a letter",
        );
    }
    let source = request.source.unwrap_or_default();
    let display_name = check.line("source.display_name", source.display_name, MAX_NAME);
    let trust = trust(&mut check, source.trust);
    let org_unit = org_unit(&mut check, source.org_unit);
    let shared = sharing(&mut check, source.sharing);
    let new = display_name.zip(trust).zip(org_unit.zip(shared)).map(
        |((display_name, trust), (org_unit, shared))| NewSource {
            id: request.source_id,
            display_name,
            trust,
            org_unit,
            shared,
        },
    );
    let new = check.finish(new)?;
    owns(&viewer.scope, &new.org_unit)?;
    Ok(answer::source(
        &api.engine.create_source(new, id.as_ref()).await?,
    ))
}

/// Refuses an org unit outside the scope.
pub(super) fn owns(scope: &RowScope, org_unit: &str) -> Result<(), Failure> {
    if scope.sees(org_unit, false) {
        Ok(())
    } else {
        Err(error::org_unit_denied(org_unit))
    }
}

/// 0 to 100; 50 when absent.
pub(super) fn trust(check: &mut Check, trust: Option<i32>) -> Option<i32> {
    match trust.unwrap_or(50) {
        trust @ 0..=100 => Some(trust),
        _ => check.wrong("source.trust", "must be between 0 and 100"),
    }
}

/// Empty, or `orgUnits/…`.
pub(super) fn org_unit(check: &mut Check, name: String) -> Option<String> {
    let name = check.word("source.org_unit", name, 128, "_-./")?;
    let well_formed = name.is_empty()
        || name
            .strip_prefix("orgUnits/")
            .is_some_and(|id| !id.is_empty() && !id.contains('/'));
    if well_formed {
        Some(name)
    } else {
        check.wrong(
            "source.org_unit",
            "must be empty or have the form orgUnits/{orgUnit}",
        )
    }
}

/// Whether the source is shared with the group, which it is unless it says otherwise.
pub(super) fn sharing(check: &mut Check, sharing: i32) -> Option<bool> {
    use pb::source::Sharing;
    let sharing: Sharing = check.known_enum("source.sharing", "Source.Sharing", sharing)?;
    Some(!matches!(sharing, Sharing::OrgUnit))
}
