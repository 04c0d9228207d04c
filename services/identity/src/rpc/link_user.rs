//! `LinkUser`: a user that is here already is a member of a directory.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_store::{Tx, request::Outcome};
use jinke_types::{Failure, RowScope};

use super::once;
use crate::{
    access, convert,
    core::Core,
    domain::{Checks, Gone, Link, LinkKind, id_in, is_external_id},
    store::{directories, lock, users},
};

const METHOD: &str = "jinke.identity.v1.DirectoryService/LinkUser";

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::LinkUserRequest,
) -> Result<pb::DirectoryLink, Failure> {
    let once = once(METHOD, &request.request_id, &request);
    access::whole_enterprise(&grant.scope, "a directory")?;
    let mut checks = Checks::default();
    let directory = checks.take(id_in("parent", "directories", &request.parent).map(str::to_owned));
    let user = checks.take(id_in("user", "users", &request.user).map(str::to_owned));
    checks.must(
        is_external_id(&request.external_id),
        "external_id",
        "must have 1 to 128 printable ASCII characters",
    );
    checks.request_id(&request.request_id);
    checks.done()?;
    let (id, external) = (directory.as_str(), request.external_id.as_str());
    core.change(async |mut tx: Tx| {
        let tx = &mut tx;
        if let Some(done) = core.done_before(tx, grant, &once).await? {
            return Ok(done);
        }
        tx.lock(lock::MEMBERS).await?;
        if users::get(tx, &core.vault, &RowScope::All, &user)
            .await?
            .is_none()
        {
            return Err(Failure::not_found(&request.user));
        }
        let round = directories::round(tx, id).await?;
        if round.is_none() {
            directories::set_round(tx, id, 0, false).await?;
        }
        let link = Link {
            kind: LinkKind::User,
            external_id: external.to_owned(),
            resource: user.clone(),
            // As if he had been told in the round under way: he is not taken for a leaver in it.
            round: round.map_or(0, |(round, _)| round),
            gone: Gone::No,
        };
        directories::insert(tx, id, &link).await?;
        let outcome = Outcome {
            name: request.user.clone(),
            revision: 0,
        };
        core.completed(tx, grant, &once, outcome).await
    })
    .await?;
    let mut conn = core.db.read().await?;
    let link = directories::get(&mut conn, id, LinkKind::User, external).await?;
    link.map(convert::directory_link)
        .ok_or_else(|| Failure::not_found(&request.parent))
}
