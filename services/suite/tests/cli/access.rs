//! Logging in, and who may do what, from the command line.

use crate::harness::{Home, is_private, text};

fn one_time_password(home: &Home) -> String {
    let admin = std::fs::read_to_string(home.data().join("credentials/admin.toml")).unwrap();
    let admin: toml::Table = admin.parse().unwrap();
    admin["one_time_password"].as_str().unwrap().to_owned()
}

#[test]
fn a_first_login_sets_a_password_and_later_ones_use_it() {
    let home = Home::new();
    let serving = home.serve(&[]);
    assert!(is_private(&home.data()) && is_private(&home.data().join("credentials/admin.toml")));
    let endpoint = std::fs::read_to_string(home.data().join("endpoint")).unwrap();
    let endpoint = endpoint.trim();

    let one_time = one_time_password(&home);
    let login = ["login", "admin", "--password-stdin"];
    let alone = home.jinke_with_input(&login, &format!("{one_time}\n"));
    assert!(
        alone.code != 0 && alone.err.contains("PASSWORD_CHANGE_REQUIRED"),
        "{alone:?}"
    );
    let wrong = home.jinke_with_input(&login, "wrong\n");
    assert_eq!(wrong.code, 4, "{wrong:?}");
    let own = "一个 long enough password 7";
    let first = home.jinke_with_input(&login, &format!("{one_time}\n{own}\n"));
    assert_eq!(first.code, 0, "{first:?}");
    let kept = home.path("config/login.json");
    assert!(is_private(&kept));
    assert!(!std::fs::read_to_string(&kept).unwrap().contains(own));

    let me = home.json(&["whoami"]);
    assert_eq!(text(&me, "name"), "users/admin");
    let reused = home.jinke_with_input(&login, &format!("{one_time}\n{own}\n"));
    assert_eq!(reused.code, 4, "a one-time password works once: {reused:?}");

    let out = home.json(&["logout"]);
    assert_eq!(
        (&out["loggedOut"], &out["revoked"]),
        (&true.into(), &true.into())
    );
    assert!(!kept.exists());
    let second = home.jinke_with_input(&login, &format!("{own}\n"));
    assert_eq!(second.code, 0, "{second:?}");
    assert_eq!(home.jinke(&["whoami", "--endpoint", endpoint]).code, 0);
    assert!(serving.stop().success());
}

#[test]
fn a_reader_may_read_and_is_told_why_not_more() {
    let home = Home::new();
    let serving = home.serve(&[]);
    let made = home.json(&["users", "create", "li.lei", "--role", "reader"]);
    let one_time = text(&made, "oneTimePassword");
    let passwords = format!("{one_time}\nli leis own password\n");
    let login = home.jinke_with_input(&["login", "li.lei", "--password-stdin"], &passwords);
    assert_eq!(login.code, 0, "{login:?}");
    assert_eq!(text(&home.json(&["whoami"]), "name"), "users/li.lei");
    assert_eq!(home.jinke(&["customers", "list"]).code, 0);
    let refused = home.jinke(&["sources", "create", "crm"]);
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(refused.err.contains("jinke users grant"), "{refused:?}");

    let data = home.data().display().to_string();
    let as_admin = ["users", "disable", "li.lei", "--data-dir", &data];
    assert_eq!(home.jinke(&as_admin).code, 0);
    let gone = home.jinke_with_input(
        &["login", "li.lei", "--password-stdin"],
        "li leis own password\n",
    );
    assert_eq!(gone.code, 4, "{gone:?}");
    let users = home.jinke(&["users", "list", "--data-dir", &data]);
    assert!(users.out.contains("停用 disabled"), "{users:?}");
    assert!(serving.stop().success());
}
