//! Several sources at once, with customers they have in common: each ends as one golden record,
//! every value of which names its source, with the orders, receivables and messages of all.
//!
//! The foreign systems are the simulators of the connectors, and a file.

use jinke_kingdee::simulator as kingdee;
use jinke_sap::simulator as sap;
use jinke_tryton::simulator as tryton;
use jinke_wecom::simulator as wecom;
use serde_json::{Value, json};

use crate::harness::{Home, record_keys, text};

/// A company that all of them know, with a right check character.
const USCC: &str = "91440300708461136T";
const NAME: &str = "深圳海川精密机械有限公司";
const CONTACT: &str = "欧阳静怡";
const MOBILE: &str = "13812349876";

const CUSTOMERS: &str = "\
客户编码,客户名称,统一社会信用代码,电话\r\n\
F-1,深圳海川精密机械有限公司,91440300708461136T,0755-26001234\r\n\
F-2,苏州无关贸易有限公司,,0512-60001234\r\n";
const CUSTOMER_MAPPING: &str = "\
kind = 'organization'\nexternal_id = '客户编码'\n\
[[values]]\nattribute = 'name'\ncolumn = '客户名称'\n\
[[values]]\nattribute = 'identifier'\nscheme = { constant = 'uscc' }\ncolumn = '统一社会信用代码'\n\
[[values]]\nattribute = 'phone'\ncolumn = '电话'\n";
const MESSAGES: &str = "\
编号,客户编码,时间,内容\r\n\
M-1,F-1,2026-11-18 10:00,请报价\r\n";
const MESSAGE_MAPPING: &str = "\
kind = 'message'\nexternal_id = '编号'\nparty = '客户编码'\n\
[interaction]\ntime = '时间'\nchannel = { constant = 'wecom' }\ntext = '内容'\n";

/// The foreign systems, each with the company and others.
struct Systems {
    kingdee: kingdee::Simulator,
    sap: sap::Simulator,
    tryton: tryton::Simulator,
    wecom: wecom::Simulator,
}

impl Systems {
    async fn start() -> Self {
        let this = Self {
            kingdee: kingdee::Simulator::start().await.unwrap(),
            sap: sap::Simulator::start().await.unwrap(),
            tryton: tryton::Simulator::start().await.unwrap(),
            wecom: wecom::Simulator::start().await.unwrap(),
        };
        this.kingdee.seed(3);
        let company = json!({"FName": NAME, "FTAXREGISTERCODE": USCC, "FTEL": "0755-26001234"});
        this.kingdee
            .write("BD_Customer", 100_002, company, kingdee::NOW);
        let contact = json!({"FName": CONTACT, "FMobile": MOBILE});
        this.kingdee
            .write("BD_CommonContact", 100_002, contact, kingdee::NOW);
        this.sap.seed(3);
        let company = json!({
            "BusinessPartnerFullName": NAME, "OrganizationBPName1": NAME,
            "to_BusinessPartnerTax": [{"BPTaxType": "CN5", "BPTaxNumber": USCC}],
        });
        this.sap
            .write("A_BusinessPartner", "0001000002", company, sap::NOW);
        this.tryton.seed(3);
        this.tryton
            .write("party.party", 2, json!({"name": NAME}), tryton::NOW);
        let code = json!({"party": 2, "type": "cn_uscc", "code": USCC});
        this.tryton.create("party.identifier", code, tryton::NOW);
        this.wecom.seed_team();
        let contact = json!({
            "name": CONTACT, "type": 2, "corp_name": "海川精密", "corp_full_name": NAME, "position": "采购",
        });
        let tag = this.wecom.tag("等级", "重要客户");
        let notes = json!({
            "remark": CONTACT, "remark_mobiles": [MOBILE], "description": "展会认识", "tag_id": [tag],
        });
        this.wecom
            .follow("zhangsan", "wmdummy00000001", contact, notes);
        this
    }

    /// Adds a connection for each and pulls everything.
    fn connect(&self, home: &Home) {
        home.file("k3.secret", kingdee::APP_SECRET);
        home.file("s4.secret", sap::PASSWORD);
        home.file("ty.secret", tryton::PASSWORD);
        home.file("wx.secret", wecom::SECRET);
        let set = |key: &str, value: &str| format!("--set={key}={value}");
        let all: [(&str, &str, &str, Vec<String>); 4] = [
            (
                "k3",
                "kingdee",
                "app_secret",
                vec![
                    set("url", &self.kingdee.url()),
                    set("account", kingdee::ACCOUNT),
                    set("user", kingdee::USER),
                    set("app_id", kingdee::APP_ID),
                ],
            ),
            (
                "s4",
                "sap",
                "password",
                vec![set("url", &self.sap.url()), set("user", sap::USER)],
            ),
            (
                "ty",
                "tryton",
                "password",
                vec![
                    set("url", self.tryton.server().url()),
                    set("database", tryton::DATABASE),
                    set("user", tryton::USER),
                ],
            ),
            (
                "wx",
                "wecom",
                "secret",
                vec![
                    set("url", self.wecom.server().url()),
                    set("corp_id", wecom::CORP_ID),
                ],
            ),
        ];
        for (id, kind, secret, settings) in &all {
            let secret = format!("--secret-file={secret}={id}.secret");
            let mut args = vec![
                "connections",
                "add",
                id,
                "--connector",
                kind,
                &secret,
                "--set=private_network=true",
            ];
            args.extend(settings.iter().map(String::as_str));
            let added = home.jinke(&args);
            assert_eq!(added.code, 0, "{id}: {added:?}");
            let ran = home.jinke(&["connections", "run", id]);
            assert_eq!(ran.code, 0, "{id}: {ran:?}\n{}", home.log());
        }
    }
}

/// The customer that a look-up finds, whole.
pub fn lookup(home: &Home, what: &[&str]) -> Value {
    let found = home.json(&[&["customers", "lookup"][..], what].concat());
    let name = first_name(&found).unwrap_or_else(|| panic!("no customer in {found:#}"));
    home.json(&["customers", "get", &name])
}

/// The first `customers/…` of an answer.
fn first_name(value: &Value) -> Option<String> {
    match value {
        Value::String(s) if s.starts_with("customers/") => Some(s.clone()),
        Value::Array(list) => list.iter().find_map(first_name),
        Value::Object(map) => map
            .get("name")
            .and_then(first_name)
            .or_else(|| map.values().find_map(first_name)),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn overlapping_customers_of_five_sources_become_one_each() {
    let systems = Systems::start().await;
    let home = Home::new();
    home.workbook("客户.xlsx", CUSTOMERS);
    home.file("customers.toml", CUSTOMER_MAPPING);
    home.workbook("消息.xlsx", MESSAGES);
    home.file("messages.toml", MESSAGE_MAPPING);
    let serving = home.serve(&[]);
    tokio::task::block_in_place(|| {
        for (file, mapping) in [
            ("客户.xlsx", "customers.toml"),
            ("消息.xlsx", "messages.toml"),
        ] {
            let done = home.jinke(&["import", file, "--source", "excel", "--mapping", mapping]);
            assert_eq!(done.code, 0, "{done:?}");
        }
        systems.connect(&home);

        // One company, with a record of each source that knows its code.
        let company = lookup(&home, &["--identifier", &format!("uscc:{USCC}")]);
        let keys = record_keys(&company);
        for key in [
            "excel/F-1",
            "k3/BD_Customer,100002",
            "s4/A_BusinessPartner,0001000002",
            "ty/party.party,2",
        ] {
            assert!(keys.iter().any(|k| k == key), "{key} is not in {keys:?}");
        }
        // Nobody else was drawn in: the others of each source are their own.
        for other in [
            "excel/F-2",
            "k3/BD_Customer,100001",
            "s4/A_BusinessPartner,0001000001",
            "ty/party.party,1",
        ] {
            assert!(!keys.iter().any(|k| k == other), "{other} is in {keys:?}");
        }
        // Every value says which record it is of.
        let values = company["values"].as_array().cloned().unwrap_or_default();
        assert!(!values.is_empty(), "{company:#}");
        let sources = ["excel", "k3", "s4", "ty", "wx"];
        for value in &values {
            let told = value.to_string();
            let named = sources
                .iter()
                .any(|s| told.contains(&format!("sources/{s}")));
            assert!(named, "a value without its source: {value:#}");
        }
        // Orders and receivables of all systems, and the message, stand with it.
        let timeline = home
            .json(&[
                "customers",
                "timeline",
                text(&company, "name"),
                "--limit",
                "100",
            ])
            .to_string();
        for mark in [
            "SAL_SaleOrder,100002",
            "AR_receivable,100002",
            "A_SalesOrder,0005000002",
            "sale.sale,2",
            "account.invoice,2",
            "account.move.line,",
            "M-1",
        ] {
            assert!(timeline.contains(mark), "{mark} is not in {timeline}");
        }
        for other in [
            "SAL_SaleOrder,100001",
            "A_SalesOrder,0005000001",
            "\"sale.sale,1\"",
        ] {
            assert!(!timeline.contains(other), "{other} is in {timeline}");
        }
        // The person whom the ERP and WeCom know is one, too.
        let person = lookup(&home, &["--phone", MOBILE]);
        let keys = record_keys(&person);
        for key in ["k3/BD_CommonContact,100002", "wx/wmdummy00000001"] {
            assert!(keys.iter().any(|k| k == key), "{key} is not in {keys:?}");
        }

        // What the sales team noted of him in WeCom is his, too.
        let noted = person["values"].as_array().cloned().unwrap_or_default();
        for (what, note) in [("tag", "重要客户"), ("remark", "展会认识")] {
            let told = noted.iter().map(Value::to_string);
            let found = told.filter(|v| v.contains(note) && v.contains("sources/wx"));
            assert!(
                found.filter(|v| v.contains(what)).count() == 1,
                "{note} is not in {noted:#?}"
            );
        }

        // Pulling again changes nothing.
        for id in ["k3", "s4", "ty", "wx"] {
            assert_eq!(home.jinke(&["connections", "run", id]).code, 0);
        }
        let after = lookup(&home, &["--identifier", &format!("uscc:{USCC}")]);
        assert_eq!(after["etag"], company["etag"], "the same revision");
    });
    assert!(serving.stop().success());
}
