//! Layers, origins, and refusals with their place.

use std::path::Path;

use jinke_kit::Config;
use jinke_types::{Code, Failure};
use serde::Deserialize;

const DEFAULTS: &str = r#"
[shop]
# Name over the door.
name = "金客"
# Opening hour, 0 to 23.
hour = 9
ratio = 1.5
open = true
days = ["mon"]
mode = "calm"
[shop.database]
url = "postgres://jinke:geheim@db/jinke?password=auch"
admin_password = "geheim"
[shop.labels]
"#;

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "what does not fit is the subject")]
struct Shop {
    name: String,
    hour: u8,
    ratio: f64,
    open: bool,
    days: Vec<String>,
    mode: Mode,
    database: toml::Table,
    labels: std::collections::BTreeMap<String, String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Calm,
    Busy,
}

fn load(file: Option<&Path>, env: &[(&str, &str)], set: &[&str]) -> Result<Config, Failure> {
    let mut builder = Config::builder()
        .defaults("shop", DEFAULTS)
        .env(env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
        .set(set.iter().map(|s| (*s).to_owned()));
    if let Some(file) = file {
        builder = builder.file(file);
    }
    builder.load()
}

#[test]
fn later_layers_win_and_say_where_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("jinke.toml");
    std::fs::write(
        &file,
        "[shop]\nname = \"甲\"\nhour = 10\nratio = 2\n\n[shop.labels]\nx = \"1\"\n",
    )
    .unwrap();
    let env = [
        ("JINKE_SHOP__HOUR", "11"),
        ("JINKE_SHOP__DAYS", "tue, wed"),
        ("JINKE_TEST", "x"),
    ];
    let config = load(Some(&file), &env, &["shop.mode=busy", "shop.labels.y=z"]).unwrap();
    let shop: Shop = config.section("shop").unwrap();
    assert_eq!((shop.name.as_str(), shop.hour, shop.ratio), ("甲", 11, 2.0));
    assert_eq!(
        (shop.days.join(" ").as_str(), shop.mode),
        ("tue wed", Mode::Busy)
    );
    assert_eq!(shop.labels.len(), 2);
    let origin = |key| config.origin(key).unwrap().to_string();
    assert!(
        origin("shop.name").ends_with("jinke.toml:2"),
        "{}",
        origin("shop.name")
    );
    assert!(origin("shop.labels.x").ends_with("jinke.toml:7"));
    assert_eq!(origin("shop.hour"), "environment variable JINKE_SHOP__HOUR");
    assert_eq!(origin("shop.mode"), "flag --set");
    assert_eq!(origin("shop.open"), "default");
}

/// File, environment, flags, and part of the refusal, in which `F:` stands for the file.
type Wrong = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
    &'static str,
);

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    let table: &[Wrong] = &[
        (
            "[shop]\nnam = \"x\"\n",
            &[],
            &[],
            "F:2: shop.nam is not a setting; did you mean shop.name?",
        ),
        (
            "[shop]\n\nhour = \"nine\"\n",
            &[],
            &[],
            "F:3: shop.hour must be of type integer, not string",
        ),
        (
            "[shop]\nhour = 9\nhour = 10\n",
            &[],
            &[],
            "F:3: the file duplicate key",
        ),
        ("[shop\n", &[], &[], "F:1: the file"),
        (
            "[shup]\nname = \"x\"\n",
            &[],
            &[],
            "F:2: shup.name is not a setting",
        ),
        ("[shup]\n", &[], &[], "F: shup is not a table of settings"),
        (
            "shop = 1\n",
            &[],
            &[],
            "F:1: shop is a table of settings, not one setting",
        ),
        (
            "[shop]\nname.x = 1\n",
            &[],
            &[],
            "F:2: shop.name.x is not a setting",
        ),
        (
            "",
            &[("JINKE_SHOP__HUOR", "1")],
            &[],
            "environment variable JINKE_SHOP__HUOR: shop.huor is not a setting; did you mean shop.hour?",
        ),
        (
            "",
            &[("JINKE_SHOP__OPEN", "yes")],
            &[],
            "environment variable JINKE_SHOP__OPEN: shop.open must be of type boolean, not string",
        ),
        (
            "",
            &[],
            &["shop.hour"],
            "flag --set: shop.hour must be written section.key=value",
        ),
        (
            "",
            &[],
            &["shop.hour=1.5"],
            "flag --set: shop.hour must be of type integer, not float",
        ),
        (
            "",
            &[],
            &["shop.hour=1\nopen=1"],
            "flag --set: shop.hour must be of type integer, not string",
        ),
    ];
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("jinke.toml");
    let path = file.display().to_string();
    for (text, env, set, expected) in table {
        std::fs::write(&file, text).unwrap();
        let failure = load(Some(&file), env, set).unwrap_err();
        assert_eq!(
            (failure.code, failure.reason),
            (Code::InvalidArgument, "CONFIG")
        );
        let expected = expected.replace("F:", &format!("{path}:"));
        assert!(
            failure.message.contains(&expected),
            "{text:?}: {failure}, not {expected}"
        );
    }
}

#[test]
fn every_mistake_is_named_at_once() {
    let failure = load(None, &[], &["shop.a=1", "shop.b=2"]).unwrap_err();
    assert_eq!(failure.violations.len(), 2);
    let missing = load(Some(Path::new("/nowhere/jinke.toml")), &[], &[]).unwrap_err();
    assert!(missing.message.contains("/nowhere/jinke.toml"), "{missing}");
}

#[test]
fn a_value_the_service_cannot_take_is_traced_to_its_place() {
    let table = [
        ("shop.hour=300", "flag --set", "shop.hour"),
        ("shop.mode=wild", "flag --set", "shop.mode"),
        ("shop.labels.n=5", "flag --set", "shop.labels.n"),
    ];
    for (flag, place, key) in table {
        let config = load(None, &[], &[flag]).unwrap();
        let failure = config.section::<Shop>("shop").unwrap_err();
        assert!(
            failure.message.starts_with(&format!("{place}: {key} ")),
            "{failure}"
        );
    }
}

#[test]
fn any_text_survives_the_way_to_the_service() {
    for text in [
        "a\nb",
        "a\\nb",
        "'\"'''\"\"\"",
        "\u{7f}\u{0}\t",
        "# no comment",
        "金\u{2028}客",
    ] {
        let config = load(None, &[], &[&format!("shop.name={text}")]).unwrap();
        assert_eq!(config.section::<Shop>("shop").unwrap().name, text);
    }
}

#[test]
fn show_hides_secrets_and_reads_as_toml() {
    let config = load(None, &[], &["shop.name=a#b"]).unwrap();
    let shown = config.show();
    assert!(
        !shown.contains("geheim") && !shown.contains("auch"),
        "{shown}"
    );
    assert!(
        shown.contains("postgres://jinke:***@db/jinke?password=***"),
        "{shown}"
    );
    assert!(shown.contains("admin_password = \"***\""), "{shown}");
    assert!(shown.contains("hour = 9  # default"), "{shown}");
    let read: toml::Table = toml::from_str(&shown).unwrap();
    assert_eq!(read["shop"]["name"].as_str(), Some("a#b"));
    assert!(config.documentation().contains("# Opening hour"));
}
