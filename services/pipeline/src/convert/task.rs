//! Tasks and firings.

use jinke_types::Timestamp;

use super::{
    Check,
    check::Paths,
    number::{duration, duration_out, optional_time, time, time_out},
    pb,
};
use crate::{
    domain::{Escalation, Firing, Recurrence, Task, TaskPrivate, etag, fired, task_state},
    engine::tasks::TaskUpdate,
};

/// Fields an update may name; an empty mask names all.
pub const FIELDS: &[&str] = &[
    "subject",
    "text",
    "due_time",
    "remind_before",
    "recurrence",
    "escalations",
    "priority",
];

fn recurrence(check: &mut Check, r: Option<&pb::task::Recurrence>) -> Option<Option<Recurrence>> {
    use pb::task::recurrence::Frequency;
    let Some(r) = r else { return Some(None) };
    let at = |field: &str| format!("task.recurrence.{field}");
    let frequency = check.choice::<Frequency>(&at("frequency"), r.frequency, None);
    if !(0..=1_000).contains(&r.interval) {
        check.wrong::<()>(at("interval"), "is not between 0 and 1,000");
    }
    if !(0..=10_000).contains(&r.count) {
        check.wrong::<()>(at("count"), "is not between 0 and 10,000");
    }
    let offset = r.utc_offset_minutes.unwrap_or(480);
    if !(-840..=840).contains(&offset) {
        check.wrong::<()>(at("utc_offset_minutes"), "is not between -840 and 840");
    }
    let until = optional_time(check, &at("until_time"), r.until_time);
    Some(Some(Recurrence {
        frequency: frequency?,
        interval: u32::try_from(r.interval).ok()?.max(1),
        count: i64::from(r.count),
        until: until?,
        offset,
    }))
}

fn escalations(check: &mut Check, list: &[pb::task::Escalation]) -> Option<Vec<Escalation>> {
    let field = "task.escalations";
    if list.len() > 5 {
        return check.wrong(field, "are more than 5");
    }
    let mut out: Vec<Escalation> = Vec::new();
    for (i, e) in list.iter().enumerate() {
        let at = format!("{field}[{i}]");
        let after = duration(check, &format!("{at}.after"), e.after)?.unwrap_or_default();
        let to = check.member(&format!("{at}.to"), &e.to, false)?;
        if out.last().is_some_and(|last| after <= last.after) {
            return check.wrong(format!("{at}.after"), "is not later than the one before");
        }
        out.push(Escalation {
            after,
            to,
            reassign: e.reassign,
        });
    }
    Some(out)
}

/// A new task.
pub fn new_task(check: &mut Check, t: &pb::Task) -> Option<Task> {
    let kind = check.choice::<pb::task::Kind>("task.kind", t.kind, Some(1));
    let priority = check.choice::<pb::task::Priority>("task.priority", t.priority, Some(2));
    let subject = check.required("task.subject", t.subject.clone(), 200);
    let text = check.text("task.text", t.text.clone(), 4_000);
    let customer = check.optional_number("task.customer", &t.customer, "customers");
    let opportunity = check.optional_number("task.opportunity", &t.opportunity, "opportunities");
    let lead = check.optional_number("task.lead", &t.lead, "leads");
    let owner = check.member("task.owner", &t.owner, true);
    let org_unit = check.org_unit("task.org_unit", &t.org_unit);
    let due_time = time(check, "task.due_time", t.due_time);
    let remind = duration(check, "task.remind_before", t.remind_before);
    let recurrence = recurrence(check, t.recurrence.as_ref());
    let escalations = escalations(check, &t.escalations);
    let origin = check.line("task.origin", t.origin.clone(), 200);
    Some(Task {
        kind: kind?,
        priority: priority?,
        customer: customer?,
        opportunity: opportunity?,
        lead: lead?,
        owner: owner?,
        org_unit: org_unit?,
        due_time: due_time?,
        remind_before: remind?.unwrap_or_default(),
        recurrence: recurrence?,
        escalations: escalations?,
        origin: Some(origin?).filter(|o| !o.is_empty()),
        private: TaskPrivate {
            subject: subject?,
            text: text?,
            comment: String::new(),
        },
        ..Task::default()
    })
}

/// What an update says.
pub fn update(check: &mut Check, paths: &Paths, t: &pb::Task) -> Option<TaskUpdate> {
    Some(TaskUpdate {
        subject: paths.when("subject", || {
            check.required("task.subject", t.subject.clone(), 200)
        })?,
        text: paths.when("text", || check.text("task.text", t.text.clone(), 4_000))?,
        due_time: paths.when("due_time", || time(check, "task.due_time", t.due_time))?,
        remind_before: paths.when("remind_before", || {
            Some(duration(check, "task.remind_before", t.remind_before)?.unwrap_or_default())
        })?,
        recurrence: paths.when("recurrence", || recurrence(check, t.recurrence.as_ref()))?,
        escalations: paths.when("escalations", || escalations(check, &t.escalations))?,
        priority: paths.when("priority", || {
            check.choice::<pb::task::Priority>("task.priority", t.priority, Some(2))
        })?,
    })
}

/// A task on its way out.
pub fn task_out(t: &Task, now: Timestamp) -> pb::Task {
    let name = |collection: &str, id: Option<i64>| {
        id.map(|id| format!("{collection}/{id}"))
            .unwrap_or_default()
    };
    let number = |n: i64| i32::try_from(n).unwrap_or_default();
    pb::Task {
        name: format!("tasks/{}", t.id),
        uid: format!("task-{}", t.id),
        kind: number(t.kind),
        subject: t.private.subject.clone(),
        text: t.private.text.clone(),
        customer: name("customers", t.customer),
        current_customer: name("customers", t.current),
        opportunity: name("opportunities", t.opportunity),
        lead: name("leads", t.lead),
        owner: t.owner.clone(),
        org_unit: t.org_unit.clone(),
        due_time: Some(time_out(t.due_time)),
        remind_before: (t.remind_before > 0).then(|| duration_out(t.remind_before)),
        recurrence: t.recurrence.map(|r| pb::task::Recurrence {
            frequency: number(r.frequency),
            interval: i32::try_from(r.interval).unwrap_or_default(),
            count: number(r.count),
            until_time: r.until.map(time_out),
            utc_offset_minutes: Some(r.offset),
        }),
        escalations: t
            .escalations
            .iter()
            .map(|e| pb::task::Escalation {
                after: Some(duration_out(e.after)),
                to: e.to.clone(),
                reassign: e.reassign,
            })
            .collect(),
        priority: number(t.priority),
        state: number(t.state),
        outcome: t.outcome.clone(),
        outcome_comment: t.private.comment.clone(),
        close_time: t.close_time.map(time_out),
        origin: t.origin.clone().unwrap_or_default(),
        occurrence: t.occurrence,
        overdue: t.state == task_state::OPEN && t.due_time < now,
        etag: etag(t.revision),
        revision: t.revision,
        creator: t.creator.clone(),
        create_time: Some(time_out(t.create_time)),
        update_time: Some(time_out(t.update_time)),
        hidden_classes: Vec::new(),
        erase_time: t.erase_time.map(time_out),
    }
}

/// A firing on its way out.
pub fn firing_out(f: &Firing) -> pb::Firing {
    let number = |n: i64| i32::try_from(n).unwrap_or_default();
    pb::Firing {
        name: format!("tasks/{}/firings/{}", f.task, f.no),
        task: format!("tasks/{}", f.task),
        occurrence: f.occurrence,
        kind: number(f.kind),
        plan_time: Some(time_out(f.plan_time)),
        fire_time: Some(time_out(f.fire_time)),
        result: number(f.result),
        reason: f.reason.clone(),
        recipient: f.recipient.clone(),
        delivery: number(f.delivery),
        delivery_error: f.error.clone(),
        delivery_attempts: number(f.attempts),
        deliver_time: f
            .deliver_time
            .map(time_out)
            .filter(|_| f.delivery == fired::SENT),
    }
}
