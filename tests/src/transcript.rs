//! What was answered, in a form that two runs can be compared by: without times, tokens and what
//! else must differ from run to run.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::Value;

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(jinke_proto::FILE_DESCRIPTOR_SET).expect("the descriptor set")
});

/// Fields that differ between two runs that do the same.
const DIFFER: &[&str] = &[
    "createTime",
    "updateTime",
    "deleteTime",
    "receiveTime",
    "knownTime",
    "changeTime",
    "stateTime",
    "checkTime",
    "stageTime",
    "touchTime",
    "outcomeTime",
    "assignTime",
    "startTime",
    "endTime",
    "nextPageToken",
    "pageToken",
    "uid",
    "etag",
];

/// Answers, by what was asked, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript(pub Vec<(String, String)>);

impl Transcript {
    /// Notes a message of this full name.
    ///
    /// # Panics
    /// When the contract has no such message.
    pub fn note(&mut self, asked: &str, full_name: &str, message: &impl Message) {
        let descriptor = POOL.get_message_by_name(full_name).expect("a message");
        let message = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice());
        let json = serde_json::to_value(message.expect("a message of this name"));
        self.note_json(asked, json.expect("JSON"));
    }

    /// Notes JSON.
    pub fn note_json(&mut self, asked: &str, mut json: Value) {
        scrub(&mut json);
        self.0.push((asked.to_owned(), json.to_string()));
    }

    /// Where two differ first, for a readable failure.
    pub fn difference(&self, other: &Self) -> Option<String> {
        for (n, mine) in self.0.iter().enumerate() {
            match other.0.get(n) {
                Some(theirs) if theirs == mine => {}
                Some(theirs) => {
                    let same = mine.1.chars().zip(theirs.1.chars());
                    let same = same.take_while(|(a, b)| a == b).count();
                    let near = |text: &str| -> String {
                        text.chars()
                            .skip(same.saturating_sub(200))
                            .take(400)
                            .collect()
                    };
                    let (left, right) = (near(&mine.1), near(&theirs.1));
                    return Some(format!(
                        "answer {n}:\nleft  {}: {left}\nright {}: {right}",
                        mine.0, theirs.0
                    ));
                }
                None => return Some(format!("only on the left: {mine:?}")),
            }
        }
        let more = other.0.get(self.0.len())?;
        Some(format!("only on the right: {more:?}"))
    }
}

fn scrub(json: &mut Value) {
    match json {
        Value::Object(fields) => {
            // The time of a change is when it was known; a time of another thing is its own.
            let change = fields.contains_key("revision");
            fields.retain(|name, _| {
                let differs = DIFFER.contains(&name.as_str()) || change && name == "time";
                !differs
            });
            fields.values_mut().for_each(scrub);
            // Entries of a map have no order of their own.
            let mut sorted: Vec<_> = std::mem::take(fields).into_iter().collect();
            sorted.sort_by(|a, b| a.0.cmp(&b.0));
            fields.extend(sorted);
        }
        Value::Array(all) => all.iter_mut().for_each(scrub),
        // Who asks has another account where nobody makes credentials by himself.
        Value::String(text) if CALLERS.contains(&text.as_str()) => *text = "caller".to_owned(),
        _ => {}
    }
}

/// The accounts of the tests: the command line's, and one an administrator made.
const CALLERS: [&str; 2] = ["serviceAccounts/jinke-cli", "serviceAccounts/tests"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_left_out_and_the_rest_is_compared() {
        let note = |name: &str, time: &str| {
            let mut transcript = Transcript::default();
            let json = serde_json::json!([{"displayName": name, "createTime": time}]);
            transcript.note_json("list", json);
            transcript
        };
        assert_eq!(note("a", "1").difference(&note("a", "2")), None);
        assert!(note("a", "1").difference(&note("b", "1")).is_some());
        assert!(note("a", "1").difference(&Transcript::default()).is_some());
        assert!(Transcript::default().difference(&note("a", "1")).is_some());
    }
}
