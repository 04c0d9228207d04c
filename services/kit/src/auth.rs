//! The layer that lets a call pass or not, and what it leaves behind for handlers.
use crate::{access::Grant, status::status, token::Claims};
use jinke_types::Failure;
use std::sync::Arc;
use tonic::{Request, Status};

/// The verified token of the caller, to act for him at a peer: `peer.acting_for(bearer)`.
#[derive(Clone)]
pub struct Bearer(pub(crate) Arc<str>);

impl Bearer {
    /// The token itself, for `ExchangeToken`. Never log it.
    pub fn token(&self) -> &str {
        &self.0
    }
}

/// The grant of the call. There is one in every method that is not public.
///
/// # Errors
/// `INTERNAL` in a public method, which has no caller.
#[expect(
    clippy::result_large_err,
    reason = "tonic handlers return Status by value"
)]
pub fn grant<T>(request: &Request<T>) -> Result<Arc<Grant>, Status> {
    request
        .extensions()
        .get::<Arc<Grant>>()
        .cloned()
        .ok_or_else(|| missing("grant"))
}

/// The claims of the caller's token: session, token id, actor.
///
/// # Errors
/// `INTERNAL` in a public method.
#[expect(
    clippy::result_large_err,
    reason = "tonic handlers return Status by value"
)]
pub fn claims<T>(request: &Request<T>) -> Result<Arc<Claims>, Status> {
    request
        .extensions()
        .get::<Arc<Claims>>()
        .cloned()
        .ok_or_else(|| missing("claims"))
}

/// The caller's token, to act for him at a peer.
///
/// # Errors
/// `INTERNAL` in a public method.
#[expect(
    clippy::result_large_err,
    reason = "tonic handlers return Status by value"
)]
pub fn bearer<T>(request: &Request<T>) -> Result<Bearer, Status> {
    request
        .extensions()
        .get::<Bearer>()
        .cloned()
        .ok_or_else(|| missing("token"))
}

fn missing(what: &str) -> Status {
    status(Failure::internal(format!(
        "a public method asked for the {what} of its caller"
    )))
}
