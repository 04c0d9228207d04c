//! `LookupCustomers`.
//!
//! A value is found by the keyed hash of its standardized form and compared again after opening,
//! over what the viewer may see.

use jinke_resolution::canonical;
use jinke_types::{Failure, FieldClass, PartyKind, RecordKey, Value, attribute, class_of};

use super::{Api, get_customer};
use crate::{
    access::Viewer,
    convert::{Check, answer, pb, value::record_key},
    domain::CustomerView,
    store::query::search,
};

/// Most customers of an answer.
const MAX_FOUND: usize = 100;
/// Candidates opened together, and chunks of them.
const CHUNK: u32 = 100;
const MAX_CHUNKS: usize = 10;

enum By {
    Record(RecordKey),
    Value(Box<Value>),
}

/// Customers with this record, identifier, phone or email.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::LookupCustomersRequest,
) -> Result<pb::LookupCustomersResponse, Failure> {
    use pb::lookup_customers_request::By as B;
    // Who may look for a class is told before whether the value is well-formed.
    match &request.by {
        Some(B::Phone(_) | B::Email(_)) => viewer.needs(FieldClass::Contact)?,
        Some(B::Identifier(i)) => {
            let open = [PartyKind::Organization, PartyKind::Person]
                .into_iter()
                .any(|kind| {
                    let person = kind == PartyKind::Person;
                    viewer.allows(class_of(attribute::IDENTIFIER, &i.scheme, person))
                });
            if !open {
                viewer.needs(class_of(attribute::IDENTIFIER, &i.scheme, true))?;
            }
        }
        Some(B::Record(_)) | None => {}
    }
    let mut check = Check::new();
    let full = get_customer::full(&mut check, request.view, true);
    let by = match request.by {
        None => check.wrong("by", "one of record, identifier, phone, email is required"),
        Some(B::Record(key)) => record_key(&mut check, "record", Some(key)).map(By::Record),
        Some(B::Identifier(i)) => {
            let scheme = check.word("identifier.scheme", i.scheme, 64, "_-.:");
            if scheme.as_deref() == Some("") {
                check.wrong::<()>("identifier.scheme", "is required");
            }
            let value = required(&mut check, "identifier.value", i.value);
            scheme
                .zip(value)
                .map(|(scheme, text)| By::Value(Box::new(Value::identifier(&scheme, text))))
        }
        Some(B::Phone(phone)) => required(&mut check, "phone", phone)
            .map(|text| By::Value(Box::new(Value::text(attribute::PHONE, text)))),
        Some(B::Email(email)) => required(&mut check, "email", email)
            .map(|text| By::Value(Box::new(Value::text(attribute::EMAIL, text)))),
    };
    let (by, full) = check.finish(by.zip(full))?;
    let views = match by {
        By::Record(key) => by_record(&api, &viewer, &key).await?,
        By::Value(value) => by_value(&api, &viewer, &value).await?,
    };
    let customers = views
        .iter()
        .map(|view| answer::customer(view, &viewer, full))
        .collect();
    Ok(pb::LookupCustomersResponse { customers })
}

fn required(check: &mut Check, field: &str, text: String) -> Option<String> {
    if text.trim().is_empty() {
        return check.wrong(field, "is required");
    }
    check.line(field, text, 200)
}

async fn by_record(
    api: &Api,
    viewer: &Viewer,
    key: &RecordKey,
) -> Result<Vec<CustomerView>, Failure> {
    let holder = {
        let (mut reader, rows) = api.read(viewer).await?;
        search::holder_of(&mut reader, &rows, key).await?
    };
    match holder {
        Some(customer) => api.engine.golden_many(&[customer], &viewer.scope).await,
        None => Ok(Vec::new()),
    }
}

async fn by_value(api: &Api, viewer: &Viewer, value: &Value) -> Result<Vec<CustomerView>, Failure> {
    let tokens = api.lookup_tokens(value);
    let mut out = Vec::new();
    let mut after = 0;
    for _ in 0..MAX_CHUNKS {
        let found = {
            let (mut reader, rows) = api.read(viewer).await?;
            search::holders(&mut reader, &rows, &tokens, after, CHUNK).await?
        };
        let Some(last) = found.last() else { break };
        after = *last;
        let more = found.len() == CHUNK as usize;
        for view in api.engine.golden_many(&found, &viewer.scope).await? {
            if holds(&view, viewer, value) {
                out.push(view);
            }
            if out.len() == MAX_FOUND {
                return Ok(out);
            }
        }
        if !more {
            break;
        }
    }
    Ok(out)
}

/// Whether a visible value of the customer is the one looked for, in standardized form.
fn holds(view: &CustomerView, viewer: &Viewer, wanted: &Value) -> bool {
    let form = canonical(view.kind, wanted);
    let same = |value: &Value| {
        value.attribute == wanted.attribute
            && (value.attribute != attribute::IDENTIFIER || value.scheme == wanted.scheme)
            && viewer.sees(view.kind, value)
            && !form.is_empty()
            && canonical(view.kind, value) == form
    };
    view.values
        .iter()
        .any(|g| same(&g.value) || g.losing.iter().any(|l| same(&l.value)))
}
