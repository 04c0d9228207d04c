//! Rule and policy files: read, refused with a line, written back byte for byte.

use jinke_resolution::{Criterion, RuleSet, Rules, SurvivorshipPolicy};

#[test]
fn the_embedded_files_are_read_and_written_back() {
    for (rules, text) in [
        (
            RuleSet::organization(),
            include_str!("../../rules/organization.toml"),
        ),
        (RuleSet::person(), include_str!("../../rules/person.toml")),
    ] {
        assert_eq!(rules.to_toml(), text);
        assert_eq!(RuleSet::parse(rules.to_toml()).as_ref(), Ok(&rules));
        assert!(rules.keys.len() <= 64);
    }
    let policy = SurvivorshipPolicy::embedded();
    assert_eq!(
        policy.to_toml(),
        include_str!("../../rules/survivorship.toml")
    );
    assert!(policy.of("phone").multiple && !policy.of("industry").multiple);
    assert_eq!(policy.of("name").order[0], Criterion::Trust);
}

#[test]
fn a_version_names_the_bytes() {
    let rules = Rules::embedded();
    assert_eq!(rules.version(), Rules::embedded().version());
    let mut text = rules.organization.to_toml().to_owned();
    text.push_str("\n# a comment\n");
    let other = Rules::new(
        RuleSet::parse(&text).expect("still a rule set"),
        rules.person.clone(),
    );
    assert_ne!(rules.version(), other.version());
    assert!(rules.version().starts_with("organization-1@"));
}

#[test]
fn mistakes_are_told_with_their_line() {
    let good = RuleSet::organization().to_toml().to_owned();
    let line_of = |needle: &str| {
        good.lines()
            .position(|l| l.contains(needle))
            .expect("in the file")
            + 1
    };
    for (from, to, says) in [
        (
            "name = \"phone\"\nmax_records",
            "name = \"fax\"\nmax_records",
            "unknown key \"fax\"",
        ),
        ("max_cores = 8", "max_heads = 8", "max_heads"),
        (
            "name = \"same_city\"",
            "name = \"same_town\"",
            "\"same_town\"",
        ),
        (
            "kind = \"organization\"",
            "kind = \"animal\"",
            "unknown kind",
        ),
        ("review = ", "review = 1.5 #", "float"),
    ] {
        let at = good.find(from).expect("in the file");
        let text = good.replacen(from, to, 1);
        let e = RuleSet::parse(&text).expect_err(says);
        assert!(e.message.contains(says), "{e}");
        let line = good[..at].lines().count() + usize::from(good[..at].ends_with('\n'));
        assert!(
            e.line.abs_diff(line.max(1)) <= 1,
            "{e} but expected near {line}"
        );
    }
    assert!(line_of("[thresholds]") > 0);
    let e = RuleSet::parse("version = ").expect_err("cut off");
    assert_eq!(e.line, 1);
    let e =
        RuleSet::parse(&good.replacen("merge = ", "merge = -", 1)).expect_err("merge below review");
    assert!(e.message.contains("review"));
    let cut = good.rfind("[[comparison]]").expect("a comparison");
    let rest = good[cut..].find("\n[term").map_or("", |i| &good[cut + i..]);
    let e = RuleSet::parse(&format!("{}{rest}", &good[..cut])).expect_err("one missing");
    assert!(e.message.contains("missing"), "{e}");
}

#[test]
fn policy_mistakes_are_told_with_their_line() {
    let good = SurvivorshipPolicy::embedded().to_toml().to_owned();
    let e = SurvivorshipPolicy::parse(&good.replacen("[attribute.phone]", "[attribute.fone]", 1))
        .expect_err("unknown");
    assert!(e.message.contains("fone") && e.line > 1, "{e}");
    let e = SurvivorshipPolicy::parse(&good.replacen("\"trust\",", "\"trust\", \"trust\",", 1))
        .expect_err("twice");
    assert!(e.message.contains("twice"), "{e}");
    let e = SurvivorshipPolicy::parse(&good.replacen("\"support\"", "\"luck\"", 1))
        .expect_err("unknown criterion");
    assert!(e.message.contains("luck"), "{e}");
}
