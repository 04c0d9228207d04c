//! One test binary over the finished house.
//!
//! | module | what it proves |
//! |---|---|
//! | `crash` | SIGKILL during an import loses and doubles nothing |
//! | `flow` | the whole way through the running house, in one process and in one for each service |
//! | `faults` | any process or link may fail in the middle of ingest |
//! | `histories` | two replicas behave like one; without the resolver's lock they are caught |
//! | `upgrade` | replacing each process under load fails no call |
//! | `sales` | leads, opportunities and tasks stand at the right customer through merge and unmerge |
//! | `tidy` | the dependency rules of docs/ARCHITECTURE.md hold, from `cargo metadata` and the sources |
//! | `contract` | the descriptor set keeps the conventions of the contract |

mod contract;
mod crash;
mod directory;
mod faults;
mod flow;
mod histories;
mod load;
mod records;
mod sales;
mod tidy;
mod upgrade;
