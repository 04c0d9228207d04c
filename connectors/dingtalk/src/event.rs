//! What an event means, however it came.

use jinke_sdk::{CallbackEvent, Department, DirectoryEntry, Member, directory::DIRECTORY};
use serde_json::{Map, Value};

use crate::directory::{DEPT, USER, is_id};

/// One event names at most this many members or departments that are looked at.
const MAX_NAMED: usize = 500;

/// The event of a type with its data. `key` is by what a repeated one is recognised.
pub fn event(key: String, kind: &str, data: &Map<String, Value>) -> CallbackEvent {
    let mut event = CallbackEvent {
        key,
        topic: topic(kind),
        ..CallbackEvent::default()
    };
    // Over HTTP the names are `UserId` and `DeptId`, over Stream mode `userId` and `deptId`.
    let users = || ids(data, ["userId", "UserId"]);
    let departments = || ids(data, ["deptId", "DeptId"]);
    match kind {
        "user_add_org" | "user_modify_org" | "user_active_org" => {
            event.pull = users()
                .map(|id| format!("{DIRECTORY}/{USER}{id}"))
                .collect();
        }
        "user_leave_org" => {
            let leaver = |external_id| {
                DirectoryEntry::Member(Member {
                    external_id,
                    ..Member::default()
                })
            };
            event.directory = users().map(leaver).collect();
        }
        "org_dept_create" | "org_dept_modify" => {
            let pull = |id| format!("{DIRECTORY}/{DEPT}{id}");
            event.pull = departments().map(pull).collect();
        }
        "org_dept_remove" => {
            let gone = |external_id| {
                DirectoryEntry::Department(Department {
                    external_id,
                    ..Department::default()
                })
            };
            event.directory = departments().map(gone).collect();
        }
        _ if kind.starts_with("crm_") => {
            event.pull = ["customers", "personal_customers", "contacts"]
                .map(str::to_owned)
                .into();
        }
        _ => {}
    }
    event
}

/// Ids under one of two names: a list, or one alone; texts or numbers.
fn ids(data: &Map<String, Value>, names: [&str; 2]) -> impl Iterator<Item = String> {
    let value = names.iter().find_map(|name| data.get(*name));
    let list = match value {
        Some(Value::Array(list)) => list.clone(),
        Some(one) => vec![one.clone()],
        None => Vec::new(),
    };
    list.into_iter()
        .take(MAX_NAMED)
        .filter_map(|id| match id {
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
        .filter(|id| is_id(id))
}

/// The type as a word that may be shown.
fn topic(kind: &str) -> String {
    let fits = !kind.is_empty()
        && kind.len() <= 64
        && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if fits {
        kind.to_owned()
    } else {
        "unknown".to_owned()
    }
}
