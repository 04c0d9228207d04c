//! Who may do what, decided in this process (decision D9).
//!
//! Identity streams an access snapshot to every service. [`Snapshot`] is the compiled form of one:
//! roles and bindings become Cedar policies beside those people wrote, org units the hierarchy
//! they are evaluated on. [`Access`] holds the present one. It turns a token into a caller and a
//! caller and a permission into a [`Grant`]: which rows, which classes of fields.

mod compile;
mod decide;
mod policy;
mod schema;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use jinke_proto::jinke::identity::v1 as pb;
use jinke_types::{Caller, Clock, Code, Failure, FieldMask, RowScope, Timestamp};
use tokio::sync::watch;

pub use compile::Snapshot;
pub use decide::Decision;
pub use policy::{MAX_POLICY_BYTES, check_policy};
pub use schema::{class_out, field_class};

use crate::token::{self, Claims};

/// How often a call that lasts looks at the clock whether its token still holds.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// What a caller may do in the call at hand. Handlers give `scope` to every store read and `mask`
/// to the one mask function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Who is calling, and which service passes the call on.
    pub caller: Caller,
    /// The permission that was granted; empty for a self-service method.
    pub permission: String,
    /// Rows: the org units by resource name (`orgUnits/…`); the empty name stands for rows that
    /// belong to the enterprise itself. `None` for a self-service method.
    pub scope: RowScope,
    /// Field classes that may be shown.
    pub mask: FieldMask,
}

struct State {
    snapshot: Option<Arc<Snapshot>>,
    contact: Timestamp,
}

struct Inner {
    area: String,
    clock: Arc<dyn Clock>,
    max_staleness: Option<Duration>,
    state: RwLock<State>,
    published: watch::Sender<i64>,
    writing: Mutex<()>,
}

/// The access snapshot of one service and the decisions made from it. Clones share it.
#[derive(Clone)]
pub struct Access(Arc<Inner>);

impl Access {
    /// Without a snapshot, so that everything is refused. `area` is the service's name and the
    /// audience its tokens must have. With `max_staleness`, calls are refused once identity has
    /// not been heard of for that long; identity itself has none.
    pub fn new(area: &str, clock: Arc<dyn Clock>, max_staleness: Option<Duration>) -> Self {
        Self(Arc::new(Inner {
            area: area.to_owned(),
            clock,
            max_staleness,
            state: RwLock::new(State {
                snapshot: None,
                contact: Timestamp(i64::MIN),
            }),
            published: watch::channel(-1).0,
            writing: Mutex::new(()),
        }))
    }

    /// The name of the service, which is the audience of its tokens.
    pub fn area(&self) -> &str {
        &self.0.area
    }

    /// Compiles a snapshot and decides by it from now on. One that is not newer than the
    /// present one only counts as a sign of life.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when it does not compile; the present one then stays, since leaving out
    /// a policy that forbids would let through what it forbids.
    pub fn publish(&self, snapshot: &pb::AccessSnapshot) -> Result<(), Failure> {
        let _one_writer = self
            .0
            .writing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if self
            .snapshot()
            .is_some_and(|s| s.version() >= snapshot.version)
        {
            self.contact();
            return Ok(());
        }
        let compiled = Arc::new(Snapshot::compile(snapshot)?);
        let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
        state.snapshot = Some(compiled);
        state.contact = self.0.clock.now();
        drop(state);
        self.0.published.send_replace(snapshot.version);
        Ok(())
    }

    /// Notes that identity was heard of just now and has nothing newer.
    pub fn contact(&self) {
        self.0
            .state
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .contact = self.0.clock.now();
    }

    /// The present snapshot, fresh or not.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.0
            .state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .snapshot
            .clone()
    }

    /// The present snapshot, for a decision.
    ///
    /// # Errors
    /// `UNAVAILABLE` with reason `NO_ACCESS_SNAPSHOT` before the first one, and
    /// `ACCESS_SNAPSHOT_STALE` when identity has been silent for too long.
    pub fn fresh(&self) -> Result<Arc<Snapshot>, Failure> {
        let state = self.0.state.read().unwrap_or_else(PoisonError::into_inner);
        let snapshot = state.snapshot.clone().ok_or_else(|| {
            Failure::new(
                Code::Unavailable,
                "NO_ACCESS_SNAPSHOT",
                "no access snapshot yet",
            )
        })?;
        match self.0.max_staleness {
            Some(max) if state.contact.plus(max) < self.0.clock.now() => Err(Failure::new(
                Code::Unavailable,
                "ACCESS_SNAPSHOT_STALE",
                "identity has not been heard of for too long to decide who may do what",
            )),
            _ => Ok(snapshot),
        }
    }

    /// Completes with the version once a snapshot newer than `version` is in use.
    pub async fn newer_than(&self, version: i64) -> i64 {
        let mut seen = self.0.published.subscribe();
        // The sender lives in self, so waiting cannot fail.
        seen.wait_for(|v| *v > version)
            .await
            .map_or(version, |v| *v)
    }

    /// Checks a token: signature, times, that it is for this service, that neither its subject nor
    /// its actor is disabled and its session not revoked.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` with the reasons of [`token::verify`], `CALLER_DISABLED` or
    /// `SESSION_REVOKED`; `UNAVAILABLE` as [`Access::fresh`].
    pub fn authenticate(&self, token: &str) -> Result<(Caller, Claims), Failure> {
        let (caller, claims) = self.verify(token)?;
        self.still_good(&claims)?;
        Ok((caller, claims))
    }

    /// Refuses the claims of a verified token when its subject or actor is disabled, or its session
    /// revoked.
    pub(crate) fn still_good(&self, claims: &Claims) -> Result<(), Failure> {
        self.fresh()?.admit(claims)
    }

    /// Whose token it is, by its signature, times and audience alone.
    pub(crate) fn verify(&self, token: &str) -> Result<(Caller, Claims), Failure> {
        let snapshot = self.fresh()?;
        let claims = token::verify(token, snapshot.keys(), &self.0.area, self.0.clock.now())?;
        let caller = Caller {
            name: claims.sub.clone(),
            actor: claims.act.as_ref().map(|a| a.sub.clone()),
        };
        Ok((caller, claims))
    }

    /// Completes once claims that were accepted hold no more: with why. For a call that lasts, which
    /// must end when its token does: `TOKEN_EXPIRED`, `CALLER_DISABLED` or `SESSION_REVOKED`.
    pub(crate) async fn lapsed(&self, claims: &Claims) -> Failure {
        loop {
            // Subscribed first, so that no snapshot is missed between the look and the wait.
            let mut seen = self.0.published.subscribe();
            seen.mark_unchanged();
            let now = self.0.clock.now();
            if let Err(lapsed) = token::still_valid(claims, now) {
                return lapsed;
            }
            if let Some(Err(lapsed)) = self.snapshot().map(|s| s.admit(claims)) {
                return lapsed;
            }
            let left = token::first_refused_second(claims).saturating_sub(now.secs());
            let left = Duration::from_secs(u64::try_from(left).unwrap_or_default());
            // A timer may run apart from the clock, for instance while the machine sleeps.
            let look = left.min(LOOK_AGAIN) + Duration::from_millis(1);
            let _ = tokio::time::timeout(look, seen.changed()).await;
        }
    }

    /// What `caller` may do with `permission`. With an actor, both must be allowed, and the grant
    /// is what they have in common.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` with reason `PERMISSION_DENIED`; `UNAVAILABLE` as [`Access::fresh`].
    pub fn authorize(&self, caller: &Caller, permission: &str) -> Result<Arc<Grant>, Failure> {
        self.fresh()?.authorize(caller, permission)
    }

    /// The grant of a self-service call: no rows but the caller's own, his own field mask.
    ///
    /// # Errors
    /// `UNAVAILABLE` as [`Access::fresh`].
    pub fn self_service(&self, caller: &Caller) -> Result<Arc<Grant>, Failure> {
        let mask = self.fresh()?.mask_of(&caller.name)?;
        Ok(Arc::new(Grant {
            caller: caller.clone(),
            permission: String::new(),
            scope: RowScope::None,
            mask,
        }))
    }
}

/// What two grants have in common.
fn intersect(a: (RowScope, FieldMask), b: (RowScope, FieldMask)) -> (RowScope, FieldMask) {
    let scope = match (a.0, b.0) {
        (RowScope::None, _) | (_, RowScope::None) => RowScope::None,
        (RowScope::All, other) | (other, RowScope::All) => other,
        (RowScope::OrgUnits(x), RowScope::OrgUnits(y)) => {
            let both: BTreeSet<_> = x.intersection(&y).cloned().collect();
            if both.is_empty() {
                RowScope::None
            } else {
                RowScope::OrgUnits(both)
            }
        }
    };
    (
        scope,
        FieldMask::of(a.1.classes().filter(|c| b.1.allows(*c))),
    )
}
