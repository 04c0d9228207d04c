//! The samples as connections of the connector service: files that are written once, and a
//! simulated Kingdee and WeCom that run as long as this process.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use jinke_kit::Peer;
use jinke_proto::jinke::connector::v1::{
    self as pb, connector_service_client::ConnectorServiceClient,
};
use jinke_runner::{
    Counts, Progress,
    import::Waiting,
    simulate::{Client, ClientContact, Simulation},
};
use jinke_types::{Clock as _, Code, Failure, SystemClock};
use serde::{Deserialize, Serialize};

use super::write_private;
use crate::{
    cli::{
        connections::add::object,
        page::{collect, request_id},
    },
    connect::Answer,
    progress::{Finished, ImportProgress, say},
    samples::{
        self, Calendar,
        systems::{SampleClient, SampleContact},
        write_samples,
    },
};

/// The samples are the same on every machine.
const SEED: u64 = 7_420;
/// Errors that are counted; the service keeps as many of a connection.
const MOST_ERRORS: usize = 10_000;

type Connectors = ConnectorServiceClient<Peer>;

/// The list of sample files, kept so that a second run imports the same ones.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    /// How many companies were asked for.
    asked: usize,
    /// The last day that the files know of, as a number of days since 1970. Files from before this
    /// was noted end where samples did then.
    #[serde(default = "ended")]
    last_day: i64,
    sources: Vec<Source>,
}

fn ended() -> i64 {
    Calendar::FIXED.last()
}

#[derive(Debug, Serialize, Deserialize)]
struct Source {
    id: String,
    display_name: String,
    trust: i32,
    /// Data and mapping, relative to the folder of the samples.
    files: Vec<(PathBuf, PathBuf)>,
}

/// A connection of the samples.
struct Feed {
    source: String,
    display_name: String,
    trust: i32,
    connector: &'static str,
    settings: toml::Table,
}

/// What one connection brought.
pub(super) struct Imported {
    /// Id of the source.
    pub(super) source: String,
    pub(super) display_name: String,
    /// Of this run.
    pub(super) counts: Counts,
    /// Rows and records that wait for a person, of all runs.
    pub(super) errors: u64,
    /// It ran before.
    pub(super) before: bool,
}

impl Imported {
    /// Id of the connection.
    pub(super) fn connection(&self) -> String {
        connection_id(&self.source)
    }
}

/// Ids of the samples' own connections, so that none is taken for a user's.
fn connection_id(source: &str) -> String {
    format!("sample-{source}")
}

/// What was imported, and the simulators, which answer until they are dropped.
pub(super) struct Samples {
    pub(super) imported: Vec<Imported>,
    pub(super) simulations: Vec<Simulation>,
}

/// Writes the samples into `folder`, below which the connector service reads files, unless they
/// are there; starts the simulators; makes a connection for each source and runs it to its end.
///
/// # Errors
/// When a file cannot be written or read, a port cannot be had, or the service refuses.
pub(super) async fn import(
    peer: &Peer,
    folder: &Path,
    companies: usize,
) -> Result<Samples, Failure> {
    let manifest = manifest(folder, companies)?;
    let folder = fs::canonicalize(folder).map_err(Failure::internal)?;
    let known = samples::systems(SEED, Calendar::ending(manifest.last_day), manifest.asked);
    let mut client = ConnectorServiceClient::new(peer.clone());
    let mut simulations = Vec::new();
    let mut feeds: Vec<Feed> = manifest.sources.iter().map(|s| s.feed(&folder)).collect();
    for (kind, display_name, trust, clients) in [
        ("kingdee", "金蝶云星空（模拟）", 70, &known.kingdee),
        ("wecom", "企业微信（模拟）", 60, &known.wecom),
    ] {
        let listen = listened(&mut client, kind).await?;
        let simulation = match Simulation::start(kind, &listen, 0).await {
            Ok(simulation) => simulation,
            // Somebody else has the port now.
            Err(_) => Simulation::start(kind, "127.0.0.1:0", 0).await?,
        };
        let clients: Vec<Client> = clients.iter().map(of).collect();
        simulation.enter(&clients)?;
        let settings = simulation.settings.iter();
        feeds.push(Feed {
            source: kind.to_owned(),
            display_name: display_name.to_owned(),
            trust,
            connector: kind,
            settings: settings
                .map(|(k, v)| ((*k).to_owned(), v.clone()))
                .collect(),
        });
        simulations.push(simulation);
    }
    let mut imported = Vec::new();
    for feed in &feeds {
        imported.push(feed.import(&mut client).await?);
    }
    Ok(Samples {
        imported,
        simulations,
    })
}

/// Where the simulator of a source listened at the last run: a connection to another address would
/// pull from the start.
async fn listened(client: &mut Connectors, source: &str) -> Result<String, Failure> {
    let request = pb::GetConnectionRequest {
        name: format!("connections/{}", connection_id(source)),
    };
    let url = match client.get_connection(request).await.answer() {
        Ok(found) => found.settings.and_then(|s| s.fields.get("url").cloned()),
        Err(failure) if failure.code == Code::NotFound => None,
        Err(failure) => return Err(failure),
    };
    let address = match url.and_then(|url| url.kind) {
        Some(prost_types::value::Kind::StringValue(url)) => url
            .strip_prefix("http://")
            .and_then(|rest| rest.split('/').next())
            .filter(|address| address.starts_with("127.0.0.1:"))
            .map(str::to_owned),
        _ => None,
    };
    Ok(address.unwrap_or_else(|| "127.0.0.1:0".to_owned()))
}

fn of(known: &SampleClient) -> Client {
    let contact = |c: &SampleContact| ClientContact {
        id: c.id.clone(),
        name: c.name.clone(),
        mobile: c.mobile.clone(),
        email: c.email.clone(),
        title: c.title.clone(),
    };
    Client {
        name: known.name.clone(),
        short_name: known.short_name.clone(),
        uscc: known.uscc.clone(),
        phone: known.phone.clone(),
        address: known.address.clone(),
        account: known.account.clone(),
        contacts: known.contacts.iter().map(contact).collect(),
        orders: known.orders.clone(),
    }
}

impl Source {
    fn feed(&self, folder: &Path) -> Feed {
        let path = |path: &Path| toml::Value::String(folder.join(path).display().to_string());
        let file = |(data, mapping): &(PathBuf, PathBuf)| {
            let table = [("path", path(data)), ("mapping", path(mapping))];
            let table = table.map(|(key, value)| (key.to_owned(), value));
            toml::Value::Table(table.into_iter().collect())
        };
        let files = toml::Value::Array(self.files.iter().map(file).collect());
        Feed {
            source: self.id.clone(),
            display_name: self.display_name.clone(),
            trust: self.trust,
            connector: "file",
            settings: [("files".to_owned(), files)].into_iter().collect(),
        }
    }
}

impl Feed {
    async fn import(&self, client: &mut Connectors) -> Result<Imported, Failure> {
        let name = format!("connections/{}", connection_id(&self.source));
        let connection = self.connect(client, &name).await?;
        let before = !connection.last_run.is_empty();
        let mut counts = Counts::default();
        if connection.state() == pb::connection::State::Paused {
            say(&format!(
                "{name} 已暂停，跳过 is paused and is left out (jinke connections resume)"
            ));
        } else {
            let run = self.run(client, &name, before).await?;
            counts = of_run(&run);
        }
        Ok(Imported {
            source: self.source.clone(),
            display_name: self.display_name.clone(),
            counts,
            errors: errors(client, &name).await?,
            before,
        })
    }

    /// The connection, made when it is missing; simulators have another port at every start.
    async fn connect(
        &self,
        client: &mut Connectors,
        name: &str,
    ) -> Result<pb::Connection, Failure> {
        let request = pb::GetConnectorRequest {
            name: format!("connectors/{}", self.connector),
        };
        let kind = client.get_connector(request).await.answer()?;
        let is_secret = |key: &str| kind.keys.iter().any(|k| k.name == key && k.secret);
        let mut open = toml::Table::new();
        let mut secrets = HashMap::new();
        for (key, value) in &self.settings {
            match value.as_str() {
                Some(text) if is_secret(key) => {
                    secrets.insert(key.clone(), text.to_owned());
                }
                _ => {
                    open.insert(key.clone(), value.clone());
                }
            }
        }
        let wanted = pb::Connection {
            name: name.to_owned(),
            display_name: self.display_name.clone(),
            connector: format!("connectors/{}", self.connector),
            settings: Some(object(&open)),
            secrets: secrets.into_iter().collect(),
            source: Some(pb::connection::SourceSettings {
                source: format!("sources/{}", self.source),
                display_name: self.display_name.clone(),
                trust: Some(self.trust),
                walled: false,
            }),
            ..pb::Connection::default()
        };
        let request = pb::GetConnectionRequest {
            name: name.to_owned(),
        };
        match client.get_connection(request).await.answer() {
            Ok(found) if found.settings == wanted.settings => Ok(found),
            Ok(_) => {
                let request = pb::UpdateConnectionRequest {
                    connection: Some(wanted),
                    update_mask: Some(prost_types::FieldMask {
                        paths: vec!["settings".to_owned(), "secrets".to_owned()],
                    }),
                    request_id: request_id(),
                    validate_only: false,
                };
                client.update_connection(request).await.answer()
            }
            Err(failure) if failure.code == Code::NotFound => {
                let request = pb::CreateConnectionRequest {
                    connection_id: connection_id(&self.source),
                    connection: Some(wanted),
                    request_id: request_id(),
                    validate_only: false,
                };
                client.create_connection(request).await.answer()
            }
            Err(failure) => Err(failure),
        }
    }

    /// Runs it to the end, with a bar.
    async fn run(
        &self,
        client: &mut Connectors,
        name: &str,
        before: bool,
    ) -> Result<pb::Run, Failure> {
        let request = pb::DiscoverConnectionRequest {
            name: name.to_owned(),
        };
        let streams = client.discover_connection(request).await.answer()?.streams;
        let request = pb::RunConnectionRequest {
            name: name.to_owned(),
            streams: Vec::new(),
            kind: pb::run::Kind::Pull.into(),
            request_id: request_id(),
        };
        let mut run = client.run_connection(request).await.answer()?;
        let mut progress = ImportProgress::new(&self.display_name);
        let request = pb::WatchRunRequest {
            name: run.name.clone(),
        };
        let mut watch = client.watch_run(request).await.answer()?;
        while let Some(message) = watch
            .message()
            .await
            .map_err(|status| jinke_kit::failure(&status))?
        {
            let Some(now) = message.run else { continue };
            progress.show(&shown(&now, streams.len()));
            run = now;
        }
        match run.state() {
            pb::run::State::Succeeded | pb::run::State::SucceededWithErrors => {}
            state => {
                let why = run.error.as_ref().map_or("", |e| e.message.as_str());
                return Err(Failure::new(
                    Code::FailedPrecondition,
                    "SAMPLES_FAILED",
                    format!("{} ended in {}: {why}", run.name, state.as_str_name()),
                ));
            }
        }
        let members = run.streams.iter().map(|s| s.directory_entries).sum();
        progress.finish(&Finished {
            counts: of_run(&run),
            row_errors: run.streams.iter().map(|s| natural(s.row_errors)).sum(),
            directory: natural(members),
            imported_before: before,
            resumed: false,
        });
        Ok(run)
    }
}

fn natural(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

fn of_run(run: &pb::Run) -> Counts {
    let mut counts = Counts::default();
    for s in &run.streams {
        counts.add(&Counts {
            created: natural(s.created),
            updated: natural(s.updated),
            unchanged: natural(s.unchanged),
            superseded: natural(s.superseded),
            rejected: natural(s.rejected),
        });
    }
    counts
}

/// A run as the progress of an import.
fn shown(run: &pb::Run, streams: usize) -> Progress {
    let at = run.streams.iter().rposition(|s| {
        !matches!(
            s.state(),
            pb::run::stream_progress::State::Pending | pb::run::stream_progress::State::Unspecified
        )
    });
    let stream = at.and_then(|at| run.streams.get(at));
    let waiting = run.state() == pb::run::State::Waiting;
    Progress {
        stream: stream.map_or_else(String::new, |s| s.stream.clone()),
        stream_number: at.map_or(0, |at| at + 1),
        stream_count: streams,
        done: stream.map_or(0, |s| natural(s.done_units)),
        total: stream.map(|s| natural(s.total_units)).filter(|t| *t > 0),
        counts: of_run(run),
        row_errors: run.streams.iter().map(|s| natural(s.row_errors)).sum(),
        waiting: waiting.then(|| Waiting {
            wait: until_retry(run),
            cause: run
                .error
                .as_ref()
                .map_or(String::new(), |e| e.message.clone()),
        }),
    }
}

/// How long a run that waits was told to.
fn until_retry(run: &pb::Run) -> Duration {
    let seconds = |t: Option<&prost_types::Timestamp>| t.map_or(0, |t| t.seconds);
    let wait = seconds(run.retry_time.as_ref()) - seconds(run.update_time.as_ref());
    Duration::from_secs(natural(wait))
}

/// How many rows and records of a connection could not be taken.
async fn errors(client: &mut Connectors, name: &str) -> Result<u64, Failure> {
    let (found, _) = collect(MOST_ERRORS, 1_000, async |page_size, page_token| {
        let request = pb::ListRecordErrorsRequest {
            parent: name.to_owned(),
            page_size,
            page_token,
            stream: String::new(),
        };
        let answer = client.list_record_errors(request).await.answer()?;
        Ok((answer.record_errors, answer.next_page_token))
    })
    .await?;
    Ok(found.len() as u64)
}

fn manifest(folder: &Path, companies: usize) -> Result<Manifest, Failure> {
    let path = folder.join("manifest.json");
    if let Some(found) = fs::read(&path)
        .ok()
        .and_then(|t| serde_json::from_slice(&t).ok())
    {
        return Ok(found);
    }
    say(&format!(
        "生成示例数据 writing sample files to {}",
        folder.display()
    ));
    // Samples end where the past does, so that nobody is dormant only for their age. Later runs keep
    // what the first one wrote.
    let calendar = Calendar::before(SystemClock.now().secs().div_euclid(86_400));
    let written = write_samples(folder, SEED, calendar, companies).map_err(|e| {
        Failure::new(
            Code::FailedPrecondition,
            "FILE_NOT_WRITTEN",
            format!("samples: {e:#}"),
        )
    })?;
    let inside = |path: &Path| path.strip_prefix(folder).unwrap_or(path).to_owned();
    let source = |s: &crate::samples::SampleSource| Source {
        id: s.id.to_owned(),
        display_name: s.display_name.to_owned(),
        trust: s.trust,
        files: s
            .files
            .iter()
            .map(|f| (inside(&f.path), inside(&f.mapping)))
            .collect(),
    };
    let sources = written.sources.iter().map(source).collect();
    let manifest = Manifest {
        asked: companies,
        last_day: calendar.last(),
        sources,
    };
    // Written last: without it the files are written anew, so half of them are never imported.
    let text = serde_json::to_string_pretty(&manifest).map_err(Failure::internal)?;
    write_private(&path, &text)?;
    Ok(manifest)
}
