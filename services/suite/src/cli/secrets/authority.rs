//! An authority of one deployment, for where none of the company's is at hand.

use jinke_types::Failure;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

/// Signs certificates.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pem: String,
}

/// Until when its certificates hold. They are replaced by deleting the files and making them anew.
const UNTIL: i32 = 2036;

impl Authority {
    pub(super) fn new() -> Result<Self, Failure> {
        let mut params = CertificateParams::new(Vec::<String>::new()).map_err(Failure::internal)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_after = date_time_ymd(UNTIL, 1, 1);
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "Jinke deployment authority");
        let key = KeyPair::generate().map_err(Failure::internal)?;
        let issuer = CertifiedIssuer::self_signed(params, key).map_err(Failure::internal)?;
        let pem = issuer.pem();
        Ok(Self { issuer, pem })
    }

    /// Its own certificate in PEM.
    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for these DNS names, as server and as client, and its key; both PEM.
    pub(super) fn issue(&self, names: &[String]) -> Result<(String, String), Failure> {
        let mut params = CertificateParams::new(names.to_vec()).map_err(Failure::internal)?;
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.not_after = date_time_ymd(UNTIL, 1, 1);
        if let Some(name) = names.first() {
            params
                .distinguished_name
                .push(DnType::CommonName, name.clone());
        }
        let key = KeyPair::generate().map_err(Failure::internal)?;
        let certificate = params
            .signed_by(&key, &self.issuer)
            .map_err(Failure::internal)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }
}
