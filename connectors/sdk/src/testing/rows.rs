//! Rows within an answer whose form nobody tells.

use serde_json::Value;

use super::FakeResponse;

/// The rows of an answer: the outermost list whose members are objects or lists.
fn rows(answer: &mut Value) -> Option<&mut Vec<Value>> {
    let is_row = |v: &Value| v.is_object() || v.is_array();
    // Depth by depth; the fake server's own answers are never deep.
    let mut level = vec![answer];
    while !level.is_empty() {
        let mut below = Vec::new();
        for value in level {
            let list = value.as_array();
            if list.is_some_and(|l| !l.is_empty() && l.iter().all(is_row)) {
                return value.as_array_mut();
            }
            match value {
                Value::Array(list) => below.extend(list.iter_mut()),
                Value::Object(map) => below.extend(map.values_mut()),
                _ => {}
            }
        }
        level = below;
    }
    None
}

/// The answer with the last row of the one before at its head, if both have rows.
pub(super) fn shifted(answer: FakeResponse, before: Option<&FakeResponse>) -> FakeResponse {
    let read = |body: &[u8]| serde_json::from_slice::<Value>(body).ok();
    let Some(mut old) = before.and_then(|b| read(&b.body)) else {
        return answer;
    };
    let Some(mut new) = read(&answer.body) else {
        return answer;
    };
    let (Some(last), Some(list)) = (rows(&mut old).and_then(Vec::pop), rows(&mut new)) else {
        return answer;
    };
    list.insert(0, last);
    FakeResponse {
        body: new.to_string().into_bytes(),
        ..answer
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_row_before_comes_first() {
        let page = |body| FakeResponse::json(&body);
        let told = |new, old| {
            let answer = shifted(page(new), Some(&page(old)));
            serde_json::from_slice::<Value>(&answer.body).unwrap()
        };
        assert_eq!(
            told(
                json!({"d": {"results": [{"n": 3}]}}),
                json!({"d": {"results": [{"n": 1, "sub": [{"n": 9}]}, {"n": 2}]}})
            ),
            json!({"d": {"results": [{"n": 2}, {"n": 3}]}})
        );
        assert_eq!(
            told(json!([[3, "c"]]), json!([[1, "a"], [2, "b"]])),
            json!([[2, "b"], [3, "c"]])
        );
        // No rows, on either side: nothing shifts.
        assert_eq!(told(json!({"a": 1}), json!([[1]])), json!({"a": 1}));
        assert_eq!(told(json!([[1]]), json!({"a": [1]})), json!([[1]]));
    }
}
