//! `ListDirectoryLinks`.

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_types::Failure;

use crate::{
    access, convert,
    core::Core,
    domain::{LinkKind, id_in, is_external_id},
    store::directories,
};

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::ListDirectoryLinksRequest,
) -> Result<pb::ListDirectoryLinksResponse, Failure> {
    access::whole_enterprise(&grant.scope, "a directory")?;
    let directory = id_in("parent", "directories", &request.parent)?;
    let size = convert::page_size(request.page_size)?;
    let (kind, id) = after(&request.page_token)?;
    if !request.resource.is_empty() {
        return one(core, directory, &request).await;
    }
    let mut conn = core.db.read().await?;
    let mut links = directories::list(&mut conn, directory, (kind, &id), size + 1).await?;
    let mut next_page_token = String::new();
    if links.len() > size {
        links.truncate(size);
        if let Some(last) = links.last() {
            next_page_token = hex::encode(format!("{}/{}", last.kind.number(), last.external_id));
        }
    }
    Ok(pb::ListDirectoryLinksResponse {
        links: links.into_iter().map(convert::directory_link).collect(),
        next_page_token,
    })
}

/// The link of one org unit or user: there is at most one, so there is no second page.
async fn one(
    core: &Core,
    directory: &str,
    request: &pb::ListDirectoryLinksRequest,
) -> Result<pb::ListDirectoryLinksResponse, Failure> {
    if !request.page_token.is_empty() {
        return Err(no_token());
    }
    let (kind, resource) = match id_in("resource", "users", &request.resource) {
        Ok(user) => (LinkKind::User, user),
        Err(_) => {
            let unit = id_in("resource", "orgUnits", &request.resource)
                .map_err(|_| Failure::field("resource", "must be users/ or orgUnits/ and an id"))?;
            (LinkKind::OrgUnit, unit)
        }
    };
    let mut conn = core.db.read().await?;
    let link = directories::of_resource(&mut conn, directory, kind, resource).await?;
    Ok(pb::ListDirectoryLinksResponse {
        links: link.into_iter().map(convert::directory_link).collect(),
        next_page_token: String::new(),
    })
}

fn no_token() -> Failure {
    Failure::field("page_token", "was not given out by this method")
}

/// Kind and external id behind which a page begins.
fn after(token: &str) -> Result<(i64, String), Failure> {
    if token.is_empty() {
        return Ok((0, String::new()));
    }
    if token.len() > 400 {
        return Err(no_token());
    }
    let bytes = hex::decode(token).map_err(|_| no_token())?;
    let text = String::from_utf8(bytes).map_err(|_| no_token())?;
    let (kind, id) = text.split_once('/').ok_or_else(no_token)?;
    let kind = kind
        .parse()
        .ok()
        .and_then(LinkKind::of)
        .ok_or_else(no_token)?;
    if !is_external_id(id) {
        return Err(no_token());
    }
    Ok((kind.number(), id.to_owned()))
}
