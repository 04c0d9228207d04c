//! External contacts to records.
//!
//! WeCom tells of a contact once per member who follows it: what the contact is, and what this
//! member noted. Both ways of asking (`batch/get_by_user`, `get`) are read into one [`Contact`],
//! so that a record does not depend on the way it came.

use std::collections::{BTreeMap, BTreeSet};

use jinke_sdk::{
    Effect, Location, RowError,
    drift::{Drift, Expected},
};
use jinke_types::{
    Body, Completeness, PartyKind, RecordKey, Relationship, SourceRecord, Timestamp, Value,
    attribute,
};
use serde_json::{Map, Value as Json};

/// Behind the id of a contact: the organization it works for.
pub const CORP: &str = "#corp";
/// Behind the id of a contact: that it is a contact of that organization.
pub const CONTACT_OF: &str = "#contact_of";
/// At most this many columns are told apart in one place.
const MAX_COLUMNS: usize = 200;

const fn text(name: &'static str) -> Expected {
    Expected {
        name,
        types: &["string"],
    }
}
const fn number(name: &'static str) -> Expected {
    Expected {
        name,
        types: &["number"],
    }
}

/// What every contact has.
pub const CONTACT: &[Expected] = &[
    text("external_userid"),
    text("name"),
    number("type"),
    number("gender"),
];
/// What some contacts have.
pub const CONTACT_MORE: &[&str] = &[
    "avatar",
    "corp_full_name",
    "corp_name",
    "external_profile",
    "position",
    "unionid",
];
/// What every follow info has.
pub const FOLLOW: &[Expected] = &[
    text("userid"),
    text("remark"),
    text("description"),
    number("createtime"),
    number("add_way"),
];
/// What some follow infos have.
pub const FOLLOW_MORE: &[&str] = &[
    "oper_userid",
    "remark_corp_name",
    "remark_mobiles",
    "state",
    "tag_id",
    "tags",
    "wechat_channels",
];

/// One contact with all who follow it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contact {
    name: String,
    kind: i64,
    gender: i64,
    unionid: String,
    corp_name: String,
    corp_full_name: String,
    position: String,
    follows: BTreeMap<String, Follow>,
    /// Columns that held what cannot be read.
    bad: BTreeSet<&'static str>,
}

/// What one member noted.
#[derive(Clone, Debug, Default, PartialEq)]
struct Follow {
    remark: String,
    description: String,
    since: Option<i64>,
    tags: Vec<String>,
    mobiles: Vec<String>,
    corp: String,
    add_way: Option<i64>,
    state: String,
}

/// The columns that were seen, with their types.
#[derive(Debug, Default)]
pub struct Shape {
    contact: BTreeMap<String, BTreeSet<&'static str>>,
    follow: BTreeMap<String, BTreeSet<&'static str>>,
}

impl Shape {
    fn see(place: &mut BTreeMap<String, BTreeSet<&'static str>>, row: &Map<String, Json>) {
        for (name, value) in row {
            let kind = match value {
                Json::Null => continue,
                Json::Bool(_) => "boolean",
                Json::Number(_) => "number",
                Json::String(_) => "string",
                Json::Array(_) => "array",
                Json::Object(_) => "object",
            };
            if let Some(kinds) = place.get_mut(name) {
                kinds.insert(kind);
            } else if place.len() < MAX_COLUMNS {
                place.insert(name.clone(), BTreeSet::from([kind]));
            }
        }
    }

    /// How the columns differ from those known: of contacts, and of follow infos.
    pub fn drift(&self) -> (Drift, Drift) {
        let of =
            |place: &BTreeMap<String, BTreeSet<&str>>, expected: &[Expected], known: &[&str]| {
                if place.is_empty() {
                    return Drift::default();
                }
                let present = place.iter().map(|(name, kinds)| {
                    let wanted = expected.iter().find(|e| e.name == name);
                    let right = wanted.and_then(|e| e.types.iter().find(|t| kinds.contains(**t)));
                    let first = kinds.first().copied().unwrap_or_default();
                    (name.clone(), right.copied().unwrap_or(first).to_owned())
                });
                Drift::of(expected, known, &present.collect())
            };
        (
            of(&self.contact, CONTACT, CONTACT_MORE),
            of(&self.follow, FOLLOW, FOLLOW_MORE),
        )
    }

    /// Names of the columns of contacts.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.contact.keys().map(String::as_str)
    }
}

/// Reads the cells of one object and remembers those that cannot be read.
struct Cells<'a, 'b> {
    row: &'a Map<String, Json>,
    bad: &'b mut BTreeSet<&'static str>,
}

impl Cells<'_, '_> {
    fn text(&mut self, key: &'static str) -> String {
        match self.row.get(key) {
            None | Some(Json::Null) => String::new(),
            Some(Json::String(text)) => text.trim().to_owned(),
            Some(_) => {
                self.bad.insert(key);
                String::new()
            }
        }
    }

    fn number(&mut self, key: &'static str) -> Option<i64> {
        match self.row.get(key) {
            None | Some(Json::Null) => None,
            Some(value) => {
                let number = value.as_i64();
                if number.is_none() {
                    self.bad.insert(key);
                }
                number
            }
        }
    }

    fn texts(&mut self, key: &'static str) -> Vec<String> {
        let list = match self.row.get(key) {
            None | Some(Json::Null) => return Vec::new(),
            Some(Json::Array(list)) => list.as_slice(),
            Some(_) => {
                self.bad.insert(key);
                return Vec::new();
            }
        };
        let mut texts: Vec<String> = Vec::new();
        for item in list {
            match item.as_str() {
                Some(text) => texts.push(text.trim().to_owned()),
                None => {
                    self.bad.insert(key);
                }
            }
        }
        texts.retain(|t| !t.is_empty());
        texts.sort();
        texts.dedup();
        texts
    }
}

/// Names of corp tags by their ids.
pub type Tags = BTreeMap<String, String>;

impl Contact {
    /// Takes in what an answer says of the contact itself.
    pub fn read(&mut self, row: &Map<String, Json>, shape: &mut Shape) {
        Shape::see(&mut shape.contact, row);
        let mut cells = Cells {
            row,
            bad: &mut self.bad,
        };
        self.name = cells.text("name");
        self.kind = cells.number("type").unwrap_or(1);
        self.gender = cells.number("gender").unwrap_or(0);
        self.unionid = cells.text("unionid");
        self.corp_name = cells.text("corp_name");
        self.corp_full_name = cells.text("corp_full_name");
        self.position = cells.text("position");
    }

    /// Takes in what one member noted; without a user id it is passed over.
    pub fn follow(&mut self, row: &Map<String, Json>, tags: &Tags, shape: &mut Shape) {
        Shape::see(&mut shape.follow, row);
        let mut cells = Cells {
            row,
            bad: &mut self.bad,
        };
        let user = cells.text("userid");
        if user.is_empty() {
            return;
        }
        let follow = Follow {
            remark: cells.text("remark"),
            description: cells.text("description"),
            since: cells.number("createtime").filter(|t| *t > 0),
            mobiles: cells.texts("remark_mobiles"),
            corp: cells.text("remark_corp_name"),
            add_way: cells.number("add_way"),
            state: cells.text("state"),
            tags: Self::tags(&mut cells, tags),
        };
        self.follows.insert(user, follow);
    }

    /// Lists carry ids of corp tags, a single contact carries objects, those of a member's own
    /// tags among them; only corp tags are read, so that both say the same.
    fn tags(cells: &mut Cells<'_, '_>, names: &Tags) -> Vec<String> {
        let mut ids = cells.texts("tag_id");
        let mut tags = Vec::new();
        match cells.row.get("tags") {
            None | Some(Json::Null) => {}
            Some(Json::Array(list)) => {
                for tag in list.iter().filter(|t| t["type"].as_i64().unwrap_or(1) == 1) {
                    match (tag["tag_id"].as_str(), tag["tag_name"].as_str()) {
                        (Some(id), _) if !id.is_empty() => ids.push(id.to_owned()),
                        (_, Some(name)) => tags.push(name.trim().to_owned()),
                        _ => {
                            cells.bad.insert("tags");
                        }
                    }
                }
            }
            Some(_) => {
                cells.bad.insert("tags");
            }
        }
        tags.extend(
            ids.into_iter()
                .map(|id| names.get(&id).cloned().unwrap_or(id)),
        );
        tags.retain(|t| !t.is_empty());
        tags.sort();
        tags.dedup();
        tags
    }

    /// Whether anybody follows it.
    pub fn is_followed(&self) -> bool {
        !self.follows.is_empty()
    }

    /// What could not be read, but for columns that have another type in every row: those are
    /// told once.
    pub fn errors(&self, number: u64, drifts: &(Drift, Drift)) -> Vec<RowError> {
        let told =
            |name: &str| drifts.0.retyped.contains_key(name) || drifts.1.retyped.contains_key(name);
        let columns = self.bad.iter().filter(|name| !told(name));
        columns
            .map(|name| RowError {
                location: Location {
                    file: "externalcontact".to_owned(),
                    sheet: None,
                    row: number,
                },
                column: Some((*name).to_owned()),
                reason: "is of another type".to_owned(),
                effect: Effect::ValueLeftOut,
            })
            .collect()
    }

    /// The contact as a person; of a WeCom user (type 2) also the organization that WeCom names,
    /// and that the person is a contact of it.
    pub fn records(&self, source: &str, id: &str) -> Vec<SourceRecord> {
        let key = |suffix: &str| RecordKey::new(source, format!("{id}{suffix}"));
        let record = |key, body| SourceRecord {
            key,
            source_revision: None,
            // WeCom says when a member added the contact, not when anything changed. Without a
            // time the versions are ordered by arrival.
            update_time: None,
            completeness: Completeness::Full,
            deleted: false,
            body,
        };
        let person = Body::Party {
            kind: PartyKind::Person,
            values: self.person(id),
        };
        let mut records = vec![record(key(""), person)];
        let corp = first(&[&self.corp_full_name, &self.corp_name]);
        if self.kind == 2 && !corp.is_empty() {
            let mut values = vec![Value::text(attribute::NAME, corp)];
            if !self.corp_name.is_empty() && self.corp_name != corp {
                values.push(Value::text(attribute::SHORT_NAME, &self.corp_name));
            }
            let organization = Body::Party {
                kind: PartyKind::Organization,
                values,
            };
            let mut values = Vec::new();
            if !self.position.is_empty() {
                values.push(Value::text(attribute::TITLE, &self.position));
            }
            let link = Body::Relationship(Relationship {
                kind: "contact_of".to_owned(),
                from: key(""),
                to: key(CORP),
                valid_from: None,
                valid_to: None,
                values,
            });
            records.push(record(key(CORP), organization));
            records.push(record(key(CONTACT_OF), link));
        }
        records
    }

    fn person(&self, id: &str) -> Vec<Value> {
        let mut values = Vec::new();
        let mut say = |name: &str, text: &str| {
            if !text.is_empty() {
                values.push(Value::text(name, text));
            }
        };
        say(attribute::NAME, &self.name);
        say(attribute::TITLE, &self.position);
        say(
            attribute::EMPLOYER,
            first(&[&self.corp_full_name, &self.corp_name]),
        );
        match self.gender {
            1 => say("x_gender", "男"),
            2 => say("x_gender", "女"),
            _ => {}
        }
        values.push(Value::identifier("foreign:wecom", id));
        if !self.unionid.is_empty() {
            values.push(Value::identifier("foreign:wechat", &self.unionid));
        }
        values.push(Value::text(attribute::ROLE, "contact"));
        for (user, follow) in &self.follows {
            follow.values(user, &mut values);
        }
        // Two members may have noted the same.
        let mut seen = BTreeSet::new();
        values.retain(|v| seen.insert(v.clone()));
        values
    }
}

impl Follow {
    fn values(&self, user: &str, values: &mut Vec<Value>) {
        let since = self
            .since
            .filter(|s| *s < 1 << 40)
            .map(Timestamp::from_secs);
        values.push(Value {
            valid_from: since,
            ..Value::text(attribute::OWNER, user)
        });
        let mut say = |name: &str, scheme: &str, text: &str| {
            if !text.is_empty() {
                values.push(Value {
                    scheme: scheme.to_owned(),
                    ..Value::text(name, text)
                });
            }
        };
        for mobile in &self.mobiles {
            say(attribute::PHONE, "mobile", mobile);
        }
        say(attribute::EMPLOYER, "", &self.corp);
        for tag in &self.tags {
            say(attribute::TAG, "", tag);
        }
        say(attribute::REMARK, "name", &self.remark);
        say(attribute::REMARK, "description", &self.description);
        if let Some(way) = self.add_way {
            say("x_add_way", "", add_way(way));
        }
        say("x_state", "", &self.state);
    }
}

fn first<'a>(texts: &[&'a String]) -> &'a str {
    texts
        .iter()
        .find(|t| !t.is_empty())
        .map_or("", |t| t.as_str())
}

/// WeCom's codes of how a contact was added; others are kept as "其他".
const fn add_way(code: i64) -> &'static str {
    match code {
        0 => "未知来源",
        1 => "扫描二维码",
        2 => "搜索手机号",
        3 => "名片分享",
        4 => "群聊",
        5 => "手机通讯录",
        6 => "微信联系人",
        8 => "安装第三方应用时自动添加",
        9 => "搜索邮箱",
        10 => "视频号添加",
        201 => "内部成员共享",
        202 => "管理员或负责人分配",
        _ => "其他",
    }
}
