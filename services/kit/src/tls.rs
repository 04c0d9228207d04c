//! TLS and mTLS from PEM files. Certificates are read once, when the process starts.

use std::{
    fs,
    path::{Path, PathBuf},
};

use jinke_types::{Code, Failure};
use serde::Deserialize;
use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

/// The section `server.tls`.
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
    /// What the server is given; `None` when there is no certificate.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, reason `CONFIG`, naming the file that cannot be read or is missing.
    pub fn load(&self) -> Result<Option<ServerTlsConfig>, Failure> {
        let Some(identity) = identity("server.tls", &self.cert_file, &self.key_file)? else {
            if self.client_ca_file.as_os_str().is_empty() {
                return Ok(None);
            }
            return Err(wrong(
                "server.tls.client_ca_file needs server.tls.cert_file",
            ));
        };
        let mut config = ServerTlsConfig::new().identity(identity);
        if !self.client_ca_file.as_os_str().is_empty() {
            let ca = read("server.tls.client_ca_file", &self.client_ca_file)?;
            config = config.client_ca_root(Certificate::from_pem(ca));
        }
        Ok(Some(config))
    }
}

impl ClientTls {
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
        _ => Err(wrong(&format!(
            "{section}.cert_file and {section}.key_file go together"
        ))),
    }
}

fn read(key: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|e| wrong(&format!("{key}: {}: {e}", path.display())))
}

fn wrong(message: &str) -> Failure {
    Failure::new(Code::InvalidArgument, "CONFIG", message)
}
