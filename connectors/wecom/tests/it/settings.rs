//! Settings: what is accepted, and that all that is wrong is told.

use jinke_sdk::Connector as _;
use jinke_wecom::WecomConnector;

fn open(text: &str) -> Result<WecomConnector, jinke_types::Failure> {
    let table: toml::Table = text.parse().expect("TOML");
    WecomConnector::open(&WecomConnector::spec().read(&table)?)
}

const GOOD: &str = "source = 'wecom'\ncorp_id = 'ww1'\nsecret = 's'\n";

#[test]
fn few_settings_are_enough_and_secrets_are_marked() {
    let connector = open(GOOD).expect("good settings");
    assert!(connector.outbound().is_none() && connector.callback().is_none());
    let keys = "agent_id = 1000002\ncallback_token = 't'\n\
        callback_key = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8'\n";
    let connector = open(&format!("{GOOD}{keys}")).expect("good settings");
    assert!(connector.outbound().is_some() && connector.callback().is_some());
    let spec = WecomConnector::spec();
    let secret: Vec<_> = spec
        .keys
        .iter()
        .filter(|k| k.secret)
        .map(|k| k.name)
        .collect();
    assert_eq!(secret, ["secret", "callback_token", "callback_key"]);
}

#[test]
fn every_wrong_key_is_told() {
    let wrong = "source = ' '\nurl = 'ftp://x'\ncorp_id = ''\nsecret = 's'\nagent_id = 0\n\
        callback_token = 't'\ncallback_window_seconds = 5\npage_rows = 101\nround_hours = -1\n\
        directory_minutes = 99999\ncalls_per_minute = 0\nconcurrency = 65\n";
    let failure = open(wrong).unwrap_err();
    let fields: Vec<_> = failure
        .violations
        .iter()
        .map(|v| v.field.trim_start_matches("settings."))
        .collect();
    assert_eq!(
        fields,
        [
            "source",
            "corp_id",
            "url",
            "callback_key",
            "agent_id",
            "callback_window_seconds",
            "page_rows",
            "round_hours",
            "directory_minutes",
            "calls_per_minute",
            "concurrency"
        ]
    );
}
