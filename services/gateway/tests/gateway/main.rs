//! The gateway over a service that answers what it was asked, and over generated ones.

mod document;
mod edges;
mod errors;
mod events;
mod hostile;
mod json_laws;
mod rules;
mod sockets;
mod support;
