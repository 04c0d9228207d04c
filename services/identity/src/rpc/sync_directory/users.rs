//! Members.

use jinke_proto::jinke::identity::v1 as pb;
use jinke_store::Tx;
use jinke_types::{Failure, RowScope};

use super::{Sync, skip};
use crate::{
    domain::{Gone, Link, LinkKind, Member, User, ids_for, new_uid, tidy_name},
    error,
    store::{self, directories, grants, sessions, users},
};

impl Sync<'_> {
    pub(super) async fn member(
        &self,
        tx: &mut Tx,
        asked: &pb::DirectoryMember,
        response: &mut pb::SyncDirectoryResponse,
    ) -> Result<(), Failure> {
        let external = asked.external_id.as_str();
        let link = directories::get(tx, self.directory, LinkKind::User, external).await?;
        let Some(mut link) = link else {
            // Whoever was never here has nothing to lose.
            return if asked.active {
                self.new_user(tx, asked, response).await
            } else {
                Ok(())
            };
        };
        link.round = self.round;
        if !asked.active {
            return self.left(tx, link, response).await;
        }
        let mut user = self.user(tx, &link).await?;
        let mut changed = false;
        // A directory that tells no name, because it may not, does not take it away.
        let name = tidy_name(&asked.display_name);
        if !name.is_empty() && user.display_name != name {
            user.display_name = name;
            changed = true;
        }
        let unit = self.first_unit(tx, &asked.department_external_ids).await?;
        let moved = user.org_unit != unit;
        user.org_unit = unit;
        // Only who was disabled for leaving is enabled for coming back.
        let back = link.gone == Gone::Disabled && user.disabled;
        if back {
            user.disabled = false;
            response.users_enabled += 1;
        }
        link.gone = Gone::No;
        directories::update(tx, self.directory, &link).await?;
        if changed || moved || back {
            response.users_updated += i32::from(changed || moved);
            self.write(tx, &mut user).await?;
            if moved || back {
                let kind = if back { "enabled" } else { "moved" };
                let resource = format!("users/{}", user.id);
                store::log(tx, resource, kind, user.revision, self.now);
            }
        }
        Ok(())
    }

    /// A member is gone: his user is disabled and his sessions end.
    pub(super) async fn left(
        &self,
        tx: &mut Tx,
        mut link: Link,
        response: &mut pb::SyncDirectoryResponse,
    ) -> Result<(), Failure> {
        let mut user = self.user(tx, &link).await?;
        if user.disabled {
            // Also when this directory had disabled him before.
            if link.gone == Gone::No {
                link.gone = Gone::Noted;
            }
            return directories::update(tx, self.directory, &link).await;
        }
        user.disabled = true;
        self.write(tx, &mut user).await?;
        if grants::administrators(tx).await? == 0 {
            // Nobody could let anybody in again. A person has to decide.
            user.disabled = false;
            self.write(tx, &mut user).await?;
            skip(
                response,
                &link.external_id,
                error::last_administrator().reason,
            );
            return Ok(());
        }
        let member = Member::User(user.id.clone());
        sessions::end_of_member(tx, &member, "left the directory", self.now).await?;
        let resource = format!("users/{}", user.id);
        store::log(tx, resource, "disabled", user.revision, self.now);
        link.gone = Gone::Disabled;
        response.users_disabled += 1;
        directories::update(tx, self.directory, &link).await
    }

    async fn new_user(
        &self,
        tx: &mut Tx,
        asked: &pb::DirectoryMember,
        response: &mut pb::SyncDirectoryResponse,
    ) -> Result<(), Failure> {
        let external = asked.external_id.as_str();
        let mut free = None;
        for id in ids_for(self.directory, external) {
            // A user of that name who is here already is somebody else until a person links him.
            let taken = users::get(tx, &self.core.vault, &RowScope::All, &id).await?;
            if taken.is_none() {
                free = Some(id);
                break;
            }
        }
        let user = User {
            id: free.ok_or_else(|| Failure::internal("no id is free for a user"))?,
            uid: new_uid(self.core.entropy()),
            display_name: tidy_name(&asked.display_name),
            org_unit: self.first_unit(tx, &asked.department_external_ids).await?,
            disabled: false,
            password_change: true,
            revision: store::new_revision(tx).await?,
            create_time: self.now,
            update_time: self.now,
        };
        users::insert(tx, &self.core.vault, &user, "").await?;
        if !user.org_unit.is_empty() {
            let resource = format!("users/{}", user.id);
            store::log(tx, resource, "created", user.revision, self.now);
        }
        let link = Link {
            kind: LinkKind::User,
            external_id: external.to_owned(),
            resource: user.id,
            round: self.round,
            gone: Gone::No,
        };
        directories::insert(tx, self.directory, &link).await?;
        response.users_created += 1;
        Ok(())
    }

    async fn user(&self, tx: &mut Tx, link: &Link) -> Result<User, Failure> {
        let user = users::get(tx, &self.core.vault, &RowScope::All, &link.resource).await?;
        user.ok_or_else(|| Failure::internal("a linked user is missing"))
    }

    async fn write(&self, tx: &mut Tx, user: &mut User) -> Result<(), Failure> {
        let was = user.revision;
        user.revision = store::new_revision(tx).await?;
        user.update_time = self.now;
        if users::update(tx, &self.core.vault, user, was).await? {
            return Ok(());
        }
        Err(error::etag_mismatch(format!("users/{}", user.id)))
    }

    /// The org unit of the first department that has one; else the enterprise itself.
    async fn first_unit(&self, tx: &mut Tx, departments: &[String]) -> Result<String, Failure> {
        for department in departments {
            let unit = self.unit_of(tx, department).await?;
            if !unit.is_empty() {
                return Ok(unit);
            }
        }
        Ok(String::new())
    }
}
