//! Which hosts and addresses may be talked to: the guard against forged requests (SSRF).

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use jinke_types::{Code, Failure};
use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};

/// Scheme, host and port of a server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of an `http` or `https` URL; `URL_INVALID` when it is none, or holds a user name.
    pub fn of(url: &str) -> Result<Self, Failure> {
        let url = Url::parse(url).map_err(|e| invalid(&e.to_string()))?;
        Self::of_url(&url)
    }

    pub(crate) fn of_url(url: &Url) -> Result<Self, Failure> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid("only http and https are spoken"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("credentials do not belong into a URL"));
        }
        let host = url.host_str().ok_or_else(|| invalid("a host is missing"))?;
        let port = url
            .port_or_known_default()
            .ok_or_else(|| invalid("a port is missing"))?;
        Ok(Self {
            scheme: url.scheme().to_owned(),
            host: host.to_ascii_lowercase(),
            port,
        })
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}:{}", self.scheme, self.host, self.port)
    }
}

fn invalid(why: &str) -> Failure {
    Failure::new(
        Code::InvalidArgument,
        "URL_INVALID",
        format!("the URL cannot be used: {why}"),
    )
}

/// The servers a client may talk to.
///
/// An answer of a foreign system names further URLs (`__next`, redirects, download links). They are
/// followed only to the origins listed here, so that a foreign system cannot make us call another
/// one. Link-local addresses, where clouds keep their metadata, are never called; loopback and
/// private addresses only when the deployment says that its systems live there.
#[derive(Clone, Debug, Default)]
pub struct NetworkPolicy {
    origins: BTreeSet<Origin>,
    private: bool,
}

impl NetworkPolicy {
    /// Nothing may be called yet.
    pub fn new() -> Self {
        Self::default()
    }
    /// Allows one more server.
    #[must_use]
    pub fn allow(mut self, origin: Origin) -> Self {
        self.origins.insert(origin);
        self
    }
    /// Allows loopback and private addresses (RFC 1918, RFC 4193) for the listed servers.
    #[must_use]
    pub const fn with_private_network(mut self) -> Self {
        self.private = true;
        self
    }

    /// Whether this URL may be called; `HOST_REFUSED` when not.
    pub(crate) fn check(&self, url: &Url) -> Result<(), Failure> {
        let origin = Origin::of_url(url)?;
        if !self.origins.contains(&origin) {
            return Err(refused(
                "the server is not one that this connection may call",
                &origin.host,
            ));
        }
        // A literal address passes by the resolver, so it is checked here.
        let literal = origin
            .host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>();
        match literal {
            Ok(address) if !self.allows(address) => Err(refused(
                "the address is not one that may be called",
                &origin.host,
            )),
            _ => Ok(()),
        }
    }

    fn allows(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => self.allows_v4(v4),
            IpAddr::V6(v6) => {
                if let Some(v4) = v6.to_ipv4_mapped() {
                    return self.allows_v4(v4);
                }
                let metadata = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
                if v6.is_unspecified()
                    || v6.is_multicast()
                    || v6.is_unicast_link_local()
                    || v6 == metadata
                {
                    return false;
                }
                self.private || !(v6.is_loopback() || v6.is_unique_local())
            }
        }
    }

    fn allows_v4(&self, v4: Ipv4Addr) -> bool {
        if v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast() || v4.is_link_local() {
            return false;
        }
        // 100.64.0.0/10 is shared address space (RFC 6598): private for this purpose; one cloud
        // keeps its metadata at 100.100.100.200.
        let shared = v4.octets()[0] == 100 && (64..128).contains(&v4.octets()[1]);
        if v4 == Ipv4Addr::new(100, 100, 100, 200) {
            return false;
        }
        self.private || !(v4.is_loopback() || v4.is_private() || shared)
    }
}

fn refused(why: &str, host: &str) -> Failure {
    Failure::new(Code::PermissionDenied, "HOST_REFUSED", why).with("host", host)
}

/// Resolves names and drops the addresses that may not be called. The check sits where the
/// connection is made, so a name that changes its address between check and use gains nothing.
pub(crate) struct Guard(pub(crate) Arc<NetworkPolicy>);

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|a| policy.allows(a.ip())).collect();
            if allowed.is_empty() {
                return Err("the name leads to no address that may be called".into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(url: &str, private: bool) -> NetworkPolicy {
        let policy = NetworkPolicy::new().allow(Origin::of(url).expect("a URL"));
        if private {
            policy.with_private_network()
        } else {
            policy
        }
    }

    #[test]
    fn only_listed_origins() {
        let p = policy("https://erp.example.cn/api", false);
        let ok = |u: &str| p.check(&Url::parse(u).expect("a URL")).is_ok();
        assert!(ok("https://erp.example.cn/other?page=2"));
        assert!(ok("https://ERP.example.cn:443/"));
        assert!(!ok("http://erp.example.cn/"));
        assert!(!ok("https://erp.example.cn:8443/"));
        assert!(!ok("https://evil.example.cn/"));
        assert!(!ok("https://erp.example.cn@evil.example.cn/"));
        assert!(!ok("ftp://erp.example.cn/"));
    }

    #[test]
    fn literal_addresses() {
        for (address, public, private) in [
            ("http://203.0.113.7/", true, true),
            ("http://127.0.0.1:8080/", false, true),
            ("http://2130706433/", false, true),
            ("http://10.1.2.3/", false, true),
            ("http://192.168.1.9/", false, true),
            ("http://100.64.0.1/", false, true),
            ("http://169.254.169.254/latest", false, false),
            ("http://100.100.100.200/", false, false),
            ("http://0.0.0.0/", false, false),
            ("http://[::1]/", false, true),
            ("http://[fe80::1]/", false, false),
            ("http://[fd00:ec2::254]/", false, false),
            ("http://[::ffff:169.254.169.254]/", false, false),
            ("http://[::ffff:10.0.0.1]/", false, true),
        ] {
            let url = Url::parse(address).expect("a URL");
            assert_eq!(
                policy(address, false).check(&url).is_ok(),
                public,
                "{address}"
            );
            assert_eq!(
                policy(address, true).check(&url).is_ok(),
                private,
                "{address} private"
            );
        }
    }

    #[test]
    fn urls_with_credentials_are_refused() {
        assert_eq!(
            Origin::of("http://a:b@erp/").unwrap_err().reason,
            "URL_INVALID"
        );
        assert_eq!(
            Origin::of("erp.example.cn").unwrap_err().reason,
            "URL_INVALID"
        );
    }
}
