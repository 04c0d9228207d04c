//! An authenticated channel for programs outside the suite: the command line, importers.
use crate::{Peer, tls::ClientTls};
use jinke_types::{Clock, Failure};
use std::{path::PathBuf, sync::Arc};

/// What a program proves itself with.
#[derive(Clone, Debug)]
pub enum Credential {
    /// Nothing: only public methods.
    None,
    /// A file that [`store`] wrote (JSON, mode 0600). Tokens are refreshed
    /// shortly before they expire and written back.
    File(PathBuf),
    /// The secret of a service account key; a token is fetched and kept in memory.
    Key(String),
}

/// A peer that carries a fresh token of `credential` with every call. Connects on the first call.
///
/// # Errors
/// `INVALID_ARGUMENT` when the endpoint is no URL or the files of `tls` cannot be read.
pub fn connect(
    _endpoint: &str,
    _credential: Credential,
    _tls: Option<&ClientTls>,
    _clock: Arc<dyn Clock>,
) -> Result<Peer, Failure> {
    unimplemented!()
}

/// What a credential file says.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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

/// Writes a credential file: JSON, mode 0600, replaced in one step.
///
/// # Errors
/// `INTERNAL` when the file cannot be written.
pub fn store(_path: &std::path::Path, _stored: &Stored) -> Result<(), Failure> {
    unimplemented!()
}

/// Reads a credential file.
///
/// # Errors
/// `NOT_FOUND` when there is none; `FAILED_PRECONDITION`, reason `CREDENTIAL_FILE`, when it cannot
/// be read or understood.
pub fn load(_path: &std::path::Path) -> Result<Stored, Failure> {
    unimplemented!()
}

/// Where the service called `service` finds the secret of its service account key
/// `serviceAccounts/service-<service>`, unless `access.key_file` says otherwise. Identity writes
/// one per known service on its first start (mode 0600, the bare secret); on another machine the
/// operator puts it there.
pub fn service_key_file(data_dir: &std::path::Path, service: &str) -> PathBuf {
    data_dir
        .join("credentials")
        .join(format!("service-{service}.key"))
}
