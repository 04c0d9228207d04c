//! The house as processes: every service and the gateway alone, on PostgreSQL, every peer remote.
//!
//! [`House::start`] makes certificates, starts the processes and waits until all are ready.
//! Between processes, and between each and its database, stands a [`Proxy`] when the plan wants
//! one, so that a test can cut or stall what it likes.

pub mod certs;
pub mod http;
mod keys;
pub mod process;
pub mod proxy;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use jinke_kit::{
    client::{self, Credential},
    tls::ClientTls,
};
use jinke_types::SystemClock;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::suite::{Authed, Clients, free_port};
pub use certs::Certificates;
pub use process::Process;
pub use proxy::{Mode, Proxy};

/// A service that has a process of its own, and how it is run.
#[derive(Debug)]
pub struct Kind {
    /// Name of the service: its section, its peers' key, its database schema.
    pub name: &'static str,
    /// Its binary.
    pub binary: &'static str,
    /// Ports when nothing else is said: gRPC, and metrics with health.
    pub ports: (u16, u16),
}

/// Every service with a database, identity first, and the gateway.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "identity",
        binary: "jinke-identity",
        ports: (7421, 9471),
    },
    Kind {
        name: "customer",
        binary: "jinke-customer",
        ports: (7422, 9472),
    },
    Kind {
        name: "connector",
        binary: "jinke-runner",
        ports: (7423, 9473),
    },
    Kind {
        name: "pipeline",
        binary: "jinke-pipeline",
        ports: (7424, 9474),
    },
    Kind {
        name: "reporting",
        binary: "jinke-reporting",
        ports: (7425, 9475),
    },
    Kind {
        name: GATEWAY,
        binary: "jinke-gateway",
        ports: (7426, 9480),
    },
];

/// The one that has no database and no credential.
pub const GATEWAY: &str = "gateway";
/// Where it serves HTTP when nothing else is said.
pub const HTTP_PORT: u16 = 7480;

/// How processes prove themselves to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Servers show a certificate.
    Server,
    /// Clients too.
    Mutual,
}

/// What a house is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where its data, keys, certificates and logs are.
    pub dir: PathBuf,
    /// URL of an empty PostgreSQL database.
    pub postgres: String,
    /// Certificates.
    pub tls: Tls,
    /// Processes of each service.
    pub replicas: usize,
    /// No credentials by themselves: an administrator makes the services' keys, as in production.
    pub production: bool,
    /// Proxies before every database and peer.
    pub proxies: bool,
    /// The ports of [`KINDS`], which must be free; else any that are. For one replica.
    pub known_ports: bool,
    /// More settings, by service: `("customer", "customer.database.idle_seconds=2")`.
    pub settings: Vec<(&'static str, String)>,
    /// File of the clock all processes go by; see [`crate::clock`].
    pub clock: Option<PathBuf>,
}

impl Plan {
    /// One process of each service with TLS, on free ports.
    pub fn new(dir: &Path, postgres: &str) -> Self {
        Self {
            dir: dir.to_owned(),
            postgres: postgres.to_owned(),
            tls: Tls::Server,
            replicas: 1,
            production: false,
            proxies: false,
            known_ports: false,
            settings: Vec::new(),
            clock: None,
        }
    }
}

/// How long a process may take until it is ready. Debug builds on a busy machine are slow.
const READY: Duration = Duration::from_secs(180);

/// Processes that run.
pub struct House {
    /// The plan.
    pub plan: Plan,
    /// What they prove themselves with.
    pub certificates: Certificates,
    /// By name: `customer-0`, `customer-1`, `gateway-0`…
    pub processes: BTreeMap<String, Process>,
    /// By link: `customer-0>identity-0`, `customer-0>database`.
    pub proxies: BTreeMap<String, Proxy>,
    key: String,
    _place: SemaphorePermit<'static>,
}

/// A machine holds so many houses at a time; more would only wait for each other.
static PLACES: Semaphore = Semaphore::const_new(2);

impl House {
    /// Starts everything.
    ///
    /// # Errors
    /// When a process ends or is not ready in time; with its log.
    pub async fn start(plan: Plan) -> Result<Self> {
        let place = PLACES.acquire().await?;
        let certificates = Certificates::make(&plan.dir.join("certificates"))?;
        let mut house = Self {
            plan,
            certificates,
            processes: BTreeMap::new(),
            proxies: BTreeMap::new(),
            key: String::new(),
            _place: place,
        };
        for kind in KINDS {
            for n in 0..house.plan.replicas {
                let mut process = house.process(kind, n);
                process.aloof = house.plan.known_ports;
                process.clock.clone_from(&house.plan.clock);
                house.processes.insert(process.name.clone(), process);
            }
        }
        let names: Vec<String> = house.processes.keys().cloned().collect();
        for name in &names {
            house.settle(name).await?;
        }
        // Identity makes the keys the others come with.
        for first in [true, false] {
            let of_this_turn = |name: &&String| name.starts_with("identity") == first;
            for name in names.iter().filter(of_this_turn) {
                house.processes[name].log_line("starting")?;
                let process = house.processes.get_mut(name).context("a process")?;
                process.spawn()?;
                if first {
                    process.until_ready(READY).await?;
                }
            }
            if first && house.plan.production {
                house.key = keys::make(&house).await?;
            } else if first {
                house.key = house.local_key()?;
            }
        }
        for process in house.processes.values_mut() {
            process.until_ready(READY).await?;
        }
        Ok(house)
    }

    fn process(&self, kind: &'static Kind, n: usize) -> Process {
        let port = |known: u16| {
            if self.plan.known_ports {
                known + u16::try_from(n).unwrap_or(0) * 100
            } else {
                free_port()
            }
        };
        Process::new(
            format!("{}-{n}", kind.name),
            kind,
            port(kind.ports.0),
            port(kind.ports.1),
            (kind.name == GATEWAY).then(|| port(HTTP_PORT)),
            &self.plan.dir,
        )
    }

    /// Gives a process its settings, once all ports are known.
    async fn settle(&mut self, name: &str) -> Result<()> {
        let plan = self.plan.clone();
        let certificates = self.certificates.clone();
        let process = &self.processes[name];
        let (kind, n) = (process.kind, process.name.ends_with("-0"));
        let data = plan.dir.join("data").join(name);
        let mut set = vec![
            format!("server.listen=127.0.0.1:{}", process.grpc),
            format!("metrics.listen=127.0.0.1:{}", process.admin),
            "metrics.readiness_seconds=1".to_owned(),
            format!("server.data_dir={}", data.display()),
            format!("access.key_dir={}", self.key_dir().display()),
            format!("server.tls.cert_file={}", certificates.server.display()),
            format!("server.tls.key_file={}", certificates.server_key.display()),
            format!("peers.tls.ca_file={}", certificates.authority.display()),
        ];
        if plan.tls == Tls::Mutual {
            set.extend([
                format!(
                    "server.tls.client_ca_file={}",
                    certificates.authority.display()
                ),
                format!("peers.tls.cert_file={}", certificates.client.display()),
                format!("peers.tls.key_file={}", certificates.client_key.display()),
            ]);
        }
        if let Some(http) = process.http {
            set.extend([
                format!("gateway.listen=127.0.0.1:{http}"),
                format!("gateway.tls.cert_file={}", certificates.server.display()),
                format!("gateway.tls.key_file={}", certificates.server_key.display()),
            ]);
        } else {
            let url = self.through(name, "database", None).await?;
            set.extend([
                format!("{}.database.url={url}", kind.name),
                format!("{}.database.schema={}", kind.name, kind.name),
                // Replicas share the keys their database is sealed with.
                format!(
                    "{}.keys.folder={}",
                    kind.name,
                    plan.dir.join("keys").join(kind.name).display()
                ),
            ]);
        }
        if kind.name == "identity" {
            // The first replica writes the credentials of this machine, unless nobody shall.
            let local = n && !plan.production;
            set.push(format!("identity.local_credentials={local}"));
        }
        let mut peers = Vec::new();
        for other in KINDS.iter().filter(|k| k.name != GATEWAY) {
            if other.name == kind.name {
                continue;
            }
            let replicas: Vec<(String, u16)> = self
                .processes
                .values()
                .filter(|p| p.kind.name == other.name)
                .map(|p| (p.name.clone(), p.grpc))
                .collect();
            let mut urls = Vec::new();
            for (peer, port) in replicas {
                urls.push(self.through(name, &peer, Some(port)).await?);
            }
            peers.push(format!("peers.{}={}", other.name, urls.join(",")));
        }
        set.extend(peers);
        let more = plan.settings.iter().filter(|(of, _)| *of == kind.name);
        set.extend(more.map(|(_, setting)| setting.clone()));
        self.processes.get_mut(name).context("a process")?.set = set;
        Ok(())
    }

    /// The URL `from` reaches `to` by, with a proxy between when the plan wants one.
    async fn through(&mut self, from: &str, to: &str, port: Option<u16>) -> Result<String> {
        let url = match port {
            Some(port) => format!("https://127.0.0.1:{port}"),
            None => self.plan.postgres.clone(),
        };
        if !self.plan.proxies {
            return Ok(url);
        }
        let target = proxy::host_of(&url)?;
        let proxy = Proxy::start(&target).await?;
        let between = proxy.address().to_string();
        self.proxies.insert(format!("{from}>{to}"), proxy);
        Ok(url.replacen(&target, &between, 1))
    }

    /// Where the services' keys are.
    pub fn key_dir(&self) -> PathBuf {
        if self.plan.production {
            self.plan.dir.join("service-keys")
        } else {
            self.plan
                .dir
                .join("data")
                .join("identity-0")
                .join("credentials")
        }
    }

    fn admin_file(&self) -> Result<toml::Table> {
        let data = self.plan.dir.join("data").join("identity-0");
        let text = std::fs::read_to_string(data.join("credentials/admin.toml"))?;
        Ok(text.parse()?)
    }

    fn local_key(&self) -> Result<String> {
        let admin = self.admin_file()?;
        let key = admin.get("key").and_then(|k| k.as_str());
        Ok(key.context("a key of the command line")?.to_owned())
    }

    /// How a client outside trusts the house, with a certificate of its own when it must have one.
    pub fn client_tls(&self) -> ClientTls {
        let own = |file: &Path| {
            if self.plan.tls == Tls::Mutual {
                file.to_owned()
            } else {
                PathBuf::new()
            }
        };
        ClientTls {
            ca_file: self.certificates.authority.clone(),
            cert_file: own(&self.certificates.client),
            key_file: own(&self.certificates.client_key),
            domain: String::new(),
        }
    }

    /// The URLs of all replicas of a service, separated by commas.
    pub fn urls(&self, service: &str) -> String {
        let of_service = self.processes.values().filter(|p| p.kind.name == service);
        let urls: Vec<String> = of_service
            .map(|p| format!("https://127.0.0.1:{}", p.grpc))
            .collect();
        urls.join(",")
    }

    /// A channel to all replicas of a service.
    ///
    /// # Errors
    /// When the certificates cannot be read.
    pub fn connect(&self, service: &str, credential: Credential) -> Result<Authed> {
        self.connect_to(&self.urls(service), credential)
    }

    /// A channel to these URLs.
    ///
    /// # Errors
    /// When the certificates cannot be read.
    pub fn connect_to(&self, urls: &str, credential: Credential) -> Result<Authed> {
        let tls = self.client_tls();
        let peer = client::connect(urls, credential, Some(&tls), Arc::new(SystemClock));
        Ok(peer?)
    }

    /// An administrator's token for all areas.
    ///
    /// # Errors
    /// When identity does not answer.
    pub async fn token(&self) -> Result<String> {
        crate::suite::token(self.connect("identity", Credential::None)?, &self.key).await
    }

    /// Clients of the customer service, logged in at identity.
    ///
    /// # Errors
    /// When identity does not answer.
    pub async fn clients(&self) -> Result<Clients> {
        let token = self.token().await?;
        Ok(Clients::new(
            &self.connect("customer", Credential::Token(token))?,
        ))
    }

    /// A process.
    ///
    /// # Panics
    /// When there is none of this name.
    pub fn at(&mut self, name: &str) -> &mut Process {
        self.processes.get_mut(name).expect("a process")
    }

    /// What stands between two.
    ///
    /// # Panics
    /// When the plan has no proxies, or there is no such link.
    pub fn link(&self, link: &str) -> &Proxy {
        self.proxies.get(link).expect("a link")
    }

    /// The HTTP address of a gateway.
    ///
    /// # Panics
    /// When there is no such gateway.
    pub fn http(&self, name: &str) -> u16 {
        self.processes[name].http.expect("a gateway")
    }

    /// A process that ended by itself, with its log.
    pub fn ended(&mut self) -> Option<String> {
        self.processes.values_mut().find_map(Process::ended)
    }

    /// Stops everything with SIGTERM, the gateway first, and expects clean ends.
    ///
    /// # Errors
    /// When a process does not end, or ends with an error; with its log.
    pub async fn stop(mut self) -> Result<()> {
        for kind in KINDS.iter().rev() {
            let of_kind = self
                .processes
                .values_mut()
                .filter(|p| p.kind.name == kind.name);
            for process in of_kind {
                let status = process.terminate().await?;
                ensure!(
                    status.success(),
                    "{} ended with {status}:\n{}",
                    process.name,
                    process.log_tail()
                );
            }
        }
        Ok(())
    }
}
