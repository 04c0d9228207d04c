//! What the tests and benchmarks over the finished house share.
//!
//! | module | what it holds |
//! |---|---|
//! | [`state`] | what the API shows of all customers, comparable between runs |
//! | [`suite`] | the binary `jinke` as a child process: start, log in, call, kill |
//! | [`companies`] | a repeatable stream of invented companies with duplicates |

pub mod companies;
pub mod state;
pub mod suite;
