//! The same as `five`, with real servers where there are any: Tryton, and SAP's own metadata served
//! by CAP. Two companies that both know are entered in a simulated Kingdee and WeCom and in a
//! workbook's table too.
//!
//! It runs by `make test-rigs`, which needs `JINKE_RIGS`; see `connectors/tryton/tests/rigs.rs` and
//! `connectors/sap/tests/rigs.rs`. The data of the Tryton server are changed.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use jinke_kingdee::simulator as kingdee;
use jinke_wecom::simulator as wecom;
use serde_json::{Value, json};

use crate::{
    five::lookup,
    harness::{Home, record_keys, text},
};

/// Names of the rig's accounts.
const TRYTON_PASSWORD: &str = "tryton-dummy";
const SAP_PASSWORD: &str = "demo-dummy";

struct Rigs {
    folder: PathBuf,
    tryton: String,
    sap: String,
}

impl Rigs {
    fn start() -> Self {
        let folder = std::env::var_os("JINKE_RIGS").expect("JINKE_RIGS names the rigs' folder");
        let port = |name: &str, usual: &str| std::env::var(name).unwrap_or_else(|_| usual.into());
        let rigs = Self {
            folder: folder.into(),
            tryton: port("JINKE_TRYTON_PORT", "18069"),
            sap: port("JINKE_SAP_PORT", "14014"),
        };
        for verb in ["stop", "start"] {
            rigs.control(verb);
        }
        rigs
    }

    fn control(&self, verb: &str) {
        for (script, port) in [("tryton.sh", &self.tryton), ("sap.sh", &self.sap)] {
            let done = Command::new("bash")
                .arg(self.folder.join(script))
                .args([verb, port])
                // A server would keep a pipe open.
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            let done = done.expect("bash");
            assert!(done.success() || verb == "stop", "{script} {verb}");
        }
    }

    /// Looks at and changes Tryton by its own client.
    fn witness(&self, args: &[&str]) -> Value {
        let var = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let cache = var("XDG_CACHE_HOME").or_else(|| var("HOME").map(|h| h.join(".cache")));
        let home = var("TRYTON_HOME").or_else(|| cache.map(|c| c.join("jinke-rigs/tryton")));
        let venv = var("TRYTON_VENV").or_else(|| home.map(|h| h.join("venv")));
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../connectors/tryton/tests/witness.py"
        );
        let url = format!("http://127.0.0.1:{}/tryton/rpc/", self.tryton);
        let out = Command::new(venv.expect("a home folder").join("bin/python"))
            .args([script, &url, TRYTON_PASSWORD])
            .args(args)
            .output()
            .expect("python");
        let errors = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "witness {args:?}: {errors}");
        serde_json::from_slice(&out.stdout).expect("the witness prints JSON")
    }
}

impl Drop for Rigs {
    fn drop(&mut self) {
        self.control("stop");
    }
}

/// A company that all five know.
struct Company {
    /// As SAP has it.
    name: String,
    uscc: String,
    partner: String,
    /// In Tryton.
    party: String,
    mobile: String,
    contact: &'static str,
    /// In Kingdee and WeCom.
    customer: i64,
    external: &'static str,
    /// In the table.
    code: &'static str,
}

/// The character that ends an identifier (GB 32100-2015).
fn check(body: &str) -> Option<char> {
    const SIGNS: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    let (mut sum, mut weight) = (0, 1);
    for sign in body.chars() {
        sum += SIGNS.find(sign)? * weight;
        weight = weight * 3 % 31;
    }
    SIGNS.chars().nth((31 - sum % 31) % 31)
}

/// SAP's partners that have an order and an identifier that holds: number, name, identifier. The
/// rig's identifiers all end in X, which is right for one in thirty-one.
fn partners(home: &Home) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for n in (3..=300).step_by(3) {
        let body = format!("91310000{:09}", 100_000_000 + n * 37);
        if check(&body) != Some('X') {
            continue;
        }
        let number = format!("{:010}", 1_000_000 + n);
        let record = format!("s4/A_BusinessPartner,{number}");
        let customer = lookup(home, &["--record", &record]);
        let name = text(&customer, "displayName").to_owned();
        found.push((number, name, format!("{body}X")));
    }
    found
}

fn connect(home: &Home, id: &str, kind: &str, secret: (&str, &str), settings: &[(&str, &str)]) {
    home.file(&format!("{id}.secret"), secret.1);
    let secret = format!("--secret-file={}={id}.secret", secret.0);
    let settings: Vec<String> = settings
        .iter()
        .map(|(key, value)| format!("--set={key}={value}"))
        .collect();
    let mut args = vec!["connections", "add", id, "--connector", kind, &secret];
    args.push("--set=private_network=true");
    args.extend(settings.iter().map(String::as_str));
    let added = home.jinke(&args);
    assert_eq!(added.code, 0, "{id}: {added:?}");
    run(home, id);
}

fn run(home: &Home, id: &str) {
    let ran = home.jinke(&["connections", "run", id]);
    assert_eq!(ran.code, 0, "{id}: {ran:?}\n{}", home.log());
}

const CUSTOMER_MAPPING: &str = "\
kind = 'organization'\nexternal_id = '客户编码'\n\
[[values]]\nattribute = 'name'\ncolumn = '客户名称'\n\
[[values]]\nattribute = 'identifier'\nscheme = { constant = 'uscc' }\ncolumn = '统一社会信用代码'\n\
[[contacts]]\nkey = { constant = '1' }\n\
[[contacts.values]]\nattribute = 'name'\ncolumn = '联系人'\n\
[[contacts.values]]\nattribute = 'phone'\ncolumn = '手机'\n";
const MESSAGE_MAPPING: &str = "\
kind = 'message'\nexternal_id = '编号'\nparty = '客户编码'\n\
[interaction]\ntime = '时间'\nchannel = { constant = 'wecom' }\ntext = '内容'\n";

/// Brings the table and its messages.
fn import(home: &Home, companies: &[Company]) {
    let mut customers = "客户编码,客户名称,统一社会信用代码,联系人,手机\r\n".to_owned();
    let mut messages = "编号,客户编码,时间,内容\r\n".to_owned();
    for c in companies {
        let row = [c.code, &c.name, &c.uscc, c.contact, &c.mobile].join(",");
        customers.push_str(&format!("{row}\r\n"));
        messages.push_str(&format!("M-{0},{0},2026-11-18 10:00,请报价\r\n", c.code));
    }
    for (file, content, mapping) in [
        ("客户.xlsx", customers, CUSTOMER_MAPPING),
        ("消息.xlsx", messages, MESSAGE_MAPPING),
    ] {
        home.workbook(file, &content);
        home.file("mapping.toml", mapping);
        let args = [
            "import",
            file,
            "--source",
            "excel",
            "--mapping",
            "mapping.toml",
        ];
        let done = home.jinke(&args);
        assert_eq!(done.code, 0, "{done:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn overlapping_customers_of_two_real_servers_and_three_more_become_one_each() {
    let k3 = kingdee::Simulator::start().await.unwrap();
    let wx = wecom::Simulator::start().await.unwrap();
    tokio::task::block_in_place(|| {
        let rigs = Rigs::start();
        let home = Home::new();
        let serving = home.serve(&[]);
        let sap = format!("http://127.0.0.1:{}/sap/opu/odata/sap", rigs.sap);
        let settings = [("url", sap.as_str()), ("user", "demo")];
        connect(&home, "s4", "sap", ("password", SAP_PASSWORD), &settings);

        // Companies that SAP knows by an identifier that holds are made known to the others; in
        // Tryton two parties take their names and identifiers and buy something.
        let partners = partners(&home);
        assert!(partners.len() >= 2, "{partners:?}");
        k3.seed(5);
        wx.seed_team();
        let people = [
            (
                "20",
                "欧阳静怡",
                "13812349876",
                100_002,
                "wmdummy00000001",
                "F-1",
            ),
            (
                "21",
                "司徒文博",
                "13987654321",
                100_004,
                "wmdummy00000002",
                "F-2",
            ),
        ];
        let companies: Vec<Company> = partners
            .into_iter()
            .zip(people)
            .map(|(of_sap, other)| {
                let (partner, name, uscc) = of_sap;
                let (party, contact, mobile, customer, external, code) = other;
                rigs.witness(&["identify", party, &name, &uscc]);
                let sold = rigs.witness(&["new-sale", party]);
                assert!(sold["invoice"].is_number(), "{sold}");
                let company = json!({
                    "FName": name, "FTAXREGISTERCODE": uscc, "FForbidStatus": "A",
                });
                k3.write("BD_Customer", customer, company, kingdee::NOW);
                let person = json!({"FName": contact, "FMobile": mobile});
                k3.write("BD_CommonContact", customer, person, kingdee::NOW);
                let person = json!({
                    "name": contact, "type": 2, "corp_name": name, "corp_full_name": name,
                });
                let notes = json!({"remark": contact, "remark_mobiles": [mobile]});
                wx.follow("zhangsan", external, person, notes);
                Company {
                    name,
                    uscc,
                    partner,
                    party: party.to_owned(),
                    mobile: mobile.to_owned(),
                    contact,
                    customer,
                    external,
                    code,
                }
            })
            .collect();
        import(&home, &companies);
        let url = k3.url();
        let settings = [
            ("url", url.as_str()),
            ("account", kingdee::ACCOUNT),
            ("user", kingdee::USER),
            ("app_id", kingdee::APP_ID),
        ];
        connect(
            &home,
            "k3",
            "kingdee",
            ("app_secret", kingdee::APP_SECRET),
            &settings,
        );
        let settings = [("url", wx.server().url()), ("corp_id", wecom::CORP_ID)];
        connect(&home, "wx", "wecom", ("secret", wecom::SECRET), &settings);
        let url = format!("http://127.0.0.1:{}", rigs.tryton);
        let settings = [
            ("url", url.as_str()),
            ("database", "tryton"),
            ("user", "admin"),
            ("calls_per_minute", "60000"),
        ];
        connect(
            &home,
            "ty",
            "tryton",
            ("password", TRYTON_PASSWORD),
            &settings,
        );

        let found: Vec<Value> = companies.iter().map(|c| one(&home, &sap, c)).collect();
        assert_ne!(found[0]["name"], found[1]["name"], "two companies");
        // Pulling again changes nothing.
        for id in ["k3", "s4", "ty", "wx"] {
            run(&home, id);
        }
        for (before, company) in found.iter().zip(&companies) {
            assert_eq!(one(&home, &sap, company)["etag"], before["etag"]);
        }
        assert!(serving.stop().success());
    });
}

/// Whether a record is a partner that SAP itself tells to have this name.
fn is_namesake(home: &Home, sap: &str, key: &str, name: &str) -> bool {
    let Some(number) = key.strip_prefix("s4/A_BusinessPartner,") else {
        return false;
    };
    let row = format!("{sap}/API_BUSINESS_PARTNER/A_BusinessPartner('{number}')");
    let asked = format!("curl -sf -u demo:{SAP_PASSWORD} -H 'accept: application/json' \"{row}\"");
    home.shell(&asked).out.contains(&format!("\"{name}\""))
}

/// The customer that a company became: of all sources that know its identifier, with the orders,
/// receivables and messages of all, and its contact a person of all that know him.
fn one(home: &Home, sap: &str, company: &Company) -> Value {
    let found = lookup(home, &["--identifier", &format!("uscc:{}", company.uscc)]);
    let mut expected = vec![
        format!("excel/{}", company.code),
        format!("k3/BD_Customer,{}", company.customer),
        format!("s4/A_BusinessPartner,{}", company.partner),
        format!("ty/party.party,{}", company.party),
    ];
    let mut keys = record_keys(&found);
    // The organization that WeCom names has no identifier; it may be drawn in by its name.
    keys.retain(|key| !key.starts_with("wx/"));
    // The rig's seed gives some partners one name; whoever else is here must be such a namesake.
    keys.retain(|key| expected.contains(key) || !is_namesake(home, sap, key, &company.name));
    keys.sort();
    expected.sort();
    assert_eq!(keys, expected, "{}", company.name);
    let values = found["values"].as_array().cloned().unwrap_or_default();
    assert!(values.len() > 3, "{found:#}");
    let sources = ["excel", "k3", "s4", "ty", "wx"];
    for value in &values {
        let told = value.to_string();
        let named = sources
            .iter()
            .any(|s| told.contains(&format!("sources/{s}")));
        assert!(named, "a value without its source: {value:#}");
    }
    let name = text(&found, "name");
    let timeline = ["customers", "timeline", name, "--limit", "200"];
    let timeline = home.json(&timeline).to_string();
    // Partner 0001000078 has order 5000078.
    let order = company.partner.replacen("0001", "5", 1);
    for mark in [
        format!("SAL_SaleOrder,{}", company.customer),
        format!("AR_receivable,{}", company.customer),
        order,
        "sale.sale,".to_owned(),
        "account.invoice,".to_owned(),
        "account.move.line,".to_owned(),
        format!("M-{}", company.code),
    ] {
        assert!(timeline.contains(&mark), "{mark} is not in {timeline}");
    }
    let other = format!("SAL_SaleOrder,{}", company.customer - 1);
    assert!(!timeline.contains(&other), "{other} is in {timeline}");
    let person = lookup(home, &["--phone", &company.mobile]);
    let keys = record_keys(&person);
    for key in [
        format!("k3/BD_CommonContact,{}", company.customer),
        format!("wx/{}", company.external),
        format!("excel/{}#contact:1", company.code),
    ] {
        assert!(keys.contains(&key), "{key} is not in {keys:?}");
    }
    found
}
