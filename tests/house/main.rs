//! One test binary over the finished house.
//!
//! | module | what it proves |
//! |---|---|
//! | `crash` | SIGKILL during an import loses and doubles nothing |
//! | `flow` | the whole way through the running binary, on both engines |
//! | `tidy` | the dependency rules of docs/ARCHITECTURE.md hold, from `cargo metadata` and the sources |
//! | `contract` | the descriptor set keeps the conventions of the contract |

mod contract;
mod crash;
mod flow;
mod tidy;
