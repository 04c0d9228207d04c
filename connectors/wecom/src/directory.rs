//! Departments and members.

use std::collections::BTreeMap;

use jinke_sdk::{Department, DirectoryEntry, Member, PullError, http::unreadable};
use serde_json::{Map, Value};

use crate::{
    api::{self, Api, NO_DEPARTMENT, NO_MEMBER, NO_PARTY},
    round::is_id,
};

/// At most this many departments are read.
pub const MAX_DEPARTMENTS: usize = 20_000;
/// Before a member's id in the name of a single-row pull.
pub const USER: &str = "user:";
/// Before a department's id in the name of a single-row pull.
pub const PARTY: &str = "party:";

/// All departments the app sees, parents before their children.
pub async fn departments(api: &Api) -> Result<Vec<Department>, PullError> {
    let answer = api.get("department/list", &[]).await?;
    let rows = api::list(&answer, "department")?;
    if rows.len() > MAX_DEPARTMENTS {
        return Err(unreadable("there are more departments than can be read"));
    }
    let mut by_id: BTreeMap<i64, (i64, String)> = BTreeMap::new();
    for row in rows {
        let (id, parent, name) = department(row)?;
        by_id.insert(id, (parent, name));
    }
    let mut children: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for (id, (parent, _)) in &by_id {
        // The topmost that the app sees may not be the root.
        let above = if by_id.contains_key(parent) && parent != id {
            *parent
        } else {
            0
        };
        children.entry(above).or_default().push(*id);
    }
    let mut sorted = Vec::new();
    let mut level = children.remove(&0).unwrap_or_default();
    while !level.is_empty() {
        let mut next = Vec::new();
        for id in level {
            if let Some((parent, name)) = by_id.get(&id) {
                let seen = by_id.contains_key(parent) && *parent != id;
                sorted.push(Department {
                    external_id: id.to_string(),
                    parent: seen.then(|| parent.to_string()),
                    name: name.clone(),
                    active: true,
                });
            }
            next.extend(children.remove(&id).unwrap_or_default());
        }
        level = next;
    }
    if !children.is_empty() {
        return Err(unreadable("departments lie below each other in a circle"));
    }
    Ok(sorted)
}

fn department(row: &Value) -> Result<(i64, i64, String), PullError> {
    let id = row.get("id").and_then(Value::as_i64).filter(|id| *id > 0);
    let id = id.ok_or_else(|| unreadable("a department has no id"))?;
    let parent = row.get("parentid").and_then(Value::as_i64).unwrap_or(0);
    let name = row.get("name").and_then(Value::as_str).unwrap_or_default();
    Ok((id, parent, name.trim().to_owned()))
}

/// One department as it is now.
pub async fn one_department(api: &Api, id: &str) -> Result<Department, PullError> {
    let gone = Department {
        external_id: id.to_owned(),
        ..Department::default()
    };
    match api.get("department/get", &[("id", id)]).await {
        Err(e) if matches!(api::errcode(&e), Some(NO_DEPARTMENT | NO_PARTY)) => Ok(gone),
        answer => {
            let answer = answer?;
            let row = answer.get("department");
            let row = row.ok_or_else(|| unreadable("the answer has no department"))?;
            let (_, parent, name) = department(row)?;
            Ok(Department {
                parent: (parent > 0).then(|| parent.to_string()),
                name,
                active: true,
                ..gone
            })
        }
    }
}

/// The members of a department and of all below it.
pub async fn members(api: &Api, department: &str) -> Result<Vec<Member>, PullError> {
    let query = [("department_id", department), ("fetch_child", "1")];
    let answer = api.get("user/list", &query).await?;
    let rows = api::list(&answer, "userlist")?;
    let object = |row: &Value| match row.as_object() {
        Some(row) => member(row),
        None => Err(unreadable("a member is no object")),
    };
    rows.iter().map(object).collect()
}

/// One member as he is now; inactive when he is gone.
pub async fn one_member(api: &Api, id: &str) -> Result<Member, PullError> {
    match api.get("user/get", &[("userid", id)]).await {
        Err(e) if api::errcode(&e) == Some(NO_MEMBER) => Ok(Member {
            external_id: id.to_owned(),
            ..Member::default()
        }),
        answer => member(&answer?),
    }
}

fn member(row: &Map<String, Value>) -> Result<Member, PullError> {
    let text = |key: &str| {
        let text = row.get(key).and_then(Value::as_str).unwrap_or_default();
        text.trim().to_owned()
    };
    let external_id = text("userid");
    if !is_id(&external_id) {
        return Err(unreadable("a member has no userid that can be used"));
    }
    let list = row.get("department").and_then(Value::as_array);
    let list = list.ok_or_else(|| unreadable("a member has no list of departments"))?;
    let main = row.get("main_department").and_then(Value::as_i64);
    let mut ids: Vec<i64> = main.into_iter().collect();
    for id in list {
        let id = id.as_i64();
        let id = id.ok_or_else(|| unreadable("a member's department is no number"))?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    // status: 1 active, 2 disabled, 4 not yet activated, 5 left.
    let status = row.get("status").and_then(Value::as_i64).unwrap_or(1);
    let enabled = row.get("enable").and_then(Value::as_i64).unwrap_or(1);
    let email = [text("biz_mail"), text("email")];
    Ok(Member {
        name: text("name"),
        email: email
            .into_iter()
            .find(|e| !e.is_empty())
            .unwrap_or_default(),
        mobile: text("mobile"),
        departments: ids.iter().map(ToString::to_string).collect(),
        active: enabled != 0 && !matches!(status, 2 | 5),
        external_id,
    })
}

/// A pull of one row: `user:<id>` or `party:<id>`.
pub async fn one(api: &Api, what: &str) -> Result<DirectoryEntry, PullError> {
    let (user, party) = (what.strip_prefix(USER), what.strip_prefix(PARTY));
    match (user, party) {
        (Some(id), _) if is_id(id) => Ok(DirectoryEntry::Member(one_member(api, id).await?)),
        (_, Some(id)) if is_id(id) => {
            Ok(DirectoryEntry::Department(one_department(api, id).await?))
        }
        _ => Err(unreadable(
            "a row of the directory is user:<id> or party:<id>",
        )),
    }
}
