//! Signatures and sessions, from the server's side.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac as _};
use jinke_sdk::testing::{FakeRequest, FakeResponse};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{ACCOUNT, APP_ID, APP_SECRET, PASSWORD, Refused, USER, World};

/// Key of the mask, as it stands in the vendor's library before its letters are turned.
const TURNED: &str = "0054s397p6234378o09pn7q3r5qropr7";

/// Turns letters by thirteen places.
fn turn(text: &str) -> Vec<u8> {
    let one = |c: u8| match c {
        b'a'..=b'z' => (c - b'a' + 13) % 26 + b'a',
        b'A'..=b'Z' => (c - b'A' + 13) % 26 + b'A',
        other => other,
    };
    text.bytes().map(one).collect()
}

fn signature(text: &str, key: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes());
    let Ok(mut mac) = mac else {
        return String::new();
    };
    mac.update(text.as_bytes());
    let hex: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    STANDARD.encode(hex)
}

fn quoted(path: &str) -> String {
    path.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(b).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

impl World {
    /// The session of a call: the one it brings, or a new one when it is signed.
    pub(super) fn open(&mut self, request: &FakeRequest) -> Result<String, Refused> {
        let cookie = request.header("cookie").unwrap_or_default();
        let cookie = cookie
            .split(';')
            .filter_map(|p| p.trim().split_once('='))
            .find(|(n, _)| *n == "kdservice-sessionid")
            .map(|(_, v)| v);
        let brought = request.header("kdservice-sessionid").or(cookie);
        if let Some(id) = brought
            && self.sessions.contains(id)
        {
            // A session that holds hides whatever the signature is.
            return Ok(id.to_owned());
        }
        if !signed(request) {
            let lost = "会话信息已丢失，请重新登录".to_owned();
            return Err(Refused(1, String::new(), lost));
        }
        self.opened += 1;
        let id = format!("signed{:08}", self.opened);
        self.sessions.insert(id.clone());
        Ok(id)
    }

    /// The answer to a login; `None` when the service is another one.
    pub(super) fn login(&mut self, service: &str, body: &Value) -> Option<FakeResponse> {
        let given = |at: usize| {
            let parameters = &body["parameters"];
            // The library of some languages sends the list as text.
            match parameters {
                Value::String(text) => {
                    serde_json::from_str::<Value>(text).unwrap_or_default()[at].clone()
                }
                list => list[at].clone(),
            }
        };
        let right = match service {
            "Kingdee.BOS.WebApi.ServicesStub.AuthService.ValidateUser" => {
                [given(0), given(1), given(2)] == [json!(ACCOUNT), json!(USER), json!(PASSWORD)]
            }
            "Kingdee.BOS.WebApi.ServicesStub.AuthService.LoginByAppSecret" => {
                [given(0), given(1), given(2), given(3)]
                    == [
                        json!(ACCOUNT),
                        json!(USER),
                        json!(APP_ID),
                        json!(APP_SECRET),
                    ]
            }
            "Kingdee.BOS.ServiceFacade.ServicesStub.Account.AccountService.GetDataCenterList" => {
                let list = json!([{"Id": ACCOUNT, "Number": "001", "Name": "模拟账套"}]);
                return Some(FakeResponse::json(&list));
            }
            _ => return None,
        };
        if !right {
            let told = json!({
                "Message": "用户名或密码错误", "LoginResultType": 0, "KDSVCSessionId": "",
            });
            return Some(FakeResponse::json(&told));
        }
        self.logins += 1;
        let id = format!("login{:08}", self.logins);
        self.sessions.insert(id.clone());
        let told = json!({
            "Message": null, "LoginResultType": 1, "KDSVCSessionId": id,
            "Context": {"UserName": USER, "DataCenterName": "模拟账套"},
        });
        let mut response = FakeResponse::json(&told);
        let cookie = format!("kdservice-sessionid={id}; path=/");
        response.headers.push(("set-cookie".to_owned(), cookie));
        Some(response)
    }
}

/// Whether both signatures of a call are right.
fn signed(request: &FakeRequest) -> bool {
    let header = |name: &str| request.header(name).unwrap_or_default();
    let Some((client, masked)) = APP_ID.split_once('_') else {
        return false;
    };
    let masked = STANDARD.decode(masked).unwrap_or_default();
    let secret: Vec<u8> = turn(TURNED)
        .iter()
        .zip(&masked)
        .map(|(a, b)| a ^ b)
        .collect();
    let path = quoted(&request.target);
    let (time, nonce) = (header("x-api-timestamp"), header("x-api-nonce"));
    let call = format!("POST\n{path}\n\nx-api-nonce:{nonce}\nx-api-timestamp:{time}\n");
    let data = STANDARD.decode(header("x-kd-appdata")).unwrap_or_default();
    let data = String::from_utf8(data).unwrap_or_default();
    header("x-api-clientid") == client
        && header("x-api-auth-version") == "2.0"
        && header("x-api-signheaders") == "x-api-timestamp,x-api-nonce"
        && time.parse::<i64>().is_ok()
        && header("x-api-signature") == signature(&call, &STANDARD.encode(secret))
        && header("x-kd-appkey") == APP_ID
        && data.starts_with(&format!("{ACCOUNT},{USER},"))
        && header("x-kd-signature") == signature(&format!("{APP_ID}{data}"), APP_SECRET)
}
