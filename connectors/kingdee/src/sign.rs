//! Who we are to Kingdee: a signature on each call, or a session.
//!
//! The signature is that of the vendor's Python library `kingdee-cdp-webapi-sdk` 8.2.0: two
//! HMAC-SHA256 values, each sent as the Base64 of its hexadecimal digits. One proves the client
//! id over path, nonce and time, the other the application over data centre, user, language and
//! organization. The client's own secret is the second half of the application id, Base64 with a
//! fixed mask over it.
//!
//! The server answers a signed call with a session and expects it back. It looks at a signature
//! only when there is no session, and renews an expired session by itself. Calls without it would
//! each open a session, and open sessions are licensed.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac as _};
use jinke_sdk::{
    PullError, PullErrorKind,
    http::{Http, Login, Method, Request, Response, Safety, Session, Signer, Verdict, unreadable},
};
use jinke_types::{Code, Failure, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::config::{KingdeeConfig, Proof};

/// Header and cookie that carry the session.
pub const SESSION: &str = "kdservice-sessionid";
/// Language of what the server answers: simplified Chinese.
pub const LANGUAGE: u32 = 2052;
/// Opens a session with a password.
pub const LOGIN_PASSWORD: &str = "Kingdee.BOS.WebApi.ServicesStub.AuthService.ValidateUser";
/// Opens a session with the application's secret.
pub const LOGIN_SECRET: &str = "Kingdee.BOS.WebApi.ServicesStub.AuthService.LoginByAppSecret";

/// The mask over the client's secret, from the vendor's library, where its letters stand
/// thirteen places further on.
const MASK: &[u8; 32] = b"0054f397c6234378b09ca7d3e5debce7";
/// Bytes of a client's secret.
const SECRET_BYTES: usize = 24;

/// What stays as it is in a signed path.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The client id and secret within an application id; `None` when it is not
/// `<client id>_<32 Base64 characters>`.
pub fn client_secret(app_id: &str) -> Option<(String, String)> {
    let (client, masked) = app_id.split_once('_')?;
    let masked = STANDARD.decode(masked).ok()?;
    if client.is_empty() || masked.len() != SECRET_BYTES {
        return None;
    }
    let secret: Vec<u8> = masked.iter().zip(MASK).map(|(a, b)| a ^ b).collect();
    Some((client.to_owned(), STANDARD.encode(secret)))
}

/// Base64 of the hexadecimal HMAC-SHA256.
pub fn mac(text: &str, key: &str) -> Result<String, Failure> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).map_err(Failure::internal)?;
    mac.update(text.as_bytes());
    Ok(STANDARD.encode(hex::encode(mac.finalize().into_bytes())))
}

/// The path of an address, as it is signed.
fn signed_path(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').map_or("/", |at| &rest[at..]);
    utf8_percent_encode(path, UNRESERVED).to_string()
}

/// The session that the server gave last.
pub type Held = Arc<Mutex<Option<String>>>;

/// Signs calls.
pub struct Signature {
    client_id: String,
    client_secret: String,
    app_id: String,
    app_secret: String,
    app_data: String,
    held: Held,
}

impl Signature {
    /// For a connection.
    pub fn new(config: &KingdeeConfig, held: Held) -> Result<Self, Failure> {
        let (client_id, client_secret) = client_secret(&config.app_id).ok_or_else(|| {
            Failure::new(
                Code::InvalidArgument,
                "SETTINGS_INVALID",
                "settings.app_id: is no id like <client id>_<32 characters>",
            )
        })?;
        Ok(Self {
            client_id,
            client_secret,
            app_id: config.app_id.clone(),
            app_secret: config.app_secret.clone(),
            app_data: format!(
                "{},{},{LANGUAGE},{}",
                config.account, config.user, config.organization
            ),
            held,
        })
    }

    fn headers(&self, url: &str, seconds: i64) -> Result<Vec<(String, String)>, Failure> {
        // The vendor's library uses the time as the nonce too.
        let (time, nonce) = (seconds.to_string(), seconds.to_string());
        let signed = format!(
            "POST\n{}\n\nx-api-nonce:{nonce}\nx-api-timestamp:{time}\n",
            signed_path(url)
        );
        let application = format!("{}{}", self.app_id, self.app_data);
        let mut headers = vec![
            ("x-api-clientid", self.client_id.clone()),
            ("x-api-auth-version", "2.0".to_owned()),
            ("x-api-timestamp", time),
            ("x-api-nonce", nonce),
            (
                "x-api-signheaders",
                "x-api-timestamp,x-api-nonce".to_owned(),
            ),
            ("x-api-signature", mac(&signed, &self.client_secret)?),
            ("x-kd-appkey", self.app_id.clone()),
            ("x-kd-appdata", STANDARD.encode(&self.app_data)),
            ("x-kd-signature", mac(&application, &self.app_secret)?),
        ];
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = &*held {
            headers.extend(session_headers(id));
        }
        Ok(headers
            .into_iter()
            .map(|(n, v)| (n.to_owned(), v))
            .collect())
    }
}

fn session_headers(id: &str) -> [(&'static str, String); 2] {
    [
        (SESSION, id.to_owned()),
        ("cookie", format!("{SESSION}={id}")),
    ]
}

impl Signer for Signature {
    fn sign(&self, request: &Request, now: Timestamp) -> Result<Vec<(String, String)>, PullError> {
        self.headers(request.url(), now.secs())
            .map_err(|f| PullError::new(PullErrorKind::Unauthorized, f))
    }

    fn forget(&self) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// The session that an answer sets.
pub fn session_of(answer: &Response) -> Option<String> {
    let cookies = answer.headers.get_all("set-cookie").iter();
    cookies
        .filter_map(|c| c.to_str().ok())
        .flat_map(|c| c.split([';', ',']))
        .filter_map(|part| part.trim().split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case(SESSION))
        .map(|(_, id)| id.to_owned())
        .filter(|id| !id.is_empty() && id.len() <= 256 && id.bytes().all(|b| b.is_ascii_graphic()))
}

/// Opens sessions.
pub struct Opener {
    http: Http,
    url: String,
    parameters: Value,
}

impl Opener {
    /// For a connection; `http` has no authentication.
    pub fn new(config: &KingdeeConfig, http: Http) -> Self {
        let (service, parameters) = if config.proof == Proof::Password {
            let p = json!([config.account, config.user, config.password, LANGUAGE]);
            (LOGIN_PASSWORD, p)
        } else {
            let p = json!([
                config.account,
                config.user,
                config.app_id,
                config.app_secret,
                LANGUAGE
            ]);
            (LOGIN_SECRET, p)
        };
        Self {
            http,
            url: format!("{}/{service}.common.kdsvc", config.url),
            parameters,
        }
    }
}

#[async_trait]
impl Login for Opener {
    async fn login(&self) -> Result<Session, PullError> {
        let body = json!({
            "format": 1, "useragent": "ApiClient", "rid": "jinke", "v": "1.0",
            "parameters": self.parameters,
        });
        let request = Request::new(Method::POST, &self.url)
            .body(body.to_string())
            .header("content-type", "application/json")
            .map_err(|f| PullError::new(PullErrorKind::Unreadable, f))?;
        let judge = |answer: &Response| match jinke_sdk::http::json(answer) {
            Ok(told) => Verdict::Done((told, session_of(answer))),
            Err(error) => Verdict::Fail(error),
        };
        let (told, cookie) = self.http.call(&request, Safety::Repeatable, judge).await?;
        let Some(result) = told.get("LoginResultType").and_then(Value::as_i64) else {
            return Err(unreadable("the answer to the login has no result"));
        };
        if result != 1 {
            let failure = Failure::new(
                Code::Unauthenticated,
                "FOREIGN_UNAUTHORIZED",
                "the foreign system does not accept the credentials",
            );
            return Err(PullError::new(
                PullErrorKind::Unauthorized,
                failure.with("result", result),
            ));
        }
        let told = told.get("KDSVCSessionId").and_then(Value::as_str);
        let id = cookie.or_else(|| told.map(str::to_owned).filter(|id| !id.is_empty()));
        let id = id.ok_or_else(|| unreadable("the answer to the login has no session"))?;
        Ok(Session {
            headers: session_headers(&id).map(|(n, v)| (n.to_owned(), v)).into(),
            expires: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values made by the vendor's library for the same input (`BuildHeader` at 1700000000).
    #[test]
    fn signatures_are_the_librarys() {
        let app_id = "200000_ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7";
        let config = KingdeeConfig::new(
            "k3",
            "http://127.0.0.1:9/k3cloud",
            "dummyacct0001",
            "webapi",
            app_id,
            "dummyappsec00000000000000000000",
        );
        let signer = Signature::new(&config, Held::default()).expect("an id that can be read");
        let url = "http://127.0.0.1:9/k3cloud/Kingdee.BOS.WebApi.ServicesStub.\
                   DynamicFormService.ExecuteBillQuery.common.kdsvc";
        let headers = signer.headers(url, 1_700_000_000).expect("headers");
        let of = |name: &str| {
            let found = headers.iter().find(|(n, _)| n == name);
            found.map(|(_, v)| v.as_str()).unwrap_or_default()
        };
        assert_eq!(of("x-api-clientid"), "200000");
        assert_eq!(
            of("x-api-signature"),
            "ZTIwMGFmZTI4NjA5YzVjMWQ0OWMwZDE0OGI4OWRlZjcxZGFlNzgyNTcwM2M3YWFmZDg0MmIyOGE4NzMwZWQ4OA=="
        );
        assert_eq!(of("x-kd-appdata"), "ZHVtbXlhY2N0MDAwMSx3ZWJhcGksMjA1Miww");
        assert_eq!(
            of("x-kd-signature"),
            "YzUxMzM1NDRmNmVkMjBjNjZmZmYyYmY0NDliZGRkMjk5MTBmMjI4ZGQxNzgzN2Q2M2M4NDJkZTU5MDRiYzVjMQ=="
        );
    }

    #[test]
    fn an_id_of_another_shape_is_no_id() {
        for id in ["", "200000", "_ZGVm", "200000_ZGVm", "200000_!!!!", "a_b_c"] {
            assert_eq!(client_secret(id), None, "{id}");
        }
    }
}
