//! What the tests and benchmarks over the finished house share.
//!
//! | module | what it holds |
//! |---|---|
//! | [`state`] | what the API shows of all customers, comparable between runs |
//! | [`suite`] | the binary `jinke` as a child process: start, log in, call, kill |
//! | [`apart`] | every service as a process of its own, with TLS, and proxies to cut what lies between |
//! | [`transcript`] | answers in a form that two runs can be compared by |
//! | [`history`] | whether what clients saw of several replicas can be explained |
//! | [`clock`] | a clock that a test moves in every process at once |
//! | [`companies`] | a repeatable stream of invented companies with duplicates |

pub mod apart;
pub mod clock;
pub mod companies;
pub mod history;
pub mod state;
pub mod suite;
pub mod transcript;
