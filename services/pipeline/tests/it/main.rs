//! The service behind its RPCs and its engine, on both engines of the store. `make test` brings a
//! PostgreSQL.

mod erasures;
mod flow;
mod follow;
mod hostile;
mod hostile_rest;
mod house;
mod ingest;
mod moves;
mod outside;
mod scopes;
mod tasks;
mod timers;
mod watch;
