//! Page tokens: opaque to callers, signed, and bound to the method, its parent and the caller.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jinke_store::keys::KeyRing;
use jinke_types::{Code, Failure};

use super::Viewer;

/// Longest token accepted, in bytes.
const MAX_TOKEN: usize = 1_024;
/// Bytes of the keyed hash: suite, key id, HMAC-SHA-256.
const TAG: usize = 34;

/// Makes and checks page tokens.
#[derive(Clone)]
pub struct Pages(Arc<KeyRing>);

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pages").finish_non_exhaustive()
    }
}

impl Pages {
    /// Tokens signed with `ring`.
    pub const fn new(ring: Arc<KeyRing>) -> Self {
        Self(ring)
    }

    fn signed(method: &str, parent: &str, viewer: &Viewer, cursor: &str) -> Vec<u8> {
        let mut out = Vec::new();
        for part in [method, parent, &viewer.caller.name, cursor] {
            out.extend_from_slice(&(part.len() as u64).to_be_bytes());
            out.extend_from_slice(part.as_bytes());
        }
        out
    }

    /// The token for going on at `cursor`.
    pub fn token(&self, method: &str, parent: &str, viewer: &Viewer, cursor: &str) -> String {
        let tag = self
            .0
            .hmac("page", &Self::signed(method, parent, viewer, cursor));
        let mut bytes = cursor.as_bytes().to_vec();
        bytes.extend_from_slice(&tag);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The cursor in a token; empty for the first page.
    ///
    /// # Errors
    /// `PAGE_TOKEN_INVALID`.
    pub fn cursor(
        &self,
        method: &str,
        parent: &str,
        viewer: &Viewer,
        token: &str,
    ) -> Result<String, Failure> {
        if token.is_empty() {
            return Ok(String::new());
        }
        let read = || {
            let bytes = (token.len() <= MAX_TOKEN)
                .then(|| URL_SAFE_NO_PAD.decode(token).ok())
                .flatten()?;
            let (cursor, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG)?)?;
            let cursor = String::from_utf8(cursor.to_vec()).ok()?;
            let signed = Self::signed(method, parent, viewer, &cursor);
            self.0.verify("page", &signed, tag).then_some(cursor)
        };
        read().ok_or_else(|| {
            let mut failure = Failure::new(
                Code::InvalidArgument,
                "PAGE_TOKEN_INVALID",
                "page_token: it belongs to another request or caller; start again without it",
            );
            failure.violations =
                Failure::field("page_token", "does not belong to this request").violations;
            failure
        })
    }

    /// The number in a token; `first` for the first page.
    ///
    /// # Errors
    /// `PAGE_TOKEN_INVALID`.
    pub fn number(
        &self,
        method: &str,
        parent: &str,
        viewer: &Viewer,
        token: &str,
        first: i64,
    ) -> Result<i64, Failure> {
        let cursor = self.cursor(method, parent, viewer, token)?;
        Ok(cursor.parse().unwrap_or(first))
    }
}
