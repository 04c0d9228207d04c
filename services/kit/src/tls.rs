//! TLS and mTLS from PEM files.
//!
//! Files that were replaced, because a certificate was renewed, are read again within
//! [`LOOK_AGAIN`]: connections that are made from then on use them, and those that stand go on
//! with what they began with. Files that cannot be used are warned of, and what was read before
//! stays in force.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use jinke_types::{Code, Failure};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use serde::Deserialize;
use tokio::time::Instant;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// How often files are looked at, at most, and only when a connection is made.
pub const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The sections `server.tls` and `gateway.tls`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerTls {
    /// Certificate chain; empty for no TLS.
    pub cert_file: PathBuf,
    /// Private key.
    pub key_file: PathBuf,
    /// Authorities that must have signed a client's certificate; empty when clients need none.
    pub client_ca_file: PathBuf,
}

/// How a client checks a server, and what it shows itself. The section `peers.tls`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientTls {
    /// Authorities to trust.
    pub ca_file: PathBuf,
    /// The client's certificate chain, for mTLS; empty for none.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
    /// Name the server's certificate must hold, when it is not the host of the URL; may be empty.
    pub domain: String,
}

impl ServerTls {
    /// What a server speaks TLS by, with these protocols; `None` when there is no certificate.
    /// `section` is what failures name.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, reason `CONFIG`, naming the file that cannot be used or is missing.
    pub fn load(
        &self,
        section: &str,
        protocols: &[&[u8]],
    ) -> Result<Option<ServerCertificates>, Failure> {
        let given = |path: &Path| !path.as_os_str().is_empty();
        match (given(&self.cert_file), given(&self.key_file)) {
            (true, true) => {}
            (false, false) if given(&self.client_ca_file) => {
                return Err(wrong(&format!(
                    "{section}.client_ca_file needs {section}.cert_file"
                )));
            }
            (false, false) => return Ok(None),
            _ => return Err(together(section)),
        }
        let files = [&self.cert_file, &self.key_file, &self.client_ca_file];
        let (tls, section) = (self.clone(), section.to_owned());
        let protocols: Vec<Vec<u8>> = protocols.iter().map(|p| p.to_vec()).collect();
        let watched = Watched::new(
            files.into_iter().cloned(),
            Box::new(move || tls.read(&section, &protocols).map(Arc::new)),
        )?;
        Ok(Some(ServerCertificates(Arc::new(watched))))
    }

    fn read(&self, section: &str, protocols: &[Vec<u8>]) -> Result<ServerConfig, Failure> {
        let bad = |key: &str, path: &Path, e: &dyn std::fmt::Display| {
            wrong(&format!("{section}.{key}: {}: {e}", path.display()))
        };
        let chain =
            certificates(&self.cert_file).map_err(|e| bad("cert_file", &self.cert_file, &e))?;
        let key = PrivateKeyDer::from_pem_file(&self.key_file)
            .map_err(|e| bad("key_file", &self.key_file, &e))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(Failure::internal)?;
        let builder = if self.client_ca_file.as_os_str().is_empty() {
            builder.with_no_client_auth()
        } else {
            let path = &self.client_ca_file;
            let mut roots = RootCertStore::empty();
            for authority in certificates(path).map_err(|e| bad("client_ca_file", path, &e))? {
                roots
                    .add(authority)
                    .map_err(|e| bad("client_ca_file", path, &e))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
                .build()
                .map_err(|e| bad("client_ca_file", path, &e))?;
            builder.with_client_cert_verifier(verifier)
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|e| bad("cert_file", &self.cert_file, &e))?;
        config.alpn_protocols = protocols.to_vec();
        Ok(config)
    }
}

/// The certificates of a PEM file, at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| e.to_string())?;
    if found.is_empty() {
        return Err("holds no certificate".to_owned());
    }
    Ok(found)
}

/// What a server speaks TLS by. Clones share what was read.
#[derive(Clone)]
pub struct ServerCertificates(Arc<Watched<Arc<ServerConfig>>>);

impl std::fmt::Debug for ServerCertificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerCertificates")
    }
}

impl ServerCertificates {
    /// For a connection that is made now.
    pub fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        self.0.current().into()
    }
}

/// When a file was changed last, and its length: a replaced file differs in one of them.
type Stamp = Option<(SystemTime, u64)>;

/// Makes what was read from files.
type Reader<T> = Box<dyn Fn() -> Result<T, Failure> + Send + Sync>;

/// What was read from files, and is read again when they were replaced.
pub(crate) struct Watched<T> {
    files: Vec<PathBuf>,
    read: Reader<T>,
    seen: Mutex<Seen<T>>,
}

struct Seen<T> {
    value: T,
    stamps: Vec<Stamp>,
    looked: Instant,
}

impl<T: Clone> Watched<T> {
    /// Reads for the first time. Files without a name are left out.
    pub(crate) fn new(
        files: impl IntoIterator<Item = PathBuf>,
        read: Reader<T>,
    ) -> Result<Self, Failure> {
        let files: Vec<PathBuf> = files
            .into_iter()
            .filter(|f| !f.as_os_str().is_empty())
            .collect();
        // Looked at before they are read: a file that is replaced in between is read again.
        let stamps = stamps(&files);
        let seen = Seen {
            value: read()?,
            stamps,
            looked: Instant::now(),
        };
        Ok(Self {
            files,
            read,
            seen: Mutex::new(seen),
        })
    }

    /// What holds now.
    pub(crate) fn current(&self) -> T {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.files.is_empty() && seen.looked.elapsed() >= LOOK_AGAIN {
            seen.looked = Instant::now();
            let now = stamps(&self.files);
            if now != seen.stamps {
                match (self.read)() {
                    Ok(value) => {
                        tracing::info!(files = ?self.files, "certificates were read again");
                        seen.value = value;
                        seen.stamps = now;
                    }
                    // Half of a pair may have been replaced; the other half follows.
                    Err(failure) => {
                        tracing::warn!(%failure, "new certificates cannot be used; the old ones are");
                    }
                }
            }
        }
        seen.value.clone()
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| {
        let found = fs::metadata(path).ok()?;
        Some((found.modified().ok()?, found.len()))
    };
    files.iter().map(stamp).collect()
}

impl ClientTls {
    /// The files it is read from.
    pub(crate) fn files(&self) -> [PathBuf; 3] {
        [&self.ca_file, &self.cert_file, &self.key_file].map(Clone::clone)
    }

    /// What a channel is given.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, reason `CONFIG`, naming the file that cannot be read or is missing.
    pub fn load(&self) -> Result<ClientTlsConfig, Failure> {
        if self.ca_file.as_os_str().is_empty() {
            return Err(wrong("peers.tls.ca_file is needed for an https URL"));
        }
        let ca = Certificate::from_pem(read("peers.tls.ca_file", &self.ca_file)?);
        let mut config = ClientTlsConfig::new().ca_certificate(ca);
        if let Some(identity) = identity("peers.tls", &self.cert_file, &self.key_file)? {
            config = config.identity(identity);
        }
        if !self.domain.is_empty() {
            config = config.domain_name(&self.domain);
        }
        Ok(config)
    }
}

fn identity(section: &str, cert: &Path, key: &Path) -> Result<Option<Identity>, Failure> {
    match (cert.as_os_str().is_empty(), key.as_os_str().is_empty()) {
        (true, true) => Ok(None),
        (false, false) => {
            let cert = read(&format!("{section}.cert_file"), cert)?;
            Ok(Some(Identity::from_pem(
                cert,
                read(&format!("{section}.key_file"), key)?,
            )))
        }
        _ => Err(together(section)),
    }
}

fn together(section: &str) -> Failure {
    wrong(&format!(
        "{section}.cert_file and {section}.key_file go together"
    ))
}

fn read(key: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|e| wrong(&format!("{key}: {}: {e}", path.display())))
}

fn wrong(message: &str) -> Failure {
    Failure::new(Code::InvalidArgument, "CONFIG", message)
}
