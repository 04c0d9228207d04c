//! Settings: what is accepted, and that all that is wrong is told.

use jinke_dingtalk::DingtalkConnector;
use jinke_sdk::Connector as _;

fn open(text: &str) -> Result<DingtalkConnector, jinke_types::Failure> {
    let table: toml::Table = text.parse().expect("TOML");
    DingtalkConnector::open(&DingtalkConnector::spec().read(&table)?)
}

const GOOD: &str = "source = 'dingtalk'\napp_key = 'k'\napp_secret = 's'\n";

#[tokio::test]
async fn few_settings_are_enough_and_secrets_are_marked() {
    let connector = open(GOOD).expect("good settings");
    assert!(
        connector.outbound().is_none()
            && connector.callback().is_none()
            && connector.listener().is_none()
    );
    let pulled = jinke_sdk::testing::pull(&connector, "customers", None).await;
    assert_eq!(
        pulled.error.unwrap().failure.reason,
        "STREAM_UNKNOWN",
        "no operator, no CRM"
    );
    let keys = "agent_id = 1\nstream_mode = true\ncallback_token = 't'\n\
        callback_key = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8'\n";
    let connector = open(&format!("{GOOD}{keys}")).expect("good settings");
    assert!(
        connector.outbound().is_some()
            && connector.callback().is_some()
            && connector.listener().is_some()
    );
    let spec = DingtalkConnector::spec();
    let secret: Vec<_> = spec
        .keys
        .iter()
        .filter(|k| k.secret)
        .map(|k| k.name)
        .collect();
    assert_eq!(
        secret,
        [
            "app_secret",
            "robot_token",
            "robot_secret",
            "callback_token",
            "callback_key"
        ]
    );
}

#[test]
fn every_wrong_key_is_told() {
    let wrong = "source = ' '\nurl = 'ftp://x'\nold_url = 'x'\napp_key = ''\napp_secret = 's'\nagent_id = 0\n\
        robot_token = 'x'\ncallback_token = 't'\ncallback_window_seconds = 5\npage_rows = 101\n\
        overlap_seconds = -1\ndirectory_minutes = 99999\ncalls_per_minute = 0\nconcurrency = 65\n\
        [[fields]]\nobject = 'x'\nfield = 'y'\nattribute = 'name'\n";
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
            "app_key",
            "url",
            "old_url",
            "robot_token",
            "callback_key",
            "fields[0]",
            "agent_id",
            "callback_window_seconds",
            "page_rows",
            "overlap_seconds",
            "directory_minutes",
            "calls_per_minute",
            "concurrency"
        ]
    );
}
