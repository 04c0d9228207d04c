//! Certificates for a house on this machine: an authority, and one certificate each for servers
//! and clients. Made anew by whoever needs them, good for a year, worth nothing elsewhere.

use std::path::{Path, PathBuf};

use anyhow::Result;
use jinke_kit::client::write_secret;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

/// Files in PEM.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The authority's certificate, which all trust.
    pub authority: PathBuf,
    /// What servers show, for `localhost`, `127.0.0.1` and `::1`.
    pub server: PathBuf,
    /// Its key.
    pub server_key: PathBuf,
    /// What clients show where they must.
    pub client: PathBuf,
    /// Its key.
    pub client_key: PathBuf,
}

impl Certificates {
    /// Makes all of them in a folder. The authority's key is not kept.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn make(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let name = "Jinke development";
        params
            .distinguished_name
            .push(DnType::CommonName, name.to_owned());
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let made = Self {
            authority: dir.join("authority.pem"),
            server: dir.join("server.pem"),
            server_key: dir.join("server.key"),
            client: dir.join("client.pem"),
            client_key: dir.join("client.key"),
        };
        std::fs::write(&made.authority, authority.pem())?;
        let both = [
            (
                &made.server,
                &made.server_key,
                ExtendedKeyUsagePurpose::ServerAuth,
            ),
            (
                &made.client,
                &made.client_key,
                ExtendedKeyUsagePurpose::ClientAuth,
            ),
        ];
        for (file, key_file, purpose) in both {
            let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
            let mut params = CertificateParams::new(names)?;
            params.extended_key_usages = vec![purpose];
            let key = KeyPair::generate()?;
            let certificate = params.signed_by(&key, &authority)?;
            std::fs::write(file, certificate.pem())?;
            write_secret(key_file, key.serialize_pem().as_bytes())?;
        }
        Ok(made)
    }
}
