//! Grade and lifecycle stage, written back to the customers as tags.
//!
//! A tag is an attachment (D4): it is set at the customer's present id and goes with that record on
//! an unmerge; the customer service keeps who set it and when. Only tags with the two prefixes are
//! touched.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use jinke_types::{Failure, RowScope};

use crate::{
    calendar::Period, core::Core, facts::Frame, measures::Context, outside::Outside, store::rounds,
};

/// What the tags begin with: grade, lifecycle stage.
pub const PREFIXES: [&str; 2] = ["等级:", "阶段:"];
/// Under which name the time of the last round is kept.
const ROUND: &str = "publish_time";
/// Calls at a time.
const PARALLEL: usize = 8;

/// What was done, or would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Customers looked at.
    pub customers: i64,
    /// Tags set.
    pub added: i64,
    /// Tags taken back.
    pub removed: i64,
}

/// Sets what holds now and takes back what holds no more.
///
/// # Errors
/// The first failure of a call; doing it again goes on.
pub async fn publish(
    core: &Core,
    outside: &Arc<dyn Outside>,
    validate_only: bool,
) -> Result<(Published, Arc<Frame>), Failure> {
    let frame = core.frame(&RowScope::All, false).await?;
    let parameters = Arc::clone(&core.defaults);
    let today = core.today(&parameters);
    let (customers, changes) = {
        let frame = Arc::clone(&frame);
        core.compute(move || {
            let period = Period {
                start: today,
                end: today,
            };
            Ok(changes(&Context::new(&frame, &parameters, period)))
        })
        .await?
    };
    let count = |add: bool| {
        i64::try_from(changes.iter().filter(|c| c.2 == add).count()).unwrap_or(i64::MAX)
    };
    let done = Published {
        customers,
        added: count(true),
        removed: count(false),
    };
    if !validate_only {
        let mut calls = stream::iter(changes)
            .map(|(customer, tag, add)| async move {
                if add {
                    outside.add_tag(customer, &tag).await
                } else {
                    outside.remove_tag(customer, &tag).await
                }
            })
            .buffered(PARALLEL);
        while let Some(result) = calls.next().await {
            match result {
                // It went, or was merged away, while we looked.
                Err(e) if e.code == jinke_types::Code::NotFound => {}
                other => other?,
            }
        }
    }
    Ok((done, frame))
}

/// Publishes when that was not done for so long; whether it did. A new installation begins to count
/// with the first call. When several replicas do it at the same time, the later finds nothing to do.
///
/// # Errors
/// As [`publish`]; it is then due at the next call.
pub async fn when_due(
    core: &Core,
    outside: &Arc<dyn Outside>,
    every: Duration,
) -> Result<bool, Failure> {
    let now = core.clock.now();
    let last = core
        .db
        .write(async |mut tx| rounds::begun(&mut tx, ROUND, now).await)
        .await?;
    if now < last.plus(every) {
        return Ok(false);
    }
    publish(core, outside, false).await?;
    core.db
        .write(async |mut tx| rounds::done(&mut tx, ROUND, now).await)
        .await?;
    Ok(true)
}

/// Customers looked at, and (customer, tag, set or take back), removals of a customer first.
fn changes(context: &Context<'_>) -> (i64, Vec<(i64, String, bool)>) {
    let (mut looked_at, mut changes) = (0, Vec::new());
    for place in context.population() {
        looked_at += 1;
        let customer = context.frame.customer(place);
        let profile = &context.profiles()[place as usize];
        let mut wanted = BTreeSet::from([format!("{}{}", PREFIXES[1], profile.stage.zh())]);
        if profile.grade != 0 {
            wanted.insert(format!("{}{}", PREFIXES[0], profile.grade_letter()));
        }
        for tag in &customer.tags {
            let ours = PREFIXES.iter().any(|p| tag.starts_with(p));
            if ours && !wanted.remove(tag) {
                changes.push((customer.id, tag.clone(), false));
            }
        }
        changes.extend(wanted.into_iter().map(|tag| (customer.id, tag, true)));
    }
    (looked_at, changes)
}
