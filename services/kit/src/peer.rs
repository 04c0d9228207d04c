//! Calls to other services: one type for a service in this process and for one far away.
use crate::auth::Bearer;
use std::task::{Context, Poll};
use tonic::{Status, body::Body};

/// The other services, by name. Clones share connections and tokens.
#[derive(Clone)]
pub struct Peers {}

impl Peers {
    /// The service called `name`, called as the service itself. Resolved when first called, so
    /// that it may be built later than the one that asks.
    pub fn get(&self, _name: &str) -> Peer {
        unimplemented!()
    }
}

/// A service to call: give it to a generated client, `TokenServiceClient::new(peer)`.
#[derive(Clone)]
pub struct Peer {}

impl Peer {
    /// The same peer, called for the user whose token this is: it is exchanged for one with the
    /// peer's audience, and both the user and this service must be allowed what is asked.
    #[must_use]
    pub fn acting_for(&self, _bearer: &Bearer) -> Self {
        unimplemented!()
    }
}

impl tower::Service<http::Request<Body>> for Peer {
    type Response = http::Response<Body>;
    type Error = Status;
    type Future = futures::future::BoxFuture<'static, Result<Self::Response, Status>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, _request: http::Request<Body>) -> Self::Future {
        unimplemented!()
    }
}
