//! Arguments and habits that several commands share.

use clap::Args;
use jinke_proto::jinke::customer::v1 as pb;
use jinke_types::Failure;

/// How much of a list.
#[derive(Clone, Debug, Args)]
pub struct Limit {
    /// Show at most so many
    #[arg(long, short = 'n', default_value_t = 50, value_name = "N")]
    pub limit: usize,
}

/// Collects the pages of a list until `limit`. `fetch` gets a page size and token and gives the
/// items and the next token.
///
/// # Errors
/// What `fetch` answers.
pub async fn collect<T>(
    limit: usize,
    largest_page: i32,
    mut fetch: impl AsyncFnMut(i32, String) -> Result<(Vec<T>, String), Failure>,
) -> Result<(Vec<T>, String), Failure> {
    let (mut items, mut token) = (Vec::new(), String::new());
    loop {
        let want = i32::try_from(limit - items.len())
            .unwrap_or(i32::MAX)
            .min(largest_page);
        let (page, next) = fetch(want, token).await?;
        items.extend(page);
        token = next;
        if token.is_empty() || items.len() >= limit {
            return Ok((items, token));
        }
    }
}

/// The record key in `erp/C-1`, or in `sources/erp/C-1`.
///
/// # Errors
/// Says how a key looks; for clap.
pub fn record_key(text: &str) -> Result<pb::RecordKey, String> {
    let rest = text.strip_prefix("sources/").unwrap_or(text);
    match rest.split_once('/') {
        Some((source, id)) if !source.is_empty() && !id.is_empty() => Ok(pb::RecordKey {
            source: format!("sources/{source}"),
            external_id: id.to_owned(),
        }),
        _ => Err("a record is written SOURCE/EXTERNAL_ID, e.g. erp/C-1001".to_owned()),
    }
}

/// `12` and `customers/12` name the same customer. For clap.
///
/// # Errors
/// When nothing is left of the name.
pub fn customer_name(text: &str) -> Result<String, String> {
    named("customers", text)
}

/// `li` and `users/li` name the same user. For clap.
///
/// # Errors
/// When nothing is left of the name.
pub fn user_name(text: &str) -> Result<String, String> {
    named("users", text)
}

/// `id` and `<collection>/id` name the same resource.
///
/// # Errors
/// When nothing is left of the name.
pub fn named(collection: &str, text: &str) -> Result<String, String> {
    let id = text
        .strip_prefix(collection)
        .and_then(|t| t.strip_prefix('/'))
        .unwrap_or(text);
    if id.is_empty() || id.contains('/') {
        return Err(format!("write {collection}/ID or just ID"));
    }
    Ok(format!("{collection}/{id}"))
}

/// Shows that a list was cut.
pub fn more(token: &str) -> Option<&'static str> {
    (!token.is_empty()).then_some("… 还有更多 there is more: raise --limit")
}

/// A new request id, so that a call that is sent twice has its effect once.
pub fn request_id() -> String {
    let mut bytes = [0; 16];
    jinke_types::Entropy::fill(&jinke_types::OsEntropy, &mut bytes);
    bytes
        .iter()
        .fold("cli-".to_owned(), |id, b| id + &format!("{b:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_slashes_of_foreign_ids() {
        let key = record_key("erp/A/1#contact:2").unwrap();
        assert_eq!(
            (key.source.as_str(), key.external_id.as_str()),
            ("sources/erp", "A/1#contact:2")
        );
        assert_eq!(record_key("sources/erp/A").unwrap().external_id, "A");
        assert!(
            record_key("erp").is_err() && record_key("/x").is_err() && record_key("erp/").is_err()
        );
    }

    #[test]
    fn names_may_be_short() {
        assert_eq!(customer_name("12"), Ok("customers/12".into()));
        assert_eq!(customer_name("customers/12"), Ok("customers/12".into()));
        assert!(customer_name("users/12").is_err() && customer_name("").is_err());
    }

    #[tokio::test]
    async fn pages_are_fetched_until_the_limit() {
        let fetch = async |size: i32, token: String| {
            let from: i32 = if token.is_empty() {
                0
            } else {
                token.parse().unwrap()
            };
            let to = (from + size.min(3)).min(10);
            let next = if to == 10 {
                String::new()
            } else {
                to.to_string()
            };
            Ok(((from..to).collect(), next))
        };
        let (items, token) = collect(7, 100, fetch).await.unwrap();
        assert_eq!((items, token.as_str()), ((0..7).collect(), "7"));
        let (items, token) = collect(70, 100, fetch).await.unwrap();
        assert_eq!((items.len(), token.as_str()), (10, ""));
    }
}
