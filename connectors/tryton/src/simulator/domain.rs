//! Search domains of the simulator.

use serde_json::{Value, json};

use super::{Refused, Row, World, schema::field};

/// What values are compared and sorted by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(u8, Vec<i64>, String);

/// The key of a value; nothing sorts first.
pub(super) fn key(value: &Value) -> Key {
    match value {
        Value::Null => Key(0, vec![], String::new()),
        Value::Bool(yes) => Key(1, vec![i64::from(*yes)], String::new()),
        Value::Number(n) => Key(1, vec![n.as_i64().unwrap_or_default()], String::new()),
        Value::String(text) => Key(2, vec![], text.clone()),
        Value::Array(_) => Key(4, vec![], String::new()),
        Value::Object(map) => {
            let parts = [
                "year",
                "month",
                "day",
                "hour",
                "minute",
                "second",
                "microsecond",
            ];
            let part = |p| map.get(p).and_then(Value::as_i64).unwrap_or_default();
            Key(3, parts.into_iter().map(part).collect(), String::new())
        }
    }
}

impl World {
    /// Whether a row meets a domain.
    pub(super) fn meets(&self, model: &str, row: &Row, domain: &Value) -> Result<bool, Refused> {
        let Some(clauses) = domain.as_array() else {
            return Err(("TypeError", "a domain is a list".to_owned()));
        };
        let or = clauses.first() == Some(&json!("OR"));
        let start = usize::from(or || clauses.first() == Some(&json!("AND")));
        for clause in &clauses[start..] {
            let holds = if clause.get(0).is_some_and(Value::is_string)
                && !matches!(clause[0].as_str(), Some("OR" | "AND"))
            {
                self.clause(model, row, clause)?
            } else {
                self.meets(model, row, clause)?
            };
            if holds == or {
                return Ok(or);
            }
        }
        Ok(!or)
    }

    fn clause(&self, model: &str, row: &Row, clause: &Value) -> Result<bool, Refused> {
        let name = clause[0].as_str().unwrap_or_default();
        let (op, want) = (clause[1].as_str().unwrap_or_default(), &clause[2]);
        let (head, rest) = match name.split_once('.') {
            Some((head, rest)) => (head, Some(rest)),
            None => (name, None),
        };
        let field = field(model, head).ok_or(("'nosuch'", String::new()))?;
        if let Some(rest) = rest {
            let to = row.get(head).and_then(Value::as_i64);
            let target = to.and_then(|id| self.tables.get(field.relation)?.get(&id));
            let Some(target) = target else {
                return Ok(false);
            };
            return self.clause(field.relation, target, &json!([rest, op, want]));
        }
        if op == "where" {
            let id = row["id"].as_i64().unwrap_or_default();
            for to in self.linked(field, row, id) {
                if let Some(target) = self.tables.get(field.relation).and_then(|t| t.get(&to))
                    && self.meets(field.relation, target, want)?
                {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        let have = key(row.get(head).unwrap_or(&Value::Null));
        let want_key = key(want);
        // As in SQL, nothing is neither before nor after anything.
        let both = have.0 != 0 && want_key.0 != 0;
        Ok(match op {
            "=" => have == want_key,
            "!=" => have != want_key,
            ">" => both && have > want_key,
            ">=" => both && have >= want_key,
            "in" => want
                .as_array()
                .is_some_and(|l| l.iter().any(|v| key(v) == have)),
            _ => return Err(("TypeError", "this operator is not simulated".to_owned())),
        })
    }
}
