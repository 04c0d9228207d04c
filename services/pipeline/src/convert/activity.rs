//! Activities.

use jinke_types::Timestamp;

use super::{
    Check,
    number::{duration, duration_out, optional_time, time_out},
    pb,
};
use crate::{
    domain::{Activity, ActivityPrivate, etag},
    engine::activities::Amendment,
};

/// What an activity says, without what it belongs to.
fn content(check: &mut Check, a: &pb::Activity) -> Option<Amendment> {
    let time = optional_time(check, "activity.activity_time", a.activity_time);
    let duration = duration(check, "activity.duration", a.duration);
    let channel = check.line("activity.channel", a.channel.clone(), 63);
    let subject = check.line("activity.subject", a.subject.clone(), 200);
    let text = check.text("activity.text", a.text.clone(), 20_000);
    Some(Amendment {
        time: time?,
        duration: duration?.unwrap_or_default(),
        channel: channel?,
        inbound: a.inbound,
        private: ActivityPrivate {
            subject: subject?,
            text: text?,
        },
    })
}

/// A new activity.
pub fn new_activity(check: &mut Check, a: &pb::Activity) -> Option<Activity> {
    let kind = check.choice::<pb::activity::Kind>("activity.kind", a.kind, None);
    let customer = check.optional_number("activity.customer", &a.customer, "customers");
    let opportunity =
        check.optional_number("activity.opportunity", &a.opportunity, "opportunities");
    let lead = check.optional_number("activity.lead", &a.lead, "leads");
    let content = content(check, a);
    let owner = check.member("activity.owner", &a.owner, true);
    let org_unit = check.org_unit("activity.org_unit", &a.org_unit);
    let foreign = check.foreign("activity.", &a.source, &a.external_id);
    let (customer, opportunity, lead, content) = (customer?, opportunity?, lead?, content?);
    if customer.is_none() && opportunity.is_none() && lead.is_none() {
        return check.wrong("activity.customer", "or opportunity or lead is required");
    }
    Some(Activity {
        kind: kind?,
        customer,
        opportunity,
        lead,
        time: content.time.unwrap_or_default(),
        duration: content.duration,
        channel: content.channel,
        inbound: content.inbound,
        owner: owner?,
        org_unit: org_unit?,
        foreign: foreign?,
        private: content.private,
        ..Activity::default()
    })
}

/// An amendment.
pub fn amendment(check: &mut Check, a: &pb::Activity) -> Option<Amendment> {
    content(check, a)
}

/// An activity on its way out.
pub fn activity_out(a: &Activity) -> pb::Activity {
    let name = |collection: &str, id: Option<i64>| {
        id.map(|id| format!("{collection}/{id}"))
            .unwrap_or_default()
    };
    let time = |t: Timestamp| Some(time_out(t));
    let (source, external_id) = a.foreign.clone().unzip();
    pb::Activity {
        name: format!("activities/{}", a.id),
        uid: format!("activity-{}", a.id),
        kind: i32::try_from(a.kind).unwrap_or_default(),
        customer: name("customers", a.customer),
        current_customer: name("customers", a.current),
        opportunity: name("opportunities", a.opportunity),
        lead: name("leads", a.lead),
        activity_time: time(a.time),
        duration: (a.duration > 0).then(|| duration_out(a.duration)),
        channel: a.channel.clone(),
        inbound: a.inbound,
        subject: a.private.subject.clone(),
        text: a.private.text.clone(),
        owner: a.owner.clone(),
        org_unit: a.org_unit.clone(),
        source: source.map(|s| format!("sources/{s}")).unwrap_or_default(),
        external_id: external_id.unwrap_or_default(),
        version: a.version,
        retracted: a.retracted,
        creator: a.creator.clone(),
        create_time: time(a.create_time),
        etag: etag(a.newest),
        hidden_classes: Vec::new(),
        erase_time: a.erase_time.map(time_out),
    }
}
