//! What is done in the background: leading connections, running them, sending, events.
//!
//! ```text
//! supervise ─finds what is due─▶ lease per connection ─▶ keep: run | outbox | events | errors
//! ```
//!
//! Each replica supervises. What it finds due it leads under a lease, and everything a keeper
//! writes is written in a transaction that holds the lease's fence: a keeper that was paused past
//! its term cannot save a cursor any more. What it delivered meanwhile was delivered twice, which
//! the customer service takes once.

mod errors;
mod events;
mod keep;
mod listen;
mod outbox;
mod pull;
mod recipient;
mod rows;
mod run;
mod sweep;
mod taken;

use jinke_sdk::{PullError, PullErrorKind};
use jinke_types::Failure;
use tonic::Status;

pub use keep::supervise;
pub use listen::listen;

use crate::{deliver::may_pass, problem::Problem};

/// Why something came to no end.
#[derive(Debug)]
enum Trouble {
    /// It may work later.
    Later(Problem),
    /// This stream, record or message will not; others may.
    Here(Problem),
    /// Nothing of the connection will until somebody acts: credentials, settings, rights.
    All(Problem),
    /// The keeper itself cannot go on: its database is away or its lease is lost.
    Keeper(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Keeper(failure)
    }
}

impl Trouble {
    /// Of an answer of the customer service.
    fn of_status(status: &Status) -> Self {
        let problem = Problem::from(status);
        match status.code() {
            _ if may_pass(status) => Self::Later(problem),
            // The token of this service is renewed by the kit; a refusal may pass.
            tonic::Code::Unauthenticated => Self::Later(problem),
            _ => Self::All(problem),
        }
    }

    /// Of an answer of the pipeline service: without it no leads are taken, but records are.
    fn of_leads(status: &Status) -> Self {
        match Self::of_status(status) {
            Self::All(problem) => Self::Here(problem),
            trouble => trouble,
        }
    }

    /// Of a foreign system.
    fn of_pull(error: &PullError) -> Self {
        let problem = Problem::from(&error.failure);
        match error.kind {
            PullErrorKind::Unavailable => Self::Later(problem),
            PullErrorKind::Unauthorized => Self::All(problem),
            PullErrorKind::Unreadable | PullErrorKind::CursorUnknown | PullErrorKind::Changed => {
                Self::Here(problem)
            }
        }
    }

    /// Of `check` and `discover`, which tell a failure only.
    fn of_failure(failure: &Failure) -> Self {
        use jinke_types::Code;
        let problem = Problem::from(failure);
        match failure.code {
            Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted => {
                Self::Later(problem)
            }
            _ => Self::All(problem),
        }
    }
}
