//! `MatchParty`: match before create.

use jinke_types::Failure;

use super::{Api, get_customer};
use crate::{
    access::Viewer,
    convert::{Check, answer, pb, record::party},
};

/// The customers a party would match, best first; nothing is stored.
///
/// Values of classes that the caller may not read are not compared: else a caller without the
/// class CONTACT could find out by trying who has a phone.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::MatchPartyRequest,
) -> Result<pb::MatchPartyResponse, Failure> {
    let mut check = Check::new();
    let size = check.page_size(request.page_size, 5, 20);
    let party = match request.party {
        Some(p) => party(&mut check, "party", p),
        None => check.wrong("party", "is required"),
    };
    let ((kind, values), size) = check.finish(party.zip(size))?;
    let values = viewer.visible(kind, values);
    let found = api
        .engine
        .match_party(kind, &values, &viewer.scope, size as usize)
        .await?;
    let mut candidates = Vec::with_capacity(found.len());
    for candidate in found {
        let view = get_customer::visible(&api, &viewer, candidate.customer).await?;
        candidates.push(pb::match_party_response::Candidate {
            customer: Some(answer::customer(&view, &viewer, false)),
            score: candidate.score,
            would_merge: candidate.would_merge,
            comparisons: answer::steps(&candidate.steps),
            record: format!("customers/{}", candidate.record_no),
        });
    }
    Ok(pb::MatchPartyResponse { candidates })
}
