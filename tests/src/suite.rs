//! The binary `jinke` as a child process, and clients that are logged in to it.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use jinke_kit::{
    Peer,
    client::{self, Credential},
    tls::ClientTls,
};
use jinke_proto::jinke::{
    customer::v1::{
        CreateSourceRequest, GetCustomerStatsRequest, Source,
        customer_service_client::CustomerServiceClient, match_service_client::MatchServiceClient,
        source_service_client::SourceServiceClient,
        stewardship_service_client::StewardshipServiceClient,
    },
    identity::v1::{LoginWithKeyRequest, token_service_client::TokenServiceClient},
};
use jinke_types::SystemClock;
use tokio::process::{Child, Command};

use crate::apart::{Certificates, GATEWAY, KINDS};

/// A channel that is logged in.
pub type Authed = Peer;

/// What a suite is started with beside its data.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// With TLS.
    pub tls: Option<&'a Certificates>,
    /// More settings, `section.key=value`.
    pub settings: &'a [&'a str],
    /// File of the clock it goes by; see [`crate::clock`].
    pub clock: Option<&'a Path>,
}

/// A running suite.
pub struct Suite {
    child: Child,
    /// `http://127.0.0.1:port`, or `https`.
    pub endpoint: String,
    /// Port of HTTP.
    pub http: u16,
    data: PathBuf,
    authority: Option<PathBuf>,
}

/// Where the binary is: `JINKE_BIN`, else beside the folder of this executable.
pub fn binary() -> PathBuf {
    if let Ok(path) = std::env::var("JINKE_BIN") {
        return path.into();
    }
    let me = std::env::current_exe().expect("an executable");
    let dir = me.parent().expect("a folder");
    let dir = if dir.ends_with("deps") {
        dir.parent().expect("a folder")
    } else {
        dir
    };
    dir.join("jinke")
}

/// A port that was free a moment ago, no two times the same in one process. It lies below those
/// that the system gives to outgoing connections, one of which could else have taken it before the
/// process it is meant for listens.
pub fn free_port() -> u16 {
    const FIRST: u32 = 12_000;
    const MANY: u32 = 20_000;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let own = std::process::id().wrapping_mul(7_919);
    (0..MANY)
        .map(|_| own.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % MANY + FIRST)
        .filter_map(|port| u16::try_from(port).ok())
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port on the loopback interface")
}

impl Suite {
    /// Starts the suite on a data folder and waits until it is ready. `postgres` is the URL of
    /// an empty database, or SQLite below the data folder is used.
    pub async fn start(data: &Path, postgres: Option<&str>) -> Result<Self> {
        Self::start_with(data, postgres, None).await
    }

    /// The same, with TLS when there are certificates.
    ///
    /// # Errors
    /// When it ends, or is not ready within two minutes; with its log.
    pub async fn start_with(
        data: &Path,
        postgres: Option<&str>,
        tls: Option<&Certificates>,
    ) -> Result<Self> {
        let options = Options {
            tls,
            ..Options::default()
        };
        Self::start_as(data, postgres, &options).await
    }

    /// The same, with everything that can be said.
    ///
    /// # Errors
    /// When it ends, or is not ready within two minutes; with its log.
    pub async fn start_as(
        data: &Path,
        postgres: Option<&str>,
        options: &Options<'_>,
    ) -> Result<Self> {
        let tls = options.tls;
        let (port, http) = (free_port(), free_port());
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(data.with_extension("log"))?;
        let mut command = Command::new(binary());
        command
            .arg("run")
            .arg("--data-dir")
            .arg(data)
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .args(["--set", &format!("gateway.listen=127.0.0.1:{http}")])
            .args(["--set", "metrics.listen=127.0.0.1:0"]);
        for setting in options.settings {
            command.args(["--set", setting]);
        }
        if let Some(file) = options.clock {
            command.env(crate::clock::VARIABLE, file);
        }
        if let Some(tls) = tls {
            for section in ["server", "gateway"] {
                let (cert, key) = (tls.server.display(), tls.server_key.display());
                command
                    .args(["--set", &format!("{section}.tls.cert_file={cert}")])
                    .args(["--set", &format!("{section}.tls.key_file={key}")]);
            }
        }
        if let Some(url) = postgres {
            for service in KINDS.iter().filter(|k| k.name != GATEWAY) {
                let service = service.name;
                command
                    .arg("--set")
                    .arg(format!("{service}.database.url={url}"))
                    .arg("--set")
                    .arg(format!("{service}.database.schema={service}"));
            }
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", binary().display()))?;
        let mut suite = Self {
            child,
            endpoint: match tls {
                None => format!("http://127.0.0.1:{port}"),
                Some(_) => format!("https://127.0.0.1:{port}"),
            },
            http,
            data: data.to_owned(),
            authority: tls.map(|tls| tls.authority.clone()),
        };
        for _ in 0..1_200 {
            if let Some(status) = suite.child.try_wait()? {
                let log = std::fs::read_to_string(data.with_extension("log")).unwrap_or_default();
                bail!("jinke ended with {status} before it was ready:\n{log}");
            }
            if suite.ready().await.is_ok() {
                return Ok(suite);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let log = std::fs::read_to_string(data.with_extension("log")).unwrap_or_default();
        bail!("jinke was not ready after two minutes:\n{log}")
    }

    /// Whether login and the customer service answer.
    async fn ready(&self) -> Result<()> {
        let mut api = Clients::new(&self.login().await?);
        api.customers
            .get_customer_stats(GetCustomerStatsRequest {})
            .await?;
        Ok(())
    }

    /// A new channel, logged in with the key that the first start left in the data folder.
    pub async fn login(&self) -> Result<Authed> {
        // A key and not a token: what is filled for long outlives a token.
        self.connect(Credential::Key(self.key()?))
    }

    fn connect(&self, credential: Credential) -> Result<Peer> {
        let tls = self.authority.clone().map(|ca_file| ClientTls {
            ca_file,
            ..ClientTls::default()
        });
        let clock = Arc::new(SystemClock);
        let peer = client::connect(&self.endpoint, credential, tls.as_ref(), clock);
        Ok(peer?)
    }

    /// A token for the key that the first start left in the data folder.
    pub async fn token(&self) -> Result<String> {
        token(self.connect(Credential::None)?, &self.key()?).await
    }

    fn key(&self) -> Result<String> {
        let text = std::fs::read_to_string(self.data.join("credentials/admin.toml"))?;
        let credentials: toml::Table = text.parse()?;
        let key = credentials.get("key").and_then(|k| k.as_str());
        Ok(key.context("key")?.to_owned())
    }

    /// Kills the process as `kill -9` does and waits for its end.
    pub async fn kill(mut self) -> Result<()> {
        self.child.kill().await?;
        Ok(())
    }

    /// The process id.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Resident memory of the process in KiB, and its peak, from /proc.
    pub fn memory(&self) -> Option<(u64, u64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let field = |name: &str| -> Option<u64> {
            status
                .lines()
                .find(|l| l.starts_with(name))?
                .split_whitespace()
                .nth(1)?
                .parse()
                .ok()
        };
        Some((field("VmRSS:")?, field("VmHWM:")?))
    }
}

/// A token for a service account's key.
///
/// # Errors
/// When identity does not answer, or refuses the key.
pub async fn token(identity: Peer, key: &str) -> Result<String> {
    let request = LoginWithKeyRequest {
        key: key.to_owned(),
        audiences: vec![],
    };
    let answer = TokenServiceClient::new(identity)
        .login_with_key(request)
        .await?;
    Ok(answer.into_inner().tokens.context("tokens")?.access_token)
}

/// The clients of the customer service over one logged-in channel, with room for large batches.
pub struct Clients {
    /// Sources and ingest.
    pub sources: SourceServiceClient<Authed>,
    /// Customers.
    pub customers: CustomerServiceClient<Authed>,
    /// Explanations.
    pub matches: MatchServiceClient<Authed>,
    /// Judgements and reviews.
    pub stewards: StewardshipServiceClient<Authed>,
}

impl Clients {
    /// Over this channel.
    pub fn new(channel: &Authed) -> Self {
        const ROOM: usize = 64 << 20;
        Self {
            sources: SourceServiceClient::new(channel.clone()).max_decoding_message_size(ROOM),
            customers: CustomerServiceClient::new(channel.clone()).max_decoding_message_size(ROOM),
            matches: MatchServiceClient::new(channel.clone()).max_decoding_message_size(ROOM),
            stewards: StewardshipServiceClient::new(channel.clone())
                .max_decoding_message_size(ROOM),
        }
    }

    /// Creates a source unless it is there.
    pub async fn ensure_source(&mut self, id: &str) -> Result<()> {
        let request = CreateSourceRequest {
            source_id: id.to_owned(),
            source: Some(Source {
                display_name: id.to_owned(),
                ..Source::default()
            }),
            request_id: String::new(),
        };
        match self.sources.create_source(request).await {
            Ok(_) => Ok(()),
            Err(status) if status.code() == tonic::Code::AlreadyExists => Ok(()),
            Err(status) => Err(status.into()),
        }
    }
}
