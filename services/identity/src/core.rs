//! What every operation works with.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jinke_kit::{
    Access, Grant,
    token::{Actor, Claims, ISSUER},
};
use jinke_store::{
    Database, Tx,
    keys::KeyRing,
    request::{self, Claim, Outcome},
};
use prometheus::{IntCounterVec, Opts};

use jinke_types::{Clock, Entropy, Failure, Timestamp};

use crate::{
    config::Config,
    domain::{MAX_SESSIONS, Member, Session, new_uid},
    error,
    password::Passwords,
    publish::Publisher,
    secret::{self, Kind},
    signing,
    store::{Vault, sessions},
    throttle,
};

/// The service without its edges. Operations live in `rpc/`.
pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) db: Database,
    pub(crate) vault: Vault,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) passwords: Passwords,
    pub(crate) publisher: Publisher,
    /// Areas a token can be for, in order.
    pub(crate) areas: Vec<String>,
    pub(crate) data_dir: PathBuf,
    /// Logins by method and outcome.
    pub(crate) logins: IntCounterVec,
}

/// A request that a retry must not do twice.
pub(crate) struct Once<'a> {
    /// The full method, e.g. `jinke.identity.v1.IdentityService/CreateUser`.
    pub(crate) method: &'static str,
    /// The caller's id for it; empty when he gave none.
    pub(crate) id: &'a str,
    /// The encoded request.
    pub(crate) body: Vec<u8>,
}

/// A session just begun or prolonged, with what its owner gets.
pub(crate) struct Tokens {
    pub(crate) access: String,
    /// Empty when there is none.
    pub(crate) refresh: String,
    pub(crate) life: Duration,
}

fn claim<'a>(grant: &'a Grant, once: &'a Once<'_>) -> request::Request<'a> {
    request::Request {
        caller: &grant.caller.name,
        method: once.method,
        id: once.id,
        body: &once.body,
    }
}

impl Core {
    pub(crate) async fn new(
        config: Config,
        db: Database,
        ring: KeyRing,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        access: Access,
        data_dir: PathBuf,
    ) -> Result<Self, Failure> {
        config.check()?;
        let passwords = Passwords::new(&config.password, entropy.as_ref()).await?;
        Ok(Self {
            passwords,
            publisher: Publisher::new(access),
            areas: crate::convert::areas()?,
            vault: Vault {
                ring: Arc::new(ring),
                entropy,
            },
            config,
            db,
            clock,
            data_dir,
            logins: IntCounterVec::new(
                Opts::new(
                    "jinke_identity_logins_total",
                    "Logins by method (password, key, refresh) and outcome: ok, or the reason.",
                ),
                &["method", "outcome"],
            )
            .map_err(Failure::internal)?,
        })
    }

    /// Counts a login. Reasons are constants, so they are few.
    pub(crate) fn counted<T>(
        &self,
        method: &str,
        result: Result<T, Failure>,
    ) -> Result<T, Failure> {
        let outcome = result.as_ref().err().map_or("ok", |failure| failure.reason);
        self.logins.with_label_values(&[method, outcome]).inc();
        result
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn entropy(&self) -> &dyn Entropy {
        self.vault.entropy.as_ref()
    }

    /// Publishes what was just committed. The change stands whether or not this succeeds; if it
    /// does not, the background task goes on trying.
    pub(crate) async fn published(&self) {
        self.published_to(None).await;
    }

    /// The same, unless this position of the change log was published already.
    async fn published_to(&self, position: Option<i64>) {
        let clock = self.clock.as_ref();
        let done = self
            .publisher
            .refresh(&self.db, &self.vault, clock, position)
            .await;
        if let Err(failure) = done {
            tracing::warn!(
                reason = failure.reason,
                "the access snapshot is late: {failure}"
            );
        }
    }

    /// Runs a mutation in a transaction and publishes what it did to access. The caller reads
    /// again what was made or changed, for the answer.
    pub(crate) async fn change<Done>(
        &self,
        work: impl FnMut(Tx) -> Done,
    ) -> Result<Outcome, Failure>
    where
        Done: Future<Output = Result<Outcome, Failure>>,
    {
        let (outcome, position) = self.db.write_positioned(work).await?;
        if position.is_some() {
            self.published_to(position).await;
        }
        Ok(outcome)
    }

    /// What this request made or changed when it came before; none when it is new, and is then
    /// to be [`Core::completed`] in the same transaction.
    ///
    /// # Errors
    /// `REQUEST_ID_REUSED`.
    pub(crate) async fn done_before(
        &self,
        tx: &mut Tx,
        grant: &Grant,
        once: &Once<'_>,
    ) -> Result<Option<Outcome>, Failure> {
        if once.id.is_empty() {
            return Ok(None);
        }
        let claim = claim(grant, once);
        match request::claim(tx, &self.vault.ring, &claim, self.now()).await? {
            Claim::New => Ok(None),
            Claim::Replay(outcomes) => outcomes
                .into_iter()
                .next()
                .map(Some)
                .ok_or_else(|| Failure::internal("a request without an outcome")),
        }
    }

    /// Notes what a request made or changed, so that a retry finds it.
    pub(crate) async fn completed(
        &self,
        tx: &mut Tx,
        grant: &Grant,
        once: &Once<'_>,
        outcome: Outcome,
    ) -> Result<Outcome, Failure> {
        if !once.id.is_empty() {
            let outcomes = std::slice::from_ref(&outcome);
            request::complete(tx, &claim(grant, once), outcomes).await?;
        }
        Ok(outcome)
    }

    /// Areas a token was asked for, or all.
    ///
    /// # Errors
    /// `INVALID_FIELD` for `audiences[i]`.
    pub(crate) fn audiences(&self, asked: &[String]) -> Result<Vec<String>, Failure> {
        for (i, area) in asked.iter().enumerate() {
            if i >= self.areas.len() || asked[..i].contains(area) {
                return Err(Failure::field(
                    format!("audiences[{i}]"),
                    "must not be repeated",
                ));
            }
            if !self.areas.contains(area) {
                let known = self.areas.join(", ");
                return Err(Failure::field(
                    format!("audiences[{i}]"),
                    format!("is none of {known}"),
                ));
            }
        }
        Ok(if asked.is_empty() {
            self.areas.clone()
        } else {
            asked.to_vec()
        })
    }

    /// Begins a session in `tx`, whose caller holds the member's row.
    pub(crate) async fn begin_session(
        &self,
        tx: &mut Tx,
        member: &Member,
        key_id: &str,
        audiences: Vec<String>,
        now: Timestamp,
    ) -> Result<(Session, Tokens), Failure> {
        if sessions::live(tx, member, now).await? >= MAX_SESSIONS as i64 {
            return Err(error::too_many("sessions of a member", MAX_SESSIONS));
        }
        let life = if key_id.is_empty() {
            self.config.session_life()
        } else {
            self.config.access_life()
        };
        let session = Session {
            id: new_uid(self.entropy()),
            member: member.clone(),
            key_id: key_id.to_owned(),
            audiences,
            create_time: now,
            expire_time: now.plus(life),
            token_expire_time: self.token_end(now, Timestamp(i64::MAX)),
            end_time: None,
        };
        sessions::insert(tx, &session).await?;
        let tokens = self.tokens(tx, &session, now).await?;
        Ok((session, tokens))
    }

    /// The tokens for a session that `tx` holds. No token outlives the session.
    pub(crate) async fn tokens(
        &self,
        tx: &mut Tx,
        session: &Session,
        now: Timestamp,
    ) -> Result<Tokens, Failure> {
        let end = self.token_end(now, session.expire_time);
        let access = self.access_token(
            &session.member,
            &session.id,
            &session.audiences,
            None,
            end,
            now,
        )?;
        let mut refresh = String::new();
        if session.key_id.is_empty() {
            let made = secret::make(Kind::Refresh, self.entropy());
            let mac = self
                .vault
                .ring
                .hmac(Kind::Refresh.purpose(), made.text.as_bytes());
            let refresh_end = now
                .plus(self.config.refresh_life())
                .min(session.expire_time);
            sessions::insert_refresh(tx, &made.id, &session.id, mac, now, refresh_end).await?;
            refresh = made.text;
        }
        let life = Duration::from_secs(end.secs().abs_diff(now.secs()));
        Ok(Tokens {
            access,
            refresh,
            life,
        })
    }

    /// When an access token made now ends: whole seconds, at the latest at `limit`.
    pub(crate) fn token_end(&self, now: Timestamp, limit: Timestamp) -> Timestamp {
        let end = Timestamp::from_secs(now.secs()).plus(self.config.access_life());
        end.min(Timestamp::from_secs(limit.secs()))
    }

    /// Signs an access token.
    pub(crate) fn access_token(
        &self,
        member: &Member,
        session: &str,
        audiences: &[String],
        actor: Option<&str>,
        end: Timestamp,
        now: Timestamp,
    ) -> Result<String, Failure> {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: member.to_string(),
            aud: audiences.to_vec(),
            exp: end.secs(),
            nbf: now.secs(),
            iat: now.secs(),
            jti: new_uid(self.entropy()),
            sid: session.to_owned(),
            act: actor.map(|sub| Actor {
                sub: sub.to_owned(),
            }),
        };
        let signers = self.publisher.signers()?;
        signing::active(&signers, now)
            .ok_or_else(|| Failure::internal("every signing key has expired"))?
            .sign(&claims)
    }

    /// Charges one login attempt to the name and to all names.
    ///
    /// # Errors
    /// `LOGIN_THROTTLED`.
    pub(crate) async fn charge_login(&self, name: &str) -> Result<(), Failure> {
        use crate::store::state;
        let now = self.now();
        let subjects = [
            (self.all_names(), self.config.all_limits()),
            (self.name_subject(name), self.config.name_limits()),
        ];
        // A refusal counts nothing and so is an outcome, not an error that rolls back.
        let waits = self
            .db
            .write(async |mut tx: Tx| {
                let tx = &mut tx;
                let mut charged = Vec::with_capacity(2);
                for (subject, limits) in &subjects {
                    let count = state::count(tx, *subject, now).await?;
                    match throttle::charge(count, limits, now) {
                        Ok(count) => charged.push((*subject, count)),
                        Err(wait) => return Ok(Some(wait)),
                    }
                }
                for (subject, count) in charged {
                    state::set_count(tx, subject, count).await?;
                }
                Ok(None)
            })
            .await?;
        waits.map_or(Ok(()), |wait| Err(error::login_throttled(wait)))
    }

    /// Gives the charge of a right password back and forgets the name's failures.
    pub(crate) async fn forgive_login(&self, tx: &mut Tx, name: &str) -> Result<(), Failure> {
        use crate::store::state;
        state::give_back(tx, self.all_names()).await?;
        state::clear_count(tx, self.name_subject(name)).await
    }

    /// Gives the charge of an attempt back that was not looked at.
    pub(crate) async fn uncharge_login(&self, name: &str) -> Result<(), Failure> {
        use crate::store::state;
        self.db
            .write(async |mut tx: Tx| {
                let tx = &mut tx;
                state::give_back(tx, self.all_names()).await?;
                state::give_back(tx, self.name_subject(name)).await
            })
            .await
    }

    /// Forgets the failures of a name.
    pub(crate) async fn forget_failures(&self, tx: &mut Tx, name: &str) -> Result<(), Failure> {
        crate::store::state::clear_count(tx, self.name_subject(name)).await
    }

    fn all_names(&self) -> i64 {
        self.vault.ring.token("login of all", "")
    }

    fn name_subject(&self, name: &str) -> i64 {
        self.vault.ring.token("login of name", name)
    }
}
