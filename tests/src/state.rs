//! What the API shows of all customers, in a form that two runs can be compared by.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use jinke_proto::jinke::customer::v1::{CustomerView, ListCustomersRequest, RecordKey};

use crate::suite::Clients;

/// `source/external id`, without the `sources/` in front.
pub fn short(key: &RecordKey) -> String {
    format!(
        "{}/{}",
        key.source.trim_start_matches("sources/"),
        key.external_id
    )
}

/// Every customer, named by its smallest record, with its records (and their version numbers),
/// values and provenance. No ids, revisions, positions or times of receipt.
pub async fn golden(api: &mut Clients) -> Result<BTreeMap<String, String>> {
    let mut out = BTreeMap::new();
    let mut page_token = String::new();
    loop {
        let request = ListCustomersRequest {
            page_size: 500,
            page_token,
            view: CustomerView::Full.into(),
            ..ListCustomersRequest::default()
        };
        let page = api.customers.list_customers(request).await?.into_inner();
        for customer in page.customers {
            let mut records: Vec<String> = customer
                .records
                .iter()
                .map(|r| {
                    let key = r.key.as_ref().map(short).unwrap_or_default();
                    format!("{key} v{} deleted={}", r.version, r.deleted)
                })
                .collect();
            records.sort();
            let mut text = format!("{:?} {}\n", customer.kind(), customer.display_name);
            for record in &records {
                text.push_str(&format!("  {record}\n"));
            }
            for golden in &customer.values {
                let value = golden.value.as_ref().context("value")?;
                let from = golden.provenance.as_ref().context("provenance")?;
                let mut supported: Vec<String> = from.supported_by.iter().map(short).collect();
                supported.sort();
                text.push_str(&format!(
                    "  {} {} {} {:?} from {} by {} with {supported:?} over {}\n",
                    value.attribute,
                    value.scope,
                    value.scheme,
                    value.datum,
                    from.record.as_ref().map(short).unwrap_or_default(),
                    from.rule,
                    from.losing_count,
                ));
            }
            let smallest = records
                .first()
                .context("a customer without records")?
                .clone();
            anyhow::ensure!(
                out.insert(smallest, text).is_none(),
                "a record is held twice"
            );
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(out);
        }
    }
}

/// The first difference between two states, for a readable failure.
pub fn difference(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> Option<String> {
    for (key, text) in a {
        match b.get(key) {
            None => return Some(format!("only on the left:\n{text}")),
            Some(other) if other != text => {
                return Some(format!("left:\n{text}right:\n{other}"));
            }
            Some(_) => {}
        }
    }
    b.iter()
        .find(|(key, _)| !a.contains_key(*key))
        .map(|(_, text)| format!("only on the right:\n{text}"))
}
