//! Departments.

use jinke_proto::jinke::identity::v1 as pb;
use jinke_store::Tx;
use jinke_types::{Failure, RowScope};

use super::{Sync, skip};
use crate::{
    domain::{
        Gone, Link, LinkKind, MAX_ORG_UNITS, OrgUnit, check_parent, ids_for, new_uid, tidy_name,
    },
    error,
    store::{self, directories, org_units},
};

impl Sync<'_> {
    pub(super) async fn department(
        &self,
        tx: &mut Tx,
        asked: &pb::DirectoryDepartment,
        response: &mut pb::SyncDirectoryResponse,
    ) -> Result<(), Failure> {
        let external = asked.external_id.as_str();
        let link = directories::get(tx, self.directory, LinkKind::OrgUnit, external).await?;
        let name = tidy_name(&asked.display_name);
        let Some(mut link) = link else {
            return if asked.active {
                self.new_unit(tx, asked, name, response).await
            } else {
                Ok(())
            };
        };
        link.round = self.round;
        link.gone = if asked.active { Gone::No } else { Gone::Noted };
        directories::update(tx, self.directory, &link).await?;
        if !asked.active {
            return Ok(());
        }
        let found = org_units::get(tx, &RowScope::All, &link.resource).await?;
        let mut unit = found.ok_or_else(|| Failure::internal("a linked org unit is missing"))?;
        let parent = self.unit_of(tx, &asked.parent_external_id).await?;
        if unit.parent == parent && unit.display_name == name {
            return Ok(());
        }
        if unit.parent != parent {
            match check_parent(&org_units::parents(tx).await?, &unit.id, &parent) {
                Ok(()) => unit.parent = parent,
                // The parent may come below this unit only for a moment; the next round tells.
                Err(failure) => skip(response, external, failure.reason),
            }
        }
        unit.display_name = name;
        let was = unit.revision;
        unit.revision = store::new_revision(tx).await?;
        unit.update_time = self.now;
        let resource = format!("orgUnits/{}", unit.id);
        if !org_units::update(tx, &unit, was).await? {
            return Err(error::etag_mismatch(resource));
        }
        store::log(tx, resource, "updated", unit.revision, self.now);
        response.org_units_updated += 1;
        Ok(())
    }

    async fn new_unit(
        &self,
        tx: &mut Tx,
        asked: &pb::DirectoryDepartment,
        name: String,
        response: &mut pb::SyncDirectoryResponse,
    ) -> Result<(), Failure> {
        let external = asked.external_id.as_str();
        let parents = org_units::parents(tx).await?;
        if parents.len() >= MAX_ORG_UNITS {
            return Err(error::too_many("org units", MAX_ORG_UNITS));
        }
        let parent = self.unit_of(tx, &asked.parent_external_id).await?;
        let id = ids_for(self.directory, external).find(|id| !parents.contains_key(id));
        let id = id.ok_or_else(|| Failure::internal("no id is free for an org unit"))?;
        if let Err(failure) = check_parent(&parents, &id, &parent) {
            skip(response, external, failure.reason);
            return Ok(());
        }
        let unit = OrgUnit {
            uid: new_uid(self.core.entropy()),
            display_name: name,
            parent,
            revision: store::new_revision(tx).await?,
            create_time: self.now,
            update_time: self.now,
            id,
        };
        org_units::insert(tx, &unit).await?;
        let resource = format!("orgUnits/{}", unit.id);
        store::log(tx, resource, "created", unit.revision, self.now);
        let link = Link {
            kind: LinkKind::OrgUnit,
            external_id: external.to_owned(),
            resource: unit.id,
            round: self.round,
            gone: Gone::No,
        };
        directories::insert(tx, self.directory, &link).await?;
        response.org_units_created += 1;
        Ok(())
    }

    /// The org unit of a department; empty when it was not told or is gone.
    pub(super) async fn unit_of(&self, tx: &mut Tx, external: &str) -> Result<String, Failure> {
        if external.is_empty() {
            return Ok(String::new());
        }
        let link = directories::get(tx, self.directory, LinkKind::OrgUnit, external).await?;
        let there = link.filter(|link| link.gone == Gone::No);
        Ok(there.map(|link| link.resource).unwrap_or_default())
    }
}
