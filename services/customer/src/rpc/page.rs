//! Page tokens: opaque to callers, and signed.
//!
//! A page token is base64url of a JSON cursor and a keyed hash over the cursor and everything
//! the cursor depends on: the method, the request's own parts (filter, order, parent…), who
//! asks and what he may see. A token that comes back with another filter, from another caller
//! or another database, or after the caller's rights changed, is refused: going on with it
//! would skip rows, show some twice, or carry a position into rows it may not tell about.
//!
//! The token of the change feed is bound to its database alone, so that one follower can use
//! it with `ListCustomerChanges` and `WatchCustomerChanges` and keep it for years.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jinke_store::keys::KeyRing;
use jinke_types::{Code, Failure};
use serde::{Serialize, de::DeserializeOwned};

use crate::access::Viewer;

/// Bytes after which a page ends before it holds what was asked for: a client takes messages of four
/// megabytes by default.
pub const MAX_PAGE_BYTES: usize = 3 * 1024 * 1024;
/// Longest token accepted, in bytes.
pub const MAX_TOKEN: usize = 4_096;
/// Bytes of the keyed hash: suite, key id, HMAC-SHA-256.
const TAG: usize = 34;

/// What a page token is bound to.
#[derive(Clone, Debug, Default)]
pub struct Binding(Vec<u8>);

impl Binding {
    /// A token of `method` for this viewer, with the parts of the request it depends on.
    pub fn of(method: &str, viewer: &Viewer, parts: &[&str]) -> Self {
        let mut binding = Self::default();
        binding.push(method);
        binding.push(&viewer.caller.name);
        binding.push(&viewer.fingerprint());
        for part in parts {
            binding.push(part);
        }
        binding
    }

    /// A token that only names a place in a feed.
    pub fn feed(feed: &str) -> Self {
        let mut binding = Self::default();
        binding.push("feed");
        binding.push(feed);
        binding
    }

    /// Length-prefixed, so that two parts cannot be read as two others.
    fn push(&mut self, part: &str) {
        self.0.extend_from_slice(&(part.len() as u64).to_be_bytes());
        self.0.extend_from_slice(part.as_bytes());
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

    /// The token for going on at `cursor`.
    pub fn token<C: Serialize>(&self, binding: &Binding, cursor: &C) -> Result<String, Failure> {
        let mut bytes = serde_json::to_vec(cursor).map_err(Failure::internal)?;
        let tag = self.ring.hmac("page", &self.signed(binding, &bytes));
        bytes.extend_from_slice(&tag);
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The cursor in a token; none for the first page.
    pub fn cursor<C: DeserializeOwned>(
        &self,
        binding: &Binding,
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
        if !self.ring.verify("page", &self.signed(binding, cursor), tag) {
            return Err(refused());
        }
        serde_json::from_slice(cursor)
            .map(Some)
            .map_err(|_| refused())
    }

    fn signed(&self, binding: &Binding, cursor: &[u8]) -> Vec<u8> {
        let mut all = Binding::default();
        all.push(&self.database);
        let mut bytes = all.0;
        bytes.extend_from_slice(&(binding.0.len() as u64).to_be_bytes());
        bytes.extend_from_slice(&binding.0);
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
    use jinke_types::{FieldMask, RowScope, SeededEntropy};

    use super::*;

    fn pages(seed: u64, database: &str) -> Pages {
        let ring = KeyRing::in_memory(&SeededEntropy::new(seed));
        Pages::new(Arc::new(ring), database.to_owned())
    }

    fn viewer(name: &str, scope: RowScope) -> Viewer {
        Viewer::for_test(name, scope, FieldMask::all())
    }

    #[test]
    fn a_token_serves_the_request_it_was_made_for_and_no_other() {
        let pages_1 = pages(1, "db-1");
        let ana = viewer("users/ana", RowScope::All);
        let binding = Binding::of("List", &ana, &["kind = PERSON", "name"]);
        let token = pages_1.token(&binding, &(7_i64, "x")).unwrap();
        assert_eq!(
            pages_1.cursor(&binding, &token),
            Ok(Some((7_i64, "x".to_owned())))
        );
        assert_eq!(pages_1.cursor::<i64>(&binding, ""), Ok(None));

        let others = [
            Binding::of("List", &ana, &["kind = ORGANIZATION", "name"]),
            Binding::of("List", &ana, &["kind = PERSON", "name desc"]),
            Binding::of("List", &ana, &["kind = PERSONname", ""]),
            Binding::of("Search", &ana, &["kind = PERSON", "name"]),
            Binding::of(
                "List",
                &viewer("users/bo", RowScope::All),
                &["kind = PERSON", "name"],
            ),
            Binding::of(
                "List",
                &viewer("users/ana", RowScope::None),
                &["kind = PERSON", "name"],
            ),
        ];
        for other in &others {
            let refused = pages_1.cursor::<(i64, String)>(other, &token).unwrap_err();
            assert_eq!(refused.reason, "PAGE_TOKEN_INVALID");
        }
        for stranger in [pages(1, "db-2"), pages(2, "db-1")] {
            assert!(stranger.cursor::<(i64, String)>(&binding, &token).is_err());
        }
    }

    #[test]
    fn broken_tokens_are_refused() {
        let pages = pages(1, "db");
        let binding = Binding::feed("customers");
        let token = pages.token(&binding, &1_i64).unwrap();
        let mut flipped = token.clone().into_bytes();
        flipped[0] = if flipped[0] == b'M' { b'N' } else { b'M' };
        let flipped = String::from_utf8(flipped).unwrap();
        let long = "A".repeat(10_000_000);
        for bad in [
            "x",
            "====",
            "AAAA",
            "\0",
            &flipped,
            &token[1..],
            &long,
            "七",
        ] {
            assert!(pages.cursor::<i64>(&binding, bad).is_err());
        }
    }
}
