//! Settings: what is accepted, and that all that is wrong is told.

use jinke_kingdee::KingdeeConnector;
use jinke_sdk::Connector as _;

fn open(text: &str) -> Result<KingdeeConnector, jinke_types::Failure> {
    let table: toml::Table = text.parse().expect("TOML");
    KingdeeConnector::open(&KingdeeConnector::spec().read(&table)?)
}

const GOOD: &str = "source = 'k3'\nurl = 'https://erp.example.cn/k3cloud/'\naccount = '5db25ac8'\n\
    user = 'webapi'\napp_id = '200000_ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7'\napp_secret = 'x'\n\
    org_units = '100=hq、200=east'\n";

#[test]
fn few_settings_are_enough_and_secrets_are_marked() {
    open(GOOD).expect("good settings");
    let spec = KingdeeConnector::spec();
    let secret: Vec<_> = spec
        .keys
        .iter()
        .filter(|k| k.secret)
        .map(|k| k.name)
        .collect();
    assert_eq!(secret, ["app_secret", "password"]);
    let session = GOOD.replace("200000_ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7", "200000_x");
    assert!(open(&session).is_err(), "signing needs the whole id");
    open(&format!("{session}auth = 'session'\n")).expect("a session does not");
}

#[test]
fn every_wrong_key_is_told() {
    let wrong = "source = ' '\nurl = 'ftp://erp'\naccount = 'a,b'\nuser = 'u'\n\
        auth = 'magic'\norganization = 'hq'\nutc_offset = '8'\norg_units = '100'\n\
        write_until = 'never'\nkey_field = 'x; drop'\noverlap_seconds = -1\npage_rows = 2001\n\
        calls_per_minute = 0\nconcurrency = 17\n";
    let failure = open(wrong).unwrap_err();
    let fields: Vec<_> = failure
        .violations
        .iter()
        .map(|v| v.field.as_str())
        .collect();
    let want = [
        "source",
        "account",
        "url",
        "auth",
        "app_id",
        "app_secret",
        "organization",
        "utc_offset",
        "org_units",
        "write_until",
        "key_field",
        "overlap_seconds",
        "page_rows",
        "calls_per_minute",
        "concurrency",
    ];
    assert_eq!(fields, want.map(|key| format!("settings.{key}")));
}
