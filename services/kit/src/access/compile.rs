//! From the message to the compiled snapshot.
use crate::token::KeyRing;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_types::Failure;
/// A compiled access snapshot.
pub struct Snapshot {
    version: i64,
    keys: KeyRing,
}
impl Snapshot {
    /// Compiles.
    pub fn compile(s: &pb::AccessSnapshot) -> Result<Self, Failure> {
        Ok(Self {
            version: s.version,
            keys: KeyRing::new(&s.signing_keys)?,
        })
    }
    /// Position of the access feed it was taken at.
    pub fn version(&self) -> i64 {
        self.version
    }
    /// The keys tokens may be signed with.
    pub fn keys(&self) -> &KeyRing {
        &self.keys
    }
}
