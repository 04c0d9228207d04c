//! Leads.

use super::{
    Check,
    check::Paths,
    number::{money_out, optional_time, positive_money, time_out},
    pb,
};
use crate::{
    domain::{FirstTouch, Lead, LeadPrivate, LeadRow, Stated, etag},
    engine::{
        ingest::{Arrived, Taken},
        leads::{LeadUpdate, NewLead},
    },
};

/// Fields an update may name.
pub const FIELDS: &[&str] = &[
    "company",
    "person_name",
    "phones",
    "emails",
    "uscc",
    "region",
    "title",
    "interest",
    "remark",
    "estimate",
    "org_unit",
    "customer",
];
/// Those of them an empty mask names.
pub const ALL: &[&str] = &[
    "company",
    "person_name",
    "phones",
    "emails",
    "uscc",
    "region",
    "title",
    "interest",
    "remark",
    "estimate",
];

fn contacts(check: &mut Check, field: &str, list: Vec<String>) -> Option<Vec<String>> {
    if list.len() > 5 {
        return check.wrong(field, "are more than 5");
    }
    let mut out = Vec::new();
    for (i, one) in list.into_iter().enumerate() {
        out.push(check.required(&format!("{field}[{i}]"), one, 200)?);
    }
    Some(out)
}

/// Where something came from first.
pub fn touch(check: &mut Check, path: &str, touch: Option<pb::FirstTouch>) -> Option<FirstTouch> {
    let t = touch.unwrap_or_default();
    let channel = check.line(&format!("{path}.channel"), t.channel, 63);
    let campaign = check.line(&format!("{path}.campaign"), t.campaign, 200);
    let time = optional_time(check, &format!("{path}.touch_time"), t.touch_time);
    Some(FirstTouch {
        channel: channel?,
        campaign: campaign?,
        time: time?,
    })
}

/// A lead that comes in. `path` is empty, or ends with a dot.
pub fn new_lead(check: &mut Check, path: &str, l: pb::Lead) -> Option<NewLead> {
    let at = |field: &str| format!("{path}{field}");
    let company = check.line(&at("company"), l.company, 200);
    let person_name = check.line(&at("person_name"), l.person_name, 100);
    let both_empty = company.as_deref() == Some("") && person_name.as_deref() == Some("");
    if both_empty {
        check.wrong::<()>(at("company"), "or person_name is required");
    }
    let private = LeadPrivate {
        person_name: person_name?,
        phones: contacts(check, &at("phones"), l.phones)?,
        emails: contacts(check, &at("emails"), l.emails)?,
        title: check.line(&at("title"), l.title, 100)?,
        interest: check.text(&at("interest"), l.interest, 2_000)?,
        remark: check.text(&at("remark"), l.remark, 4_000)?,
        comment: String::new(),
    };
    let uscc = check.line(&at("uscc"), l.uscc, 50);
    let region = check.line(&at("region"), l.region, 100);
    let estimate = positive_money(check, &at("estimate"), l.estimate.as_ref());
    let touch = touch(check, &at("first_touch"), l.first_touch);
    let foreign = check.foreign(path, &l.source, &l.external_id);
    let customer = check.optional_number(&at("customer"), &l.customer, "customers");
    let owner = check.member(&at("owner"), &l.owner, true);
    let org_unit = check.org_unit(&at("org_unit"), &l.org_unit);
    Some(NewLead {
        lead: Lead {
            company: company?,
            uscc: uscc?,
            region: region?,
            touch: touch?,
            foreign: foreign?,
            customer: customer?,
            estimate: estimate?,
            private: Some(private),
            ..Lead::default()
        },
        owner: owner?,
        org_unit: org_unit?,
        row: None,
    })
}

/// A row that a connector brings.
pub fn lead_row(check: &mut Check, row: pb::LeadRow) -> Option<Arrived> {
    let (l, deleted) = (row.lead.unwrap_or_default(), row.deleted);
    for (field, found) in [("lead.owner", &l.owner), ("lead.customer", &l.customer)] {
        if !found.is_empty() {
            check.wrong::<()>(field, "is found out, and not stated by a row");
        }
    }
    if l.source.is_empty() && l.external_id.is_empty() {
        return check.wrong("lead.external_id", "is required");
    }
    let time = optional_time(check, "source_update_time", row.source_update_time);
    // Of a deletion only the key counts: its source may have forgotten all else.
    let new = if deleted {
        let foreign = check.foreign("lead.", &l.source, &l.external_id);
        NewLead {
            lead: Lead {
                foreign: foreign?,
                ..Lead::default()
            },
            ..NewLead::default()
        }
    } else {
        new_lead(check, "lead.", l)?
    };
    let row = LeadRow {
        revision: row.source_revision,
        time: time?,
        stated: Stated::of(&new.lead),
    };
    Some(Arrived { new, row, deleted })
}

/// What became of a row, on its way out.
pub const fn outcome(taken: &Taken) -> pb::ingest_leads_response::Outcome {
    use pb::ingest_leads_response::Outcome;
    match taken {
        Taken::Created(_) => Outcome::Created,
        Taken::Updated(_) => Outcome::Updated,
        Taken::Unchanged(_) => Outcome::Unchanged,
        Taken::Superseded(_) => Outcome::Superseded,
    }
}

/// What an update says. The customer is left to the handler, which asks who holds it.
pub fn update(check: &mut Check, paths: &Paths, l: &pb::Lead) -> Option<LeadUpdate> {
    let mut u = LeadUpdate::default();
    let mut line = |field: &'static str, text: &str, max: usize| {
        let at = format!("lead.{field}");
        paths.when(field, || check.line(&at, text.to_owned(), max))
    };
    u.company = line("company", &l.company, 200)?;
    u.person_name = line("person_name", &l.person_name, 100)?;
    u.uscc = line("uscc", &l.uscc, 50)?;
    u.region = line("region", &l.region, 100)?;
    u.title = line("title", &l.title, 100)?;
    u.interest = paths.when("interest", || {
        check.text("lead.interest", l.interest.clone(), 2_000)
    })?;
    u.remark = paths.when("remark", || {
        check.text("lead.remark", l.remark.clone(), 4_000)
    })?;
    u.phones = paths.when("phones", || {
        contacts(check, "lead.phones", l.phones.clone())
    })?;
    u.emails = paths.when("emails", || {
        contacts(check, "lead.emails", l.emails.clone())
    })?;
    u.estimate = paths.when("estimate", || {
        positive_money(check, "lead.estimate", l.estimate.as_ref())
    })?;
    u.org_unit = paths.when("org_unit", || check.org_unit("lead.org_unit", &l.org_unit))?;
    Some(u)
}

fn touch_out(t: &FirstTouch) -> pb::FirstTouch {
    pb::FirstTouch {
        channel: t.channel.clone(),
        campaign: t.campaign.clone(),
        touch_time: t.time.map(time_out),
    }
}

/// A first touch on its way out; none when nothing is known of it.
pub fn first_touch_out(t: &FirstTouch) -> Option<pb::FirstTouch> {
    (*t != FirstTouch::default()).then(|| touch_out(t))
}

fn name(collection: &str, id: Option<i64>) -> String {
    id.map(|id| format!("{collection}/{id}"))
        .unwrap_or_default()
}

/// A lead on its way out.
pub fn lead_out(l: &Lead) -> pb::Lead {
    let private = l.private.clone().unwrap_or_default();
    let (source, external_id) = l.foreign.clone().unzip();
    let number = |n: i64| i32::try_from(n).unwrap_or_default();
    pb::Lead {
        name: name("leads", Some(l.id).filter(|id| *id > 0)),
        uid: if l.id > 0 {
            format!("lead-{}", l.id)
        } else {
            String::new()
        },
        company: l.company.clone(),
        person_name: private.person_name,
        phones: private.phones,
        emails: private.emails,
        uscc: l.uscc.clone(),
        region: l.region.clone(),
        title: private.title,
        interest: private.interest,
        remark: private.remark,
        estimate: l.estimate.as_ref().map(money_out),
        first_touch: first_touch_out(&l.touch),
        source: source.map(|s| format!("sources/{s}")).unwrap_or_default(),
        external_id: external_id.unwrap_or_default(),
        state: number(l.state),
        owner: l.owner.clone(),
        org_unit: l.org_unit.clone(),
        assignment: (l.assign_cause > 0).then(|| pb::lead::Assignment {
            cause: number(l.assign_cause),
            rule: if l.assign_rule.is_empty() {
                String::new()
            } else {
                format!("assignmentRules/{}", l.assign_rule)
            },
            assign_time: Some(time_out(l.assign_time)),
            actor: l.assign_actor.clone(),
        }),
        match_result: number(l.match_result),
        customer: name("customers", l.customer),
        current_customer: name("customers", l.current),
        candidates: l
            .candidates
            .iter()
            .map(|(id, score)| pb::lead::Candidate {
                customer: format!("customers/{id}"),
                score: *score,
            })
            .collect(),
        opportunity: name("opportunities", l.opportunity),
        disqualify_reason: l.reason.clone(),
        disqualify_comment: private.comment,
        etag: if l.revision > 0 {
            etag(l.revision)
        } else {
            String::new()
        },
        revision: l.revision,
        creator: l.creator.clone(),
        create_time: (l.id > 0).then(|| time_out(l.create_time)),
        update_time: (l.id > 0).then(|| time_out(l.update_time)),
        state_time: (l.id > 0).then(|| time_out(l.state_time)),
        erase_time: l.erase_time.map(time_out),
        hidden_classes: Vec::new(),
    }
}
