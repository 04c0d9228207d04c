//! Who we are to the foreign system: nobody, a fixed header, a signature of each request, or a
//! session that is opened with credentials and renewed when it ends.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use jinke_types::{Clock, Timestamp};
use tokio::sync::Mutex;

use super::Request;
use crate::connector::{PullError, PullErrorKind};

/// An open session: the headers that prove it, and when it ends.
#[derive(Clone)]
pub struct Session {
    /// Names and values, put on every request. Secret.
    pub headers: Vec<(String, String)>,
    /// When it ends, if the foreign system says so; it is renewed then without a failed call.
    pub expires: Option<Timestamp>,
}

/// Opens a session. It sends its own requests, without this [`Auth`], and is called by one task
/// at a time.
#[async_trait]
pub trait Login: Send + Sync + 'static {
    /// Opens a session; `Unauthorized` when the credentials are wrong.
    async fn login(&self) -> Result<Session, PullError>;
}

/// How calls prove who we are.
pub enum Auth {
    /// Not at all.
    None,
    /// Always the same headers, e.g. an API key.
    Headers(Vec<(String, String)>),
    /// A session, opened when first needed and renewed when it ended.
    Session(Box<Sessions>),
    /// Headers that are made for each request, because they sign it and its time. A call that
    /// is tried again is signed again.
    Signed(Box<dyn Signer>),
}

/// Signs each request by itself.
pub trait Signer: Send + Sync + 'static {
    /// Headers for a request that is sent now.
    fn sign(&self, request: &Request, now: Timestamp) -> Result<Vec<(String, String)>, PullError>;
    /// The foreign system does not accept the last signature; whatever was remembered of earlier
    /// answers is to be forgotten before the call is made once more.
    fn forget(&self) {}
}

/// The session that all calls of a connection share.
///
/// However many calls find the session missing or refused at the same time, one login is made
/// and all of them take its result, its failure too: a burst of logins with a wrong password
/// would lock the account.
pub struct Sessions {
    login: Box<dyn Login>,
    /// Whether names and values of the session go into the query instead of the headers.
    in_query: bool,
    attempts: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    generation: u64,
    session: Option<Session>,
    failed: Option<PullError>,
}

impl Auth {
    /// A session that `login` opens.
    pub fn session(login: impl Login) -> Self {
        Self::sessions(login, false)
    }

    /// A session that `login` opens, for systems that want its token in the query of the URL: the
    /// names and values of [`Session::headers`] are put there.
    pub fn session_in_query(login: impl Login) -> Self {
        Self::sessions(login, true)
    }

    fn sessions(login: impl Login, in_query: bool) -> Self {
        Self::Session(Box::new(Sessions {
            login: Box::new(login),
            in_query,
            attempts: AtomicU64::new(0),
            state: Mutex::new(State::default()),
        }))
    }

    /// Whether a refused call may be repeated with a new session.
    pub(super) const fn renewable(&self) -> bool {
        matches!(self, Self::Session(_) | Self::Signed(_))
    }

    /// Puts the headers on, opening a session when there is none. Also tells the generation of
    /// the session, for [`Self::renew`].
    pub(super) async fn apply(
        &self,
        request: Request,
        clock: &dyn Clock,
    ) -> Result<(Request, u64), PullError> {
        let (headers, generation) = match self {
            Self::None => return Ok((request, 0)),
            Self::Headers(headers) => (headers.clone(), 0),
            Self::Signed(signer) => (signer.sign(&request, clock.now())?, 0),
            Self::Session(sessions) => {
                let (session, generation) = sessions.current(clock).await?;
                if sessions.in_query {
                    let mut request = request;
                    for (name, value) in &session.headers {
                        request = request.query(name, value);
                    }
                    return Ok((request, generation));
                }
                (session.headers, generation)
            }
        };
        let mut request = request;
        for (name, value) in &headers {
            request = request
                .header(name, value)
                .map_err(|f| PullError::new(PullErrorKind::Unauthorized, f))?;
        }
        Ok((request, generation))
    }

    /// Forgets the session of `generation`, unless another call has renewed it already.
    pub(super) async fn renew(&self, generation: u64) {
        if let Self::Signed(signer) = self {
            signer.forget();
        }
        if let Self::Session(sessions) = self {
            let mut state = sessions.state.lock().await;
            if state.generation == generation {
                state.session = None;
            }
        }
    }
}

impl Sessions {
    async fn current(&self, clock: &dyn Clock) -> Result<(Session, u64), PullError> {
        let before = self.attempts.load(Ordering::SeqCst);
        let mut state = self.state.lock().await;
        if let Some(session) = &state.session
            && session.expires.is_none_or(|end| clock.now() < end)
        {
            return Ok((session.clone(), state.generation));
        }
        // While this call waited for the lock, another one has tried and failed.
        if self.attempts.load(Ordering::SeqCst) > before
            && let Some(error) = &state.failed
        {
            return Err(error.clone());
        }
        state.session = None;
        let result = self.login.login().await;
        self.attempts.fetch_add(1, Ordering::SeqCst);
        match result {
            Ok(session) => {
                state.generation += 1;
                state.failed = None;
                state.session = Some(session.clone());
                Ok((session, state.generation))
            }
            Err(error) => {
                state.failed = Some(error.clone());
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use futures::future::join_all;
    use jinke_types::{Code, Failure, ManualClock};

    use super::*;
    use crate::http::Method;

    struct Count(Arc<AtomicU64>, bool);

    #[async_trait]
    impl Login for Count {
        async fn login(&self) -> Result<Session, PullError> {
            let n = self.0.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
            if self.1 {
                return Err(PullError::new(
                    PullErrorKind::Unauthorized,
                    Failure::new(Code::Unauthenticated, "X", "no"),
                ));
            }
            Ok(Session {
                headers: vec![("authorization".to_owned(), format!("t{n}"))],
                expires: Some(Timestamp::from_secs(100)),
            })
        }
    }

    fn get() -> Request {
        Request::new(Method::GET, "http://x/")
    }

    #[tokio::test(start_paused = true)]
    async fn fifty_calls_log_in_once_and_fail_once() {
        for fails in [false, true] {
            let count = Arc::new(AtomicU64::new(0));
            let auth = Auth::session(Count(count.clone(), fails));
            let clock = ManualClock::new(Timestamp::from_secs(1));
            let all = join_all((0..50).map(|_| auth.apply(get(), &clock))).await;
            assert_eq!(count.load(Ordering::SeqCst), 1);
            assert!(all.iter().all(|r| r.is_err() == fails));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn fifty_refused_calls_renew_once_and_an_ended_session_is_not_used() {
        let count = Arc::new(AtomicU64::new(0));
        let auth = Auth::session(Count(count.clone(), false));
        let clock = ManualClock::new(Timestamp::from_secs(1));
        let (_, first) = auth.apply(get(), &clock).await.unwrap();
        let all = join_all((0..50).map(|_| async {
            auth.renew(first).await;
            auth.apply(get(), &clock).await.unwrap().1
        }))
        .await;
        assert_eq!(count.load(Ordering::SeqCst), 2);
        assert!(all.iter().all(|g| *g == first + 1));
        clock.set(Timestamp::from_secs(100));
        assert_eq!(auth.apply(get(), &clock).await.unwrap().1, first + 2);
    }
}
