//! The engine on both databases.

mod attach;
mod generic;
mod judge;
mod order;
mod replicas;
mod sealed;
mod speed;
mod support;
mod versions;
mod worker;
