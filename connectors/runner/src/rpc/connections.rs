//! Connections: create, get, list, update, delete, pause, resume.

use std::collections::BTreeMap;

use jinke_store::{counter, keys::DataKey};
use jinke_types::{Code, Failure, Timestamp};

use super::{
    Api, Once, Viewer, answer,
    check::{self, Check},
    claim, complete, pb,
};
use crate::{
    domain::Connection,
    store::{connections, runs},
};

const SERVICE: &str = "jinke.connector.v1.ConnectorService";
/// Most bytes of one secret.
const MAX_SECRET: usize = 65_536;
/// What an update may name.
const FIELDS: [&str; 8] = [
    "display_name",
    "settings",
    "secrets",
    "source",
    "org_unit",
    "schedule",
    "sweep",
    "streams",
];

/// Creates a connection, without calling anything.
pub async fn create(
    api: Api,
    viewer: Viewer,
    request: pb::CreateConnectionRequest,
) -> Result<pb::Connection, Failure> {
    const METHOD: &str = "jinke.connector.v1.ConnectorService/CreateConnection";
    let once = Once::of(&viewer, METHOD, &request.request_id, &request);
    let mut check = Check::default();
    check.request_id(&request.request_id, false);
    let id = request.connection_id;
    if !check::is_id(&id) {
        check.wrong(
            "connection_id",
            "is not 1 to 63 of a-z 0-9 -, starting with a letter",
        );
    }
    let asked = request.connection.unwrap_or_default();
    let kind = asked
        .connector
        .strip_prefix("connectors/")
        .unwrap_or_default();
    if api.core.registry.get(kind).is_err() {
        check.wrong(
            "connection.connector",
            "is no kind of connector of this program, in the form connectors/{connector}",
        );
    }
    let now = api.core.clock.now();
    let key = DataKey::generate(&*api.core.entropy);
    let blank = Connection {
        uid: 0,
        display_name: String::new(),
        connector: kind.to_owned(),
        settings: serde_json::Map::new(),
        source: check::source(&mut check, &id, None),
        org_unit: String::new(),
        schedule: None,
        sweep: crate::domain::SweepSettings::default(),
        streams: Vec::new(),
        paused: false,
        data_key: api.core.ring.wrap(&key, &*api.core.entropy),
        secrets: Vec::new(),
        secret_keys: Vec::new(),
        next_run: None,
        next_sweep: None,
        last_run: None,
        problem: None,
        revision: 1,
        create_time: now,
        update_time: now,
        id: id.clone(),
    };
    let names: Vec<String> = FIELDS.map(str::to_owned).to_vec();
    let (mut new, secrets) = apply(&mut check, blank, BTreeMap::new(), asked, &names, now);
    check.done()?;
    within(&viewer, &new.org_unit)?;
    open(&api, &new, &secrets)?;
    if request.validate_only {
        return Ok(answer::connection(&new, None, spec(&api, &new)));
    }
    let made = api
        .core
        .db
        .write(async |mut tx| {
            if let Some(name) = claim(&api, &mut tx, once.as_ref()).await? {
                return Ok(Err(name));
            }
            let mut new = new.clone();
            new.uid = counter::take(&mut tx, "connections", 1).await?;
            new.secrets = api.core.seal_secrets(&new, &secrets)?;
            if !connections::insert(&mut tx, &new).await? {
                return Err(Failure::new(
                    Code::AlreadyExists,
                    "CONNECTION_EXISTS",
                    "there is a connection with this id",
                )
                .with("connection", new.name()));
            }
            complete(&mut tx, once.as_ref(), &new.name()).await?;
            Ok(Ok(new))
        })
        .await?;
    match made {
        Ok(made) => new = made,
        Err(name) => return one(&api, &viewer, check::connection_id("name", &name)?).await,
    }
    api.core.wake();
    Ok(answer::connection(&new, None, spec(&api, &new)))
}

/// Refuses an org unit outside of the viewer's rows.
fn within(viewer: &Viewer, org_unit: &str) -> Result<(), Failure> {
    if viewer.scope.sees(org_unit, false) {
        return Ok(());
    }
    Err(Failure::new(
        Code::PermissionDenied,
        "ORG_UNIT_DENIED",
        "the connection belongs to an org unit in which the caller has no such role",
    )
    .with("org_unit", org_unit))
}

/// Whether a connector can be opened with these settings; its violations name
/// `connection.settings.…`.
fn open(
    api: &Api,
    connection: &Connection,
    secrets: &BTreeMap<String, String>,
) -> Result<(), Failure> {
    let mut sealed = connection.clone();
    sealed.secrets = api.core.seal_secrets(&sealed, secrets)?;
    let table = api.core.settings(&sealed)?;
    let registry = &api.core.registry;
    let opened = registry.open(&connection.connector, &connection.source.id, table);
    opened.map(|_| ()).map_err(|mut failure| {
        for violation in &mut failure.violations {
            if violation.field.starts_with("settings.") {
                violation.field = format!("connection.{}", violation.field);
            }
        }
        failure
    })
}

fn spec<'a>(api: &'a Api, connection: &Connection) -> Option<&'a jinke_sdk::Spec> {
    let kind = api.core.registry.get(&connection.connector).ok()?;
    Some(&kind.spec)
}

/// Puts the named fields of a request into a connection.
fn apply(
    check: &mut Check,
    mut old: Connection,
    mut secrets: BTreeMap<String, String>,
    asked: pb::Connection,
    names: &[String],
    now: Timestamp,
) -> (Connection, BTreeMap<String, String>) {
    let named = |field: &str| names.iter().any(|name| name == field);
    if named("display_name") {
        check.text("connection.display_name", &asked.display_name, 200, false);
        old.display_name = if asked.display_name.is_empty() {
            old.id.clone()
        } else {
            asked.display_name
        };
    }
    if named("settings") {
        match check::object("connection.settings", asked.settings) {
            Ok(map) => old.settings = map,
            Err(failure) => check.take(failure),
        }
    }
    if named("secrets") {
        for (key, value) in asked.secrets {
            if value.len() > MAX_SECRET || key.len() > 100 {
                check.wrong(
                    "connection.secrets",
                    "holds a key or value that is too long",
                );
            } else if value.is_empty() {
                secrets.remove(&key);
            } else {
                secrets.insert(key, value);
            }
        }
    }
    if named("source") {
        old.source = check::source(check, &old.id, asked.source);
    }
    if named("org_unit") {
        check.org_unit("connection.org_unit", &asked.org_unit);
        old.org_unit = asked.org_unit;
    }
    if named("schedule") {
        old.schedule = check::schedule(check, "connection.schedule", asked.schedule);
        old.next_run = match &old.schedule {
            // An interval begins at once, a cron line at its time.
            Some(crate::schedule::Schedule::Interval { .. }) => Some(now),
            Some(cron) => cron.next(now),
            None => None,
        };
    }
    if named("sweep") {
        old.sweep = check::sweep(check, asked.sweep);
        old.next_sweep = old.sweep.schedule.as_ref().and_then(|s| s.next(now));
    }
    if named("streams") {
        if asked.streams.len() > 1_000 {
            check.wrong("connection.streams", "names more than 1000 streams");
        }
        for (i, stream) in asked.streams.iter().enumerate() {
            check.text(&format!("connection.streams[{i}]"), stream, 500, false);
        }
        old.streams = asked.streams;
    }
    for key in old.settings.keys() {
        if secrets.contains_key(key) {
            check.wrong(
                format!("connection.settings.{key}"),
                "is a secret and goes into connection.secrets only",
            );
        }
    }
    old.secret_keys = secrets.keys().cloned().collect();
    old.update_time = now;
    (old, secrets)
}

async fn one(api: &Api, viewer: &Viewer, id: &str) -> Result<pb::Connection, Failure> {
    let connection = api.visible(viewer, id).await?;
    let last = match connection.last_run {
        Some(number) => runs::get(&mut *api.core.db.read().await?, id, number).await?,
        None => None,
    };
    Ok(answer::connection(
        &connection,
        last.as_ref(),
        spec(api, &connection),
    ))
}

/// One connection.
pub async fn get(
    api: Api,
    viewer: Viewer,
    request: pb::GetConnectionRequest,
) -> Result<pb::Connection, Failure> {
    one(&api, &viewer, check::connection_id("name", &request.name)?).await
}

/// The connections the viewer sees, by id.
pub async fn list(
    api: Api,
    viewer: Viewer,
    request: pb::ListConnectionsRequest,
) -> Result<pb::ListConnectionsResponse, Failure> {
    const METHOD: &str = "ListConnections";
    let size = check::page_size(request.page_size)? as usize;
    let mut after = api.pages.cursor(METHOD, "", &viewer, &request.page_token)?;
    let mut out = pb::ListConnectionsResponse::default();
    loop {
        let mut reader = api.core.db.read().await?;
        let found = connections::list(&mut reader, &after, 1_000).await?;
        let more = found.len() == 1_000;
        for connection in found {
            if !viewer.scope.sees(&connection.org_unit, false) {
                after.clone_from(&connection.id);
                continue;
            }
            if out.connections.len() == size {
                out.next_page_token = api.pages.token(METHOD, "", &viewer, &after);
                return Ok(out);
            }
            after.clone_from(&connection.id);
            let last = match connection.last_run {
                Some(number) => runs::get(&mut reader, &connection.id, number).await?,
                None => None,
            };
            let shown = answer::connection(&connection, last.as_ref(), spec(&api, &connection));
            out.connections.push(shown);
        }
        if !more {
            return Ok(out);
        }
    }
}

fn stale(connection: &Connection) -> Failure {
    Failure::new(
        Code::Aborted,
        "ETAG_MISMATCH",
        "the connection was changed since; read it again",
    )
    .with("connection", connection.name())
}

fn fresh(connection: &Connection, tag: &str) -> Result<(), Failure> {
    if tag.is_empty() || tag == answer::etag(connection.revision) {
        Ok(())
    } else {
        Err(stale(connection))
    }
}

/// Changes the named fields.
pub async fn update(
    api: Api,
    viewer: Viewer,
    request: pb::UpdateConnectionRequest,
) -> Result<pb::Connection, Failure> {
    const METHOD: &str = "jinke.connector.v1.ConnectorService/UpdateConnection";
    let once = Once::of(&viewer, METHOD, &request.request_id, &request);
    let mut check = Check::default();
    check.request_id(&request.request_id, false);
    let asked = request.connection.unwrap_or_default();
    let id = check::connection_id("connection.name", &asked.name)?.to_owned();
    let mut names = request.update_mask.map(|m| m.paths).unwrap_or_default();
    for name in &names {
        if !FIELDS.contains(&name.as_str()) {
            check.wrong(
                "update_mask",
                format!("its paths are {}", FIELDS.join(", ")),
            );
        }
    }
    if names.is_empty() {
        names = FIELDS.map(str::to_owned).to_vec();
    }
    let old = api.visible(&viewer, &id).await?;
    let kind = asked.connector.strip_prefix("connectors/");
    if !asked.connector.is_empty() && kind != Some(old.connector.as_str()) {
        check.wrong("connection.connector", "cannot be changed");
    }
    let (revision, tag) = (old.revision, asked.etag.clone());
    let secrets = api.core.secrets(&old)?;
    let now = api.core.clock.now();
    let before = old.clone();
    let (mut new, secrets) = apply(&mut check, old, secrets, asked, &names, now);
    check.done()?;
    within(&viewer, &new.org_unit)?;
    open(&api, &new, &secrets)?;
    new.secrets = api.core.seal_secrets(&new, &secrets)?;
    new.problem = None;
    if request.validate_only {
        fresh(&before, &tag)?;
        return Ok(answer::connection(&new, None, spec(&api, &new)));
    }
    let updated = api
        .core
        .db
        .write(async |mut tx| {
            if claim(&api, &mut tx, once.as_ref()).await?.is_some() {
                return Ok(());
            }
            // Checked behind the claim: the retry of a change finds its own change.
            fresh(&before, &tag)?;
            if !connections::update(&mut tx, &new, revision).await? {
                return Err(stale(&before));
            }
            complete(&mut tx, once.as_ref(), &new.name()).await
        })
        .await;
    updated?;
    api.core.close(&id);
    api.core.wake();
    one(&api, &viewer, &id).await
}

/// Forgets a connection and all that is kept of it.
pub async fn delete(
    api: Api,
    viewer: Viewer,
    request: pb::DeleteConnectionRequest,
) -> Result<pb::DeleteConnectionResponse, Failure> {
    const METHOD: &str = "jinke.connector.v1.ConnectorService/DeleteConnection";
    let once = Once::of(&viewer, METHOD, &request.request_id, &request);
    let mut check = Check::default();
    check.request_id(&request.request_id, false);
    check.done()?;
    let id = check::connection_id("name", &request.name)?;
    let found = api.visible(&viewer, id).await;
    let done = pb::DeleteConnectionResponse {};
    let replayed = api.core.db.write(async |mut tx| {
        if claim(&api, &mut tx, once.as_ref()).await?.is_some() {
            return Ok(true);
        }
        let connection = found.as_ref().map_err(Clone::clone)?;
        fresh(connection, &request.etag)?;
        if !request.validate_only {
            connections::delete(&mut tx, id).await?;
            complete(&mut tx, once.as_ref(), "").await?;
            return Ok(true);
        }
        Ok(false)
    });
    if request.validate_only {
        // Nothing is claimed by a check.
        fresh(found.as_ref().map_err(Clone::clone)?, &request.etag)?;
        return Ok(done);
    }
    replayed.await?;
    api.core.close(id);
    tracing::info!(
        service = SERVICE,
        connection = id,
        "a connection was deleted"
    );
    Ok(done)
}

/// Stops it.
pub async fn pause(
    api: Api,
    viewer: Viewer,
    request: pb::PauseConnectionRequest,
) -> Result<pb::Connection, Failure> {
    const METHOD: &str = "jinke.connector.v1.ConnectorService/PauseConnection";
    let once = Once::of(&viewer, METHOD, &request.request_id, &request);
    set_paused(api, viewer, &request.name, &request.etag, once, true).await
}

/// Lets it go on.
pub async fn resume(
    api: Api,
    viewer: Viewer,
    request: pb::ResumeConnectionRequest,
) -> Result<pb::Connection, Failure> {
    const METHOD: &str = "jinke.connector.v1.ConnectorService/ResumeConnection";
    let once = Once::of(&viewer, METHOD, &request.request_id, &request);
    set_paused(api, viewer, &request.name, &request.etag, once, false).await
}

async fn set_paused(
    api: Api,
    viewer: Viewer,
    name: &str,
    tag: &str,
    once: Option<Once>,
    paused: bool,
) -> Result<pb::Connection, Failure> {
    let mut check = Check::default();
    check.request_id(once.as_ref().map_or("", |o| o.id.as_str()), false);
    check.done()?;
    let id = check::connection_id("name", name)?;
    let connection = api.visible(&viewer, id).await?;
    let now = api.core.clock.now();
    api.core
        .db
        .write(async |mut tx| {
            if claim(&api, &mut tx, once.as_ref()).await?.is_some() {
                return Ok(());
            }
            fresh(&connection, tag)?;
            if connection.paused != paused {
                let mut new = connection.clone();
                new.paused = paused;
                new.update_time = now;
                if !connections::update(&mut tx, &new, connection.revision).await? {
                    return Err(stale(&connection));
                }
            }
            complete(&mut tx, once.as_ref(), &connection.name()).await
        })
        .await?;
    api.core.wake();
    one(&api, &viewer, id).await
}
