//! Role bindings and policies.

use jinke_store::{Conn, Row, Sql, Tx, args};
use jinke_types::{Failure, RowScope};

use super::taken;
use crate::{
    access::{self, ADMINISTRATOR},
    domain::{Member, Policy, RoleBinding},
};

const BINDING: &str = "id, member, role, org_unit, create_time";
const POLICY: &str = "id, display_name, cedar, revision, create_time, update_time";

fn binding(row: &Row) -> Result<RoleBinding, Failure> {
    let member = row.text("member")?;
    Ok(RoleBinding {
        id: row.text("id")?,
        member: Member::parse(&member)
            .ok_or_else(|| Failure::internal("a role binding has no member"))?,
        role: row.text("role")?,
        org_unit: row.text("org_unit")?,
        create_time: row.time("create_time")?,
    })
}

fn policy(row: &Row) -> Result<Policy, Failure> {
    Ok(Policy {
        id: row.text("id")?,
        display_name: row.text("display_name")?,
        cedar: row.text("cedar")?,
        revision: row.i64("revision")?,
        create_time: row.time("create_time")?,
        update_time: row.time("update_time")?,
    })
}

/// Every role binding, by id.
pub(crate) async fn bindings(conn: &mut Conn) -> Result<Vec<RoleBinding>, Failure> {
    let sql = Sql::assembled(format!("SELECT {BINDING} FROM role_bindings ORDER BY id"));
    conn.fetch_all(sql, args![])
        .await?
        .iter()
        .map(binding)
        .collect()
}

/// The role bindings of one member, by id; at most [`crate::domain::MAX_BINDINGS`].
pub(crate) async fn bindings_of(
    conn: &mut Conn,
    member: &Member,
) -> Result<Vec<RoleBinding>, Failure> {
    let sql = Sql::assembled(format!(
        "SELECT {BINDING} FROM role_bindings WHERE member = $1 ORDER BY id"
    ));
    conn.fetch_all(sql, args![member.to_string()])
        .await?
        .iter()
        .map(binding)
        .collect()
}

/// The role bindings in the scope, by id.
pub(crate) async fn list_bindings(
    conn: &mut Conn,
    scope: &RowScope,
) -> Result<Vec<RoleBinding>, Failure> {
    let all = bindings(conn).await?;
    Ok(all
        .into_iter()
        .filter(|b| access::sees(scope, &b.org_unit))
        .collect())
}

/// One role binding.
pub(crate) async fn get_binding(conn: &mut Conn, id: &str) -> Result<Option<RoleBinding>, Failure> {
    let sql = Sql::assembled(format!("SELECT {BINDING} FROM role_bindings WHERE id = $1"));
    conn.fetch_optional(sql, args![id])
        .await?
        .map(|row| binding(&row))
        .transpose()
}

/// Adds a role binding.
pub(crate) async fn insert_binding(tx: &mut Tx, binding: &RoleBinding) -> Result<(), Failure> {
    let inserted = tx
        .execute(
            "INSERT INTO role_bindings (id, member, role, org_unit, create_time) \
             VALUES ($1, $2, $3, $4, $5)",
            args![
                &binding.id,
                binding.member.to_string(),
                &binding.role,
                &binding.org_unit,
                binding.create_time
            ],
        )
        .await;
    taken(inserted, "a binding of this role, member and org unit").map(drop)
}

/// Removes a role binding; whether there was one.
pub(crate) async fn delete_binding(tx: &mut Tx, id: &str) -> Result<bool, Failure> {
    Ok(tx
        .execute("DELETE FROM role_bindings WHERE id = $1", args![id])
        .await?
        == 1)
}

/// How many enabled users are administrators of the whole enterprise.
pub(crate) async fn administrators(conn: &mut Conn) -> Result<i64, Failure> {
    conn.fetch_one(
        "SELECT COUNT(*) AS n FROM role_bindings b JOIN users u ON b.member = 'users/' || u.id \
         WHERE b.role = $1 AND b.org_unit = '' AND u.disabled = 0",
        args![ADMINISTRATOR],
    )
    .await?
    .i64("n")
}

/// Every policy, by id; at most [`crate::domain::MAX_POLICIES`].
pub(crate) async fn policies(conn: &mut Conn) -> Result<Vec<Policy>, Failure> {
    let sql = Sql::assembled(format!("SELECT {POLICY} FROM policies ORDER BY id"));
    conn.fetch_all(sql, args![])
        .await?
        .iter()
        .map(policy)
        .collect()
}

/// One policy.
pub(crate) async fn get_policy(conn: &mut Conn, id: &str) -> Result<Option<Policy>, Failure> {
    let sql = Sql::assembled(format!("SELECT {POLICY} FROM policies WHERE id = $1"));
    conn.fetch_optional(sql, args![id])
        .await?
        .map(|row| policy(&row))
        .transpose()
}

/// Adds a policy.
pub(crate) async fn insert_policy(tx: &mut Tx, policy: &Policy) -> Result<(), Failure> {
    let inserted = tx
        .execute(
            "INSERT INTO policies (id, display_name, cedar, revision, create_time, update_time) \
             VALUES ($1, $2, $3, $4, $5, $6)",
            args![
                &policy.id,
                &policy.display_name,
                &policy.cedar,
                policy.revision,
                policy.create_time,
                policy.update_time
            ],
        )
        .await;
    taken(inserted, &format!("policies/{}", policy.id)).map(drop)
}

/// Writes display name, text and revision of a policy that still has the revision `was`; whether
/// it had.
pub(crate) async fn update_policy(tx: &mut Tx, policy: &Policy, was: i64) -> Result<bool, Failure> {
    let touched = tx
        .execute(
            "UPDATE policies SET display_name = $1, cedar = $2, revision = $3, update_time = $4 \
             WHERE id = $5 AND revision = $6",
            args![
                &policy.display_name,
                &policy.cedar,
                policy.revision,
                policy.update_time,
                &policy.id,
                was
            ],
        )
        .await?;
    Ok(touched == 1)
}

/// Removes a policy that still has this revision; whether it had.
pub(crate) async fn delete_policy(tx: &mut Tx, id: &str, was: i64) -> Result<bool, Failure> {
    let gone = tx
        .execute(
            "DELETE FROM policies WHERE id = $1 AND revision = $2",
            args![id, was],
        )
        .await?;
    Ok(gone == 1)
}
