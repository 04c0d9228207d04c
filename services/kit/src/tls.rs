//! Certificates from files.
use std::path::PathBuf;
/// How a client checks a server, and what it shows itself.
#[derive(Clone, Debug, Default)]
pub struct ClientTls {
    /// PEM file of the authorities to trust.
    pub ca_file: PathBuf,
    /// PEM files of the client's certificate chain and key, for mTLS.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Name the server's certificate must hold, when it is not the endpoint's host.
    pub domain: Option<String>,
}
