//! What the simulator answers to calls.

use std::collections::BTreeMap;

use jinke_sdk::testing::{FakeRequest, FakeResponse};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::{AGENT_ID, CORP_ID, Contact, SECRET, TOKEN_LIFE, World};

/// A code and its text, instead of an answer.
type Refusal = (i64, &'static str);

impl World {
    pub(super) fn answer(&mut self, request: &FakeRequest) -> FakeResponse {
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        let query: BTreeMap<String, String> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (decoded(name), decoded(value)))
            .collect();
        let Some(path) = path.strip_prefix("/cgi-bin/") else {
            return FakeResponse::status(404);
        };
        let body = if request.body.is_empty() {
            json!({})
        } else {
            match serde_json::from_slice(&request.body) {
                Ok(body) => body,
                Err(_) => return said(Err((47001, "data format error"))),
            }
        };
        said(self.call(path, &query, &body))
    }

    fn call(
        &mut self,
        path: &str,
        query: &BTreeMap<String, String>,
        body: &Value,
    ) -> Result<Value, Refusal> {
        let asked = |key: &str| query.get(key).map_or("", String::as_str);
        if path == "gettoken" {
            return match (asked("corpid"), asked("corpsecret")) {
                (CORP_ID, SECRET) => {
                    let token = self.login();
                    Ok(json!({"access_token": token, "expires_in": TOKEN_LIFE}))
                }
                (CORP_ID, _) => Err((40001, "invalid credential")),
                _ => Err((40013, "invalid corpid")),
            };
        }
        self.admit(path, asked("access_token"))?;
        match path {
            "department/list" => Ok(self.departments(asked("id"))),
            "department/get" => self.one_department(asked("id")),
            "user/list" => self.users(asked("department_id"), asked("fetch_child") == "1"),
            "user/get" => match self.members.get(asked("userid")) {
                Some(row) => Ok(Value::Object(row.clone())),
                None => Err((60111, "userid not found")),
            },
            "externalcontact/get_follow_user_list" => Ok(json!({"follow_user": self.followers()})),
            "externalcontact/list" => self.ids(asked("userid")),
            "externalcontact/get" => self.contact(asked("external_userid")),
            "externalcontact/batch/get_by_user" => self.batch(body),
            "externalcontact/get_corp_tag_list" => Ok(self.tag_groups()),
            "message/send" => self.send(body),
            _ => Err((40066, "invalid url")),
        }
    }

    /// Whether the call may be made: token, scripted refusals, limit.
    fn admit(&mut self, path: &str, token: &str) -> Result<(), Refusal> {
        if token.is_empty() {
            return Err((41001, "access_token missing"));
        }
        let now = Self::now();
        let valid = self
            .token
            .as_ref()
            .is_some_and(|(t, ends)| t == token && *ends > now);
        if !valid {
            let known = self.old_tokens.contains(token)
                || self.token.as_ref().is_some_and(|(t, _)| t == token);
            return Err(if known {
                (42001, "access_token expired")
            } else {
                (40014, "invalid access_token")
            });
        }
        if let Some(code) = self.refusals.pop_front() {
            if code == 42001
                && let Some((token, _)) = self.token.take()
            {
                self.old_tokens.insert(token);
            }
            return Err((code, "scripted"));
        }
        let minute = now / 60;
        let count = self.calls.entry(path.to_owned()).or_default();
        if count.0 != minute {
            *count = (minute, 0);
        }
        count.1 += 1;
        if self.per_minute.is_some_and(|most| count.1 > most) {
            return Err((45009, "api freq out of limit"));
        }
        Ok(())
    }

    fn departments(&self, below: &str) -> Value {
        let top = below.parse().unwrap_or(1);
        let rows = self
            .departments
            .iter()
            .filter(|(id, _)| self.is_below(**id, top));
        let rows: Vec<_> = rows
            .map(|(id, (parent, name))| {
                json!({"id": id, "name": name, "parentid": parent, "order": 100_000_000 - id,
                       "department_leader": []})
            })
            .collect();
        json!({"department": rows})
    }

    fn one_department(&self, id: &str) -> Result<Value, Refusal> {
        let id: i64 = id.parse().map_err(|_| (40058, "invalid id"))?;
        let (parent, name) = self
            .departments
            .get(&id)
            .ok_or((60003, "department not found"))?;
        Ok(json!({"department": {"id": id, "name": name, "parentid": parent, "order": 1}}))
    }

    fn is_below(&self, id: i64, top: i64) -> bool {
        let mut at = id;
        for _ in 0..50 {
            if at == top {
                return true;
            }
            match self.departments.get(&at) {
                Some((parent, _)) => at = *parent,
                None => return false,
            }
        }
        false
    }

    fn users(&self, department: &str, below: bool) -> Result<Value, Refusal> {
        let id: i64 = department
            .parse()
            .map_err(|_| (40058, "invalid department_id"))?;
        if !self.departments.contains_key(&id) {
            return Err((60003, "department not found"));
        }
        let belongs = |row: &Map<String, Value>| {
            let list = row["department"].as_array().into_iter().flatten();
            list.filter_map(Value::as_i64)
                .any(|of| of == id || below && self.is_below(of, id))
        };
        let rows: Vec<_> = self.members.values().filter(|r| belongs(r)).collect();
        Ok(json!({"userlist": rows}))
    }

    fn followers(&self) -> Vec<String> {
        // Members without a contact may have the right too.
        self.members.keys().cloned().collect()
    }

    fn ids(&self, user: &str) -> Result<Value, Refusal> {
        if !self.members.contains_key(user) {
            return Err((60111, "userid not found"));
        }
        let followed = self
            .contacts
            .iter()
            .filter(|(_, c)| c.follows.contains_key(user));
        let ids: Vec<_> = followed.map(|(id, _)| id.clone()).collect();
        if ids.is_empty() {
            return Err((84061, "not external contact"));
        }
        Ok(json!({"external_userid": ids}))
    }

    /// A contact as every answer shows it.
    fn shown(&self, contact: &Contact) -> Map<String, Value> {
        let mut row = contact.row.clone();
        if self.drift {
            row.remove("gender");
            row.insert("x_新列".to_owned(), json!("新"));
        }
        row
    }

    fn noted(&self, notes: &Map<String, Value>) -> Map<String, Value> {
        let mut row = notes.clone();
        if self.drift {
            row.insert("description".to_owned(), json!(7));
        }
        row
    }

    /// One contact: tags are objects here, a member's own among them.
    fn contact(&self, id: &str) -> Result<Value, Refusal> {
        let contact = self
            .contacts
            .get(id)
            .ok_or((84061, "not external contact"))?;
        let follows = contact.follows.values().map(|notes| {
            let mut row = self.noted(notes);
            let ids = row.remove("tag_id").unwrap_or_default();
            let mut tags: Vec<Value> = Vec::new();
            for id in ids
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
            {
                if let Some((group, name)) = self.tags.get(id) {
                    tags.push(
                        json!({"group_name": group, "tag_name": name, "tag_id": id, "type": 1}),
                    );
                }
            }
            tags.push(json!({"group_name": "", "tag_name": "我的标签", "type": 2}));
            row.insert("tags".to_owned(), json!(tags));
            row
        });
        let follows: Vec<_> = follows.collect();
        Ok(json!({"external_contact": self.shown(contact), "follow_user": follows}))
    }

    fn batch(&self, body: &Value) -> Result<Value, Refusal> {
        let mut users: Vec<&str> = body["userid_list"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        users.extend(body["userid"].as_str().filter(|u| !users.contains(u)));
        if users.is_empty() {
            return Err((40058, "userid missing"));
        }
        if users.iter().any(|u| !self.members.contains_key(*u)) {
            return Err((60111, "userid not found"));
        }
        // The real one takes its largest value for a larger one.
        let limit = body["limit"].as_u64().unwrap_or(50).clamp(1, 100) as usize;
        let cursor = body["cursor"].as_str().unwrap_or_default();
        let from: String = match cursor {
            "" => String::new(),
            text => hex::decode(text)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .ok_or((40035, "invalid cursor"))?,
        };
        let mut rows = Vec::new();
        let mut next = String::new();
        'all: for (id, contact) in &self.contacts {
            for user in &users {
                let Some(notes) = contact.follows.get(*user) else {
                    continue;
                };
                let key = format!("{id}\n{user}");
                if key <= from {
                    continue;
                }
                if rows.len() == limit {
                    break 'all;
                }
                rows.push(json!({
                    "external_contact": self.shown(contact), "follow_info": self.noted(notes),
                }));
                next = key;
            }
        }
        let next = if rows.len() < limit {
            String::new()
        } else {
            hex::encode(next)
        };
        Ok(json!({"external_contact_list": rows, "next_cursor": next}))
    }

    fn tag_groups(&self) -> Value {
        let mut groups: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for (order, (id, (group, name))) in self.tags.iter().enumerate() {
            let tag = json!({"id": id, "name": name, "create_time": super::NOW, "order": order});
            groups.entry(group).or_default().push(tag);
        }
        let groups: Vec<_> = groups
            .into_iter()
            .enumerate()
            .map(|(i, (name, tag))| {
                json!({"group_id": format!("eg{i:014}"), "group_name": name, "tag": tag, "order": i,
                       "create_time": super::NOW})
            })
            .collect();
        json!({"tag_group": groups})
    }

    fn send(&mut self, body: &Value) -> Result<Value, Refusal> {
        // The SDK writes the agent id as it was given, a text too.
        let agent = body["agentid"]
            .as_i64()
            .or_else(|| body["agentid"].as_str()?.parse().ok());
        if agent != Some(AGENT_ID) {
            return Err((40056, "invalid agentid"));
        }
        let kind = body["msgtype"].as_str().unwrap_or_default();
        if !matches!(kind, "text" | "markdown") {
            return Err((40008, "invalid message type"));
        }
        let Some(content) = body[kind]["content"].as_str().filter(|c| !c.is_empty()) else {
            return Err((44004, "empty content"));
        };
        let listed = |key: &str| -> Vec<String> {
            let text = body[key].as_str().unwrap_or_default();
            let ids = text.split('|').map(str::trim).filter(|t| !t.is_empty());
            ids.map(str::to_owned).collect()
        };
        let (users, parties) = (listed("touser"), listed("toparty"));
        if users.is_empty() && parties.is_empty() && listed("totag").is_empty() {
            return Err((40031, "no recipients"));
        }
        let missed: Vec<_> = users
            .iter()
            .filter(|u| !self.members.contains_key(*u))
            .collect();
        let is_department = |id: &String| {
            let id = id.parse().ok();
            id.is_some_and(|id: i64| self.departments.contains_key(&id))
        };
        let no_party: Vec<_> = parties.iter().filter(|p| !is_department(p)).collect();
        let tags = listed("totag");
        if missed.len() == users.len() && no_party.len() == parties.len() && tags.is_empty() {
            return Err((81013, "user & party & tag all invalid"));
        }
        let join = |ids: &[&String]| {
            ids.iter()
                .map(|s| s.to_lowercase())
                .collect::<Vec<_>>()
                .join("|")
        };
        let (missed, no_party) = (join(&missed), join(&no_party));
        let now = Self::now();
        let within = body["duplicate_check_interval"]
            .as_i64()
            .unwrap_or(1_800)
            .min(14_400);
        self.requests.retain(|(_, at)| now - at < 14_400);
        let seen = self
            .requests
            .iter()
            .any(|(b, at)| b == body && now - at < within);
        self.made += 1;
        let id = format!("msg-{:08}", self.made);
        if body["enable_duplicate_check"].as_i64() != Some(1) || !seen {
            self.requests.push((body.clone(), now));
            let mut kept = body.clone();
            kept[kind]["content"] = json!(cut(content, 2_048));
            self.messages.push(kept);
        }
        Ok(json!({"invaliduser": missed, "invalidparty": no_party, "msgid": id}))
    }
}

/// The longest start of at most `bytes` that is whole characters.
fn cut(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn decoded(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

fn said(answer: Result<Value, Refusal>) -> FakeResponse {
    let (code, text, mut body) = match answer {
        Ok(body) => (0, "ok", body),
        Err((code, text)) => (code, text, json!({})),
    };
    body["errcode"] = json!(code);
    body["errmsg"] = json!(text);
    FakeResponse::json(&body)
}
