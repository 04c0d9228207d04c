//! Which CRM field is what.
//!
//! DingTalk's CRM is made of forms: a field has an id (`customer_name`, `TextField-K2AD4O5B`), a
//! label that people chose, and a type. Settings say what a field is; else its label does, else
//! its id; else it is kept under its own name (`x_…`) and takes no part in matching.

use std::collections::BTreeMap;

use jinke_types::attribute as a;
use serde_json::Value;

/// A field that settings name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Which form: `crm_customer`, `crm_customer_personal`, `crm_contact`.
    pub object: String,
    /// Id of the field.
    pub field: String,
    /// What it is.
    pub attribute: String,
    /// Scheme of an identifier, kind of another value.
    pub scheme: String,
}

/// What a field is: attribute and scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A value of the party.
    Value(String, String),
    /// It names the customer that a contact belongs to.
    Customer,
}

/// Words of labels and ids, the more special before the more general. A word stands anywhere in a
/// label; in an id it stands between underscores.
const WORDS: &[(&[&str], &str, &str)] = &[
    (
        &["统一社会信用代码", "社会信用代码", "信用代码", "uscc"],
        a::IDENTIFIER,
        "uscc",
    ),
    (&["税号", "纳税人识别号"], a::IDENTIFIER, "tax_no"),
    (&["客户简称", "简称"], a::SHORT_NAME, ""),
    (&["曾用名"], a::FORMER_NAME, ""),
    (&["英文名"], a::ENGLISH_NAME, ""),
    (
        &["法定代表人", "法人代表", "法人"],
        a::LEGAL_REPRESENTATIVE,
        "",
    ),
    (&["手机", "mobile"], a::PHONE, "mobile"),
    (&["电话", "phone", "tel"], a::PHONE, "phone"),
    (&["邮箱", "email", "mail"], a::EMAIL, ""),
    (&["网址", "网站", "官网", "website"], a::WEBSITE, ""),
    (&["地址", "address"], a::ADDRESS, ""),
    (&["银行账号", "银行账户"], a::BANK_ACCOUNT, ""),
    (&["行业", "industry"], a::INDUSTRY, ""),
    (&["规模", "人数"], a::SIZE, ""),
    (&["职务", "职位", "position"], a::TITLE, ""),
    (&["标签", "tag"], a::TAG, ""),
    (&["备注", "remark", "note"], a::REMARK, ""),
    (
        &[
            "公司名称",
            "客户名称",
            "企业名称",
            "联系人姓名",
            "姓名",
            "名称",
            "name",
        ],
        a::NAME,
        "",
    ),
];

/// The fields of a form.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Form {
    /// By id: what it is, and whether its value is an address, amount or text all alike.
    meanings: BTreeMap<String, Meaning>,
}

impl Form {
    /// From the fields of an `objectMeta` answer and the settings.
    pub fn new(object: &str, fields: &[Value], overrides: &[Override]) -> Self {
        let mut meanings = BTreeMap::new();
        let mut named = false;
        for field in fields {
            let text = |key: &str| field.get(key).and_then(Value::as_str).unwrap_or_default();
            let (id, label) = (text("name"), text("label"));
            if id.is_empty() {
                continue;
            }
            let refers = text("referenceTo");
            let said = overrides
                .iter()
                .find(|o| o.object == object && o.field == id);
            let meaning = match said {
                Some(said) => Meaning::Value(said.attribute.clone(), said.scheme.clone()),
                None if object == "crm_contact" && refers.starts_with("crm_customer") => {
                    Meaning::Customer
                }
                None => guess(id, label),
            };
            // A party has one name; a second field with that word is kept under its own.
            let meaning = match meaning {
                Meaning::Value(a, _) if a == a::NAME && said.is_none() && named => own(id),
                meaning => meaning,
            };
            named |= matches!(&meaning, Meaning::Value(a, _) if a == a::NAME);
            meanings.insert(id.to_owned(), meaning);
        }
        Self { meanings }
    }

    /// What a field is. One that the form does not list is guessed from its id.
    pub fn meaning(&self, id: &str) -> Meaning {
        let known = self.meanings.get(id).cloned();
        known.unwrap_or_else(|| guess(id, ""))
    }

    /// Ids and whether they are something the suite understands.
    pub fn columns(&self) -> impl Iterator<Item = (&str, bool)> {
        self.meanings.iter().map(|(id, meaning)| {
            let own = matches!(meaning, Meaning::Value(a, _) if a.starts_with("x_"));
            (id.as_str(), !own)
        })
    }
}

fn guess(id: &str, label: &str) -> Meaning {
    let label = label.to_lowercase();
    let lower = id.to_lowercase();
    let parts: Vec<&str> = lower.split('_').collect();
    for (words, attribute, scheme) in WORDS {
        let of_label = words.iter().any(|w| !w.is_ascii() && label.contains(w));
        let of_id = label.is_empty() && words.iter().any(|w| parts.contains(w));
        if of_label || of_id {
            return Meaning::Value((*attribute).to_owned(), (*scheme).to_owned());
        }
    }
    own(id)
}

/// The custom attribute of a field: its id in lower case, other signs as underscores.
fn own(id: &str) -> Meaning {
    let plain = |c: char| {
        let c = c.to_ascii_lowercase();
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            c
        } else {
            '_'
        }
    };
    let name: String = id.chars().map(plain).take(60).collect();
    Meaning::Value(format!("x_{name}"), String::new())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_then_labels_then_ids() {
        let fields = [
            json!({"name": "customer_name", "label": "客户名称"}),
            json!({"name": "TextField-K2AD4O5B", "label": "统一社会信用代码"}),
            json!({"name": "customer_phone", "label": "公司电话"}),
            json!({"name": "field_9", "label": "甲方名称"}),
            json!({"name": "odd", "label": "邮箱"}),
        ];
        let overrides = [Override {
            object: "crm_customer".to_owned(),
            field: "odd".to_owned(),
            attribute: "x_other".to_owned(),
            scheme: String::new(),
        }];
        let form = Form::new("crm_customer", &fields, &overrides);
        let of = |id: &str| match form.meaning(id) {
            Meaning::Value(attribute, scheme) => format!("{attribute}/{scheme}"),
            Meaning::Customer => "customer".to_owned(),
        };
        assert_eq!(of("customer_name"), "name/");
        assert_eq!(of("TextField-K2AD4O5B"), "identifier/uscc");
        assert_eq!(of("customer_phone"), "phone/phone");
        assert_eq!(of("field_9"), "x_field_9/", "a party has one name");
        assert_eq!(of("odd"), "x_other/");
        assert_eq!(of("contact_mobile"), "phone/mobile", "by its id");
        assert_eq!(of("Unknown-7"), "x_unknown_7/");
        let relation = [json!({"name": "rel", "label": "所属客户", "referenceTo": "crm_customer"})];
        assert_eq!(
            Form::new("crm_contact", &relation, &[]).meaning("rel"),
            Meaning::Customer
        );
    }
}
