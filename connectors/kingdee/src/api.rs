//! The calls of the WebAPI.
//!
//! Every call is a POST of JSON to `<service>.common.kdsvc`, and every answer has status 200,
//! the errors too. An error is a text that starts with `response_error:`, or a
//! `Result.ResponseStatus` that is not successful, which a query wraps into two lists so that it
//! looks like rows. Its `MsgCode` says what it is; 1 is a lost session and wrong credentials
//! alike, so a call is repeated once with a new session and then given up.

use std::{collections::BTreeMap, sync::Arc};

use jinke_sdk::{
    PullError, PullErrorKind,
    http::{
        Auth, Budget, Http, HttpParts, Method, Request, Response, Safety, Verdict, json, unreadable,
    },
};
use jinke_types::{Code, Failure, OsEntropy, SystemClock};
use serde_json::{Value, json};

use crate::{
    config::{KingdeeConfig, Proof},
    sign::{Held, Opener, Signature, session_of},
};

/// What stands before the name of a call.
pub const SERVICE: &str = "Kingdee.BOS.WebApi.ServicesStub.DynamicFormService";
/// An error that comes as text starts with this.
pub const TEXT_ERROR: &str = "response_error:";
/// `MsgCode` of a session that is lost, and of wrong credentials.
pub const NOT_AUTHENTICATED: i64 = 1;
/// `MsgCode` of a form that is not there.
pub const FORM_UNKNOWN: i64 = 4;
/// So many field names of a refusal are passed on.
const MAX_TOLD: usize = 10;

/// A form as a tenant has it.
#[derive(Clone, Debug, Default)]
pub struct Form {
    /// Fields by their names in capitals.
    pub fields: BTreeMap<String, Field>,
    /// Names of the entry lists, by their names in capitals, with the name of their id.
    pub entries: BTreeMap<String, String>,
}

impl Form {
    /// A field as the tenant spells it; as it is when the tenant does not describe it.
    pub fn spelled(&self, name: &str) -> String {
        let found = self.fields.get(&name.to_ascii_uppercase());
        found.map_or(name.to_owned(), |field| field.key.clone())
    }
}

/// A field as a tenant has it.
#[derive(Clone, Debug)]
pub struct Field {
    /// The name as a query has to write it.
    pub key: String,
    /// The type of its column; blank when it is not told or not known.
    pub kind: &'static str,
}

/// What a bill operation did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operated {
    /// Ids and numbers of the bills it did it to.
    pub bills: Vec<(i64, String)>,
}

/// A query.
#[derive(Clone, Debug)]
pub struct Query<'a> {
    /// The form.
    pub form: &'a str,
    /// What to read, in this order.
    pub fields: &'a [String],
    /// Which rows, in Kingdee's SQL-like words.
    pub filter: String,
    /// In which order.
    pub order: String,
    /// Rows to pass over.
    pub start: usize,
    /// Rows to read at most.
    pub limit: usize,
}

/// A Kingdee server as one user. Cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

struct Inner {
    http: Http,
    url: String,
    held: Option<Held>,
}

impl Api {
    /// For a connection; does no I/O.
    pub fn new(config: &KingdeeConfig) -> Result<Self, Failure> {
        let client = Http::client(&config.url, config.private_network, config.client.clone())?;
        let budget = Arc::new(Budget::new(config.budget));
        let parts = |auth| HttpParts {
            client: client.clone(),
            auth,
            retry: config.retry,
            budget: budget.clone(),
            entropy: Arc::new(OsEntropy),
            clock: Arc::new(SystemClock),
        };
        let held = (config.proof == Proof::Signed).then(Held::default);
        let auth = match &held {
            Some(held) => Auth::Signed(Box::new(Signature::new(config, held.clone())?)),
            None => Auth::session(Opener::new(config, Http::new(parts(Auth::None)))),
        };
        Ok(Self(Arc::new(Inner {
            http: Http::new(parts(auth)),
            url: config.url.clone(),
            held,
        })))
    }

    /// Rows by position, each as long as the list of fields.
    pub async fn rows(&self, query: Query<'_>) -> Result<Vec<Vec<Value>>, PullError> {
        let width = query.fields.len();
        let told = self.ask("ExecuteBillQuery", &query).await?;
        let Value::Array(list) = told else {
            return Err(unreadable("the rows are no list"));
        };
        let row = |value| match value {
            Value::Array(row) if row.len() == width => Ok(row),
            _ => Err(unreadable("a row is not as long as the list of fields")),
        };
        list.into_iter().map(row).collect()
    }

    /// Rows as objects, whose keys are the fields as they were asked for.
    pub async fn objects(
        &self,
        query: Query<'_>,
    ) -> Result<Vec<serde_json::Map<String, Value>>, PullError> {
        let told = self.ask("BillQuery", &query).await?;
        let Value::Array(list) = told else {
            return Err(unreadable("the rows are no list"));
        };
        let row = |value| match value {
            Value::Object(row) => Ok(row),
            _ => Err(unreadable("a row is no object")),
        };
        list.into_iter().map(row).collect()
    }

    async fn ask(&self, name: &str, query: &Query<'_>) -> Result<Value, PullError> {
        let data = json!({
            "FormId": query.form, "FieldKeys": query.fields.join(","),
            "FilterString": query.filter, "OrderString": query.order, "TopRowCount": 0,
            "StartRow": query.start, "Limit": query.limit, "SubSystemId": "",
        });
        self.call(name, &json!({ "data": data }), Safety::Repeatable)
            .await
    }

    /// The fields and entry lists of a form, as this tenant has them.
    pub async fn form(&self, form: &str) -> Result<Form, PullError> {
        let body = json!({"data": {"FormId": form}});
        let told = self
            .call("QueryBusinessInfo", &body, Safety::Repeatable)
            .await?;
        let lists = told
            .pointer("/Result/NeedReturnData/Entrys")
            .and_then(Value::as_array)
            .ok_or_else(|| unreadable(format!("the description of {form} has no lists")))?;
        let mut read = Form::default();
        for list in lists {
            if let Some(key) = list.get("Key").and_then(Value::as_str) {
                let id = list.get("EntryPkFieldName").and_then(Value::as_str);
                let id = id.filter(|id| !id.is_empty()).unwrap_or("FEntryID");
                let name = format!("{key}_{id}");
                read.entries.insert(key.to_ascii_uppercase(), name);
            }
            for field in list
                .get("Fields")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                let Some(key) = field.get("Key").and_then(Value::as_str) else {
                    continue;
                };
                let kind = column_type(field.get("FieldType").and_then(Value::as_i64));
                let field = Field {
                    key: key.to_owned(),
                    kind,
                };
                read.fields.insert(key.to_ascii_uppercase(), field);
            }
        }
        if read.fields.is_empty() {
            return Err(unreadable(format!(
                "the description of {form} has no fields"
            )));
        }
        Ok(read)
    }

    /// Does `operation` to bills of a form. It is not repeated when nobody knows what became
    /// of it.
    pub async fn operate(
        &self,
        operation: &str,
        form: &str,
        data: &Value,
    ) -> Result<Operated, PullError> {
        let body = json!({"formid": form, "data": data});
        let told = self.call(operation, &body, Safety::Once).await?;
        let done = told
            .pointer("/Result/ResponseStatus/SuccessEntitys")
            .and_then(Value::as_array)
            .ok_or_else(|| unreadable("the answer does not tell what was done"))?;
        let bill = |bill: &Value| {
            let id = bill.get("Id").and_then(whole)?;
            let number = bill.get("Number").and_then(Value::as_str);
            Some((id, number.unwrap_or_default().to_owned()))
        };
        Ok(Operated {
            bills: done.iter().filter_map(bill).collect(),
        })
    }

    async fn call(&self, name: &str, body: &Value, safety: Safety) -> Result<Value, PullError> {
        let url = format!("{}/{SERVICE}.{name}.common.kdsvc", self.0.url);
        let request = Request::new(Method::POST, url)
            .body(body.to_string())
            .header("content-type", "application/json")
            .map_err(|f| PullError::new(PullErrorKind::Unreadable, f))?;
        let held = self.0.held.as_ref();
        let judge = |answer: &Response| {
            if let Some(held) = held
                && let Some(id) = session_of(answer)
            {
                let mut held = held
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                *held = Some(id);
            }
            judge(answer)
        };
        self.0.http.call(&request, safety, judge).await
    }
}

/// A whole number that may be written as text.
pub fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(n) => n.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// The type of a column by the number that SQL Server, which Kingdee runs on, gives its types.
/// A number that is none of these is taken on trust.
fn column_type(number: Option<i64>) -> &'static str {
    match number {
        Some(35 | 99 | 167 | 175 | 231 | 239) => "text",
        Some(48 | 52 | 56 | 127) => "integer",
        Some(59 | 60 | 62 | 106 | 108 | 122) => "decimal",
        Some(40 | 42 | 58 | 61) => "time",
        Some(34 | 165 | 173) => "binary",
        _ => "",
    }
}

/// What an answer means.
fn judge(answer: &Response) -> Verdict<Value> {
    if let Some(rest) = answer.body.strip_prefix(TEXT_ERROR.as_bytes()) {
        let told = String::from_utf8_lossy(rest);
        // The texts of a session that is no longer there; they hold nothing of a row.
        return if told.contains("会话信息已丢失") || told.contains("请重新登录") {
            Verdict::Renew
        } else {
            Verdict::Fail(refused(None, &Value::Null))
        };
    }
    let body = match json(answer) {
        Ok(body) => body,
        Err(error) => return Verdict::Fail(error),
    };
    let Some(status) = status(&body) else {
        return Verdict::Done(body);
    };
    if status.get("IsSuccess").and_then(Value::as_bool) == Some(true) {
        return Verdict::Done(body);
    }
    match status.get("MsgCode").and_then(whole) {
        Some(NOT_AUTHENTICATED) => Verdict::Renew,
        code => Verdict::Fail(refused(code, status)),
    }
}

/// The status within an answer; a query's error looks like one row of one cell.
fn status(body: &Value) -> Option<&Value> {
    [
        Some(body),
        body.get(0),
        body.get(0).and_then(|row| row.get(0)),
    ]
    .into_iter()
    .flatten()
    .find_map(|place| place.get("Result")?.get("ResponseStatus"))
}

/// A refusal. Its message may hold values of rows, so only the code and the names of fields are
/// passed on, and only when they look like names.
fn refused(code: Option<i64>, status: &Value) -> PullError {
    let mut failure = Failure::new(
        Code::FailedPrecondition,
        "FOREIGN_REFUSED",
        "Kingdee answers the request with an error",
    );
    if let Some(code) = code {
        failure = failure.with("msg_code", code);
    }
    let errors = status.get("Errors").and_then(Value::as_array);
    let names: Vec<&str> = errors
        .into_iter()
        .flatten()
        .filter_map(|e| e.get("FieldName")?.as_str())
        .filter(|name| crate::config::is_field_name(name))
        .take(MAX_TOLD)
        .collect();
    if !names.is_empty() {
        failure = failure.with("fields", names.join(","));
    }
    PullError::new(PullErrorKind::Unreadable, failure)
}

/// Whether a refusal says that the form is not there.
pub fn is_unknown_form(failure: &Failure) -> bool {
    let code = FORM_UNKNOWN.to_string();
    failure
        .metadata
        .iter()
        .any(|(k, v)| k == "msg_code" && **v == code)
}
