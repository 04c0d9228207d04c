//! The settings of a DingTalk connection.

use std::time::Duration;

use jinke_sdk::{
    ConfigKey, Part, PartKind, Settings, Spec, ValueType, Verification,
    envelope::Envelope,
    http::{BudgetPolicy, ClientConfig, Origin, RetryPolicy},
};
use jinke_types::{Failure, Violation, attribute};

use crate::fields::Override;

/// Address of the new interfaces.
pub const BASE: &str = "https://api.dingtalk.com";
/// Address of the old ones.
pub const OLD_BASE: &str = "https://oapi.dingtalk.com";
/// A page of CRM rows asks for at most this many; DingTalk's own limit.
pub const MAX_PAGE_ROWS: usize = 100;
/// An answer is at most this many bytes.
pub const MAX_ANSWER_BYTES: usize = 16 << 20;

/// A DingTalk connection.
#[derive(Clone)]
pub struct DingtalkConfig {
    /// Id of the source the records belong to.
    pub source: String,
    /// Where the new interfaces are.
    pub url: String,
    /// Where the old ones are.
    pub old_url: String,
    /// The app's key (also called client id).
    pub app_key: String,
    /// The app's secret.
    pub app_secret: String,
    /// The agent id of the app, for work notices.
    pub agent_id: Option<i64>,
    /// Token and secret of a group's robot.
    pub robot: Option<(String, String)>,
    /// The user in whose name CRM rows are read.
    pub operator: String,
    /// Fields that are something else than their labels say.
    pub fields: Vec<Override>,
    /// Token and key of the HTTP callback, when one is set up.
    pub callback: Option<Envelope>,
    /// A callback is refused when its time is further from ours than this.
    pub callback_window: Duration,
    /// Whether events are heard over Stream mode.
    pub stream_mode: bool,
    /// Rows a page.
    pub page_rows: usize,
    /// DingTalk may show a row this much later than the time it was changed at.
    pub overlap: Duration,
    /// So long after a round over all members no other one begins.
    pub directory_round: Duration,
    /// Whether the server is at a loopback or private address.
    pub private_network: bool,
    /// Limits and certificates of the client.
    pub client: ClientConfig,
    /// When calls are tried again.
    pub retry: RetryPolicy,
    /// How often DingTalk is called.
    pub budget: BudgetPolicy,
}

impl DingtalkConfig {
    /// A connection with the usual limits.
    pub fn new(source: &str, url: &str, old_url: &str, app_key: &str, app_secret: &str) -> Self {
        Self {
            source: source.to_owned(),
            url: url.trim_end_matches('/').to_owned(),
            old_url: old_url.trim_end_matches('/').to_owned(),
            app_key: app_key.to_owned(),
            app_secret: app_secret.to_owned(),
            agent_id: None,
            robot: None,
            operator: String::new(),
            fields: Vec::new(),
            callback: None,
            callback_window: Duration::from_secs(300),
            stream_mode: false,
            page_rows: MAX_PAGE_ROWS,
            overlap: Duration::from_secs(600),
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
    use ValueType::{Boolean, Integer, Tables, Text};
    &[
        (
            "source",
            "Id of the source the records belong to.",
            Text,
            None,
        ),
        ("url", "Address of the new interfaces.", Text, Some(BASE)),
        (
            "old_url",
            "Address of the old interfaces.",
            Text,
            Some(OLD_BASE),
        ),
        ("app_key", "The app's key (client id).", Text, None),
        (
            "app_secret",
            "The app's secret (client secret).",
            Text,
            None,
        ),
        (
            "agent_id",
            "The app's agent id; needed to send work notices. A recipient is a user id, dept:<id>, \
             or robot for the group of the robot below.",
            Integer,
            Some(""),
        ),
        (
            "robot_token",
            "The access_token of a group's custom robot.",
            Text,
            Some(""),
        ),
        (
            "robot_secret",
            "The robot's signing secret (加签).",
            Text,
            Some(""),
        ),
        (
            "operator_user_id",
            "The user in whose name CRM rows are read; he has to see them. Without one there are \
             no CRM streams.",
            Text,
            Some(""),
        ),
        (
            "fields",
            "CRM fields that are something else than their labels say: tables with object \
             (crm_customer, crm_customer_personal, crm_contact), field, attribute and scheme.",
            Tables,
            Some(""),
        ),
        (
            "callback_token",
            "The HTTP callback's token, when one is set up.",
            Text,
            Some(""),
        ),
        (
            "callback_key",
            "The HTTP callback's aes_key, 43 characters.",
            Text,
            Some(""),
        ),
        (
            "callback_owner",
            "Whom HTTP callbacks are for: the app_key for subscriptions of an in-house app (taken \
             when empty), the corp id for callbacks that were registered the old way.",
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
            "stream_mode",
            "Whether to hear events over Stream mode, for which no address of ours has to be \
             reachable from outside.",
            Boolean,
            Some("false"),
        ),
        (
            "page_rows",
            "CRM rows a page, 1 to 100.",
            Integer,
            Some("100"),
        ),
        (
            "overlap_seconds",
            "DingTalk may show a change this much later than its time; 0 to 86400.",
            Integer,
            Some("600"),
        ),
        (
            "directory_minutes",
            "Departments and members are read whole; not again so long after a round, in minutes, \
             0 to 44640. Events bring what changes in between.",
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

const SECRETS: [&str; 5] = [
    "app_secret",
    "robot_token",
    "robot_secret",
    "callback_token",
    "callback_key",
];

/// The keys of a DingTalk connection.
pub fn spec() -> Spec {
    let key = |(name, about, value, default): &(&'static str, &'static str, _, Option<_>)| {
        let default: Option<&'static str> = *default;
        ConfigKey {
            name,
            about,
            value: *value,
            required: default.is_none(),
            secret: SECRETS.contains(name),
            default: default.filter(|d| !d.is_empty()),
        }
    };
    Spec {
        kind: "dingtalk",
        display_name: "钉钉",
        about: "Reads departments, members, CRM customers and contacts of DingTalk, hears its \
                events over HTTP or Stream mode, and sends work notices and robot messages.",
        keys: KEYS.iter().map(key).collect(),
        parts: parts(),
    }
}

/// What the connector does and how far that is proven. No real DingTalk was at hand.
fn parts() -> Vec<Part> {
    use Verification::{DocumentationOnly, OfficialSdk, Unverified};
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
            DocumentationOnly,
            "the old interfaces (topapi/v2) by their documentation; no SDK for them was at hand",
        ),
        part(
            "customers",
            PartKind::Stream,
            "CRM customers that are companies",
            OfficialSdk,
            "alibabacloud-dingtalk 2.2.65 reads the simulator's customers; no real DingTalk. Which \
             field is what is guessed from labels",
        ),
        part(
            "personal_customers",
            PartKind::Stream,
            "CRM customers that are persons",
            OfficialSdk,
            "alibabacloud-dingtalk 2.2.65, the same call with another relationType",
        ),
        part(
            "contacts",
            PartKind::Stream,
            "CRM contacts and the customers they belong to",
            OfficialSdk,
            "alibabacloud-dingtalk 2.2.65 reads the simulator's contacts; how a contact names its \
             customer is unverified",
        ),
        part(
            "sweep",
            PartKind::Sweep,
            "deleted CRM rows",
            OfficialSdk,
            "the calls are those of the streams",
        ),
        part(
            "callback",
            PartKind::Callback,
            "changes of members and departments over HTTP",
            OfficialSdk,
            "callbacks by the scheme of DingTalk's own DingTalk-Callback-Crypto are accepted, \
             changed ones refused, and the answer is opened by it",
        ),
        part(
            "stream mode",
            PartKind::Callback,
            "the same over a channel of our own making",
            OfficialSdk,
            "dingtalk-stream 0.24.3 opens, hears and acknowledges against the simulator",
        ),
        part(
            "crm events",
            PartKind::Callback,
            "an event whose type begins with crm_ lets the CRM streams be pulled",
            Unverified,
            "names of CRM events were not found in any documentation at hand",
        ),
        part(
            "message",
            PartKind::Message,
            "work notices to members and departments; signed messages to a robot's group",
            DocumentationOnly,
            "by documentation: the signature equals that of an independent implementation, and \
             DingTalk says that it shows an equal notice once a day",
        ),
    ]
}

/// Reads settings; all that is wrong is told at once.
pub fn read(settings: &Settings) -> Result<DingtalkConfig, Failure> {
    let text = |key: &str| settings.text(key).unwrap_or_default().trim();
    let or = |key: &str, default: &'static str| match text(key) {
        "" => default.to_owned(),
        value => value.to_owned(),
    };
    let (url, old_url) = (or("url", BASE), or("old_url", OLD_BASE));
    let mut config = DingtalkConfig::new(
        text("source"),
        &url,
        &old_url,
        text("app_key"),
        text("app_secret"),
    );
    let mut violations = Vec::new();
    let mut bad = |key: &str, why: &str| {
        violations.push(Violation {
            field: format!("settings.{key}"),
            description: why.to_owned(),
        });
    };
    for key in ["source", "app_key", "app_secret"] {
        if text(key).is_empty() {
            bad(key, "must not be blank");
        }
    }
    for (key, url) in [("url", &config.url), ("old_url", &config.old_url)] {
        if Origin::of(url).is_err() || url.contains(['?', '#']) {
            bad(key, "is no http or https address");
        }
    }
    config.operator = text("operator_user_id").to_owned();
    config.robot = match (text("robot_token"), text("robot_secret")) {
        ("", "") => None,
        ("", _) | (_, "") => {
            bad("robot_token", "token and secret must both be given");
            None
        }
        (token, secret) => Some((token.to_owned(), secret.to_owned())),
    };
    let owner = match text("callback_owner") {
        "" => config.app_key.as_str(),
        owner => owner,
    };
    config.callback = match (text("callback_token"), text("callback_key")) {
        ("", "") => None,
        (token, key) => match Envelope::new(token, key, owner) {
            Ok(envelope) => Some(envelope),
            Err(_) => {
                let why = "token and aes_key must both be given; the key is 43 characters";
                bad("callback_key", why);
                None
            }
        },
    };
    for (i, table) in settings.tables("fields").into_iter().enumerate() {
        let cell = |key: &str| {
            let value = table.get(key).and_then(|v| v.as_str());
            value.unwrap_or_default().trim().to_owned()
        };
        let field = Override {
            object: cell("object"),
            field: cell("field"),
            attribute: cell("attribute"),
            scheme: cell("scheme"),
        };
        let known = matches!(
            field.object.as_str(),
            "crm_customer" | "crm_customer_personal" | "crm_contact"
        );
        if !known || field.field.is_empty() || !attribute::is_valid(&field.attribute) {
            let why = "needs object, field and a known attribute";
            bad(&format!("fields[{i}]"), why);
        }
        config.fields.push(field);
    }
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
    if let Some(seconds) = number("overlap_seconds", 0, 86_400) {
        config.overlap = Duration::from_secs(seconds);
    }
    if let Some(minutes) = number("directory_minutes", 0, 44_640) {
        config.directory_round = Duration::from_secs(minutes * 60);
    }
    if let Some(calls) = number("calls_per_minute", 1, 60_000) {
        config.budget.per_minute = calls as u32;
    }
    if let Some(calls) = number("concurrency", 1, 64) {
        config.budget.concurrency = calls as usize;
    }
    config.stream_mode = settings.boolean("stream_mode").unwrap_or(false);
    config.private_network = settings.boolean("private_network").unwrap_or(false);
    let pem = settings.text("ca_pem").filter(|pem| !pem.is_empty());
    config.client.ca_pem = pem.map(|pem| pem.as_bytes().to_vec());
    if violations.is_empty() {
        return Ok(config);
    }
    Err(Failure::fields(violations))
}
