//! Settings: what is accepted, and that all that is wrong is told.

use jinke_sdk::Connector as _;
use jinke_tryton::TrytonConnector;

fn open(text: &str) -> Result<TrytonConnector, jinke_types::Failure> {
    let table: toml::Table = text.parse().expect("TOML");
    TrytonConnector::open(&TrytonConnector::spec().read(&table)?)
}

const GOOD: &str = "source = 'erp'\nurl = 'https://erp.example.cn/'\ndatabase = 'prod'\n\
    user = 'jinke'\npassword = 'x'\n";

#[test]
fn few_settings_are_enough_and_secrets_are_marked() {
    open(GOOD).expect("good settings");
    let secret: Vec<_> = TrytonConnector::spec()
        .keys
        .iter()
        .filter(|k| k.secret)
        .map(|k| k.name)
        .collect();
    assert_eq!(secret, ["password"]);
}

#[test]
fn every_wrong_key_is_told() {
    let wrong = "source = ' '\nurl = 'ftp://erp'\ndatabase = 'a/../b'\nuser = 'u'\npassword = 'p'\n\
        utc_offset = '8'\npayments_from = 'bank'\noverlap_seconds = -1\npage_rows = 501\n\
        calls_per_minute = 0\nconcurrency = 65\n";
    let failure = open(wrong).unwrap_err();
    let fields: Vec<_> = failure
        .violations
        .iter()
        .map(|v| v.field.as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "settings.source",
            "settings.url",
            "settings.database",
            "settings.utc_offset",
            "settings.payments_from",
            "settings.overlap_seconds",
            "settings.page_rows",
            "settings.calls_per_minute",
            "settings.concurrency",
        ]
    );
}
