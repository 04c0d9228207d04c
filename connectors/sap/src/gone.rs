//! Sweeps: all numbers of a stream, compared with those that are known.

use std::collections::BTreeSet;

use jinke_sdk::{KnownRecords, PullError, SweepLimit, http::unreadable, sweep};
use serde_json::Value;

use crate::{
    api::Entity,
    config::MAX_QUERY_ROWS,
    pull::{ASKED, SapConnector, key},
    streams::Stream,
    wire::{padded, quoted},
};

impl SapConnector {
    /// The external ids that a list of rows holds, with those of their contacts.
    fn present(
        stream: &Stream,
        rows: &[Entity],
        into: &mut BTreeSet<String>,
    ) -> Result<(), PullError> {
        for row in rows {
            let number = key(stream, row)?;
            let id = stream.external_id(&number);
            let contacts = row
                .get("to_BusinessPartnerContact")
                .and_then(|c| c.get("results"));
            for contact in contacts.and_then(Value::as_array).into_iter().flatten() {
                if let Some(person) = contact.get("BusinessPartnerPerson").and_then(Value::as_str) {
                    into.insert(format!("{id}#contact_of:{}", padded(person)));
                }
            }
            into.insert(id);
        }
        Ok(())
    }

    /// Compares all numbers with the known ones.
    pub(crate) async fn gone(
        &self,
        stream: &'static Stream,
        known: &dyn KnownRecords,
        limit: SweepLimit,
    ) -> Result<sweep::Swept, PullError> {
        let set = self.api.describe(stream.service, stream.set).await?;
        let contacts = "to_BusinessPartnerContact";
        let wide = stream.links.contains(&contacts) && set.links.contains(contacts);
        let mut options = vec![
            ("$orderby", stream.key.to_owned()),
            ("$top", MAX_QUERY_ROWS.to_string()),
        ];
        options.push(if wide {
            ("$expand", contacts.to_owned())
        } else {
            ("$select", stream.key.to_owned())
        });
        let mut present = BTreeSet::new();
        let mut after = String::new();
        loop {
            let mut asked = options.clone();
            if !after.is_empty() {
                asked.push(("$filter", format!("{} gt {}", stream.key, quoted(&after))));
            }
            let mut list = self.api.list(stream.service, stream.set, &asked).await?;
            let mut got = 0;
            loop {
                got += list.rows.len();
                for row in &list.rows {
                    let number = key(stream, row)?;
                    if number <= after {
                        return Err(unreadable("the rows are not in the order of their numbers"));
                    }
                    after = number;
                }
                Self::present(stream, &list.rows, &mut present)?;
                sweep::bounded(&present)?;
                match list.next {
                    Some(link) => list = self.api.next(stream.service, &link).await?,
                    None => break,
                }
            }
            if got < MAX_QUERY_ROWS {
                break;
            }
        }
        let options = &options;
        let recheck = |some: Vec<String>| async move {
            let mut there = BTreeSet::new();
            let numbers: BTreeSet<&str> =
                some.iter().filter_map(|id| stream.number_of(id)).collect();
            for some in numbers.into_iter().collect::<Vec<_>>().chunks(ASKED) {
                let any: Vec<String> = some
                    .iter()
                    .map(|number| format!("{} eq {}", stream.key, quoted(number)))
                    .collect();
                let mut asked = options.clone();
                asked.push(("$filter", any.join(" or ")));
                let list = self.api.list(stream.service, stream.set, &asked).await?;
                Self::present(stream, &list.rows, &mut there)?;
            }
            Ok(there)
        };
        sweep::compare(&self.config.source, &present, known, limit, recheck).await
    }
}
