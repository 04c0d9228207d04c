//! `EvaluateChurn`, `GetChurnEpisode`, `ListChurnEpisodes`, `CloseChurnEpisode`.

use std::collections::BTreeMap;

use jinke_store::keys::DataKey;
use jinke_types::{Code, Failure};

use super::{Api, insights::whole, list_metric_rows::record_names, request_id};
use crate::{
    access::Viewer,
    churn::Reason,
    convert::{Check, answer, check::time_out, parameters, pb},
    core::{check_etag, etag},
    episodes,
    facts::Frame,
    store::episodes::{self as rows, CLOSED, EpisodeRow, OPEN, RECOVERED},
};

const METHOD: &str = "ListChurnEpisodes";
/// Most characters of a comment.
const MAX_COMMENT: usize = 2_000;
/// Episodes read for one page at most, so that a caller who sees few of them waits no longer.
const MAX_READ: usize = 5_000;

/// Looks for customers about to leave.
pub async fn evaluate(
    api: Api,
    viewer: Viewer,
    request: pb::EvaluateChurnRequest,
) -> Result<pb::EvaluateChurnResponse, Failure> {
    let mut check = Check::new();
    let id = check.request_id(&request.request_id);
    check.done()?;
    whole(&viewer)?;
    let id = request_id(id, &viewer, "EvaluateChurn", &request);
    let (done, frame) = episodes::evaluate(
        &api.core,
        &api.outside,
        &api.tasks,
        request.validate_only,
        id.as_ref(),
    )
    .await?;
    let p = &api.core.defaults;
    Ok(pb::EvaluateChurnResponse {
        customers: done.customers,
        opened: done.opened,
        recovered: done.recovered,
        open: done.open,
        tasks: done.tasks,
        reopened: done.reopened,
        basis: Some(parameters::basis(&frame, p, api.core.today(p), Vec::new())),
    })
}

/// One that belongs to a customer the caller sees.
pub async fn get(
    api: Api,
    viewer: Viewer,
    request: pb::GetChurnEpisodeRequest,
) -> Result<pb::ChurnEpisode, Failure> {
    let mut check = Check::new();
    let id = check.number_in("name", &request.name, "churnEpisodes/", "");
    check.done()?;
    let frame = api.core.frame(&viewer.scope, false).await?;
    let episode = rows::get(&mut *api.core.db.read().await?, id).await?;
    let seen = episode.filter(|e| frame.resolve(e.address).is_some());
    let episode = seen.ok_or_else(|| not_found(id))?;
    let leading = leading(&api, &frame).await?;
    one(&api, &frame, episode, &leading).await
}

fn not_found(id: i64) -> Failure {
    Failure::not_found(format!("churnEpisodes/{id}"))
}

/// Those of customers the caller sees, newest first.
pub async fn list(
    api: Api,
    viewer: Viewer,
    request: pb::ListChurnEpisodesRequest,
) -> Result<pb::ListChurnEpisodesResponse, Failure> {
    let mut check = Check::new();
    let size = check.page_size(request.page_size, 50, 1_000);
    let customer = (!request.customer.is_empty())
        .then(|| check.number_in("customer", &request.customer, "customers/", ""));
    check.done()?;
    let state = i64::from(request.state);
    let fingerprint = viewer.fingerprint();
    let bound = format!("{state} {}", request.customer);
    let parts = [METHOD, &viewer.caller.name, &fingerprint, &bound];
    let mut before: i64 = api
        .core
        .pages
        .cursor(&parts, &request.page_token)?
        .unwrap_or(i64::MAX);
    let frame = api.core.frame(&viewer.scope, false).await?;
    let wanted = customer.map(|id| frame.resolve(id));
    let mut found = Vec::new();
    let mut read = 0;
    let more = 'read: loop {
        let page = rows::before(&mut *api.core.db.read().await?, before, state, 500).await?;
        if page.is_empty() {
            break false;
        }
        for episode in page {
            if found.len() == size {
                break 'read true;
            }
            before = episode.id;
            let place = frame.resolve(episode.address);
            if place.is_some() && wanted.is_none_or(|w| w == place) {
                found.push(episode);
            }
            read += 1;
        }
        if read >= MAX_READ {
            break true;
        }
    };
    let mut episodes = Vec::with_capacity(found.len());
    let leading = leading(&api, &frame).await?;
    for episode in found {
        episodes.push(one(&api, &frame, episode, &leading).await?);
    }
    Ok(pb::ListChurnEpisodesResponse {
        episodes,
        next_page_token: if more {
            api.core.pages.token(&parts, &before)?
        } else {
            String::new()
        },
    })
}

/// Ends an open one with a cause.
pub async fn close(
    api: Api,
    viewer: Viewer,
    request: pb::CloseChurnEpisodeRequest,
) -> Result<pb::ChurnEpisode, Failure> {
    let mut check = Check::new();
    let id = check.number_in("name", &request.name, "churnEpisodes/", "");
    check.text("comment", &request.comment, 0, MAX_COMMENT);
    if request.cause() == pb::churn_episode::Cause::Unspecified {
        check.wrong("cause", "must be given");
    }
    let given = check.request_id(&request.request_id);
    check.done()?;
    let frame = api.core.frame(&viewer.scope, false).await?;
    let request_id = request_id(given, &viewer, "CloseChurnEpisode", &request);
    let (core, now, request_id) = (&api.core, api.core.clock.now(), request_id.as_ref());
    let (frame_ref, request) = (&frame, &request);
    let episode = core
        .db
        .write(async |mut tx| {
            let tx = &mut tx;
            tx.lock("churn").await?;
            let stored = rows::get(tx, id).await?;
            let seen = stored.filter(|e| frame_ref.resolve(e.address).is_some());
            let mut episode = seen.ok_or_else(|| not_found(id))?;
            if core.claim(tx, request_id, now).await?.is_some() {
                return Ok(episode);
            }
            check_etag(&request.etag, episode.revision)?;
            if episode.state != OPEN {
                return Err(Failure::new(
                    Code::FailedPrecondition,
                    "EPISODE_ENDED",
                    "the episode has ended already",
                ));
            }
            episode.state = CLOSED;
            episode.cause = i64::from(request.cause);
            episode.end_time = Some(now);
            episode.revision += 1;
            if !request.comment.is_empty() {
                let key = DataKey::generate(&*core.entropy);
                let sealed = key.seal(&aad(id), request.comment.as_bytes(), &*core.entropy);
                episode.comment = Some((core.ring.wrap(&key, &*core.entropy), sealed));
            }
            rows::put(tx, &episode).await?;
            let name = format!("churnEpisodes/{id}");
            core.complete(tx, request_id, &name, episode.revision)
                .await?;
            Ok(episode)
        })
        .await?;
    let leading = leading(&api, &frame).await?;
    one(&api, &frame, episode, &leading).await
}

/// What a sealed comment is bound to.
fn aad(id: i64) -> Vec<u8> {
    format!("churnEpisodes/{id}/comment").into_bytes()
}

/// The open episode that speaks for each customer the caller sees, by place.
async fn leading(api: &Api, frame: &Frame) -> Result<BTreeMap<u32, i64>, Failure> {
    let open = rows::open(&mut *api.core.db.read().await?).await?;
    Ok(episodes::leading(frame, &open))
}

async fn one(
    api: &Api,
    frame: &Frame,
    e: EpisodeRow,
    leading: &BTreeMap<u32, i64>,
) -> Result<pb::ChurnEpisode, Failure> {
    let reasons: Vec<Reason> = serde_json::from_str(&e.reasons).map_err(Failure::internal)?;
    let anchors: Vec<i64> = reasons.iter().map(|r| r.anchor).collect();
    let names = record_names(api, &anchors).await?;
    let place = frame.resolve(e.address);
    let holder = place.map_or(e.address, |place| frame.customer(place).id);
    let speaker = place
        .filter(|_| e.state == OPEN)
        .and_then(|place| leading.get(&place))
        .filter(|id| **id != e.id);
    let comment = match &e.comment {
        Some((key, sealed)) => {
            let plain = api.core.ring.unwrap(key)?.open(&aad(e.id), sealed)?;
            String::from_utf8_lossy(&plain).into_owned()
        }
        None => String::new(),
    };
    use pb::churn_episode::State;
    Ok(pb::ChurnEpisode {
        name: format!("churnEpisodes/{}", e.id),
        customer: format!("customers/{holder}"),
        address: format!("customers/{}", e.address),
        state: match e.state {
            OPEN => State::Open,
            RECOVERED => State::Recovered,
            CLOSED => State::Closed,
            _ => State::Unspecified,
        }
        .into(),
        reasons: reasons
            .iter()
            .map(|r| answer::reason(r, names.get(&r.anchor).cloned().into_iter().collect()))
            .collect(),
        create_time: Some(time_out(e.create_time)),
        end_time: e.end_time.map(time_out),
        task: e.task,
        cause: i32::try_from(e.cause).unwrap_or_default(),
        comment,
        etag: etag(e.revision),
        joined_to: speaker.map_or_else(String::new, |id| format!("churnEpisodes/{id}")),
    })
}
