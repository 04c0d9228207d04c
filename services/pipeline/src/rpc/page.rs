//! Page tokens: opaque to callers, and signed.
//!
//! A token is base64url of a JSON place and a keyed hash over it and everything it depends on: the
//! method, the request's own parts, who asks and what he may see. One that comes back otherwise is
//! refused: going on with it would skip rows, show some twice, or carry a position into rows it may
//! not tell about. A token of the feed is bound to its database alone, so that a follower can keep
//! it for years and use it with List and Watch.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jinke_store::keys::KeyRing;
use jinke_types::{Code, Failure};
use serde::{Serialize, de::DeserializeOwned};

use crate::access::Viewer;

/// Longest token taken, in bytes.
const MAX_TOKEN: usize = 4_096;
/// Bytes of the keyed hash.
const TAG: usize = 34;

/// What a token is bound to, every part with its length before it.
#[derive(Clone, Debug, Default)]
pub struct Binding(Vec<u8>);

impl Binding {
    fn with(mut self, part: &str) -> Self {
        self.0.extend_from_slice(&(part.len() as u64).to_be_bytes());
        self.0.extend_from_slice(part.as_bytes());
        self
    }

    /// A token of `method` for this viewer and these parts of the request.
    pub fn of(method: &str, viewer: &Viewer, parts: &[&str]) -> Self {
        let all = Self::default()
            .with(method)
            .with(&viewer.caller.name)
            .with(&viewer.fingerprint());
        parts.iter().fold(all, |all, part| all.with(part))
    }

    /// A place in a feed.
    pub fn feed(feed: &str) -> Self {
        Self::default().with("feed").with(feed)
    }
}

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

    /// The token for going on at `place`.
    ///
    /// # Errors
    /// `INTERNAL` when the place cannot be written.
    pub fn token<P: Serialize>(&self, binding: &Binding, place: &P) -> Result<String, Failure> {
        let mut bytes = serde_json::to_vec(place).map_err(Failure::internal)?;
        let tag = self.ring.hmac("page", &self.signed(binding, &bytes));
        bytes.extend_from_slice(&tag);
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The place in a token; none for the first page.
    ///
    /// # Errors
    /// `PAGE_TOKEN_INVALID`.
    pub fn place<P: DeserializeOwned>(
        &self,
        binding: &Binding,
        token: &str,
    ) -> Result<Option<P>, Failure> {
        if token.is_empty() {
            return Ok(None);
        }
        let bytes = (token.len() <= MAX_TOKEN)
            .then(|| URL_SAFE_NO_PAD.decode(token).ok())
            .flatten()
            .filter(|bytes| bytes.len() > TAG)
            .ok_or_else(refused)?;
        let (place, tag) = bytes.split_at(bytes.len() - TAG);
        if !self.ring.verify("page", &self.signed(binding, place), tag) {
            return Err(refused());
        }
        serde_json::from_slice(place)
            .map(Some)
            .map_err(|_| refused())
    }

    fn signed(&self, binding: &Binding, place: &[u8]) -> Vec<u8> {
        let mut bytes = Binding::default().with(&self.database).0;
        bytes.extend_from_slice(&(binding.0.len() as u64).to_be_bytes());
        bytes.extend_from_slice(&binding.0);
        bytes.extend_from_slice(place);
        bytes
    }
}

fn refused() -> Failure {
    let mut failure = Failure::field("page_token", "does not belong to this request");
    failure.code = Code::InvalidArgument;
    failure.reason = "PAGE_TOKEN_INVALID";
    "page_token: it belongs to another request, caller or database; start again without it"
        .clone_into(&mut failure.message);
    failure
}

#[cfg(test)]
mod tests {
    use jinke_types::SeededEntropy;

    use super::*;

    fn pages(seed: u64, database: &str) -> Pages {
        let ring = KeyRing::in_memory(&SeededEntropy::new(seed));
        Pages::new(Arc::new(ring), database.to_owned())
    }

    #[test]
    fn a_token_serves_the_request_it_was_made_for_and_no_other() {
        let ours = pages(1, "db");
        let viewer = Viewer::service();
        let binding = Binding::of("List", &viewer, &["a", "b"]);
        let token = ours.token(&binding, &7_i64).unwrap();
        assert_eq!(ours.place::<i64>(&binding, &token), Ok(Some(7)));
        assert_eq!(ours.place::<i64>(&binding, ""), Ok(None));
        for other in [
            Binding::of("List", &viewer, &["ab", ""]),
            Binding::of("Listb", &viewer, &["a"]),
            Binding::feed("List"),
        ] {
            assert!(ours.place::<i64>(&other, &token).is_err());
        }
        for stranger in [pages(2, "db"), pages(1, "other")] {
            assert!(stranger.place::<i64>(&binding, &token).is_err());
        }
        for bad in ["x", "====", &token[1..], "七", &"A".repeat(1_000_000)] {
            assert_eq!(
                ours.place::<i64>(&binding, bad).unwrap_err().reason,
                "PAGE_TOKEN_INVALID"
            );
        }
    }
}
