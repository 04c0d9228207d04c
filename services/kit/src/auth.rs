//! Lets a call pass or not, before its body is read, and leaves behind what handlers need.
//!
//! A caller proves himself with `authorization: Bearer <access token>`. A service that acts for a
//! caller sends the token it got in exchange for his (with an `act` claim that names the service)
//! and beside it its own token in `x-jinke-service-token`, so that an exchanged token is worth
//! nothing to whoever finds it. Both must be allowed what is asked.
//!
//! Public methods (option `public`), `grpc.health.v1.Health` and reflection need no token.

use std::sync::Arc;

use http::{HeaderMap, request::Parts};
use jinke_types::{Caller, Code, Failure};
use tonic::{Request, Status};

use crate::{
    access::{Access, Grant},
    methods::Needs,
    status::status,
    token::{self, Claims},
};

/// Header with the caller's token.
pub const AUTHORIZATION: &str = "authorization";
/// Header with the token of the service that acts for the caller.
pub const SERVICE_TOKEN: &str = "x-jinke-service-token";

/// The verified token of the caller, to act for him at a peer: `peer.acting_for(&bearer)`.
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

/// Decides about a call by its head and puts [`Grant`], [`Claims`] and [`Bearer`] into its
/// extensions. Returns the grant unless the method is public. Whose token it is stands in `known`, also
/// when he is refused.
///
/// # Errors
/// `UNAUTHENTICATED`, `PERMISSION_DENIED` or `UNAVAILABLE` as [`Access::authenticate`] and
/// [`Access::authorize`] say.
pub(crate) fn admit(
    access: &Access,
    needs: &Needs,
    parts: &mut Parts,
    known: &mut Option<Caller>,
) -> Result<Option<Arc<Grant>>, Failure> {
    // What a client in the same process left in the extensions is not proof of anything.
    parts.extensions.remove::<Arc<Grant>>();
    parts.extensions.remove::<Arc<Claims>>();
    parts.extensions.remove::<Bearer>();
    if *needs == Needs::Nothing {
        return Ok(None);
    }
    let token = bearer_token(&parts.headers, AUTHORIZATION)?.ok_or_else(|| {
        Failure::new(
            Code::Unauthenticated,
            "TOKEN_MISSING",
            "the call needs an access token",
        )
    })?;
    let (caller, claims) = access.verify(token)?;
    *known = Some(caller.clone());
    access.still_good(&claims)?;
    let bearer = Bearer(token.into());
    if let Some(actor) = &caller.actor {
        let refused =
            |message: &str| Failure::new(Code::Unauthenticated, "SERVICE_TOKEN_INVALID", message);
        let own = bearer_token(&parts.headers, SERVICE_TOKEN)?.ok_or_else(|| {
            refused("an exchanged token needs the token of its service beside it")
        })?;
        let (service, _) = access.authenticate(own)?;
        if service.name != *actor || service.actor.is_some() {
            return Err(refused("the token was exchanged by another service"));
        }
    }
    let grant = match needs {
        Needs::Permission(permission) => access.authorize(&caller, permission)?,
        Needs::Token | Needs::Nothing => access.self_service(&caller)?,
    };
    parts.extensions.insert(Arc::clone(&grant));
    parts.extensions.insert(Arc::new(claims));
    parts.extensions.insert(bearer);
    Ok(Some(grant))
}

fn bearer_token<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Failure> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let malformed = || {
        Failure::new(
            Code::Unauthenticated,
            "TOKEN_INVALID",
            "the token is not valid",
        )
    };
    if values.next().is_some() || value.len() > token::MAX_TOKEN_BYTES + 16 {
        return Err(malformed());
    }
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|v| v.split_once(' '))
        .ok_or_else(malformed)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(Some(token.trim()))
    } else {
        Err(malformed())
    }
}
