//! The settings of a Kingdee connection.

use std::{collections::BTreeMap, time::Duration};

use jinke_sdk::{
    ConfigKey, Part, PartKind, Settings, Spec, ValueType, Verification,
    http::{BudgetPolicy, ClientConfig, Origin, RetryPolicy},
};
use jinke_types::{Failure, Violation};

use crate::sign::client_secret;

/// A query asks for at most this many rows; the server allows no more.
pub const MAX_QUERY_ROWS: usize = 2_000;
/// The longest overlap, in seconds: a day.
pub const MAX_OVERLAP: i64 = 86_400;
/// An answer is at most this many bytes.
pub const MAX_ANSWER_BYTES: usize = 32 << 20;

/// How calls prove who we are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proof {
    /// Each call is signed, as the vendor's own library does it.
    #[default]
    Signed,
    /// A session that is opened with the application's secret.
    Session,
    /// A session that is opened with the user's password.
    Password,
}

/// How far a written bill is taken. Where reviewing is a work flow of people, it ends earlier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Until {
    /// Saved; people submit it.
    Save,
    /// Submitted; people review it.
    Submit,
    /// Reviewed, and in force.
    #[default]
    Audit,
}

/// A Kingdee connection.
#[derive(Clone)]
pub struct KingdeeConfig {
    /// Id of the source the records belong to.
    pub source: String,
    /// Where the server is, with its path: `https://erp.example.cn/k3cloud`.
    pub url: String,
    /// Id of the data centre (账套).
    pub account: String,
    /// Name of the integration user.
    pub user: String,
    /// How calls prove who we are.
    pub proof: Proof,
    /// Id of the application: `<client id>_<32 characters>`.
    pub app_id: String,
    /// Secret of the application.
    pub app_secret: String,
    /// The user's password, for [`Proof::Password`].
    pub password: String,
    /// Number of the organization to work in; 0 is the user's own.
    pub organization: String,
    /// Minutes east of UTC of the server's clock.
    pub utc_offset_minutes: i32,
    /// Names of customer groups whose customers are persons.
    pub person_groups: Vec<String>,
    /// Org unit of ours by number of the using organization.
    pub org_units: BTreeMap<String, String>,
    /// How far a written bill is taken.
    pub write_until: Until,
    /// A text field on customers and sales orders that carries our key; without it the number
    /// carries it.
    pub key_field: Option<String>,
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

impl KingdeeConfig {
    /// A connection with signed calls and the usual limits.
    pub fn new(
        source: &str,
        url: &str,
        account: &str,
        user: &str,
        app_id: &str,
        app_secret: &str,
    ) -> Self {
        Self {
            source: source.to_owned(),
            url: url.trim_end_matches('/').to_owned(),
            account: account.to_owned(),
            user: user.to_owned(),
            proof: Proof::Signed,
            app_id: app_id.to_owned(),
            app_secret: app_secret.to_owned(),
            password: String::new(),
            organization: "0".to_owned(),
            utc_offset_minutes: 480,
            person_groups: vec!["个人".to_owned(), "自然人".to_owned()],
            org_units: BTreeMap::new(),
            write_until: Until::Audit,
            key_field: None,
            overlap: Duration::from_secs(600),
            page_rows: MAX_QUERY_ROWS,
            private_network: false,
            client: ClientConfig {
                max_body: MAX_ANSWER_BYTES,
                ..ClientConfig::default()
            },
            retry: RetryPolicy::default(),
            // The vendor publishes no limit; its public cloud slows down callers that make many
            // calls at a time.
            budget: BudgetPolicy {
                per_minute: 300,
                burst: 10,
                concurrency: 2,
            },
        }
    }
}

/// The keys of a Kingdee connection.
pub fn spec() -> Spec {
    let key = |name, about, value, required, default| ConfigKey {
        name,
        about,
        value,
        required,
        secret: matches!(name, "app_secret" | "password"),
        default,
    };
    let text = |name, about, default| key(name, about, ValueType::Text, false, default);
    let needed = |name, about| key(name, about, ValueType::Text, true, None);
    let number = |name, about, default| key(name, about, ValueType::Integer, false, Some(default));
    Spec {
        kind: "kingdee",
        display_name: "金蝶云星空",
        about: "Reads customers, contacts, sales orders, receivables and receipts of a Kingdee \
                K3Cloud over its WebAPI, and writes customers and sales orders there.",
        keys: vec![
            needed("source", "Id of the source the records belong to."),
            needed(
                "url",
                "Address of the server with its path, e.g. https://erp.example.cn/k3cloud.",
            ),
            needed("account", "Id of the data centre (账套)."),
            needed("user", "Name of the integration user."),
            text(
                "auth",
                "signed: each call is signed. session: a session opened with the application's \
                 secret. password: a session opened with the user's password.",
                Some("signed"),
            ),
            text("app_id", "Id of the application; not for password.", None),
            text(
                "app_secret",
                "Secret of the application; not for password.",
                None,
            ),
            text("password", "The user's password; only for password.", None),
            text(
                "organization",
                "Number of the organization to work in; 0 is the user's own.",
                Some("0"),
            ),
            text(
                "utc_offset",
                "Offset of the server's clock, e.g. +08:00.",
                Some("+08:00"),
            ),
            text(
                "person_groups",
                "Names of customer groups whose customers are persons, parted by 、. A customer \
                 that changes between person and organization later is refused.",
                Some("个人、自然人"),
            ),
            text(
                "org_units",
                "Org units by number of the using organization, e.g. 100=hq、200=east; terms of \
                 payment are then of that org unit.",
                None,
            ),
            text(
                "write_until",
                "save, submit or audit: how far a bill is taken that we write.",
                Some("audit"),
            ),
            text(
                "key_field",
                "Name of a text field on customers and sales orders that carries our key when we \
                 write; without it the number carries the key.",
                None,
            ),
            number(
                "overlap_seconds",
                "A transaction may commit this much later than the times it writes; 0 to 86400.",
                "600",
            ),
            number("page_rows", "Rows a query, 1 to 2000.", "2000"),
            number(
                "calls_per_minute",
                "Most calls a minute, 1 to 60000.",
                "300",
            ),
            number("concurrency", "Most calls at a time, 1 to 16.", "2"),
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

/// What it does, and how far that is proven. No part has met a real server.
fn parts() -> Vec<Part> {
    let part = |name, kind, about, verification, evidence| Part {
        name,
        kind,
        about,
        verification,
        evidence,
    };
    let (sdk, unverified) = (Verification::OfficialSdk, Verification::Unverified);
    let signed = "kingdee-cdp-webapi-sdk 8.2.0 reads and writes the simulator";
    vec![
        part(
            "customers",
            PartKind::Stream,
            "客户 BD_Customer",
            sdk,
            signed,
        ),
        part(
            "contacts",
            PartKind::Stream,
            "联系人 BD_CommonContact",
            unverified,
            "names of the fields from public integrations only",
        ),
        part(
            "orders",
            PartKind::Stream,
            "销售订单 SAL_SaleOrder with lines",
            sdk,
            signed,
        ),
        part(
            "receivables",
            PartKind::Stream,
            "应收单 AR_receivable",
            sdk,
            signed,
        ),
        part(
            "receipts",
            PartKind::Stream,
            "收款单 AR_RECEIVEBILL",
            unverified,
            "names of the fields from public integrations only",
        ),
        part(
            "sweep",
            PartKind::Sweep,
            "deleted rows, by comparing ids",
            sdk,
            signed,
        ),
        part(
            "customer",
            PartKind::Push,
            "客户 by Save, Submit, Audit",
            sdk,
            "the SDK's Save, Submit and Audit meet the same simulator; rules of a tenant may refuse more",
        ),
        part(
            "order",
            PartKind::Push,
            "销售订单 by Save, Submit, Audit",
            sdk,
            "the SDK's Save, Submit and Audit meet the same simulator; rules of a tenant may refuse more",
        ),
    ]
}

/// The words of a list that is parted by any of `、，,；;`.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(['、', ',', '，', ';', '；'])
        .map(str::trim)
        .filter(|w| !w.is_empty())
}

/// Whether a text may stand as the name of a field in a query.
pub fn is_field_name(name: &str) -> bool {
    (2..=64).contains(&name.len())
        && name.starts_with('F')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Reads settings; all that is wrong is told at once.
pub fn read(settings: &Settings) -> Result<KingdeeConfig, Failure> {
    let text = |key: &str| settings.text(key).unwrap_or_default().trim().to_owned();
    let mut config = KingdeeConfig::new(
        &text("source"),
        &text("url"),
        &text("account"),
        &text("user"),
        &text("app_id"),
        settings.text("app_secret").unwrap_or_default(),
    );
    config.password = settings.text("password").unwrap_or_default().to_owned();
    let mut violations = Vec::new();
    let mut bad = |key: &str, why: &str| {
        violations.push(Violation {
            field: format!("settings.{key}"),
            description: why.to_owned(),
        });
    };
    for key in ["source", "account", "user"] {
        let value = text(key);
        if value.is_empty() {
            bad(key, "must not be blank");
        } else if key != "source" && value.contains(',') {
            // What is signed is a list parted by commas.
            bad(key, "must not hold a comma");
        }
    }
    if Origin::of(&config.url).is_err() || config.url.contains(['?', '#']) {
        bad("url", "is no http or https address");
    }
    config.proof = match &*text("auth") {
        "" | "signed" => Proof::Signed,
        "session" => Proof::Session,
        "password" => Proof::Password,
        _ => {
            bad("auth", "must be signed, session or password");
            Proof::Signed
        }
    };
    match config.proof {
        Proof::Password if config.password.is_empty() => bad("password", "must be given"),
        Proof::Signed if client_secret(&config.app_id).is_none() => {
            bad("app_id", "is no id like <client id>_<32 characters>");
        }
        Proof::Session if config.app_id.is_empty() => bad("app_id", "must be given"),
        _ => {}
    }
    if config.proof != Proof::Password && config.app_secret.is_empty() {
        bad("app_secret", "must be given");
    }
    let organization = text("organization");
    if organization.bytes().all(|b| b.is_ascii_digit()) {
        if !organization.is_empty() {
            config.organization = organization;
        }
    } else {
        bad("organization", "is no number");
    }
    if let Some(offset) = settings.text("utc_offset") {
        match offset.parse::<chrono::FixedOffset>() {
            Ok(offset) => config.utc_offset_minutes = offset.local_minus_utc() / 60,
            Err(_) => bad("utc_offset", "is no offset like +08:00"),
        }
    }
    if let Some(names) = settings.text("person_groups") {
        config.person_groups = words(names).map(str::to_owned).collect();
    }
    for pair in words(&text("org_units")) {
        match pair.split_once('=') {
            Some((number, unit)) if !number.trim().is_empty() && !unit.trim().is_empty() => {
                let unit = unit.trim().to_owned();
                config.org_units.insert(number.trim().to_owned(), unit);
            }
            _ => bad("org_units", "is no list like 100=hq、200=east"),
        }
    }
    config.write_until = match &*text("write_until") {
        "save" => Until::Save,
        "submit" => Until::Submit,
        "" | "audit" => Until::Audit,
        _ => {
            bad("write_until", "must be save, submit or audit");
            Until::Audit
        }
    };
    let field = text("key_field");
    if !field.is_empty() {
        if is_field_name(&field) {
            config.key_field = Some(field);
        } else {
            bad("key_field", "is no name of a field");
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
    if let Some(calls) = number("concurrency", 16, 1) {
        config.budget.concurrency = calls as usize;
    }
    config.private_network = settings.boolean("private_network").unwrap_or(false);
    config.client.ca_pem = settings.text("ca_pem").map(|pem| pem.as_bytes().to_vec());
    if violations.is_empty() {
        return Ok(config);
    }
    Err(Failure::fields(violations))
}
