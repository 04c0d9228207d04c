//! An authenticated channel for programs outside the suite: the command line, importers.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use base64::Engine as _;
use http::HeaderMap;
use jinke_proto::jinke::identity::v1::{
    LoginWithKeyRequest, RefreshTokenRequest, TokenPair, token_service_client::TokenServiceClient,
};
use jinke_types::{Clock, Code, Failure};
use serde::{Deserialize, Serialize};

use crate::{
    Peer,
    auth::AUTHORIZATION,
    peer::{self, Credentials, Fleet},
    status::failure,
    tls::ClientTls,
};

/// A token with less than this left is renewed before it is used, in seconds.
const RENEW_BEFORE: i64 = 30;

/// What a program proves itself with.
#[derive(Clone, Debug)]
pub enum Credential {
    /// Nothing: only public methods.
    None,
    /// A token as it is.
    Token(String),
    /// A file that [`store`] wrote. Tokens are refreshed shortly before they expire and written
    /// back; of several programs that share the file one refreshes.
    File(PathBuf),
    /// The secret of a service account key; a token is fetched and kept in memory.
    Key(String),
}

impl Credential {
    /// The proof of a token as it is; none for the others.
    pub(crate) fn fixed(self) -> Option<Arc<dyn Credentials>> {
        match self {
            Self::Token(token) => Some(Arc::new(Fixed(token))),
            Self::None | Self::File(_) | Self::Key(_) => None,
        }
    }
}

/// A peer that carries a fresh token of `credential` with every call. Connects on the first call.
/// `endpoint` begins with `http://` or `https://`; the latter needs `tls`. Several, separated by
/// commas, are replicas of one service.
///
/// # Errors
/// `INVALID_ARGUMENT` when the endpoint is no URL or the files of `tls` cannot be read.
pub fn connect(
    endpoint: &str,
    credential: Credential,
    tls: Option<&ClientTls>,
    clock: Arc<dyn Clock>,
) -> Result<Peer, Failure> {
    let fleet = Fleet::new(endpoint, tls)?;
    let plain = {
        let fleet = fleet.clone();
        Peer::over(move || Ok(peer::remote(fleet.clone())), None)
    };
    let credentials: Option<Arc<dyn Credentials>> = match credential {
        Credential::None => return Ok(plain),
        Credential::Token(_) => credential.fixed(),
        Credential::File(path) => Some(Session::of(Source::File(path), plain, clock)),
        Credential::Key(key) => Some(Session::of(Source::Key(key), plain, clock)),
    };
    Ok(Peer::over(
        move || Ok(peer::remote(fleet.clone())),
        credentials,
    ))
}

/// What a credential file says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    /// Where to call: `http://127.0.0.1:50051`.
    pub endpoint: String,
    /// Whom the credential belongs to: `users/admin`.
    pub name: String,
    /// The last access token; may have expired.
    #[serde(default)]
    pub access_token: String,
    /// The refresh token that follows it; works once.
    #[serde(default)]
    pub refresh_token: String,
    /// The secret of a service account key, instead of a refresh token.
    #[serde(default)]
    pub key: String,
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stored")
            .field("endpoint", &self.endpoint)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Writes a credential file: JSON, mode 0600, replaced in one step. Makes its directory (0700).
///
/// # Errors
/// `INTERNAL` when the file cannot be written.
pub fn store(path: &Path, stored: &Stored) -> Result<(), Failure> {
    let text = serde_json::to_vec_pretty(stored).map_err(Failure::internal)?;
    write_secret(path, &text)
        .map_err(|e| Failure::internal(format!("cannot write {}: {e}", path.display())))
}

/// Writes a file that only its owner can read, in one step. Makes its directory with mode 0700.
///
/// # Errors
/// Those of the file system.
pub fn write_secret(path: &Path, content: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)?;
    }
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(format!(".{}.new", std::process::id()));
    let fresh = PathBuf::from(fresh);
    let _ = fs::remove_file(&fresh);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}

/// Reads a credential file.
///
/// # Errors
/// `NOT_FOUND` when there is none; `FAILED_PRECONDITION`, reason `CREDENTIAL_FILE`, when it cannot
/// be read or understood.
pub fn load(path: &Path) -> Result<Stored, Failure> {
    let wrong = |e: &dyn std::fmt::Display| {
        let message = format!("{}: {e}", path.display());
        Failure::new(Code::FailedPrecondition, "CREDENTIAL_FILE", message)
    };
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).map_err(|e| wrong(&e)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(Failure::not_found(format!(
            "credential file {}",
            path.display()
        ))),
        Err(e) => Err(wrong(&e)),
    }
}

/// Where the service called `service` finds the secret of its service account key
/// `serviceAccounts/service-<service>`, unless `access.key_dir` names another directory. Identity
/// writes one per known service on its first start (mode 0600, the bare secret); on another
/// machine the operator puts it there.
pub fn service_key_file(data_dir: &Path, service: &str) -> PathBuf {
    data_dir
        .join("credentials")
        .join(format!("service-{service}.key"))
}

struct Fixed(String);

#[async_trait::async_trait]
impl Credentials for Fixed {
    async fn put(&self, headers: &mut HeaderMap) -> Result<(), Failure> {
        peer::set(headers, AUTHORIZATION, &self.0)
    }
    fn refused(&self) {}
}

enum Source {
    File(PathBuf),
    Key(String),
}

/// Keeps a token fresh.
struct Session {
    source: Source,
    identity: Peer,
    clock: Arc<dyn Clock>,
    token: Mutex<Option<String>>,
    renewing: tokio::sync::Mutex<()>,
}

#[async_trait::async_trait]
impl Credentials for Session {
    async fn put(&self, headers: &mut HeaderMap) -> Result<(), Failure> {
        peer::set(headers, AUTHORIZATION, &self.token().await?)
    }
    fn refused(&self) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Session {
    fn of(source: Source, identity: Peer, clock: Arc<dyn Clock>) -> Arc<dyn Credentials> {
        let token = Mutex::default();
        Arc::new(Self {
            source,
            identity,
            clock,
            token,
            renewing: tokio::sync::Mutex::new(()),
        })
    }

    fn kept(&self) -> Option<String> {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        token.clone().filter(|t| self.lives(t))
    }

    fn lives(&self, token: &str) -> bool {
        expiry(token).is_some_and(|exp| self.clock.now().secs() + RENEW_BEFORE < exp)
    }

    async fn token(&self) -> Result<String, Failure> {
        if let Some(token) = self.kept() {
            return Ok(token);
        }
        let _one = self.renewing.lock().await;
        if let Some(token) = self.kept() {
            return Ok(token);
        }
        let token = match &self.source {
            Source::Key(key) => self.login(key).await?.access_token,
            Source::File(path) => self.read_or_renew(path).await?,
        };
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
        Ok(token)
    }

    /// A token from the file. A refresh token works once, and its second use ends the session, so
    /// the file is locked against other programs from reading to writing it.
    async fn read_or_renew(&self, path: &Path) -> Result<String, Failure> {
        let lock_path = {
            let mut name = path.as_os_str().to_owned();
            name.push(".lock");
            PathBuf::from(name)
        };
        let lock = tokio::task::spawn_blocking(move || -> std::io::Result<fs::File> {
            let mut options = fs::OpenOptions::new();
            let file = options
                .create(true)
                .truncate(false)
                .write(true)
                .mode(0o600)
                .open(lock_path)?;
            file.lock()?;
            Ok(file)
        });
        let _lock = lock
            .await
            .map_err(Failure::internal)?
            .map_err(|e| Failure::internal(format!("cannot lock {}: {e}", path.display())))?;
        let mut stored = load(path)?;
        if self.lives(&stored.access_token) {
            return Ok(stored.access_token);
        }
        let pair = if stored.key.is_empty() {
            let request = RefreshTokenRequest {
                refresh_token: stored.refresh_token.clone(),
            };
            let mut client = TokenServiceClient::new(self.identity.clone());
            let answer = client
                .refresh_token(request)
                .await
                .map_err(|s| failure(&s))?;
            pair(answer.into_inner().tokens)?
        } else {
            self.login(&stored.key).await?
        };
        stored.access_token.clone_from(&pair.access_token);
        if !pair.refresh_token.is_empty() {
            stored.refresh_token = pair.refresh_token;
        }
        store(path, &stored)?;
        Ok(pair.access_token)
    }

    async fn login(&self, key: &str) -> Result<TokenPair, Failure> {
        let request = LoginWithKeyRequest {
            key: key.to_owned(),
            audiences: Vec::new(),
        };
        let mut client = TokenServiceClient::new(self.identity.clone());
        let answer = client
            .login_with_key(request)
            .await
            .map_err(|s| failure(&s))?;
        pair(answer.into_inner().tokens)
    }
}

fn pair(tokens: Option<TokenPair>) -> Result<TokenPair, Failure> {
    tokens.ok_or_else(|| Failure::internal("identity answered without a token"))
}

/// `exp` of a token, unverified: it only says when to fetch the next one.
fn expiry(token: &str) -> Option<i64> {
    let payload = token.split('.').nth(1)?;
    let json = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(payload)
        .ok()?;
    serde_json::from_slice::<serde_json::Value>(&json)
        .ok()?
        .get("exp")?
        .as_i64()
}
