//! `SyncDirectory`: what a chat or OA platform says of departments and members becomes org units
//! and users. A leaver is disabled, and his sessions end, in the same transaction.

mod units;
mod users;

use std::sync::{Mutex, PoisonError};

use jinke_kit::Grant;
use jinke_proto::jinke::identity::v1 as pb;
use jinke_store::{Tx, request::Outcome};
use jinke_types::{Failure, Timestamp};
use pb::directory_entry::Entry;

use crate::{
    access,
    core::Core,
    domain::{Checks, Gone, LinkKind, id_in, is_external_id},
    error,
    store::{directories, lock},
};

/// At most this many entries are in one call.
const MAX_ENTRIES: usize = 500;
/// A member belongs to at most this many departments.
const MAX_DEPARTMENTS: usize = 100;
/// Percent of the members who may go in one round unasked.
const USUAL_PERCENT: i64 = 10;
/// So many may always go.
const ALWAYS: i64 = 5;

/// What a sync works on.
struct Sync<'a> {
    core: &'a Core,
    directory: &'a str,
    now: Timestamp,
    /// The round under way, or the last one.
    round: i64,
}

pub(crate) async fn run(
    core: &Core,
    grant: &Grant,
    request: pb::SyncDirectoryRequest,
) -> Result<pb::SyncDirectoryResponse, Failure> {
    access::whole_enterprise(&grant.scope, "a directory")?;
    let directory = id_in("directory", "directories", &request.directory)?;
    check(&request)?;
    let percent = match request.max_leavers_percent {
        0 => USUAL_PERCENT,
        percent => i64::from(percent),
    };
    let now = core.now();
    // A transaction may be tried again; what an earlier try counted is forgotten.
    let told = Mutex::new(pb::SyncDirectoryResponse::default());
    core.change(async |mut tx: Tx| {
        let tx = &mut tx;
        let mut response = pb::SyncDirectoryResponse::default();
        tx.lock(lock::MEMBERS).await?;
        tx.lock(lock::ORG_UNITS).await?;
        let (mut round, mut under_way) =
            directories::round(tx, directory).await?.unwrap_or_default();
        directories::set_round(tx, directory, round, under_way).await?;
        for entry in &request.entries {
            let sync = Sync {
                core,
                directory,
                now,
                round,
            };
            match &entry.entry {
                Some(Entry::RoundBegan(_)) => {
                    round += 1;
                    under_way = true;
                }
                Some(Entry::RoundEnded(_)) if std::mem::take(&mut under_way) => {
                    sync.end(tx, percent, &mut response).await?;
                }
                // An end without a begin, or a repeated one, says nothing.
                Some(Entry::RoundEnded(_)) => {}
                Some(Entry::Department(department)) => {
                    sync.department(tx, department, &mut response).await?;
                }
                Some(Entry::Member(member)) => sync.member(tx, member, &mut response).await?,
                None => {}
            }
        }
        directories::set_round(tx, directory, round, under_way).await?;
        *told.lock().unwrap_or_else(PoisonError::into_inner) = response;
        Ok(Outcome {
            name: request.directory.clone(),
            revision: round,
        })
    })
    .await?;
    Ok(told.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn check(request: &pb::SyncDirectoryRequest) -> Result<(), Failure> {
    let mut checks = Checks::default();
    let count = request.entries.len();
    checks.must(
        (1..=MAX_ENTRIES).contains(&count),
        "entries",
        format!("must have 1 to {MAX_ENTRIES}"),
    );
    checks.must(
        (0..=100).contains(&request.max_leavers_percent),
        "max_leavers_percent",
        "must be 0 to 100",
    );
    for (i, entry) in request.entries.iter().take(MAX_ENTRIES).enumerate() {
        let at = |field: &str| format!("entries[{i}].{field}");
        let mut id = |field: &str, id: &str| {
            let fits = is_external_id(id);
            checks.must(
                fits,
                &at(field),
                "must have 1 to 128 printable ASCII characters",
            );
        };
        match &entry.entry {
            None => checks.must(false, &at("entry"), "must be set"),
            Some(Entry::Department(department)) => {
                id("department.external_id", &department.external_id);
                if !department.parent_external_id.is_empty() {
                    id(
                        "department.parent_external_id",
                        &department.parent_external_id,
                    );
                }
            }
            Some(Entry::Member(member)) => {
                id("member.external_id", &member.external_id);
                let list = &member.department_external_ids;
                let fits =
                    list.len() <= MAX_DEPARTMENTS && list.iter().all(|id| is_external_id(id));
                checks.must(
                    fits,
                    &at("member.department_external_ids"),
                    format!("must be at most {MAX_DEPARTMENTS} ids"),
                );
            }
            Some(Entry::RoundBegan(_) | Entry::RoundEnded(_)) => {}
        }
    }
    checks.done()
}

impl Sync<'_> {
    /// Whoever was not told in the round is gone.
    async fn end(
        &self,
        tx: &mut Tx,
        percent: i64,
        response: &mut pb::SyncDirectoryResponse,
    ) -> Result<(), Failure> {
        let known = directories::count(tx, self.directory, LinkKind::User).await?;
        let gone = directories::unseen(tx, self.directory, LinkKind::User, self.round).await?;
        let most = (known * percent / 100).max(ALWAYS);
        let count = gone.len() as i64;
        if count > most && percent < 100 {
            return Err(error::too_many_gone(count, known, most));
        }
        for link in gone {
            self.left(tx, link, response).await?;
        }
        let units = directories::unseen(tx, self.directory, LinkKind::OrgUnit, self.round).await?;
        for mut link in units {
            link.gone = Gone::Noted;
            directories::update(tx, self.directory, &link).await?;
        }
        Ok(())
    }
}

fn skip(response: &mut pb::SyncDirectoryResponse, external_id: &str, reason: &str) {
    response.skipped.push(pb::SkippedDirectoryEntry {
        external_id: external_id.to_owned(),
        reason: reason.to_owned(),
    });
}

#[cfg(test)]
mod tests;
