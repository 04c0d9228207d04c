//! Page tokens: opaque, signed, and good for the request, caller and rights they were made for.
//!
//! A token is base64url of a JSON cursor and a keyed hash over the cursor, the database and
//! everything the cursor depends on. One that comes back with another filter, from another caller or
//! after his rights changed is refused: going on with it would skip rows or show some twice.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jinke_store::keys::KeyRing;
use jinke_types::{Code, Failure};
use serde::{Serialize, de::DeserializeOwned};

/// Longest token accepted, in bytes.
const MAX_TOKEN: usize = 4_096;
/// Bytes of the keyed hash: suite, key id, HMAC-SHA-256.
const TAG: usize = 34;

/// Makes and checks page tokens.
#[derive(Clone)]
pub struct Pages {
    ring: Arc<KeyRing>,
    database: String,
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pages").finish_non_exhaustive()
    }
}

impl Pages {
    /// Tokens signed with `ring` and bound to the database with this id.
    pub const fn new(ring: Arc<KeyRing>, database: String) -> Self {
        Self { ring, database }
    }

    /// The token for going on at `cursor`. `parts` are what it is bound to.
    pub fn token<C: Serialize>(&self, parts: &[&str], cursor: &C) -> Result<String, Failure> {
        let mut bytes = serde_json::to_vec(cursor).map_err(Failure::internal)?;
        let tag = self.ring.hmac("page", &self.signed(parts, &bytes));
        bytes.extend_from_slice(&tag);
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The cursor in a token; none for the first page.
    ///
    /// # Errors
    /// `PAGE_TOKEN_INVALID`.
    pub fn cursor<C: DeserializeOwned>(
        &self,
        parts: &[&str],
        token: &str,
    ) -> Result<Option<C>, Failure> {
        if token.is_empty() {
            return Ok(None);
        }
        let bytes = (token.len() <= MAX_TOKEN)
            .then(|| URL_SAFE_NO_PAD.decode(token).ok())
            .flatten()
            .filter(|bytes| bytes.len() > TAG)
            .ok_or_else(refused)?;
        let (cursor, tag) = bytes.split_at(bytes.len() - TAG);
        if !self.ring.verify("page", &self.signed(parts, cursor), tag) {
            return Err(refused());
        }
        serde_json::from_slice(cursor)
            .map(Some)
            .map_err(|_| refused())
    }

    /// Length-prefixed, so that two parts cannot be read as two others.
    fn signed(&self, parts: &[&str], cursor: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in [self.database.as_str()].iter().chain(parts) {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes.extend_from_slice(cursor);
        bytes
    }
}

fn refused() -> Failure {
    let mut failure = Failure::new(
        Code::InvalidArgument,
        "PAGE_TOKEN_INVALID",
        "page_token: it belongs to another request, caller or database; start again without it",
    );
    failure.violations = Failure::field("page_token", "does not belong to this request").violations;
    failure
}

#[cfg(test)]
mod tests {
    use super::*;
    use jinke_types::SeededEntropy;

    #[test]
    fn a_token_serves_what_it_was_made_for_and_nothing_else() {
        let ring = Arc::new(KeyRing::in_memory(&SeededEntropy::new(1)));
        let pages = Pages::new(Arc::clone(&ring), "db-1".to_owned());
        let token = pages.token(&["List", "a", "bc"], &7_u64).unwrap();
        assert_eq!(pages.cursor(&["List", "a", "bc"], &token), Ok(Some(7_u64)));
        assert_eq!(pages.cursor::<u64>(&["List"], ""), Ok(None));
        let other = Pages::new(ring, "db-2".to_owned());
        for refused in [
            pages.cursor::<u64>(&["List", "ab", "c"], &token),
            pages.cursor::<u64>(&["List", "a", "bd"], &token),
            pages.cursor::<u64>(&["List", "a", "bc"], "AAAA"),
            other.cursor::<u64>(&["List", "a", "bc"], &token),
        ] {
            assert_eq!(refused.unwrap_err().reason, "PAGE_TOKEN_INVALID");
        }
    }
}
