//! What the simulator answers to calls.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac as _};
use jinke_sdk::testing::{FakeRequest, FakeResponse};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::{AGENT_ID, OPERATOR, ROBOT_SECRET, ROBOT_TOKEN, Row, TOKEN_LIFE, World};

type Query = BTreeMap<String, String>;

impl World {
    pub(super) fn answer(&mut self, request: &FakeRequest) -> FakeResponse {
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        let query: Query = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (decoded(name), decoded(value)))
            .collect();
        let body: Value = if request.body.is_empty() {
            json!({})
        } else {
            match serde_json::from_slice(&request.body) {
                Ok(body) => body,
                Err(_) => return refused(400, "InvalidParameter.Body"),
            }
        };
        if path == "/robot/send" {
            return old(self.robot(&query, &body));
        }
        if path.starts_with("/topapi/") {
            return old(self.old_call(path, &query, &body));
        }
        let asked = |key: &str| body[key].as_str().unwrap_or_default();
        match path {
            "/v1.0/oauth2/accessToken" if self.knows(asked("appKey"), asked("appSecret")) => {
                let token = self.login();
                FakeResponse::json(&json!({"accessToken": token, "expireIn": TOKEN_LIFE}))
            }
            "/v1.0/oauth2/accessToken" => refused(400, "invalidClientIdOrSecret"),
            "/v1.0/gateway/connections/open"
                if self.knows(asked("clientId"), asked("clientSecret")) =>
            {
                let ticket = Self::random("ticket+/=");
                self.tickets.insert(ticket.clone());
                FakeResponse::json(&json!({"endpoint": self.channel, "ticket": ticket}))
            }
            "/v1.0/gateway/connections/open" => refused(401, "authFailed"),
            _ => {
                let token = request.header("x-acs-dingtalk-access-token");
                if !self.is_valid(token.unwrap_or_default()) {
                    return refused(401, "InvalidAuthentication");
                }
                match self.refusals.pop_front() {
                    Some((401, code)) => {
                        self.end_token();
                        refused(401, &code)
                    }
                    Some((status, code)) => refused(status, &code),
                    None => self.new_call(path, &query, &body),
                }
            }
        }
    }

    fn is_valid(&self, token: &str) -> bool {
        let now = Self::now().secs();
        self.token
            .as_ref()
            .is_some_and(|(t, ends)| t == token && *ends > now)
    }

    fn end_token(&mut self) {
        if let Some((token, _)) = self.token.take() {
            self.old_tokens.insert(token);
        }
    }

    fn new_call(&self, path: &str, query: &Query, body: &Value) -> FakeResponse {
        let asked = |key: &str| query.get(key).map_or("", String::as_str);
        match path {
            "/v1.0/crm/personalCustomers" => {
                let most = asked("maxResults").parse().unwrap_or(20);
                let object = match asked("relationType") {
                    "" => "crm_customer",
                    object => object,
                };
                match self.page(
                    asked("currentOperatorUserId"),
                    object,
                    asked("nextToken"),
                    most,
                ) {
                    Ok(mut page) => {
                        page["totalCount"] =
                            json!(self.rows.values().filter(|r| r.object == object).count());
                        page["maxResults"] = json!(most);
                        FakeResponse::json(&page)
                    }
                    Err(answer) => answer,
                }
            }
            "/v1.0/crm/customObjects/contacts/datas/query" => {
                let text = |key: &str| body[key].as_str().unwrap_or_default();
                let most = body["maxResults"].as_u64().unwrap_or(20) as usize;
                let page = self.page(
                    text("currentOperatorUserId"),
                    "crm_contact",
                    text("nextToken"),
                    most,
                );
                match page {
                    Ok(page) => FakeResponse::json(&json!({"result": page})),
                    Err(answer) => answer,
                }
            }
            "/v1.0/crm/personalCustomers/objectMeta" => {
                FakeResponse::json(&meta(asked("relationType")))
            }
            _ => refused(404, "InvalidAction.NotFound"),
        }
    }

    fn page(
        &self,
        operator: &str,
        object: &str,
        token: &str,
        most: usize,
    ) -> Result<Value, FakeResponse> {
        // The vendor's check asks as `u1`.
        if !matches!(operator, OPERATOR | "u1") {
            return Err(refused(400, "operatorUserId.invalid"));
        }
        if !(1..=100).contains(&most) {
            return Err(refused(400, "maxResults.invalid"));
        }
        let after = match token {
            "" => String::new(),
            token => {
                let bytes = STANDARD.decode(token).ok();
                let text = bytes.and_then(|b| String::from_utf8(b).ok());
                text.ok_or_else(|| refused(400, "nextToken.invalid"))?
            }
        };
        let mut rows: Vec<_> = self
            .rows
            .range(after.clone()..)
            .filter(|(id, row)| **id > after && row.object == object)
            .take(most + 1)
            .collect();
        let more = rows.len() > most;
        rows.truncate(most);
        let next = rows.last().map(|(id, _)| STANDARD.encode(id));
        let values: Vec<_> = rows.iter().map(|(id, row)| self.shown(id, row)).collect();
        let next = next.filter(|_| more).unwrap_or_default();
        Ok(json!({"values": values, "hasMore": more, "nextToken": next}))
    }

    fn shown(&self, id: &str, row: &Row) -> Value {
        let (owners, participants) = if row.object == "crm_contact" {
            ("ownerUserIds", "participantUserIds")
        } else {
            ("ownerStaffIds", "participantStaffIds")
        };
        let mut shown = json!({
            "instanceId": id, "objectType": row.object, "creatorUserId": OPERATOR,
            "creatorNick": "管理员", "data": row.data, "extendData": row.extended,
            "permission": {owners: [row.owner], participants: []},
            "gmtCreate": row.created.to_rfc3339(), "gmtModified": row.modified.to_rfc3339(),
            "procInstStatus": "COMPLETED", "procOutResult": "agree",
        });
        if self.drift
            && let Some(object) = shown.as_object_mut()
        {
            object.remove("creatorUserId");
            object.insert("gmtCreate".to_owned(), json!(row.created.secs()));
            object.insert("x_新列".to_owned(), json!("新"));
        }
        shown
    }

    fn old_call(&mut self, path: &str, query: &Query, body: &Value) -> Result<Value, i64> {
        let token = query.get("access_token").map_or("", String::as_str);
        if !self.is_valid(token) {
            return Err(if self.old_tokens.contains(token) {
                42001
            } else {
                40014
            });
        }
        if let Some((_, code)) = self.refusals.pop_front() {
            let code = code.parse().unwrap_or(-1);
            if code == 42001 {
                self.end_token();
            }
            return Err(code);
        }
        let department = body["dept_id"].as_i64().unwrap_or(1);
        let there = self.departments.contains_key(&department);
        match path {
            "/topapi/v2/department/listsub"
            | "/topapi/v2/department/get"
            | "/topapi/v2/user/list"
            | "/topapi/user/listid"
                if !there =>
            {
                Err(60003)
            }
            "/topapi/v2/department/listsub" => {
                let rows = self
                    .departments
                    .iter()
                    .filter(|(_, (p, _))| *p == department);
                let rows: Vec<_> = rows
                    .map(|(id, (parent, name))| {
                        json!({"dept_id": id, "name": name, "parent_id": parent,
                               "auto_add_user": true, "create_dept_group": false})
                    })
                    .collect();
                Ok(json!({"result": rows}))
            }
            "/topapi/v2/department/get" => {
                let (parent, name) = &self.departments[&department];
                let mut row = json!({"dept_id": department, "name": name});
                if *parent > 0 {
                    row["parent_id"] = json!(parent);
                }
                Ok(json!({"result": row}))
            }
            "/topapi/v2/user/list" => {
                let from = body["cursor"].as_u64().unwrap_or(0) as usize;
                let size = body["size"].as_u64().unwrap_or(10) as usize;
                if !(1..=100).contains(&size) {
                    return Err(40058);
                }
                let all: Vec<_> = self.in_department(department).collect();
                let page: Vec<_> = all.iter().skip(from).take(size).collect();
                let more = from + page.len() < all.len();
                let mut result = json!({"list": page, "has_more": more});
                if more {
                    result["next_cursor"] = json!(from + page.len());
                }
                Ok(json!({"result": result}))
            }
            "/topapi/user/listid" => {
                let ids: Vec<_> = self
                    .in_department(department)
                    .map(|m| m["userid"].clone())
                    .collect();
                Ok(json!({"result": {"userid_list": ids}}))
            }
            "/topapi/v2/user/get" => {
                let id = body["userid"].as_str().unwrap_or_default();
                let row = self.members.get(id).ok_or(60121)?;
                Ok(json!({"result": row}))
            }
            "/topapi/message/corpconversation/asyncsend_v2" => self.notice(body),
            _ => Err(22),
        }
    }

    fn in_department(&self, id: i64) -> impl Iterator<Item = &Map<String, Value>> {
        let belongs = move |row: &&Map<String, Value>| {
            let list = row["dept_id_list"].as_array();
            list.into_iter().flatten().any(|d| d.as_i64() == Some(id))
        };
        self.members.values().filter(belongs)
    }

    fn notice(&mut self, body: &Value) -> Result<Value, i64> {
        if body["agent_id"].as_i64() != Some(AGENT_ID) {
            return Err(33001);
        }
        let message = &body["msg"];
        let kind = message["msgtype"].as_str().unwrap_or_default();
        let text = match kind {
            "text" => message["text"]["content"].as_str(),
            "markdown" => message["markdown"]["text"].as_str(),
            _ => return Err(40008),
        };
        if text.is_none_or(str::is_empty) || message.to_string().len() > 4_096 {
            return Err(40035);
        }
        let listed = |key: &str| -> Vec<String> {
            let text = body[key].as_str().unwrap_or_default();
            text.split(',')
                .filter(|t| !t.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let users = listed("userid_list");
        if !users.is_empty() && users.iter().all(|u| !self.members.contains_key(u)) {
            return Err(33012);
        }
        let departments = listed("dept_id_list")
            .into_iter()
            .map(|d| format!("dept:{d}"));
        let recipients: Vec<String> = users.into_iter().chain(departments).collect();
        if recipients.is_empty() {
            return Err(40035);
        }
        for recipient in recipients {
            // An equal notice is taken and shown once.
            let shown = (recipient, message.clone());
            if !self.notices.contains(&shown) {
                self.notices.push(shown);
            }
        }
        self.made += 1;
        Ok(json!({"task_id": self.made}))
    }

    fn robot(&mut self, query: &Query, body: &Value) -> Result<Value, i64> {
        let asked = |key: &str| query.get(key).map_or("", String::as_str);
        if asked("access_token") != ROBOT_TOKEN {
            return Err(300_001);
        }
        let (time, sign) = (asked("timestamp"), asked("sign"));
        let millis: i64 = time.parse().map_err(|_| 310_000_i64)?;
        let age = (Self::now().0 / 1_000).abs_diff(millis);
        let mut mac =
            Hmac::<Sha256>::new_from_slice(ROBOT_SECRET.as_bytes()).map_err(|_| 310_000_i64)?;
        mac.update(time.as_bytes());
        mac.update(b"\n");
        mac.update(ROBOT_SECRET.as_bytes());
        let right = STANDARD.encode(mac.finalize().into_bytes());
        // A signature is good for an hour.
        if right != sign || age > 3_600_000 {
            return Err(310_000);
        }
        if let Some((_, code)) = self.refusals.pop_front() {
            return Err(code.parse().unwrap_or(-1));
        }
        self.group.push(body.clone());
        Ok(json!({}))
    }
}

/// The fields of a form.
fn meta(object: &str) -> Value {
    let fields: &[(&str, &str, &str)] = match object {
        "crm_contact" => &[
            ("contact_name", "联系人姓名", "TextField"),
            ("contact_phone", "手机号", "PhoneField"),
            ("contact_email", "邮箱", "TextField"),
            ("contact_position", "职务", "TextField"),
            ("contact_related_customer", "关联客户", "RelateField"),
        ],
        _ => &[
            ("customer_name", "客户名称", "TextField"),
            ("TextField-USCC01", "统一社会信用代码", "TextField"),
            ("customer_phone", "电话", "PhoneField"),
            ("customer_address", "地址", "TextField"),
            ("customer_source", "客户来源", "DDSelectField"),
            ("customer_remark", "备注", "TextareaField"),
        ],
    };
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, label, kind)| {
            let mut field = json!({
                "name": name, "label": label, "type": kind, "nillable": true, "customized": false,
            });
            if *kind == "RelateField" {
                field["referenceTo"] = json!("crm_customer");
            }
            field
        })
        .collect();
    json!({"code": object, "name": object, "customized": false, "status": "PUBLISHED", "fields": fields})
}

fn decoded(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

fn refused(status: u16, code: &str) -> FakeResponse {
    let body = json!({"code": code, "message": "模拟的拒绝", "requestid": "sim"});
    FakeResponse {
        status,
        ..FakeResponse::json(&body)
    }
}

fn old(answer: Result<Value, i64>) -> FakeResponse {
    let (code, text, mut body) = match answer {
        Ok(body) => (0, "ok", body),
        Err(code) => (code, "模拟的拒绝", json!({})),
    };
    body["errcode"] = json!(code);
    body["errmsg"] = json!(text);
    body["request_id"] = json!("sim");
    FakeResponse::json(&body)
}
