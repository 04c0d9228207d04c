//! Work that takes longer than a call, from the command line: rebuild, dry run, activate, go back.

use std::{fs, time::Duration};

use crate::harness::{Home, text};

const PATIENCE: Duration = Duration::from_secs(300);

#[test]
fn customers_are_rebuilt_and_a_rule_set_is_tried_and_taken_back() {
    let home = Home::new();
    let serving = home.serve(&["--samples", "--sample-companies", "40"]);
    serving.until("customers explain", PATIENCE);

    let report = home.json(&["customers", "rebuild"]);
    assert!(
        text(&report, "records").parse::<u64>().unwrap() > 50,
        "{report}"
    );
    assert_eq!(report.get("differenceCount"), None, "{report}");
    let said = home.jinke(&["customers", "rebuild", "--repair"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("差异 0"), "{said:?}");

    let listed = home.json(&["match", "list"]);
    let configured = listed["ruleSets"][0].clone();
    assert_eq!(text(&configured, "state"), "STATE_ACTIVE");
    let shown = home.jinke(&["match", "show", text(&configured, "name")]);
    let strict: String = shown
        .out
        .lines()
        .map(
            |line| match line.split('=').next().unwrap_or_default().trim() {
                "merge" => "merge = 30000\n".to_owned(),
                "version" => "version = \"strict\"\n".to_owned(),
                _ => format!("{line}\n"),
            },
        )
        .collect();
    let file = home.path("strict.toml");
    fs::write(&file, strict).unwrap();
    let kept = home.json(&["match", "keep", file.to_str().unwrap()]);
    let name = text(&kept, "name").to_owned();
    let run = home.json(&["match", "dry-run", &name]);
    let revision = text(&run, "revision").to_owned();
    assert!(text(&run, "splits").parse::<u64>().unwrap() > 0, "{run}");
    let differences = home.json(&["match", "differences", text(&run, "name")]);
    assert_eq!(differences["differences"][0]["kind"], "KIND_SPLIT");
    let activate = |revision: &str| {
        let run = text(&run, "name");
        home.jinke(&[
            "match",
            "activate",
            &name,
            "--dry-run",
            run,
            "--revision",
            revision,
        ])
    };
    let refused = activate("99");
    assert!(
        refused.code != 0 && refused.err.contains("DRY_RUN_MOVED"),
        "{refused:?}"
    );
    let done = activate(&revision);
    assert_eq!(done.code, 0, "{done:?}");
    let listed = home.json(&["match", "list"]);
    assert_eq!(text(&listed["ruleSets"][0], "version"), "strict");
    let evaluated = home.jinke(&["match", "evaluate", &name]);
    assert_eq!(evaluated.code, 0, "{evaluated:?}");

    // Back to what was configured.
    let back = text(&configured, "name");
    let run = home.json(&["match", "dry-run", back]);
    let done = home.jinke(&[
        "match",
        "activate",
        back,
        "--dry-run",
        text(&run, "name"),
        "--revision",
        text(&run, "revision"),
    ]);
    assert_eq!(done.code, 0, "{done:?}");
    let report = home.json(&["customers", "rebuild"]);
    assert_eq!(report.get("differenceCount"), None, "{report}");

    let operations = home.jinke(&["operations", "list", "--filter", "done = true"]);
    for kind in ["rebuild", "dry-run", "activate", "evaluate"] {
        assert!(operations.out.contains(kind), "{kind}: {operations:?}");
    }
    let shown = home.jinke(&["operations", "get", "customer/operations/1"]);
    assert!(shown.out.contains("succeeded"), "{shown:?}");
    assert!(serving.stop().success(), "{}", home.log());
}
