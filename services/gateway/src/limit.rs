//! How often one caller may ask.
//!
//! A caller is the subject of his token once a service has accepted that token; until then, and
//! for whoever has none, he is his address. So nobody can use up another's allowance with a token
//! he made up, and made-up tokens share the allowance of the address they come from. Addresses of
//! IPv6 count by their /64.
//!
//! The books are kept for the callers seen last: [`MAX_CALLERS`] allowances and [`MAX_TOKENS`]
//! accepted tokens (as hashes). One that is forgotten starts afresh.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lru::LruCache;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

/// Allowances kept.
pub const MAX_CALLERS: usize = 50_000;
/// Accepted tokens kept.
pub const MAX_TOKENS: usize = 50_000;

/// Who an allowance belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    /// The subject of an accepted token: `users/li`.
    Subject(String),
    /// A network address; of IPv6 the /64.
    Address(IpAddr),
}

/// How much of something per second, and at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests per second; 0 for no limit.
    pub per_second: u32,
    /// Requests at once after a pause; at least 1.
    pub burst: u32,
}

type Hash = [u8; 32];

/// The books.
pub struct Limiter {
    subject: Rate,
    address: Rate,
    /// When the allowance of a caller is whole again. (A token bucket, kept as the time at which
    /// it will be full.)
    full_at: Mutex<LruCache<Caller, Instant>>,
    accepted: Mutex<LruCache<Hash, String>>,
}

fn size(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN)
}

impl Limiter {
    /// Empty books.
    pub fn new(subject: Rate, address: Rate) -> Self {
        Self {
            subject,
            address,
            full_at: Mutex::new(LruCache::new(size(MAX_CALLERS))),
            accepted: Mutex::new(LruCache::new(size(MAX_TOKENS))),
        }
    }

    /// Who is calling, with this token, from this address.
    pub fn caller(&self, token: Option<&str>, from: IpAddr) -> Caller {
        let known = token.and_then(|token| {
            let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
            accepted.get(&hash(token)).cloned()
        });
        known.map_or_else(|| Caller::Address(network(from)), Caller::Subject)
    }

    /// A service has accepted the token.
    pub fn accept(&self, token: &str) {
        if let Some(subject) = subject(token) {
            let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
            accepted.put(hash(token), subject);
        }
    }

    /// A service has refused the token.
    pub fn refuse(&self, token: &str) {
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        accepted.pop(&hash(token));
    }

    /// Takes one request out of the caller's allowance.
    ///
    /// # Errors
    /// How long until there is one again.
    pub fn take(&self, caller: &Caller) -> Result<(), Duration> {
        let rate = match caller {
            Caller::Subject(_) => self.subject,
            Caller::Address(_) => self.address,
        };
        if rate.per_second == 0 {
            return Ok(());
        }
        let each = Duration::from_secs(1) / rate.per_second;
        let whole = each * rate.burst.max(1);
        let now = Instant::now();
        let mut books = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = books.get(caller).copied().unwrap_or(now).max(now) + each;
        let over = full_at.saturating_duration_since(now + whole);
        if over > Duration::ZERO {
            return Err(over);
        }
        books.put(caller.clone(), full_at);
        Ok(())
    }
}

fn hash(token: &str) -> Hash {
    Sha256::digest(token.as_bytes()).into()
}

/// `sub` of a token, unverified.
fn subject(token: &str) -> Option<String> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let json: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    let subject = json.get("sub")?.as_str()?;
    (1..=256)
        .contains(&subject.len())
        .then(|| subject.to_owned())
}

/// The part of an address one caller has to himself.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_octets(v4.octets())),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(subject: &str) -> String {
        let payload = URL_SAFE_NO_PAD.encode(format!("{{\"sub\":\"{subject}\"}}"));
        format!("e30.{payload}.c2ln")
    }

    fn limiter() -> Limiter {
        let rate = Rate {
            per_second: 2,
            burst: 3,
        };
        Limiter::new(rate, rate)
    }

    const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[tokio::test(start_paused = true)]
    async fn an_allowance_is_used_up_and_comes_back() {
        let limiter = limiter();
        let li = Caller::Subject("users/li".into());
        for _ in 0..3 {
            limiter.take(&li).unwrap();
        }
        assert_eq!(limiter.take(&li), Err(Duration::from_millis(500)));
        limiter.take(&Caller::Subject("users/mei".into())).unwrap();
        tokio::time::advance(Duration::from_millis(500)).await;
        limiter.take(&li).unwrap();
        assert!(limiter.take(&li).is_err());
        tokio::time::advance(Duration::from_secs(60)).await;
        for _ in 0..3 {
            limiter.take(&li).unwrap();
        }
        assert!(limiter.take(&li).is_err());
    }

    #[test]
    fn a_made_up_token_is_only_an_address() {
        let limiter = limiter();
        let li = token("users/li");
        assert_eq!(limiter.caller(Some(&li), HOME), Caller::Address(HOME));
        limiter.accept(&li);
        assert_eq!(
            limiter.caller(Some(&li), HOME),
            Caller::Subject("users/li".into())
        );
        let forged = format!("{li}x");
        assert_eq!(limiter.caller(Some(&forged), HOME), Caller::Address(HOME));
        limiter.refuse(&li);
        assert_eq!(limiter.caller(Some(&li), HOME), Caller::Address(HOME));
    }

    #[test]
    fn tokens_without_a_subject_are_not_kept() {
        let limiter = limiter();
        for odd in [
            "",
            "a",
            "a.b.c",
            "a.e30.c",
            &token(""),
            &token(&"x".repeat(257)),
        ] {
            limiter.accept(odd);
            assert_eq!(
                limiter.caller(Some(odd), HOME),
                Caller::Address(HOME),
                "{odd}"
            );
        }
    }

    #[test]
    fn the_books_do_not_grow_without_bound() {
        let limiter = limiter();
        for n in 0..u32::try_from(MAX_CALLERS).unwrap() + 1000 {
            let _ = limiter.take(&Caller::Address(IpAddr::V4(Ipv4Addr::from_bits(n))));
        }
        assert_eq!(limiter.full_at.lock().unwrap().len(), MAX_CALLERS);
    }

    #[test]
    fn addresses_count_by_network() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("::ffff:10.0.0.1"), "10.0.0.1");
        assert_eq!(of("10.0.0.1"), "10.0.0.1");
    }
}
