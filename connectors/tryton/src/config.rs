//! The settings of a Tryton connection.

use std::time::Duration;

use jinke_sdk::{
    ConfigKey, Part, PartKind, Settings, Spec, ValueType, Verification,
    http::{BudgetPolicy, ClientConfig, Origin, RetryPolicy},
};
use jinke_types::{Failure, Violation};

/// A page asks for at most this many rows. Tryton's own limit is `records_limit`, 1,000 or more
/// on most servers.
pub const MAX_PAGE_ROWS: usize = 500;
/// The longest overlap, in seconds: a day.
pub const MAX_OVERLAP: i64 = 86_400;
/// An answer is at most this many bytes.
pub const MAX_ANSWER_BYTES: usize = 32 << 20;

/// Where payments are read from. Both at once would count money twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PaymentsFrom {
    /// The posted lines that pay invoices: what accounting says was received.
    #[default]
    Invoices,
    /// The model `account.payment`: what was asked from banks, with its state.
    Payments,
}

/// A Tryton connection.
#[derive(Clone)]
pub struct TrytonConfig {
    /// Id of the source the records belong to.
    pub source: String,
    /// Where the server is, without the database: `https://erp.example.cn`.
    pub url: String,
    /// Name of the database.
    pub database: String,
    /// Login of the user.
    pub user: String,
    /// Password of the user.
    pub password: String,
    /// Minutes east of UTC at which a date without a time begins.
    pub utc_offset_minutes: i32,
    /// Names of party categories whose parties are persons.
    pub person_categories: Vec<String>,
    /// Where payments are read from.
    pub payments_from: PaymentsFrom,
    /// A transaction may commit this much later than the times it writes.
    pub overlap: Duration,
    /// Rows a page.
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

impl TrytonConfig {
    /// A connection with the usual limits.
    pub fn new(source: &str, url: &str, database: &str, user: &str, password: &str) -> Self {
        Self {
            source: source.to_owned(),
            url: url.trim_end_matches('/').to_owned(),
            database: database.to_owned(),
            user: user.to_owned(),
            password: password.to_owned(),
            utc_offset_minutes: 480,
            person_categories: vec!["个人".to_owned(), "自然人".to_owned()],
            payments_from: PaymentsFrom::Invoices,
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

/// The keys of a Tryton connection.
pub fn spec() -> Spec {
    let key = |name, about, value, required, default| ConfigKey {
        name,
        about,
        value,
        required,
        secret: name == "password",
        default,
    };
    let text = ValueType::Text;
    let number = ValueType::Integer;
    Spec {
        kind: "tryton",
        display_name: "Tryton（ERP、财务）",
        about: "Reads parties, orders, invoices, payments and open receivables of a Tryton \
                server (series 8) over JSON-RPC. The user needs to read, nothing else.",
        keys: vec![
            key(
                "source",
                "Id of the source the records belong to.",
                text,
                true,
                None,
            ),
            key(
                "url",
                "Address of the server, without the database.",
                text,
                true,
                None,
            ),
            key("database", "Name of the database.", text, true, None),
            key("user", "Login of the user.", text, true, None),
            key("password", "Password of the user.", text, true, None),
            key(
                "utc_offset",
                "Offset at which a date without a time begins, e.g. +08:00.",
                text,
                false,
                Some("+08:00"),
            ),
            key(
                "person_categories",
                "Names of party categories whose parties are persons, parted by 、. A party that \
                 changes between person and organization later is refused.",
                text,
                false,
                Some("个人、自然人"),
            ),
            key(
                "payments_from",
                "invoices: posted lines that pay invoices. payments: the model account.payment.",
                text,
                false,
                Some("invoices"),
            ),
            key(
                "overlap_seconds",
                "A transaction may commit this much later than the times it writes; 0 to 86400.",
                number,
                false,
                Some("600"),
            ),
            key(
                "page_rows",
                "Rows a page, 1 to 500.",
                number,
                false,
                Some("200"),
            ),
            key(
                "calls_per_minute",
                "Most calls a minute, 1 to 60000.",
                number,
                false,
                Some("600"),
            ),
            key(
                "concurrency",
                "Most calls at a time, 1 to 64.",
                number,
                false,
                Some("4"),
            ),
            key(
                "private_network",
                "Whether the server is at a loopback or private address.",
                ValueType::Boolean,
                false,
                Some("false"),
            ),
            key(
                "ca_pem",
                "A further certificate authority to trust, PEM.",
                text,
                false,
                None,
            ),
        ],
        parts: parts(),
    }
}

/// The streams and what the server in `tests/rigs.rs` has shown of them.
fn parts() -> Vec<Part> {
    let real = |name, kind, about, evidence| Part {
        name,
        kind,
        about,
        verification: Verification::RealServer,
        evidence,
    };
    let stream = PartKind::Stream;
    vec![
        real(
            "parties",
            stream,
            "organizations and persons with addresses, contacts, identifiers",
            "Tryton 8, compared with its own client proteus",
        ),
        real(
            "orders",
            stream,
            "sales with lines",
            "Tryton 8, compared with proteus",
        ),
        real(
            "invoices",
            stream,
            "invoices and credit notes to customers",
            "Tryton 8, compared with proteus",
        ),
        Part {
            name: "payments",
            kind: stream,
            about: "posted lines that pay invoices, or the model account.payment",
            verification: Verification::RealServer,
            evidence: "Tryton 8 for lines that pay invoices; account.payment on the simulator only",
        },
        real(
            "receivables",
            stream,
            "open amounts of customers",
            "Tryton 8, sums equal to proteus to the cent",
        ),
        real(
            "sweep",
            PartKind::Sweep,
            "deleted parties and documents",
            "Tryton 8, deletions by proteus",
        ),
    ]
}

/// Reads settings; all that is wrong is told at once.
pub fn read(settings: &Settings) -> Result<TrytonConfig, Failure> {
    let text = |key: &str| settings.text(key).unwrap_or_default();
    let mut config = TrytonConfig::new(
        text("source"),
        text("url"),
        text("database"),
        text("user"),
        text("password"),
    );
    let mut violations = Vec::new();
    let mut bad = |key: &str, why: &str| {
        violations.push(Violation {
            field: format!("settings.{key}"),
            description: why.to_owned(),
        });
    };
    for key in ["source", "user"] {
        if text(key).trim().is_empty() {
            bad(key, "must not be blank");
        }
    }
    if Origin::of(&config.url).is_err() || config.url.contains(['?', '#']) {
        bad("url", "is no http or https address");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if config.database.is_empty() || !config.database.chars().all(plain) {
        bad("database", "is no name of a database");
    }
    if let Some(offset) = settings.text("utc_offset") {
        match offset.parse::<chrono::FixedOffset>() {
            Ok(offset) => config.utc_offset_minutes = offset.local_minus_utc() / 60,
            Err(_) => bad("utc_offset", "is no offset like +08:00"),
        }
    }
    if let Some(names) = settings.text("person_categories") {
        let names = names.split(['、', ',', '，', ';', '；']).map(str::trim);
        config.person_categories = names.filter(|n| !n.is_empty()).map(str::to_owned).collect();
    }
    match settings.text("payments_from") {
        None | Some("invoices") => {}
        Some("payments") => config.payments_from = PaymentsFrom::Payments,
        Some(_) => bad("payments_from", "must be invoices or payments"),
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
    if let Some(rows) = number("page_rows", MAX_PAGE_ROWS as i64, 1) {
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
