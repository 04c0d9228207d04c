//! The tokens under which the engine indexes names and exact values.

use jinke_types::{PartyKind, Value};

use super::Api;
use crate::engine::{lookup_text, token};

impl Api {
    /// The tokens of one search term: one, or two while the token key is being changed.
    pub(super) fn search_tokens(&self, term: &str) -> Vec<i64> {
        self.engine.ring().tokens_for_lookup(token::TERM, term)
    }

    /// The tokens of an identifier, phone or email as a party of either kind would have it.
    pub(super) fn lookup_tokens(&self, value: &Value) -> Vec<i64> {
        let mut tokens = Vec::new();
        for kind in [PartyKind::Organization, PartyKind::Person] {
            if let Some(text) = lookup_text(kind, value) {
                tokens.extend(self.engine.ring().tokens_for_lookup(token::VALUE, &text));
            }
        }
        tokens.sort_unstable();
        tokens.dedup();
        tokens
    }
}
