//! The section `gateway`; `config.default.toml` explains every key.

use jinke_kit::tls::ServerTls;
use jinke_types::{Code, Failure};
use serde::Deserialize;

/// Name of the section.
pub const SECTION: &str = "gateway";
/// The documented defaults.
pub const DEFAULT_CONFIG: &str = include_str!("config.default.toml");

/// The section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    /// Where to listen; empty for nowhere.
    pub listen: String,
    /// Bytes of one body.
    pub body_bytes: usize,
    /// Bytes of all bodies held at a time.
    pub buffer_bytes: usize,
    /// Bytes of the headers of one request.
    pub header_bytes: u32,
    /// Bytes of path and query.
    pub uri_bytes: usize,
    /// Connections at a time.
    pub connections: usize,
    /// HTTP/2 streams of one connection at a time.
    pub streams_per_connection: u32,
    /// Seconds for a handshake or the headers of a request.
    pub head_seconds: u64,
    /// Seconds for a body.
    pub body_seconds: u64,
    /// Seconds for an answer.
    pub call_seconds: u64,
    /// Seconds between heartbeats.
    pub heartbeat_seconds: u64,
    /// Seconds an event stream lasts; 0 for as long as the client wants.
    pub stream_seconds: u64,
    /// Seconds to finish in.
    pub grace_seconds: u64,
    /// Reverse proxies before the gateway.
    pub forwarded_hops: usize,
    /// Certificate and key, and whose clients are let in.
    pub tls: ServerTls,
    /// Allowances.
    pub rate: Rates,
    /// Web pages of other origins.
    pub cors: Cors,
}

/// Allowances of callers.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Requests per second of one subject; 0 for no limit.
    pub caller_per_second: u32,
    /// Requests of one subject at once.
    pub caller_burst: u32,
    /// Requests per second from one address; 0 for no limit.
    pub address_per_second: u32,
    /// Requests from one address at once.
    pub address_burst: u32,
}

/// Web pages of other origins.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    /// Origins whose pages may call.
    pub origins: Vec<String>,
}

impl GatewayConfig {
    /// Refuses settings that would let nothing through or everything.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, reason `CONFIG`, naming the key.
    pub fn check(&self) -> Result<(), Failure> {
        let wrong = |key: &str, why: &str| {
            let message = format!("gateway.{key} {why}");
            Err(Failure::new(Code::InvalidArgument, "CONFIG", message))
        };
        let ranges = [
            ("body_bytes", self.body_bytes, 1024, 1 << 30),
            (
                "buffer_bytes",
                self.buffer_bytes,
                self.body_bytes.max(1 << 20),
                1 << 36,
            ),
            (
                "header_bytes",
                usize::try_from(self.header_bytes).unwrap_or(usize::MAX),
                8192,
                1 << 20,
            ),
            ("uri_bytes", self.uri_bytes, 256, 60_000),
            ("connections", self.connections, 1, 1_000_000),
        ];
        for (key, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                return wrong(key, &format!("must be from {least} to {most}"));
            }
        }
        let seconds = [
            ("head_seconds", self.head_seconds),
            ("body_seconds", self.body_seconds),
            ("call_seconds", self.call_seconds),
            ("heartbeat_seconds", self.heartbeat_seconds),
        ];
        for (key, value) in seconds {
            if !(1..=3600).contains(&value) {
                return wrong(key, "must be from 1 to 3600");
            }
        }
        if self.stream_seconds > 86_400 {
            return wrong("stream_seconds", "must be at most 86400");
        }
        if self.streams_per_connection == 0 {
            return wrong("streams_per_connection", "must be at least 1");
        }
        if self.tls.cert_file.as_os_str().is_empty() != self.tls.key_file.as_os_str().is_empty() {
            return wrong("tls.cert_file and gateway.tls.key_file", "go together");
        }
        for origin in &self.cors.origins {
            let rest = origin
                .strip_prefix("https://")
                .or_else(|| origin.strip_prefix("http://"));
            if rest.is_none_or(|r| r.is_empty() || r.contains(['/', '*', ' '])) {
                return wrong(
                    "cors.origins",
                    "must be origins such as https://oa.example.com",
                );
            }
        }
        Ok(())
    }
}
