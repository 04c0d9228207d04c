//! HTTP for connectors: authentication, retries and a rate budget on top of `jinke-http`.
//!
//! A connector makes one [`Http`] per connection and sends every request through
//! [`Http::call`]. What a call does, in this order:
//!
//! 1. The [`Auth`] puts its headers on the request; a missing or expired session is opened
//!    first, once, however many calls wait for it.
//! 2. The [`Budget`] makes the call wait until the foreign system's rate allows it. It never
//!    fails a call: a budget is for waiting.
//! 3. The request is sent with the limits of `jinke-http`.
//! 4. The status decides ([`Verdict`]); for 2xx the connector's own `judge` does, because many
//!    systems answer errors with 200.
//! 5. Faults that may pass are tried again with exponential backoff and full jitter, when the
//!    call is [`Safety::Repeatable`] or the server said that it did nothing (429). A
//!    `Retry-After` is honoured and holds back every other call of the connection too.
//!
//! | status | what becomes of it |
//! |---|---|
//! | 2xx | the connector's `judge` |
//! | 401 | the session is renewed once and the call repeated; else `FOREIGN_UNAUTHORIZED` |
//! | 403 | `FOREIGN_FORBIDDEN`, a person has to give rights |
//! | 429 | waited for and repeated, whatever the call |
//! | 408, 425, 5xx | repeated when the call is repeatable; else `FOREIGN_UNAVAILABLE` |
//! | others | `FOREIGN_REFUSED` with the status; calling again will not help |

mod auth;
mod budget;
mod retry;

use std::sync::Arc;

use jinke_types::{Clock, Code, Entropy, Failure};

pub use auth::{Auth, Login, Session, Signer};
pub use budget::{Budget, BudgetPolicy};
pub use jinke_http::{
    Client, ClientConfig, Method, NetworkPolicy, Origin, Request, Response, WebSocket,
    websocket_origin,
};
pub use retry::RetryPolicy;

use crate::connector::{PullError, PullErrorKind};

/// Whether a call may be sent again when nobody knows if the first one had an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Safety {
    /// It reads, or writes the same thing again.
    Repeatable,
    /// Sending it twice would do the thing twice.
    Once,
}

/// What an answer means.
#[derive(Debug)]
pub enum Verdict<T> {
    /// It is the answer.
    Done(T),
    /// The session is not, or no longer, accepted.
    Renew,
    /// It may work later; after so long when the server said so.
    Later(Option<std::time::Duration>, Failure),
    /// The server did nothing because it is called too often.
    Throttled(Option<std::time::Duration>),
    /// Calling again will not help.
    Fail(PullError),
}

/// Everything [`Http`] is made of.
pub struct HttpParts {
    /// The client with its network policy and limits.
    pub client: Client,
    /// How calls prove who we are.
    pub auth: Auth,
    /// When calls are tried again.
    pub retry: RetryPolicy,
    /// How often and how many at a time.
    pub budget: Arc<Budget>,
    /// Randomness for the jitter.
    pub entropy: Arc<dyn Entropy>,
    /// Time, to read a `Retry-After` that is a date and the expiry of sessions.
    pub clock: Arc<dyn Clock>,
}

/// A foreign system that is called over HTTP. Cheap to clone.
#[derive(Clone)]
pub struct Http(Arc<HttpParts>);

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http")
            .field("client", &self.0.client)
            .finish_non_exhaustive()
    }
}

impl Http {
    /// From its parts.
    pub fn new(parts: HttpParts) -> Self {
        Self(Arc::new(parts))
    }

    /// A client for one origin. `private_network` allows loopback and private addresses.
    pub fn client(
        base_url: &str,
        private_network: bool,
        config: ClientConfig,
    ) -> Result<Client, Failure> {
        let mut policy = NetworkPolicy::new().allow(Origin::of(base_url)?);
        if private_network {
            policy = policy.with_private_network();
        }
        Client::new(config, policy)
    }

    /// Sends `request` until it has an answer that `judge` takes, or gives up.
    pub async fn call<T>(
        &self,
        request: &Request,
        safety: Safety,
        judge: impl Fn(&Response) -> Verdict<T>,
    ) -> Result<T, PullError> {
        self.call_first(request, safety, |_| None, judge).await
    }

    /// The same, with `first` asked before the status: for systems whose bodies say more than
    /// their statuses do, such as a 403 that only means "too often".
    pub async fn call_first<T>(
        &self,
        request: &Request,
        safety: Safety,
        first: impl Fn(&Response) -> Option<Verdict<T>>,
        judge: impl Fn(&Response) -> Verdict<T>,
    ) -> Result<T, PullError> {
        let parts = &*self.0;
        let mut renewed = false;
        let mut tries = 0_u32;
        loop {
            // The session is opened before a place in the budget is taken: a login needs one too.
            let (ready, generation) = parts.auth.apply(request.clone(), &*parts.clock).await?;
            let place = parts.budget.acquire().await;
            let sent = parts.client.send(ready).await;
            drop(place);
            let verdict = match sent {
                Ok(answer) => first(&answer)
                    .or_else(|| self.by_status(&answer))
                    .unwrap_or_else(|| judge(&answer)),
                Err(failure) if passing(&failure) => Verdict::Later(None, failure),
                Err(failure) => Verdict::Fail(PullError::new(PullErrorKind::Unreadable, failure)),
            };
            let (wait, failure, repeatable) = match verdict {
                Verdict::Done(answer) => return Ok(answer),
                Verdict::Fail(error) => return Err(error),
                Verdict::Renew if parts.auth.renewable() && !renewed => {
                    renewed = true;
                    parts.auth.renew(generation).await;
                    continue;
                }
                Verdict::Renew => return Err(unauthorized()),
                Verdict::Later(wait, failure) => (wait, failure, safety == Safety::Repeatable),
                Verdict::Throttled(wait) => (wait, throttled(), true),
            };
            tries += 1;
            if !repeatable || tries >= parts.retry.tries {
                return Err(PullError::new(PullErrorKind::Unavailable, failure));
            }
            let Some(wait) = parts.retry.wait(tries, wait, &*parts.entropy) else {
                return Err(PullError::new(PullErrorKind::Unavailable, failure));
            };
            if wait.asked {
                parts.budget.hold(wait.time);
            }
            tokio::time::sleep(wait.time).await;
        }
    }

    fn by_status<T>(&self, answer: &Response) -> Option<Verdict<T>> {
        let after = || retry::retry_after(answer.header("retry-after"), self.0.clock.now());
        let status = answer.status.as_u16();
        Some(match status {
            200..300 => return None,
            401 => Verdict::Renew,
            403 => Verdict::Fail(PullError::new(
                PullErrorKind::Unauthorized,
                Failure::new(
                    Code::PermissionDenied,
                    "FOREIGN_FORBIDDEN",
                    "the foreign system does not allow this user to read what was asked for",
                ),
            )),
            429 => Verdict::Throttled(after()),
            408 | 425 | 500..600 => Verdict::Later(
                after(),
                Failure::new(
                    Code::Unavailable,
                    "FOREIGN_UNAVAILABLE",
                    "the foreign system does not work now",
                )
                .with("status", status),
            ),
            _ => Verdict::Fail(PullError::new(
                PullErrorKind::Unreadable,
                Failure::new(
                    Code::FailedPrecondition,
                    "FOREIGN_REFUSED",
                    "the foreign system refuses the request",
                )
                .with("status", status),
            )),
        })
    }
}

/// Whether a failure of the exchange may pass by itself.
fn passing(failure: &Failure) -> bool {
    matches!(
        failure.reason,
        "HTTP_TIMEOUT" | "HTTP_CONNECT" | "HTTP_BODY_CUT" | "HTTP_FAILED"
    )
}

fn unauthorized() -> PullError {
    PullError::new(
        PullErrorKind::Unauthorized,
        Failure::new(
            Code::Unauthenticated,
            "FOREIGN_UNAUTHORIZED",
            "the foreign system does not accept the credentials",
        ),
    )
}

fn throttled() -> Failure {
    Failure::new(
        Code::ResourceExhausted,
        "FOREIGN_THROTTLED",
        "the foreign system is called too often",
    )
}

/// An answer that is not what the foreign system's contract says. `what` names the place, never
/// a value.
pub fn unreadable(what: impl Into<String>) -> PullError {
    PullError::new(
        PullErrorKind::Unreadable,
        Failure::new(Code::FailedPrecondition, "FOREIGN_UNREADABLE", what),
    )
}

/// Reads a body as JSON. Nested deeper than 128 levels, invalid UTF-8 and what is no JSON are
/// `FOREIGN_UNREADABLE`; the size is bounded by the client.
pub fn json(answer: &Response) -> Result<serde_json::Value, PullError> {
    serde_json::from_slice(&answer.body)
        .map_err(|_| unreadable("the foreign system's answer is no JSON that can be read"))
}
