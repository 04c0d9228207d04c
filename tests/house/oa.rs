//! An OA form reads a masked customer with one HTTPS GET: docs/oa.md, run as it stands.

use std::{collections::BTreeMap, time::Duration};

use hyper::Method;
use jinke_proto::jinke::customer::v1::PartyKind;
use jinke_tests::{
    apart::{Certificates, http::Https},
    suite::{Clients, Options, Suite},
};
use serde_json::{Value, json};

use crate::{
    pages::{Desk, PATIENCE, blocks, of, page},
    records::{ingest, party, text, uscc},
};

const PHONE: &str = "13586420973";
const PERSON: &str = "诸葛孔暝";
const BANK: &str = "6222021234567890128";
const ACCOUNT: &str = "serviceAccounts/oa-forms";
const PURPOSE: &str = "合同审批";

/// Everything in `example` stands in `found`, where `…` stands for anything.
fn holds(found: &Value, example: &Value) -> bool {
    match (found, example) {
        (_, Value::String(any)) if any == "…" => true,
        (Value::Object(found), Value::Object(example)) => example
            .iter()
            .all(|(key, e)| found.get(key).is_some_and(|f| holds(f, e))),
        (Value::Array(found), Value::Array(example)) => {
            example.iter().all(|e| found.iter().any(|f| holds(f, e)))
        }
        _ => found == example,
    }
}

/// The JSON values that a command printed one behind the other.
fn values(text: &str) -> Vec<Value> {
    let all = serde_json::Deserializer::from_str(text).into_iter();
    all.collect::<Result<_, _>>()
        .unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn shows(answer: &Value, value: &str) -> bool {
    answer.to_string().contains(value)
}

fn hides(answer: &Value, class: &str) -> bool {
    let hidden = answer["hiddenClasses"].as_array();
    hidden.is_some_and(|all| all.iter().any(|c| c == class))
}

fn reason(answer: &Value) -> String {
    let details = answer["details"].as_array().into_iter().flatten();
    let mut reasons = details.filter_map(|d| d["reason"].as_str());
    reasons.next().unwrap_or_default().to_owned()
}

/// One company with a contact, a phone and a bank account.
async fn a_customer(suite: &Suite) {
    let mut api = Clients::new(&suite.login().await.expect("login"));
    api.ensure_source("erp").await.expect("a source");
    let of = vec![
        text("name", "杭州远山数智科技有限公司"),
        uscc("91330106MA2ABCDE1G"),
        text("phone", PHONE),
        text("contact_name", PERSON),
        text("bank_account", BANK),
    ];
    let organization = PartyKind::Organization;
    let made = ingest(&mut api, vec![party("erp", "C1", organization, of)]).await;
    assert_eq!(made, ["customers/1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_reads_a_masked_customer_as_the_page_says() {
    let page = page("oa.md");
    let found = blocks(&page);
    let dir = tempfile::tempdir().expect("a folder");
    let tls = Certificates::make(&dir.path().join("certificates")).expect("certificates");
    let options = Options {
        tls: Some(&tls),
        ..Options::default()
    };
    let data = dir.path().join("data");
    let suite = Suite::start_as(&data, None, &options).await;
    let suite = suite.expect("the suite starts");
    a_customer(&suite).await;
    let token = suite.token().await.expect("a token");
    let admin = Https::new(&tls.authority, &token).expect("a client");
    let mut desk = Desk {
        folder: dir.path(),
        environment: BTreeMap::from([
            ("GATEWAY", format!("https://localhost:{}", suite.http)),
            ("ADMINISTRATOR", token),
        ]),
    };
    for name in ["CURL_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"] {
        let authority = tls.authority.display().to_string();
        desk.environment.insert(name, authority);
    }

    // The commands, one block after the other in one shell.
    let commands = of(&found, "sh");
    assert_eq!(commands.len(), 4, "{commands:#?}");
    let told = desk.text(&commands.join("\nprintf '\\n=====\\n'\n")).await;
    let told: Vec<&str> = told.split("\n=====\n").collect();
    let [_, _, got, looked_up] = told[..] else {
        panic!("{told:#?}");
    };
    let got = values(got).remove(0);
    assert_eq!(got["displayName"], "杭州远山数智科技有限公司");
    for hidden in [PHONE, PERSON, BANK] {
        assert!(!shows(&got, hidden), "{hidden} is in {got:#}");
    }
    for class in ["PERSON_NAME", "CONTACT", "ADDRESS", "FINANCIAL"] {
        assert!(hides(&got, &format!("FIELD_CLASS_{class}")), "{got:#}");
    }
    let example: Value = serde_json::from_str(&of(&found, "json")[0]).expect("JSON");
    assert!(holds(&got, &example), "{got:#} is not as {example:#}");
    let looked_up = values(looked_up);
    assert_eq!(looked_up.len(), 3, "{looked_up:#?}");
    for answer in &looked_up {
        assert_eq!(answer["customers"][0]["name"], "customers/1", "{answer:#}");
        assert!(!shows(answer, PHONE), "{answer:#}");
    }
    let head = desk
        .text(
            "curl -sS -o /dev/null -D - -H \"authorization: Bearer $ADMINISTRATOR\" \
             -H 'x-request-id: form-7' \"$GATEWAY/v1/customers/1\" | tr 'A-Z' 'a-z'",
        )
        .await;
    for line in ["x-request-id: form-7", "cache-control: no-store"] {
        assert!(head.contains(line), "{line} is not in {head}");
    }

    // The programs see the same, and say what for.
    for (language, program, file) in [("python", "python3", "oa.py"), ("js", "node", "oa.mjs")] {
        let source = of(&found, language).remove(0);
        std::fs::write(dir.path().join(file), source).expect("a file");
        let Some(ran) = desk.run(program, &[file, "customers/1", PURPOSE]).await else {
            // `make test` installs Python; a machine may have no Node.js.
            assert_eq!(program, "node", "{program} is needed");
            continue;
        };
        let told = values(&String::from_utf8_lossy(&ran.stdout));
        assert!(told.len() == 1 && told[0] == got, "{program}: {told:#?}");
    }
    more_is_seen_with_another_role(&desk, &suite, &admin).await;
    errors_are_those_of_the_page(&page, &desk, &suite, &tls, &admin).await;
    suite.kill().await.expect("it ends");
}

/// The token of the forms' account.
async fn login(desk: &Desk<'_>, suite: &Suite, any: &Https) -> String {
    let key = std::fs::read_to_string(desk.folder.join("oa-forms.key")).expect("the key");
    let body = json!({"key": key.trim()});
    let path = "/v1/tokens:loginWithKey";
    let (code, answer) = any
        .call(suite.http, Method::POST, path, Some(&body))
        .await
        .expect("an answer");
    assert_eq!(code, 200, "{answer}");
    let token = answer["tokens"]["accessToken"].as_str();
    token.expect("a token").to_owned()
}

/// A wider role shows more of the same customer, not all, and that it did is in the audit trail.
async fn more_is_seen_with_another_role(desk: &Desk<'_>, suite: &Suite, admin: &Https) {
    let binding = json!({"roleBinding": {"member": ACCOUNT, "role": "roles/sales"}});
    let (code, answer) = admin
        .call(suite.http, Method::POST, "/v1/roleBindings", Some(&binding))
        .await
        .expect("an answer");
    assert_eq!(code, 200, "{answer}");
    let script = format!(
        "TOKEN=$(curl -fsS \"$GATEWAY/v1/tokens:loginWithKey\" -H 'content-type: application/json' \
         -d \"{{\\\"key\\\":\\\"$(cat oa-forms.key)\\\"}}\" \
         | sed -n 's/.*\"accessToken\": *\"\\([^\"]*\\)\".*/\\1/p'); \
         for n in $(seq 1 150); do \
         got=$(curl -fsS -H \"authorization: Bearer $TOKEN\" \
         -H 'x-jinke-purpose: %E5%90%88%E5%90%8C%E5%AE%A1%E6%89%B9' \"$GATEWAY/v1/customers/1\"); \
         case $got in *{PHONE}*) break;; esac; sleep 1; done; echo \"$got\""
    );
    let got = values(&desk.text(&script).await).remove(0);
    assert!(shows(&got, PHONE) && shows(&got, PERSON), "{got:#}");
    assert!(!shows(&got, BANK), "{got:#}");
    assert!(!hides(&got, "FIELD_CLASS_CONTACT") && hides(&got, "FIELD_CLASS_FINANCIAL"));
    let path = format!("/v1/auditEvents?caller={ACCOUNT}&method=GetCustomer&kind=KIND_DISCLOSURE");
    let recorded = tokio::time::timeout(PATIENCE, async {
        loop {
            let (_, answer) = admin
                .call(suite.http, Method::GET, &path, None)
                .await
                .expect("an answer");
            if let Some(event) = answer["events"].as_array().and_then(|all| all.first()) {
                return event.clone();
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let event = recorded.await.expect("an event in the audit trail");
    assert_eq!(event["purpose"], PURPOSE, "{event:#}");
    assert_eq!(event["resources"], json!(["customers/1"]), "{event:#}");
    assert!(!shows(&event, PHONE) && !shows(&event, PERSON), "{event:#}");
}

async fn errors_are_those_of_the_page(
    page: &str,
    desk: &Desk<'_>,
    suite: &Suite,
    tls: &Certificates,
    admin: &Https,
) {
    let token = login(desk, suite, admin).await;
    let form = Https::new(&tls.authority, &token).expect("a client");
    let forged = Https::new(&tls.authority, "nonsense").expect("a client");
    let merge = json!({"customer": "customers/1", "otherCustomer": "customers/2"});
    let customer = "/v1/customers/1";
    for (who, method, path, body, expected) in [
        (
            &form,
            Method::GET,
            "/v1/customers/1?view=NONSENSE",
            None,
            (400, "INVALID_FIELD"),
        ),
        (&forged, Method::GET, customer, None, (401, "TOKEN_INVALID")),
        (
            &form,
            Method::POST,
            "/v1/customers:merge",
            Some(&merge),
            (403, "PERMISSION_DENIED"),
        ),
        (
            &form,
            Method::GET,
            "/v1/customers/999",
            None,
            (404, "NOT_FOUND"),
        ),
    ] {
        let (code, answer) = who
            .call(suite.http, method, path, body)
            .await
            .expect("an answer");
        assert_eq!(
            (code.as_u16(), reason(&answer).as_str()),
            expected,
            "{path}: {answer}"
        );
        let row = format!("| {} | ", expected.0);
        let listed = page
            .lines()
            .any(|l| l.starts_with(&row) && l.contains(&format!("`{}`", expected.1)));
        assert!(listed, "{expected:?} is not on the page");
    }
    // Who asks too often is told so.
    let hurried = tokio::time::timeout(PATIENCE, async {
        loop {
            let asked = (0..64).map(|_| form.call(suite.http, Method::GET, customer, None));
            for answer in futures::future::join_all(asked).await {
                let (code, answer) = answer.expect("an answer");
                if code != 200 {
                    return (code.as_u16(), reason(&answer));
                }
            }
        }
    });
    let (code, hurried) = hurried.await.expect("a limit");
    assert_eq!((code, hurried.as_str()), (429, "RATE_LIMITED"));
    assert!(page.contains("| 429 | `RATE_LIMITED` | "));
    // The account is taken away: its tokens end too.
    let path = format!("/v1/{ACCOUNT}:disable");
    let (code, answer) = admin
        .call(suite.http, Method::POST, &path, Some(&json!({})))
        .await
        .expect("an answer");
    assert_eq!(code, 200, "{answer}");
    let ended = tokio::time::timeout(PATIENCE, async {
        loop {
            let (code, answer) = form
                .call(suite.http, Method::GET, customer, None)
                .await
                .expect("an answer");
            assert!([200, 401, 429].contains(&code.as_u16()), "{answer}");
            if code == 401 {
                return reason(&answer);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let reason = ended.await.expect("the account's tokens end");
    assert!(page.contains(&format!("`{reason}`")), "{reason}");
}
