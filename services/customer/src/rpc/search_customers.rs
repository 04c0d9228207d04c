//! `SearchCustomers`.
//!
//! Names are indexed as keyed hashes of two-character pieces and pinyin initials. A record that
//! carries the hashes of all pieces of the query is a candidate; its customer is opened and the
//! query compared with the names the viewer may see, so that a chance hit, a hidden name or a
//! name of a walled record never shows.
//!
//! Customers come in the order of their earliest record that matches, which is the order of the
//! index: a page costs the same wherever it is. One call looks through a bounded number of index
//! entries and opens a bounded number of customers; then it gives what it has and a next page.

use jinke_resolution as resolution;
use jinke_types::{Failure, FieldClass, PartyKind, Value, attribute};

use super::{Api, get_customer, page::Binding};
use crate::{
    access::Viewer,
    convert::{Check, answer, pb},
    domain::CustomerView,
    store::query::search::{self, Hit},
};

const METHOD: &str = "SearchCustomers";
/// Longest query in characters.
const MAX_QUERY: usize = 100;
/// Most terms of a query that are looked up; the comparison after opening looks at all of it.
const MAX_TERMS: usize = 8;
/// Candidates opened together.
const CHUNK: u32 = 50;
/// Chunks of one call at most: 1,000 candidates, or as many slices of the index.
const MAX_CHUNKS: usize = 20;

/// Attributes that are searched.
const NAMES: [&str; 4] = [
    attribute::NAME,
    attribute::FORMER_NAME,
    attribute::SHORT_NAME,
    attribute::ENGLISH_NAME,
];

/// Customers with a name that holds the query.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::SearchCustomersRequest,
) -> Result<pb::SearchCustomersResponse, Failure> {
    let mut check = Check::new();
    let query = check.line("query", request.query.trim().to_owned(), MAX_QUERY);
    let size = check.page_size(request.page_size, 20, 100);
    let full = get_customer::full(&mut check, request.view, false);
    if query
        .as_ref()
        .is_some_and(|q| resolution::query_terms(q).is_empty())
    {
        check.wrong::<()>(
            "query",
            "needs at least two letters, digits or Chinese characters",
        );
    }
    let (query, (size, full)) = check.finish(query.zip(size.zip(full)))?;
    let binding = Binding::of(METHOD, &viewer, &[&query]);
    let after: i64 = api
        .pages
        .cursor(&binding, &request.page_token)?
        .unwrap_or_default();

    let mut scan = Scan::new(&api, &viewer, name_terms(&api, &query), after);
    let mut customers = Vec::new();
    for _ in 0..MAX_CHUNKS {
        let Some(views) = scan.next().await? else {
            return Ok(pb::SearchCustomersResponse {
                customers,
                next_page_token: String::new(),
            });
        };
        for (record_no, view) in views {
            // A customer shows once: at its earliest record that matches.
            if first_match(&view, &viewer, &query) != Some(record_no) {
                continue;
            }
            customers.push(answer::customer(&view, &viewer, full));
            if customers.len() == size as usize {
                let next_page_token = api.pages.token(&binding, &record_no)?;
                return Ok(pb::SearchCustomersResponse {
                    customers,
                    next_page_token,
                });
            }
        }
    }
    let next_page_token = api.pages.token(&binding, &scan.after)?;
    Ok(pb::SearchCustomersResponse {
        customers,
        next_page_token,
    })
}

/// The tokens of a query's terms: a few of them, spread over the query.
pub(super) fn name_terms(api: &Api, query: &str) -> Vec<Vec<i64>> {
    let terms = resolution::query_terms(query);
    let step = terms.len().div_ceil(MAX_TERMS).max(1);
    terms
        .iter()
        .step_by(step)
        .map(|term| api.search_tokens(term))
        .collect()
}

/// The earliest visible record with a visible name that matches.
fn first_match(view: &CustomerView, viewer: &Viewer, query: &str) -> Option<i64> {
    let matching = |value: &Value| {
        NAMES.contains(&value.attribute.as_str())
            && viewer.sees(view.kind, value)
            && value
                .datum
                .text()
                .is_some_and(|text| resolution::matches(query, text))
    };
    let mut numbers = Vec::new();
    for golden in &view.values {
        if matching(&golden.value) {
            numbers.push(golden.record);
            numbers.extend(&golden.supported_by);
        }
        numbers.extend(
            golden
                .losing
                .iter()
                .filter(|l| matching(&l.value))
                .map(|l| l.record),
        );
    }
    numbers
        .into_iter()
        .filter_map(|i| view.records.get(i))
        .map(|r| r.record_no)
        .min()
}

/// Walks the records that carry all terms, and opens their customers.
pub(super) struct Scan<'a> {
    api: &'a Api,
    viewer: &'a Viewer,
    terms: Vec<Vec<i64>>,
    /// The last record looked at.
    pub(super) after: i64,
    ended: bool,
}

impl<'a> Scan<'a> {
    pub(super) fn new(api: &'a Api, viewer: &'a Viewer, terms: Vec<Vec<i64>>, after: i64) -> Self {
        let ended = terms.is_empty();
        Self {
            api,
            viewer,
            terms,
            after,
            ended,
        }
    }

    /// The next candidates with the record each was found by; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<(i64, CustomerView)>>, Failure> {
        if self.ended {
            return Ok(None);
        }
        // Whoever may not read names of persons finds none, at no cost.
        let kind = (!self.viewer.allows(FieldClass::PersonName)).then_some(PartyKind::Organization);
        let found = {
            let (mut reader, rows) = self.api.read(self.viewer).await?;
            search::hits(&mut reader, &rows, &self.terms, kind, self.after, CHUNK).await?
        };
        match found.next {
            Some(next) => self.after = next,
            None => self.ended = true,
        }
        let mut ids: Vec<i64> = found.hits.iter().map(|hit| hit.customer).collect();
        ids.sort_unstable();
        ids.dedup();
        let views = self
            .api
            .engine
            .golden_many(&ids, &self.viewer.scope)
            .await?;
        let of = |hit: &Hit| {
            let at = views
                .binary_search_by_key(&hit.customer, |view| view.id)
                .ok()?;
            Some((hit.record_no, views[at].clone()))
        };
        Ok(Some(found.hits.iter().filter_map(of).collect()))
    }
}
