//! Users and org units as identity has them: whose unit a person belongs to, and what they are called.
//! Names of users are sealed, and opened only for an answer.

use std::collections::{BTreeMap, BTreeSet};

use jinke_store::{
    Conn, Tx, args,
    keys::{DataKey, KeyRing},
};
use jinke_types::{Entropy, Failure};

use crate::{
    facts::OrgUnit,
    feed::{DirectoryState, PersonState},
};

/// What a sealed name is bound to.
fn aad(user: &str) -> Vec<u8> {
    format!("{user}/display_name").into_bytes()
}

/// Grows with every change of users or org units.
///
/// # Errors
/// Those of the store.
pub async fn revision(conn: &mut Conn) -> Result<i64, Failure> {
    let row = conn
        .fetch_optional(
            "SELECT value FROM reporting_state WHERE name = 'directory'",
            args![],
        )
        .await?;
    let Some(row) = row else { return Ok(0) };
    row.text("value")?.parse().map_err(Failure::internal)
}

/// Brings users and org units up to date; whether anything was another.
///
/// # Errors
/// Those of the store and of the keys.
pub async fn put(
    tx: &mut Tx,
    ring: &KeyRing,
    entropy: &dyn Entropy,
    now: &DirectoryState,
) -> Result<bool, Failure> {
    tx.lock("directory").await?;
    let people = put_people(tx, ring, entropy, &now.people).await?;
    let units = put_units(tx, now).await?;
    if !people && !units {
        return Ok(false);
    }
    let next = revision(tx).await? + 1;
    tx.execute(
        "INSERT INTO reporting_state (name, value) VALUES ('directory', $1) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        args![next.to_string()],
    )
    .await?;
    Ok(true)
}

async fn put_people(
    tx: &mut Tx,
    ring: &KeyRing,
    entropy: &dyn Entropy,
    now: &BTreeMap<String, PersonState>,
) -> Result<bool, Failure> {
    let mut stored = BTreeMap::new();
    for row in tx
        .fetch_all(
            "SELECT name, org_unit, data_key, display_name FROM people ORDER BY name",
            args![],
        )
        .await?
    {
        let name = row.text("name")?;
        let key = ring.unwrap(&row.bytes("data_key")?)?;
        let plain = key.open(&aad(&name), &row.bytes("display_name")?)?;
        let person = PersonState {
            display_name: String::from_utf8(plain).map_err(Failure::internal)?,
            org_unit: row.text("org_unit")?,
        };
        stored.insert(name, person);
    }
    let gone: Vec<&String> = stored.keys().filter(|n| !now.contains_key(*n)).collect();
    let mut changed = !gone.is_empty();
    for name in gone {
        tx.execute("DELETE FROM people WHERE name = $1", args![name])
            .await?;
    }
    for (name, person) in now {
        if stored.get(name) == Some(person) {
            continue;
        }
        changed = true;
        let key = DataKey::generate(entropy);
        let sealed = key.seal(&aad(name), person.display_name.as_bytes(), entropy);
        tx.execute(
            "INSERT INTO people (name, org_unit, data_key, display_name) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (name) DO UPDATE SET org_unit = excluded.org_unit, \
             data_key = excluded.data_key, display_name = excluded.display_name",
            args![name, &person.org_unit, ring.wrap(&key, entropy), sealed],
        )
        .await?;
    }
    Ok(changed)
}

async fn put_units(tx: &mut Tx, now: &DirectoryState) -> Result<bool, Failure> {
    let stored = units(tx).await?;
    let gone: Vec<&String> = stored
        .keys()
        .filter(|n| !now.units.contains_key(*n))
        .collect();
    let mut changed = !gone.is_empty();
    for name in gone {
        tx.execute("DELETE FROM org_units WHERE name = $1", args![name])
            .await?;
    }
    for (name, unit) in &now.units {
        let same = stored
            .get(name)
            .is_some_and(|s| s.name == unit.display_name && s.parent == unit.parent);
        if same {
            continue;
        }
        changed = true;
        tx.execute(
            "INSERT INTO org_units (name, display_name, parent) VALUES ($1, $2, $3) \
             ON CONFLICT (name) DO UPDATE SET display_name = excluded.display_name, \
             parent = excluded.parent",
            args![name, &unit.display_name, &unit.parent],
        )
        .await?;
    }
    Ok(changed)
}

/// All org units by name.
///
/// # Errors
/// Those of the store.
pub async fn units(conn: &mut Conn) -> Result<BTreeMap<String, OrgUnit>, Failure> {
    conn.fetch_all(
        "SELECT name, display_name, parent FROM org_units ORDER BY name",
        args![],
    )
    .await?
    .iter()
    .map(|row| {
        let unit = OrgUnit {
            name: row.text("display_name")?,
            parent: row.text("parent")?,
        };
        Ok((row.text("name")?, unit))
    })
    .collect()
}

/// The org unit of each user.
///
/// # Errors
/// Those of the store.
pub async fn people(conn: &mut Conn) -> Result<BTreeMap<String, String>, Failure> {
    conn.fetch_all("SELECT name, org_unit FROM people ORDER BY name", args![])
        .await?
        .iter()
        .map(|row| Ok((row.text("name")?, row.text("org_unit")?)))
        .collect()
}

/// What these users are called; who is unknown is left out.
///
/// # Errors
/// Those of the store and of the keys.
pub async fn names(
    conn: &mut Conn,
    ring: &KeyRing,
    users: &BTreeSet<&str>,
) -> Result<BTreeMap<String, String>, Failure> {
    let list: Vec<String> = users.iter().map(|u| (*u).to_owned()).collect();
    let mut names = BTreeMap::new();
    if list.is_empty() {
        return Ok(names);
    }
    for row in conn
        .fetch_all(
            "SELECT name, data_key, display_name FROM people WHERE name IN LIST($1)",
            args![list],
        )
        .await?
    {
        let name = row.text("name")?;
        let key = ring.unwrap(&row.bytes("data_key")?)?;
        let plain = key.open(&aad(&name), &row.bytes("display_name")?)?;
        let shown = String::from_utf8(plain).map_err(Failure::internal)?;
        names.insert(name, shown);
    }
    Ok(names)
}
