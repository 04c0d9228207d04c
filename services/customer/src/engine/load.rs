//! Reading what is derived from records, outside a transaction that resolves.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use jinke_resolution::Key;
use jinke_store::Conn;
use jinke_types::{Body, Failure};

use super::{Core, apply::of_body, prepare::Indexed, state};
use crate::store::records::{self, PartyRow};

impl Core {
    /// Party records with what is derived from them, by number.
    pub(crate) async fn indexed(
        &self,
        conn: &mut Conn,
        nos: &[i64],
    ) -> Result<BTreeMap<i64, (PartyRow, Arc<Indexed>)>, Failure> {
        let mut out = BTreeMap::new();
        let mut missing = BTreeMap::new();
        for row in records::parties(conn, nos).await? {
            if row.kind.party().is_none() {
                continue;
            }
            match self.cache.get(row.no, row.versions) {
                Some(indexed) => {
                    out.insert(row.no, (row, indexed));
                }
                None => {
                    missing.insert(row.no, row);
                }
            }
        }
        let list: Vec<i64> = missing.keys().copied().collect();
        for (no, body) in self.bodies(conn, &list).await? {
            if let Some(row) = missing.remove(&no)
                && let Some(kind) = row.kind.party()
            {
                let indexed = Arc::new(of_body(&self.ring, &self.rules, kind, &body));
                out.insert(no, (row, indexed));
            }
        }
        Ok(out)
    }

    /// The effective states of these records, opened away from the runtime's threads.
    pub(crate) async fn bodies(
        &self,
        conn: &mut Conn,
        nos: &[i64],
    ) -> Result<BTreeMap<i64, Body>, Failure> {
        let sealed = records::sealed_states(conn, nos).await?;
        if sealed.is_empty() {
            return Ok(BTreeMap::new());
        }
        let ring = Arc::clone(&self.ring);
        tokio::task::spawn_blocking(move || {
            sealed
                .iter()
                .map(|s| Ok((s.no, state::open_state(&ring, s)?)))
                .collect()
        })
        .await
        .map_err(Failure::internal)?
    }

    /// The texts of these records' keys that are generic now.
    pub(crate) async fn generic_texts(
        &self,
        conn: &mut Conn,
        of: &[&Indexed],
    ) -> Result<HashSet<Key>, Failure> {
        let generic = self.generic_keys(conn).await?;
        let mut out = HashSet::new();
        for indexed in of {
            for (key, token) in indexed.std.keys().iter().zip(&indexed.keys) {
                if generic.tokens.contains(token) {
                    out.insert(key.clone());
                }
            }
        }
        Ok(out)
    }
}
