//! The settings of an SAP connection.

use std::time::Duration;

use jinke_sdk::{
    ConfigKey, Part, PartKind, Settings, Spec, ValueType, Verification,
    http::{BudgetPolicy, ClientConfig, Origin, RetryPolicy},
};
use jinke_types::{Failure, Violation};

/// A query asks for at most this many rows.
pub const MAX_QUERY_ROWS: usize = 1_000;
/// The longest overlap, in seconds: a day.
pub const MAX_OVERLAP: i64 = 86_400;
/// An answer is at most this many bytes.
pub const MAX_ANSWER_BYTES: usize = 64 << 20;

/// How calls prove who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Name and password of a communication user, with every call.
    Basic {
        /// Name.
        user: String,
        /// Password.
        password: String,
    },
    /// A token of an OAuth 2.0 client, renewed when it ends.
    Client {
        /// Where tokens are given.
        token_url: String,
        /// Id of the client.
        id: String,
        /// Its secret.
        secret: String,
    },
}

/// An SAP connection.
#[derive(Clone)]
pub struct SapConfig {
    /// Id of the source the records belong to.
    pub source: String,
    /// Where the services are: `https://s4.example.cn/sap/opu/odata/sap`.
    pub url: String,
    /// How calls prove who we are.
    pub proof: Proof,
    /// Number of the client (集团); blank takes the server's own.
    pub client_number: String,
    /// Language of texts.
    pub language: String,
    /// Minutes east of UTC of the system's time zone.
    pub utc_offset_minutes: i32,
    /// A transaction may commit this much later than the times it writes.
    pub overlap: Duration,
    /// Rows a query.
    pub page_rows: usize,
    /// Whether the server is at a loopback or private address.
    pub private_network: bool,
    /// Limits and certificates of the client.
    pub client: ClientConfig,
    /// When calls are tried again.
    pub retry: RetryPolicy,
    /// How often the server is called.
    pub budget: BudgetPolicy,
}

impl SapConfig {
    /// A connection with the usual limits.
    pub fn new(source: &str, url: &str, proof: Proof) -> Self {
        Self {
            source: source.to_owned(),
            url: url.trim_end_matches('/').to_owned(),
            proof,
            client_number: String::new(),
            language: "ZH".to_owned(),
            utc_offset_minutes: 480,
            overlap: Duration::from_secs(600),
            page_rows: 200,
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

/// The keys of an SAP connection.
pub fn spec() -> Spec {
    let key = |name, about, value, required, default| ConfigKey {
        name,
        about,
        value,
        required,
        secret: matches!(name, "password" | "client_secret"),
        default,
    };
    let text = |name, about, default| key(name, about, ValueType::Text, false, default);
    let number = |name, about, default| key(name, about, ValueType::Integer, false, Some(default));
    Spec {
        kind: "sap",
        display_name: "SAP S/4HANA",
        about: "Reads business partners and sales orders of an SAP S/4HANA over OData V2 \
                (API_BUSINESS_PARTNER, API_SALES_ORDER_SRV), and writes both there.",
        keys: vec![
            key(
                "source",
                "Id of the source the records belong to.",
                ValueType::Text,
                true,
                None,
            ),
            key(
                "url",
                "Where the services are, e.g. https://s4.example.cn/sap/opu/odata/sap.",
                ValueType::Text,
                true,
                None,
            ),
            text(
                "user",
                "Name of the communication user; with password.",
                None,
            ),
            text("password", "Its password.", None),
            text(
                "token_url",
                "Where OAuth 2.0 tokens are given; instead of user and password.",
                None,
            ),
            text(
                "client_id",
                "Id of the OAuth 2.0 client; with token_url.",
                None,
            ),
            text("client_secret", "Its secret.", None),
            text(
                "client_number",
                "Number of the client (集团), 3 digits.",
                None,
            ),
            text("language", "Language of texts, 2 letters.", Some("ZH")),
            text(
                "utc_offset",
                "Offset of the system's time zone, e.g. +08:00.",
                Some("+08:00"),
            ),
            number(
                "overlap_seconds",
                "A transaction may commit this much later than the times it writes; 0 to 86400.",
                "600",
            ),
            number("page_rows", "Rows a query, 1 to 1000.", "200"),
            number(
                "calls_per_minute",
                "Most calls a minute, 1 to 60000.",
                "600",
            ),
            number("concurrency", "Most calls at a time, 1 to 64.", "4"),
            key(
                "private_network",
                "Whether the server is at a loopback or private address.",
                ValueType::Boolean,
                false,
                Some("false"),
            ),
            text(
                "ca_pem",
                "A further certificate authority to trust, PEM.",
                None,
            ),
        ],
        parts: parts(),
    }
}

/// What it does, and how far that is proven.
fn parts() -> Vec<Part> {
    let part = |name, kind, about, verification, evidence| Part {
        name,
        kind,
        about,
        verification,
        evidence,
    };
    let docs = Verification::DocumentationOnly;
    let rig = "SAP's own metadata served as OData V2 by SAP CAP, equal to what pyodata reads; \
               no S/4HANA server";
    vec![
        part(
            "partners",
            PartKind::Stream,
            "business partners with addresses, tax numbers, contacts",
            docs,
            rig,
        ),
        part(
            "orders",
            PartKind::Stream,
            "sales orders with items",
            docs,
            rig,
        ),
        part(
            "sweep",
            PartKind::Sweep,
            "deleted rows, by comparing ids",
            docs,
            rig,
        ),
        part(
            "partner",
            PartKind::Push,
            "business partners, new and changed",
            docs,
            rig,
        ),
        part(
            "order",
            PartKind::Push,
            "sales orders, new and changed",
            docs,
            rig,
        ),
    ]
}

/// Reads settings; all that is wrong is told at once.
pub fn read(settings: &Settings) -> Result<SapConfig, Failure> {
    let text = |key: &str| settings.text(key).unwrap_or_default().trim().to_owned();
    let secret = |key: &str| settings.text(key).unwrap_or_default().to_owned();
    let mut violations = Vec::new();
    let mut bad = |key: &str, why: &str| {
        violations.push(Violation {
            field: format!("settings.{key}"),
            description: why.to_owned(),
        });
    };
    let proof = if text("token_url").is_empty() {
        for key in ["user", "password"] {
            if text(key).is_empty() {
                bad(key, "must be given, or token_url");
            }
        }
        if text("user").contains(':') {
            bad("user", "must not hold a colon");
        }
        Proof::Basic {
            user: text("user"),
            password: secret("password"),
        }
    } else {
        for key in ["client_id", "client_secret"] {
            if text(key).is_empty() {
                bad(key, "must be given with token_url");
            }
        }
        if Origin::of(&text("token_url")).is_err() {
            bad("token_url", "is no http or https address");
        }
        Proof::Client {
            token_url: text("token_url"),
            id: text("client_id"),
            secret: secret("client_secret"),
        }
    };
    let mut config = SapConfig::new(&text("source"), &text("url"), proof);
    if config.source.is_empty() {
        bad("source", "must not be blank");
    }
    if Origin::of(&config.url).is_err() || config.url.contains(['?', '#']) {
        bad("url", "is no http or https address");
    }
    config.client_number = text("client_number");
    let digits = config.client_number.bytes().all(|b| b.is_ascii_digit());
    if !config.client_number.is_empty() && (config.client_number.len() != 3 || !digits) {
        bad("client_number", "must be 3 digits");
    }
    let language = text("language");
    if !language.is_empty() {
        if language.len() == 2 && language.bytes().all(|b| b.is_ascii_alphabetic()) {
            config.language = language.to_ascii_uppercase();
        } else {
            bad("language", "must be 2 letters");
        }
    }
    if let Some(offset) = settings.text("utc_offset") {
        match offset.parse::<chrono::FixedOffset>() {
            Ok(offset) => config.utc_offset_minutes = offset.local_minus_utc() / 60,
            Err(_) => bad("utc_offset", "is no offset like +08:00"),
        }
    }
    let mut number = |key: &str, most: i64, least: i64| {
        let value = settings.integer(key)?;
        if (least..=most).contains(&value) {
            return u32::try_from(value).ok();
        }
        bad(key, &format!("must be {least} to {most}"));
        None
    };
    if let Some(seconds) = number("overlap_seconds", MAX_OVERLAP, 0) {
        config.overlap = Duration::from_secs(seconds.into());
    }
    if let Some(rows) = number("page_rows", MAX_QUERY_ROWS as i64, 1) {
        config.page_rows = rows as usize;
    }
    if let Some(calls) = number("calls_per_minute", 60_000, 1) {
        config.budget.per_minute = calls;
    }
    if let Some(calls) = number("concurrency", 64, 1) {
        config.budget.concurrency = calls as usize;
    }
    config.private_network = settings.boolean("private_network").unwrap_or(false);
    config.client.ca_pem = settings.text("ca_pem").map(|pem| pem.as_bytes().to_vec());
    if violations.is_empty() {
        return Ok(config);
    }
    Err(Failure::fields(violations))
}
