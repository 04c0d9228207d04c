//! Outbound HTTP: the only crate that names reqwest.
//!
//! A [`Client`] talks to the hosts of its [`NetworkPolicy`] and to nothing else. What comes back is
//! limited in time and size; errors say what went wrong without showing the URL's query or any
//! header, because both carry secrets.
//!
//! | limit | default |
//! |---|---|
//! | connecting, TLS included | 10 s |
//! | whole exchange, body included | 60 s |
//! | body, after decompression | 64 MiB |
//! | redirects, same origin only | 5 |
//!
//! A [`WebSocket`] is opened over the same client, under the same policy.
//!
//! Retrying, rate budgets, signing and paging are the connector kit's matter, not this crate's.

mod client;
mod policy;
mod websocket;

pub use client::{Client, ClientConfig, Method, Request, Response};
pub use policy::{NetworkPolicy, Origin};
pub use websocket::{WebSocket, websocket_origin};
