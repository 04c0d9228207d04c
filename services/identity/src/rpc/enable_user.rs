//! `EnableUser`: takes `DisableUser` back. Sessions that were ended stay ended; what is tested
//! stands with `DisableUser`.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_types::Failure;

use super::{disable_user, once};
use crate::core::Core;

const METHOD: &str = "jinke.identity.v1.IdentityService/EnableUser";

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::EnableUserRequest,
) -> Result<pb::User, Failure> {
    let once = once(METHOD, &request.request_id, &request);
    disable_user::set_disabled(core, grant, &once, &request.name, &request.etag, false).await
}
