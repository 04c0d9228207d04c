//! Departments and members, over the old interfaces.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jinke_sdk::{Department, DirectoryEntry, Member, PullError, http::unreadable};
use serde_json::{Map, Value, json};

use crate::api::{self, Api, NO_DEPARTMENT, NO_MEMBER};

/// At most this many departments are read.
pub const MAX_DEPARTMENTS: usize = 20_000;
/// At most this many members are read.
pub const MAX_MEMBERS: usize = 500_000;
/// A page asks for at most this many members; DingTalk's own limit.
const PAGE: usize = 100;
/// The topmost department of every organization.
const ROOT: i64 = 1;
/// Before a member's id in the name of a single-row pull.
pub const USER: &str = "user:";
/// Before a department's id in the name of a single-row pull.
pub const DEPT: &str = "dept:";

/// Whether a text can be an id of a member, department or row.
pub fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && text
            .bytes()
            .all(|b| (b'!'..=b'~').contains(&b) && b != b'#')
}

/// All departments the app sees, parents before their children.
pub async fn departments(api: &Api) -> Result<Vec<Department>, PullError> {
    let mut sorted = Vec::new();
    let mut seen = BTreeSet::new();
    if let Some(root) = department(api, ROOT).await? {
        seen.insert(ROOT);
        sorted.push(Department {
            parent: None,
            ..root
        });
    }
    let mut ahead = VecDeque::from([ROOT]);
    while let Some(parent) = ahead.pop_front() {
        let body = json!({"dept_id": parent});
        let answer = match api.old("/topapi/v2/department/listsub", &body).await {
            // It went while the round was under way.
            Err(e) if api::errcode(&e) == Some(NO_DEPARTMENT) => continue,
            answer => answer?,
        };
        let mut children: BTreeMap<i64, String> = BTreeMap::new();
        for row in api::list(&answer, "result")? {
            let id = row.get("dept_id").and_then(Value::as_i64);
            let id = id.ok_or_else(|| unreadable("a department has no dept_id"))?;
            let name = row.get("name").and_then(Value::as_str).unwrap_or_default();
            children.insert(id, name.trim().to_owned());
        }
        for (id, name) in children {
            if !seen.insert(id) {
                continue;
            }
            if seen.len() > MAX_DEPARTMENTS {
                return Err(unreadable("there are more departments than can be read"));
            }
            sorted.push(Department {
                external_id: id.to_string(),
                parent: seen.contains(&parent).then(|| parent.to_string()),
                name,
                active: true,
            });
            ahead.push_back(id);
        }
    }
    Ok(sorted)
}

async fn department(api: &Api, id: i64) -> Result<Option<Department>, PullError> {
    let body = json!({"dept_id": id});
    let answer = match api.old("/topapi/v2/department/get", &body).await {
        Err(e) if api::errcode(&e) == Some(NO_DEPARTMENT) => return Ok(None),
        answer => answer?,
    };
    let row = api::result(&answer)?;
    let name = row.get("name").and_then(Value::as_str).unwrap_or_default();
    let parent = row.get("parent_id").and_then(Value::as_i64);
    Ok(Some(Department {
        external_id: id.to_string(),
        parent: parent.filter(|p| *p > 0).map(|p| p.to_string()),
        name: name.trim().to_owned(),
        active: true,
    }))
}

/// All members of some departments. They are read department by department; who moves meanwhile
/// could be in neither, so the ids are listed once more at the end, and a member that only shows
/// there is read by himself.
pub async fn members(
    api: &Api,
    departments: &[Department],
) -> Result<BTreeMap<String, Member>, PullError> {
    let mut members = BTreeMap::new();
    let ids: Vec<i64> = departments
        .iter()
        .filter_map(|d| d.external_id.parse().ok())
        .collect();
    for id in &ids {
        let mut cursor = 0_i64;
        loop {
            let body = json!({"dept_id": id, "cursor": cursor, "size": PAGE});
            let answer = match api.old("/topapi/v2/user/list", &body).await {
                Err(e) if api::errcode(&e) == Some(NO_DEPARTMENT) => break,
                answer => answer?,
            };
            let page = api::result(&answer)?;
            for row in api::list(page, "list")? {
                let row = row.as_object();
                let member = member(row.ok_or_else(|| unreadable("a member is no object"))?)?;
                members.insert(member.external_id.clone(), member);
            }
            if members.len() > MAX_MEMBERS {
                return Err(unreadable("there are more members than can be read"));
            }
            if page.get("has_more").and_then(Value::as_bool) != Some(true) {
                break;
            }
            let next = page.get("next_cursor").and_then(Value::as_i64);
            // A cursor that does not move on would lead round for ever.
            cursor = next
                .filter(|n| *n > cursor)
                .ok_or_else(|| unreadable("the pages of members do not move on"))?;
        }
    }
    for id in &ids {
        let body = json!({"dept_id": id});
        let answer = match api.old("/topapi/user/listid", &body).await {
            Err(e) if api::errcode(&e) == Some(NO_DEPARTMENT) => continue,
            answer => answer?,
        };
        for user in api::list(api::result(&answer)?, "userid_list")? {
            let user = user.as_str().filter(|u| is_id(u));
            let user = user.ok_or_else(|| unreadable("a userid cannot be used"))?;
            if !members.contains_key(user) {
                let member = one_member(api, user).await?;
                if member.active {
                    members.insert(user.to_owned(), member);
                }
            }
        }
    }
    Ok(members)
}

/// One member as he is now; inactive when he is gone.
pub async fn one_member(api: &Api, id: &str) -> Result<Member, PullError> {
    match api.old("/topapi/v2/user/get", &json!({"userid": id})).await {
        Err(e) if api::errcode(&e).is_some_and(|c| NO_MEMBER.contains(&c)) => Ok(Member {
            external_id: id.to_owned(),
            ..Member::default()
        }),
        answer => member(api::result(&answer?)?),
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
    let list = row.get("dept_id_list").and_then(Value::as_array);
    let list = list.ok_or_else(|| unreadable("a member has no list of departments"))?;
    let ids: Option<Vec<i64>> = list.iter().map(Value::as_i64).collect();
    let ids = ids.ok_or_else(|| unreadable("a member's department is no number"))?;
    let email = [text("org_email"), text("email")];
    Ok(Member {
        name: text("name"),
        email: email
            .into_iter()
            .find(|e| !e.is_empty())
            .unwrap_or_default(),
        mobile: text("mobile"),
        departments: ids.iter().map(ToString::to_string).collect(),
        // `active` tells whether he ever logged in to DingTalk. Who is listed is here.
        active: true,
        external_id,
    })
}

/// A pull of one row: `user:<id>` or `dept:<id>`.
pub async fn one(api: &Api, what: &str) -> Result<DirectoryEntry, PullError> {
    if let Some(id) = what.strip_prefix(USER).filter(|id| is_id(id)) {
        return Ok(DirectoryEntry::Member(one_member(api, id).await?));
    }
    let id = what
        .strip_prefix(DEPT)
        .and_then(|id| id.parse::<i64>().ok());
    let id = id.ok_or_else(|| unreadable("a row of the directory is user:<id> or dept:<id>"))?;
    let there = department(api, id).await?;
    Ok(DirectoryEntry::Department(there.unwrap_or_else(|| {
        Department {
            external_id: id.to_string(),
            ..Department::default()
        }
    })))
}
