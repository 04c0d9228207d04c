//! Gathering contacts: all of them, one, or only their ids.

use std::collections::{BTreeMap, BTreeSet};

use jinke_sdk::{
    PullError, PullErrorKind,
    http::{Safety, unreadable},
    paging::LinkPages,
    sweep,
};
use jinke_types::{Code, Failure};
use serde_json::{Value, json};

use crate::{
    api::{self, Api, NO_CONTACT, NO_MEMBER},
    contacts::{Contact, Shape, Tags},
};

/// A round holds at most this many contacts, about a kilobyte each, because WeCom tells of a
/// contact in as many places as members follow it.
pub const MAX_CONTACTS: usize = 500_000;
/// An id is at most this many bytes.
pub const MAX_ID: usize = 128;

/// What a round gathered.
#[derive(Debug, Default)]
pub struct Gathered {
    /// By external user id.
    pub contacts: BTreeMap<String, Contact>,
    /// What the rows looked like.
    pub shape: Shape,
}

/// All contacts, or those of the first page of the first member who has some.
pub async fn gather(api: &Api, page_rows: usize, first_only: bool) -> Result<Gathered, PullError> {
    let tags = tags(api).await?;
    let mut gathered = Gathered::default();
    for user in members(api).await? {
        let mut pages = LinkPages::new(None);
        while let Some(cursor) = pages.next() {
            let body = json!({
                // Older and newer name of the same; the one that is not known is passed over.
                "userid": user,
                "userid_list": [user],
                "cursor": cursor.unwrap_or_default(),
                "limit": page_rows,
            });
            let path = "externalcontact/batch/get_by_user";
            let answer = match api.post(path, &body, Safety::Repeatable).await {
                Err(e) if has_none(&e) => break,
                answer => answer?,
            };
            for row in api::list(&answer, "external_contact_list")? {
                // Ids of members are the same in any case.
                let of = row.pointer("/follow_info/userid").and_then(Value::as_str);
                if of.is_some_and(|of| !of.eq_ignore_ascii_case(&user)) {
                    return Err(unreadable(
                        "contacts of another member came than were asked for",
                    ));
                }
                gathered.take(row, &tags)?;
            }
            if gathered.contacts.len() > MAX_CONTACTS {
                return Err(too_many());
            }
            let next = answer.get("next_cursor").and_then(Value::as_str);
            pages.got(next.map(str::to_owned))?;
            if first_only && !gathered.contacts.is_empty() {
                return Ok(gathered);
            }
        }
    }
    Ok(gathered)
}

impl Gathered {
    fn take(&mut self, row: &Value, tags: &Tags) -> Result<(), PullError> {
        let of = |key: &str| row.get(key).and_then(Value::as_object);
        let (Some(contact), Some(follow)) = (of("external_contact"), of("follow_info")) else {
            return Err(unreadable(
                "a contact is no pair of contact and follow info",
            ));
        };
        let id = id(contact.get("external_userid"))?;
        let entry = self.contacts.entry(id).or_default();
        entry.read(contact, &mut self.shape);
        entry.follow(follow, tags, &mut self.shape);
        Ok(())
    }
}

/// One contact as it is now; `None` when nobody follows it.
pub async fn one(api: &Api, id: &str) -> Result<Option<(Contact, Shape)>, PullError> {
    let tags = tags(api).await?;
    let mut contact = Contact::default();
    let mut shape = Shape::default();
    let mut pages = LinkPages::new(None);
    while let Some(cursor) = pages.next() {
        let mut query = vec![("external_userid", id)];
        query.extend(cursor.map(|c| ("cursor", c)));
        let answer = match api.get("externalcontact/get", &query).await {
            Err(e) if api::errcode(&e) == Some(NO_CONTACT) => return Ok(None),
            answer => answer?,
        };
        let row = answer.get("external_contact").and_then(Value::as_object);
        let row = row.ok_or_else(|| unreadable("the answer has no contact"))?;
        contact.read(row, &mut shape);
        for follow in api::list(&answer, "follow_user")? {
            let follow = follow.as_object();
            let follow = follow.ok_or_else(|| unreadable("a follow info is no object"))?;
            contact.follow(follow, &tags, &mut shape);
        }
        let next = answer.get("next_cursor").and_then(Value::as_str);
        pages.got(next.map(str::to_owned))?;
    }
    Ok(contact.is_followed().then_some((contact, shape)))
}

/// Whether anybody follows a contact.
pub async fn is_there(api: &Api, id: &str) -> Result<bool, PullError> {
    match api
        .get("externalcontact/get", &[("external_userid", id)])
        .await
    {
        Err(e) if api::errcode(&e) == Some(NO_CONTACT) => Ok(false),
        answer => answer.map(|_| true),
    }
}

/// Ids of all contacts.
pub async fn ids(api: &Api) -> Result<BTreeSet<String>, PullError> {
    let mut ids = BTreeSet::new();
    for user in members(api).await? {
        match api.get("externalcontact/list", &[("userid", &user)]).await {
            Err(e) if has_none(&e) => {}
            answer => {
                for id in api::list(&answer?, "external_userid")? {
                    ids.insert(self::id(Some(id))?);
                }
            }
        }
        sweep::bounded(&ids)?;
    }
    Ok(ids)
}

/// The members who may have external contacts, in the order of their ids.
async fn members(api: &Api) -> Result<Vec<String>, PullError> {
    let answer = api.get("externalcontact/get_follow_user_list", &[]).await?;
    let mut users = api::texts(&answer, "follow_user")?;
    users.sort();
    users.dedup();
    Ok(users)
}

/// Names of the corp tags.
async fn tags(api: &Api) -> Result<Tags, PullError> {
    let path = "externalcontact/get_corp_tag_list";
    let answer = api.post(path, &json!({}), Safety::Repeatable).await?;
    let mut tags = Tags::new();
    for group in api::list(&answer, "tag_group")? {
        let list = group.get("tag").and_then(Value::as_array);
        for tag in list.ok_or_else(|| unreadable("a group of tags has no list"))? {
            if let (Some(id), Some(name)) = (tag["id"].as_str(), tag["name"].as_str()) {
                tags.insert(id.to_owned(), name.trim().to_owned());
            }
        }
    }
    Ok(tags)
}

/// The member has no contacts, or is no member any more.
fn has_none(error: &PullError) -> bool {
    matches!(api::errcode(error), Some(api::NO_CONTACTS | NO_MEMBER))
}

fn id(value: Option<&Value>) -> Result<String, PullError> {
    let id = value.and_then(Value::as_str);
    id.filter(|id| is_id(id))
        .map(str::to_owned)
        .ok_or_else(|| unreadable("a contact has no external_userid that can be used"))
}

/// Whether a text can be an id of a contact, member or department.
pub fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_ID
        && text
            .bytes()
            .all(|b| (b'!'..=b'~').contains(&b) && b != b'#')
}

fn too_many() -> PullError {
    PullError::new(
        PullErrorKind::Unreadable,
        Failure::new(
            Code::ResourceExhausted,
            "SWEEP_TOO_LARGE",
            "the stream has more records than a round holds",
        )
        .with("limit", MAX_CONTACTS),
    )
}
