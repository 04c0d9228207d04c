//! Settings: what is accepted, and that all that is wrong is told.

use jinke_sap::SapConnector;
use jinke_sdk::Connector as _;

fn open(text: &str) -> Result<SapConnector, jinke_types::Failure> {
    let table: toml::Table = text.parse().expect("TOML");
    SapConnector::open(&SapConnector::spec().read(&table)?)
}

const GOOD: &str = "source = 's4'\nurl = 'https://s4.example.cn/sap/opu/odata/sap/'\n";

#[test]
fn few_settings_are_enough_and_secrets_are_marked() {
    open(&format!(
        "{GOOD}user = 'u'\npassword = 'p'\nclient_number = '100'\n"
    ))
    .expect("basic");
    let oauth =
        "token_url = 'https://auth.example.cn/oauth/token'\nclient_id = 'c'\nclient_secret = 's'\n";
    open(&format!("{GOOD}{oauth}")).expect("a client");
    let spec = SapConnector::spec();
    let secret: Vec<_> = spec
        .keys
        .iter()
        .filter(|k| k.secret)
        .map(|k| k.name)
        .collect();
    assert_eq!(secret, ["password", "client_secret"]);
}

#[test]
fn every_wrong_key_is_told() {
    let wrong = "source = ' '\nurl = 'ftp://s4'\nuser = 'a:b'\nclient_number = '1'\nlanguage = 'x'\n\
        utc_offset = '8'\noverlap_seconds = -1\npage_rows = 1001\ncalls_per_minute = 0\nconcurrency = 65\n";
    let failure = open(wrong).unwrap_err();
    let fields: Vec<_> = failure
        .violations
        .iter()
        .map(|v| v.field.as_str())
        .collect();
    let want = [
        "password",
        "user",
        "source",
        "url",
        "client_number",
        "language",
        "utc_offset",
        "overlap_seconds",
        "page_rows",
        "calls_per_minute",
        "concurrency",
    ];
    assert_eq!(fields, want.map(|key| format!("settings.{key}")));
}
