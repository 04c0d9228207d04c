//! Search terms: bigrams of the folded text, pinyin initials.

/// Terms under which a text is indexed; at most 256, sorted and distinct.
pub fn search_terms(text: &str) -> Vec<String> {
    let _ = text;
    Vec::new()
}

/// Terms all of which a matching text must have; empty when the query is shorter than two
/// characters.
pub fn query_terms(query: &str) -> Vec<String> {
    let _ = query;
    Vec::new()
}

/// Whether the folded query is a substring of the folded text or of its pinyin initials.
pub fn matches(query: &str, text: &str) -> bool {
    text.contains(query)
}
