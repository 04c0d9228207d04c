//! The tokens of one service: its own, one per audience, and those exchanged for users'.

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jinke_proto::jinke::identity::v1::{
    ExchangeTokenRequest, LoginWithKeyRequest, TokenPair, token_service_client::TokenServiceClient,
};
use jinke_types::{Clock, Code, Failure, Timestamp};
use lru::LruCache;

use super::{AUTHORIZATION, Peer, set};
use crate::{auth::Bearer, status::failure};

/// Exchanged tokens kept; the least recently used one is dropped.
const EXCHANGED_KEPT: usize = 10_000;

/// A token, and the time from which a new one is fetched.
#[derive(Clone)]
struct Kept {
    token: Arc<str>,
    until: Timestamp,
}

/// Fetches and keeps tokens.
pub(super) struct Tokens {
    identity: Peer,
    key_file: PathBuf,
    clock: Arc<dyn Clock>,
    own: Mutex<BTreeMap<String, Kept>>,
    /// Held while the service logs in, so that a burst of calls logs in once.
    login: tokio::sync::Mutex<()>,
    exchanged: Mutex<LruCache<(Arc<str>, String), Kept>>,
}

impl Tokens {
    pub(super) fn new(identity: Peer, key_file: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self {
            identity,
            key_file,
            clock,
            own: Mutex::default(),
            login: tokio::sync::Mutex::new(()),
            exchanged: Mutex::new(LruCache::new(
                NonZeroUsize::new(EXCHANGED_KEPT).unwrap_or(NonZeroUsize::MIN),
            )),
        }
    }

    /// The service's own token for an audience.
    pub(super) async fn own(&self, audience: &str) -> Result<Arc<str>, Failure> {
        if let Some(token) = self.kept_own(audience) {
            return Ok(token);
        }
        let _one = self.login.lock().await;
        if let Some(token) = self.kept_own(audience) {
            return Ok(token);
        }
        let key = tokio::fs::read_to_string(&self.key_file)
            .await
            .map_err(|e| {
                Failure::new(
                    Code::Unavailable,
                    "SERVICE_KEY_MISSING",
                    format!(
                        "the service's key cannot be read from {}: {e}",
                        self.key_file.display()
                    ),
                )
            })?;
        let request = LoginWithKeyRequest {
            key: key.trim().to_owned(),
            audiences: vec![audience.to_owned()],
        };
        let answer = TokenServiceClient::new(self.identity.clone())
            .login_with_key(request)
            .await
            .map_err(|s| failure(&s))?;
        let kept = self.keep(answer.into_inner().tokens)?;
        let token = Arc::clone(&kept.token);
        self.own
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(audience.to_owned(), kept);
        Ok(token)
    }

    fn kept_own(&self, audience: &str) -> Option<Arc<str>> {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = own.get(audience).filter(|k| self.clock.now() < k.until)?;
        Some(Arc::clone(&kept.token))
    }

    /// The token for an audience that was exchanged for a user's.
    pub(super) async fn exchanged(
        &self,
        bearer: &Bearer,
        audience: &str,
    ) -> Result<Arc<str>, Failure> {
        let key = (Arc::clone(&bearer.0), audience.to_owned());
        let kept = {
            let mut exchanged = self
                .exchanged
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            exchanged
                .get(&key)
                .filter(|k| self.clock.now() < k.until)
                .cloned()
        };
        if let Some(kept) = kept {
            return Ok(kept.token);
        }
        let mut request = tonic::Request::new(ExchangeTokenRequest {
            subject_token: bearer.0.to_string(),
            audience: audience.to_owned(),
        });
        let mut headers = http::HeaderMap::new();
        set(&mut headers, AUTHORIZATION, &self.own("identity").await?)?;
        *request.metadata_mut() = tonic::metadata::MetadataMap::from_headers(headers);
        let answer = TokenServiceClient::new(self.identity.clone())
            .exchange_token(request)
            .await
            .map_err(|s| failure(&s))?;
        let kept = self.keep(answer.into_inner().tokens)?;
        let token = Arc::clone(&kept.token);
        self.exchanged
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .put(key, kept);
        Ok(token)
    }

    /// Throws away what was refused.
    pub(super) fn forget(&self, audience: &str, bearer: Option<&Bearer>) {
        self.own
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(audience);
        if let Some(bearer) = bearer {
            let key = (Arc::clone(&bearer.0), audience.to_owned());
            self.exchanged
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop(&key);
        }
    }

    fn keep(&self, pair: Option<TokenPair>) -> Result<Kept, Failure> {
        let pair = pair.ok_or_else(|| Failure::internal("identity answered without a token"))?;
        let life = pair.expires_in.unwrap_or_default();
        let life = Duration::from_secs(u64::try_from(life.seconds).unwrap_or_default());
        // A token on its way must not expire there: it is renewed when a fifth of its life is left.
        let until = self.clock.now().plus(life * 4 / 5);
        Ok(Kept {
            token: pair.access_token.into(),
            until,
        })
    }
}
