//! Making everything derived anew when the rules, the token key or the program have changed.

use std::sync::Arc;

use jinke_store::Tx;
use jinke_types::{Failure, Timestamp};

use super::{
    Core,
    prepare::token,
    resolve::{Input, PartyChange},
};
use crate::store::{pending, records, shadow, state, tokens};

/// Records per step.
const STEP: i64 = 2_000;
/// The name under which the database says what it was derived with.
const MADE_WITH: &str = "made_with";

/// Counts the changes of the program that derive something else from the same values with the same
/// rules: of standardizing, of keys, of blocks, of search terms. Add one with every such change, or a record
/// that is changed later leaves the tokens of the old program behind. 1: as of 0.1.0. 2: blocks
/// in order of core and place. 3: marks that make another word are kept.
const DERIVATION: u32 = 3;

impl Core {
    /// Names what tokens and pairs are derived with: the rules, the active token key and the
    /// program.
    fn made_with(&self) -> String {
        let key = self.ring.token(token::KEY, "") >> 56;
        let rules = self.rules.version();
        format!("{rules} token-key-{key} derivation-{DERIVATION}")
    }

    /// Makes tokens, pairs and clusters anew unless they were made with the present rules and
    /// token key. One transaction: readers see the old customers until it commits.
    pub(crate) async fn reindex(&self) -> Result<(), Failure> {
        let wanted = self.made_with();
        {
            let mut reader = self.db.read().await?;
            if state::get(&mut reader, MADE_WITH).await?.as_deref() == Some(&wanted) {
                return Ok(());
            }
        }
        self.db
            .write(async |mut tx| {
                let tx = &mut tx;
                self.lock(tx).await?;
                // Another replica may have done it meanwhile.
                if state::get(tx, MADE_WITH).await?.as_deref() != Some(&wanted) {
                    self.make_anew(tx, self.clock.now()).await?;
                    state::set(tx, MADE_WITH, &wanted).await?;
                }
                Ok(())
            })
            .await
    }

    async fn make_anew(&self, tx: &mut Tx, now: Timestamp) -> Result<(), Failure> {
        tokens::clear(tx).await?;
        pending::clear(tx).await?;
        shadow::clear(tx).await?;
        let revision = state::generic_revision(tx).await?;
        state::clear_generic(tx, revision + 1).await?;
        let mut after = i64::MIN;
        loop {
            let page = records::page_of_parties(tx, after, STEP).await?;
            let Some(last) = page.last() else { break };
            after = last.no;
            let nos: Vec<i64> = page.iter().map(|r| r.no).collect();
            let indexed = self.indexed(tx, &nos).await?;
            let changes = page
                .into_iter()
                .filter_map(|row| {
                    let (_, new) = indexed.get(&row.no)?;
                    Some(PartyChange {
                        no: row.no,
                        key: row.key,
                        kind: new.std.kind(),
                        fresh: false,
                        // Nothing derived is stored of it, as if it were new.
                        old: None,
                        new: Arc::clone(new),
                        customer: row.customer,
                        deleted: row.deleted,
                        versions: row.versions,
                        newest: row.newest,
                        time: row.time,
                    })
                })
                .collect();
            let input = Input {
                changes,
                pairs_only: true,
                ..Input::default()
            };
            self.resolve(tx, input, now).await?;
        }
        // Only when all pairs are known can customers be told from each other.
        after = i64::MIN;
        loop {
            let page = records::page_of_parties(tx, after, STEP).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = last.no;
            let seeds = page.iter().map(|r| r.no).collect();
            self.resolve(
                tx,
                Input {
                    seeds,
                    ..Input::default()
                },
                now,
            )
            .await?;
        }
    }
}
