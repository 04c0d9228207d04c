//! The engine on both databases.

mod attach;
mod batch;
mod cohesion;
mod crowds;
mod erase;
mod first_load;
mod generic;
mod judge;
mod merges;
mod order;
mod rebuild;
mod rebuild_serving;
mod replicas;
mod sealed;
mod speed;
mod support;
mod train;
mod tries;
mod versions;
mod worker;
