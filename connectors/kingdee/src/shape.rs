//! What of a stream can be read now, spelled as the tenant spells it.

use std::collections::BTreeMap;

use jinke_sdk::{PullError, drift::Drift};

use crate::{
    api::{Api, Field},
    forms::{Kind, Stream, TIMES},
};

/// What of a stream can be read now, spelled as the tenant spells it.
pub struct Shape {
    /// What each cell of a row is called here.
    pub labels: Vec<String>,
    /// What is asked for, at the same places.
    pub fields: Vec<String>,
    /// The id of a row.
    pub id: String,
    /// The order of rows: by their ids, and those of their entries when there are any.
    pub order: String,
    /// Which rows belong to the stream.
    base: Vec<String>,
    /// The fields that tell whether a contact belongs to a customer.
    pub company: Vec<String>,
    /// Fields that hold times of change.
    pub times: Vec<String>,
    /// What is to be told to people.
    pub notes: Vec<String>,
    /// How the fields differ from those wanted.
    pub drift: Drift,
    /// All fields that are there, with their types.
    pub present: BTreeMap<String, String>,
}

/// The label of an entry's own id.
pub const ENTRY: &str = "entry";

impl Shape {
    /// Reads the form's description and decides what to ask for.
    pub async fn of(api: &Api, stream: &'static Stream) -> Result<Self, PullError> {
        let form = api.form(stream.form).await?;
        let expected = stream.expected();
        // Known fields by our spelling, the others by theirs.
        let ours = |name: &str| {
            stream
                .fields
                .iter()
                .find(|f| f.name.eq_ignore_ascii_case(name))
        };
        let spelled =
            |field: &Field| ours(&field.key).map_or(field.key.clone(), |f| f.name.to_owned());
        let present: BTreeMap<String, String> = form
            .fields
            .values()
            .map(|field| (spelled(field), field.kind.to_owned()))
            .collect();
        let mut drift = Drift::of(&expected, &[], &present);
        // The id of a row is often not among the fields that are described.
        drift.missing.remove(stream.id);
        let theirs = |name: &str| form.spelled(name);
        let told = Drift {
            missing: drift
                .missing
                .iter()
                .filter(|name| !stream.is_optional(name))
                .cloned()
                .collect(),
            ..drift.clone()
        };
        let mut shape = Self {
            labels: Vec::new(),
            fields: Vec::new(),
            id: theirs(stream.id),
            order: String::new(),
            base: stream
                .base
                .iter()
                .map(|(name, what)| format!("{} {what}", theirs(name)))
                .collect(),
            company: ["FCompanyType", "FCompany"]
                .iter()
                .filter(|_| stream.kind == Kind::Contacts)
                .filter(|name| form.fields.contains_key(&name.to_ascii_uppercase()))
                .map(|name| theirs(name))
                .collect(),
            times: TIMES
                .into_iter()
                .filter(|t| ours(t).is_some() && drift.readable(t))
                .map(theirs)
                .collect(),
            notes: told.notes(stream.form),
            drift,
            present,
        };
        shape.order = shape.id.clone();
        for field in stream
            .fields
            .iter()
            .filter(|f| shape.drift.readable(f.name))
        {
            let key = theirs(field.name);
            if field.of.is_empty() {
                shape.labels.push(field.name.to_owned());
                shape.fields.push(key);
                continue;
            }
            for part in field.of {
                shape.labels.push(format!("{}.{part}", field.name));
                shape.fields.push(format!("{key}.{part}"));
            }
        }
        if let Some(entries) = stream.entries
            && let Some(id) = form.entries.get(&entries.to_ascii_uppercase())
        {
            shape.order = format!("{},{id}", shape.id);
            shape.labels.push(ENTRY.to_owned());
            shape.fields.push(id.clone());
        }
        if shape.times.is_empty() {
            shape.notes.push(format!(
                "{}: no field tells when a row changed, so every round reads all rows",
                stream.form
            ));
        }
        Ok(shape)
    }

    /// The condition of the stream with others added.
    pub fn condition(&self, more: impl IntoIterator<Item = String>) -> String {
        let all: Vec<String> = self.base.iter().cloned().chain(more).collect();
        all.join(" and ")
    }
}
