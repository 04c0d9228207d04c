//! The settings of a WeCom connection.

use std::time::Duration;

use jinke_sdk::{
    ConfigKey, Part, PartKind, Settings, Spec, ValueType, Verification,
    envelope::Envelope,
    http::{BudgetPolicy, ClientConfig, Origin, RetryPolicy},
};
use jinke_types::{Failure, Violation};

/// WeCom's own address.
pub const BASE: &str = "https://qyapi.weixin.qq.com";
/// A page of contacts asks for at most this many; WeCom's own limit.
pub const MAX_PAGE_ROWS: usize = 100;
/// An answer is at most this many bytes.
pub const MAX_ANSWER_BYTES: usize = 32 << 20;
/// The longest time between two rounds, in hours: a month.
const MAX_ROUND_HOURS: i64 = 744;

/// A WeCom connection.
#[derive(Clone)]
pub struct WecomConfig {
    /// Id of the source the records belong to.
    pub source: String,
    /// Where WeCom is, without `/cgi-bin`.
    pub url: String,
    /// The corp id.
    pub corp_id: String,
    /// The secret of the app.
    pub secret: String,
    /// The agent id of the app, for messages.
    pub agent_id: Option<i64>,
    /// Token and EncodingAESKey of the callback, when one is set up.
    pub callback: Option<Envelope>,
    /// A callback is refused when its time is further from ours than this.
    pub callback_window: Duration,
    /// Contacts a page.
    pub page_rows: usize,
    /// So long after a round over all contacts no other one begins.
    pub round: Duration,
    /// So long after a round over all members no other one begins.
    pub directory_round: Duration,
    /// Whether the server is at a loopback or private address.
    pub private_network: bool,
    /// Limits and certificates of the client.
    pub client: ClientConfig,
    /// When calls are tried again.
    pub retry: RetryPolicy,
    /// How often WeCom is called.
    pub budget: BudgetPolicy,
}

impl WecomConfig {
    /// A connection with the usual limits.
    pub fn new(source: &str, url: &str, corp_id: &str, secret: &str) -> Self {
        Self {
            source: source.to_owned(),
            url: url.trim_end_matches('/').to_owned(),
            corp_id: corp_id.to_owned(),
            secret: secret.to_owned(),
            agent_id: None,
            callback: None,
            callback_window: Duration::from_secs(300),
            page_rows: MAX_PAGE_ROWS,
            round: Duration::from_secs(20 * 3_600),
            directory_round: Duration::from_secs(3_600),
            private_network: false,
            client: ClientConfig {
                max_body: MAX_ANSWER_BYTES,
                ..ClientConfig::default()
            },
            retry: RetryPolicy::default(),
            budget: BudgetPolicy::default(),
        }
    }
}

const KEYS: &[(&str, &str, ValueType, Option<&str>)] = {
    use ValueType::{Boolean, Integer, Text};
    &[
        (
            "source",
            "Id of the source the records belong to.",
            Text,
            None,
        ),
        (
            "url",
            "Address of WeCom, without /cgi-bin.",
            Text,
            Some(BASE),
        ),
        ("corp_id", "The corp id (企业ID).", Text, None),
        (
            "secret",
            "The secret of a self-built app that is listed under 客户联系 → 可调用应用 and sees the \
             members and departments wanted.",
            Text,
            None,
        ),
        (
            "agent_id",
            "The app's agent id; needed to send messages. A recipient is a user id, party:<id> or \
             tag:<id>.",
            Integer,
            Some(""),
        ),
        (
            "callback_token",
            "The callback's Token, when a callback is set up.",
            Text,
            Some(""),
        ),
        (
            "callback_key",
            "The callback's EncodingAESKey, 43 characters.",
            Text,
            Some(""),
        ),
        (
            "callback_window_seconds",
            "A callback whose time is further from ours is refused; 10 to 3600.",
            Integer,
            Some("300"),
        ),
        (
            "page_rows",
            "Contacts a page, 1 to 100.",
            Integer,
            Some("100"),
        ),
        (
            "round_hours",
            "WeCom does not tell what changed, so a pull reads all contacts. No other round begins \
             so long after one; 0 to 744. Callbacks bring what changes in between.",
            Integer,
            Some("20"),
        ),
        (
            "directory_minutes",
            "The same for departments and members, in minutes; 0 to 44640.",
            Integer,
            Some("60"),
        ),
        (
            "calls_per_minute",
            "Most calls a minute, 1 to 60000.",
            Integer,
            Some("600"),
        ),
        (
            "concurrency",
            "Most calls at a time, 1 to 64.",
            Integer,
            Some("4"),
        ),
        (
            "private_network",
            "Whether the server is at a loopback or private address.",
            Boolean,
            Some("false"),
        ),
        (
            "ca_pem",
            "A further certificate authority to trust, PEM.",
            Text,
            Some(""),
        ),
    ]
};

/// The keys of a WeCom connection.
pub fn spec() -> Spec {
    let key = |(name, about, value, default): &(&'static str, &'static str, _, Option<_>)| {
        let default: Option<&'static str> = *default;
        ConfigKey {
            name,
            about,
            value: *value,
            required: default.is_none(),
            secret: matches!(*name, "secret" | "callback_token" | "callback_key"),
            default: default.filter(|d| !d.is_empty()),
        }
    };
    Spec {
        kind: "wecom",
        display_name: "企业微信",
        about: "Reads departments, members and external contacts of WeCom, hears its callbacks, \
                and sends text and markdown messages. What is said in chats is not read: its archive \
                (会话存档) needs a native library of the vendor.",
        keys: KEYS.iter().map(key).collect(),
        parts: parts(),
    }
}

/// What the connector does and how far that is proven. No real WeCom was at hand: what a vendor's
/// SDK said is that its requests and our simulator's answers fit.
fn parts() -> Vec<Part> {
    let part = |name, kind, about, verification, evidence| Part {
        name,
        kind,
        about,
        verification,
        evidence,
    };
    vec![
        part(
            "directory",
            PartKind::Directory,
            "departments and members",
            Verification::OfficialSdk,
            "wechatpy 2.0.0a26 lists the simulator's departments and members; no real WeCom",
        ),
        part(
            "contacts",
            PartKind::Stream,
            "external contacts with follow users, tags and remarks, and their organizations",
            Verification::OfficialSdk,
            "wechatpy 2.0.0a26 pages through the simulator's contacts and tags; no real WeCom",
        ),
        part(
            "sweep",
            PartKind::Sweep,
            "contacts that nobody follows any more",
            Verification::OfficialSdk,
            "wechatpy 2.0.0a26 lists ids and reads single contacts; no real WeCom",
        ),
        part(
            "callback",
            PartKind::Callback,
            "changes of contacts, members and departments",
            Verification::OfficialSdk,
            "callbacks made by wechatpy 2.0.0a26 are accepted, changed ones refused; which events \
             WeCom repeats, and when, is by its documentation only",
        ),
        part(
            "message",
            PartKind::Message,
            "text and markdown to members, departments and tags",
            Verification::OfficialSdk,
            "wechatpy 2.0.0a26 sends text through the simulator; that WeCom drops a repeated \
             request (enable_duplicate_check) is by its documentation only",
        ),
    ]
}

/// Reads settings; all that is wrong is told at once.
pub fn read(settings: &Settings) -> Result<WecomConfig, Failure> {
    let text = |key: &str| settings.text(key).unwrap_or_default().trim();
    let url = match text("url") {
        "" => BASE,
        url => url,
    };
    let mut config = WecomConfig::new(text("source"), url, text("corp_id"), text("secret"));
    let mut violations = Vec::new();
    let mut bad = |key: &str, why: &str| {
        violations.push(Violation {
            field: format!("settings.{key}"),
            description: why.to_owned(),
        });
    };
    for key in ["source", "corp_id", "secret"] {
        if text(key).is_empty() {
            bad(key, "must not be blank");
        }
    }
    if Origin::of(&config.url).is_err() || config.url.contains(['?', '#']) {
        bad("url", "is no http or https address");
    }
    config.callback = match (text("callback_token"), text("callback_key")) {
        ("", "") => None,
        (token, key) => match Envelope::new(token, key, &config.corp_id) {
            Ok(envelope) => Some(envelope),
            Err(_) => {
                bad(
                    "callback_key",
                    "token and EncodingAESKey must both be given; the key is 43 characters",
                );
                None
            }
        },
    };
    let mut number = |key: &str, least: i64, most: i64| {
        let value = settings.integer(key)?;
        if (least..=most).contains(&value) {
            return u64::try_from(value).ok();
        }
        bad(key, &format!("must be {least} to {most}"));
        None
    };
    config.agent_id = number("agent_id", 1, i64::MAX).and_then(|id| i64::try_from(id).ok());
    if let Some(seconds) = number("callback_window_seconds", 10, 3_600) {
        config.callback_window = Duration::from_secs(seconds);
    }
    if let Some(rows) = number("page_rows", 1, MAX_PAGE_ROWS as i64) {
        config.page_rows = rows as usize;
    }
    if let Some(hours) = number("round_hours", 0, MAX_ROUND_HOURS) {
        config.round = Duration::from_secs(hours * 3_600);
    }
    if let Some(minutes) = number("directory_minutes", 0, MAX_ROUND_HOURS * 60) {
        config.directory_round = Duration::from_secs(minutes * 60);
    }
    if let Some(calls) = number("calls_per_minute", 1, 60_000) {
        config.budget.per_minute = calls as u32;
    }
    if let Some(calls) = number("concurrency", 1, 64) {
        config.budget.concurrency = calls as usize;
    }
    config.private_network = settings.boolean("private_network").unwrap_or(false);
    let pem = settings.text("ca_pem").filter(|pem| !pem.is_empty());
    config.client.ca_pem = pem.map(|pem| pem.as_bytes().to_vec());
    if violations.is_empty() {
        return Ok(config);
    }
    Err(Failure::fields(violations))
}
