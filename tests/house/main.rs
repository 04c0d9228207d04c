//! One test binary over the finished house.
//!
//! | module | what it proves |
//! |---|---|
//! | `crash` | SIGKILL during an import loses and doubles nothing |
//! | `flow`, `services` | the whole way through all services, in one process and in one for each |
//! | `faults` | any process or link may fail in the middle of ingest |
//! | `pulls` | any process or link may fail in the middle of a connector's run |
//! | `stopped` | whoever holds the resolver's lock or leads a connection may sleep |
//! | `histories` | two replicas behave like one; without the resolver's lock they are caught |
//! | `unanswered` | a process killed between a change and its audit event leaves the change in the trail |
//! | `upgrade` | replacing each process under load fails no call |
//! | `leads` | a list of leads reaches their owners, in one process and in one for each service |
//! | `sales` | leads, opportunities and tasks stand at the right customer through merge and unmerge |
//! | `erased` | an erased customer leaves reporting's numbers and pipeline's board, and says nothing any more |
//! | `sides` | random histories through customer, pipeline and reporting: all is on the right side |
//! | `quarter` | from a record to a lost quarter: a lead, a win, orders, values, one warning, one task |
//! | `reminders` | a reminder reaches the member of the chat platform who the user is, once |
//! | `oa` | an OA form reads a masked customer with one HTTPS GET, as docs/oa.md says |
//! | `restore` | a backup of separate processes under load, restored elsewhere, as docs/operations.md says |
//! | `tidy` | the dependency rules of docs/ARCHITECTURE.md hold, from `cargo metadata` and the sources |
//! | `contract` | the descriptor set keeps the conventions of the contract |

mod contract;
mod crash;
mod directory;
mod erased;
mod faults;
mod flow;
mod histories;
mod leads;
mod load;
mod oa;
mod pages;
mod pulls;
mod quarter;
mod records;
mod reminders;
mod restore;
mod runs;
mod sales;
mod services;
mod sides;
mod stopped;
mod tidy;
mod unanswered;
mod upgrade;
