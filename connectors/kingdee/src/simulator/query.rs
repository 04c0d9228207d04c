//! Queries and descriptions of forms.

use serde_json::{Value, json};

use super::{
    Bill, Refused, World,
    filter::{self, Filter},
    schema::{FIELDS, FORMS, Form},
};

/// A query yields at most this many rows.
const MOST: u64 = 2_000;

/// A row of a query: a bill and the place of one of its entries.
type Place<'a> = (i64, &'a Bill, Option<usize>);

fn unknown(field: &str) -> Refused {
    Refused(9, field.to_owned(), format!("字段{field}不存在"))
}

impl World {
    /// How the tenant spells a field now; `None` when it has gone.
    fn spelled(&self, key: &str, drift: &str) -> Option<String> {
        if self.drift && drift == "gone" {
            return None;
        }
        Some(if self.capitals {
            key.to_ascii_uppercase()
        } else {
            key.to_owned()
        })
    }

    /// The value of a field, as a query names it, in a row; an error when the tenant has no such
    /// field. Without a row only whether there is one.
    fn cell(&self, form: &Form, asked: &str, place: Option<Place<'_>>) -> Result<Value, Refused> {
        let (head, part) = asked
            .split_once('.')
            .map_or((asked, None), |(h, p)| (h, Some(p)));
        let is = |key: &str, drift: &str| self.spelled(key, drift).as_deref() == Some(head);
        if is(form.id, "") && part.is_none() {
            return Ok(place.map_or(Value::Null, |(id, ..)| json!(id)));
        }
        let entry_id = format!("{}_FEntryID", form.entry);
        if !form.entry.is_empty() && is(&entry_id, "") {
            let id = place.and_then(|(_, bill, at)| bill.entries.get(at?).map(|(id, _)| *id));
            return Ok(json!(id));
        }
        let field = FIELDS
            .iter()
            .filter(|f| f.form == form.name)
            .find(|f| is(f.key, f.drift))
            .ok_or_else(|| unknown(asked))?;
        let value = place.map(|(_, bill, at)| {
            if field.list == "FBillHead" {
                return bill.head.get(field.key).cloned().unwrap_or_default();
            }
            let entry = at.and_then(|at| bill.entries.get(at));
            let cell = entry.and_then(|(_, row)| row.get(field.key).cloned());
            cell.unwrap_or_default()
        });
        let Some(part) = part else {
            return Ok(value.unwrap_or_default());
        };
        let to = FORMS
            .iter()
            .find(|f| f.name == field.to)
            .ok_or_else(|| unknown(asked))?;
        if !["FNumber", "FName"].contains(&part) {
            return Err(unknown(asked));
        }
        let id = value.as_ref().and_then(Value::as_i64);
        let there = id.and_then(|id| self.tables.get(to.name)?.get(&id));
        let cell = there.and_then(|bill| bill.head.get(part).cloned());
        // A base record that does not name one yields a blank text, not nothing.
        Ok(cell.unwrap_or_else(|| {
            if place.is_some() {
                json!("")
            } else {
                Value::Null
            }
        }))
    }

    fn in_entry(&self, form: &Form, asked: &str) -> bool {
        let head = asked.split('.').next().unwrap_or_default();
        asked.to_ascii_uppercase().contains("_FENTRY")
            || FIELDS.iter().any(|f| {
                f.form == form.name && f.list != "FBillHead" && f.key.eq_ignore_ascii_case(head)
            })
    }

    fn select(&self, data: &Value) -> Result<(Vec<String>, Vec<Vec<Value>>), Refused> {
        let text = |key: &str| data[key].as_str().unwrap_or_default().trim();
        let form = Self::form(text("FormId"))
            .ok_or_else(|| Refused(4, "FormId".to_owned(), "业务对象不存在".to_owned()))?;
        if text("FieldKeys").is_empty() {
            return Err(Refused(
                8,
                "FieldKeys".to_owned(),
                "参数不能为空".to_owned(),
            ));
        }
        let keys: Vec<String> = text("FieldKeys")
            .split(',')
            .map(|k| k.trim().to_owned())
            .collect();
        let filter = filter::parse(text("FilterString"))
            .ok_or_else(|| Refused(7, "FilterString".to_owned(), "过滤条件语法错误".to_owned()))?;
        let mut order = Vec::new();
        for by in text("OrderString")
            .split(',')
            .map(str::trim)
            .filter(|b| !b.is_empty())
        {
            let mut words = by.split_whitespace();
            let key = words.next().unwrap_or_default();
            let down = words.next().is_some_and(|w| w.eq_ignore_ascii_case("desc"));
            order.push((key.to_owned(), down));
        }
        let number = |key: &str| data[key].as_u64().unwrap_or(0);
        let limit = match number("Limit") {
            0 => MOST,
            limit if limit > MOST => {
                let why = "最大行数不能超过2000".to_owned();
                return Err(Refused(7, "Limit".to_owned(), why));
            }
            limit => limit,
        };
        let names = filter.names();
        let named = keys
            .iter()
            .map(String::as_str)
            .chain(names)
            .chain(order.iter().map(|(k, _)| &**k));
        let mut with_entries = false;
        for name in named {
            self.cell(form, name, None)?;
            with_entries |= self.in_entry(form, name);
        }
        let mut places = self.places(form, &filter, with_entries);
        places.sort_by(|a, b| {
            for (key, down) in &order {
                let of = |p: &Place<'_>| self.cell(form, key, Some(*p)).unwrap_or_default();
                let (a, b) = (of(a), of(b));
                let by = match (a.is_null(), b.is_null()) {
                    (false, false) => filter::compare(&a, &b).unwrap_or(std::cmp::Ordering::Equal),
                    (a, b) => b.cmp(&a),
                };
                if by.is_ne() {
                    return if *down { by.reverse() } else { by };
                }
            }
            std::cmp::Ordering::Equal
        });
        let most = match number("TopRowCount") {
            0 => usize::MAX,
            n => usize::try_from(n).unwrap_or(usize::MAX),
        };
        let start = usize::try_from(number("StartRow")).unwrap_or(usize::MAX);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let rows = places.into_iter().take(most).skip(start).take(limit);
        let rows: Result<Vec<_>, _> = rows
            .map(|place| {
                let cells = keys.iter().map(|key| self.cell(form, key, Some(place)));
                cells.collect::<Result<Vec<_>, _>>()
            })
            .collect();
        Ok((keys, rows?))
    }

    fn places(&self, form: &Form, filter: &Filter, with_entries: bool) -> Vec<Place<'_>> {
        let mut places = Vec::new();
        for (id, bill) in self.tables.get(form.name).into_iter().flatten() {
            let entries: Vec<Option<usize>> = if with_entries && !bill.entries.is_empty() {
                (0..bill.entries.len()).map(Some).collect()
            } else {
                vec![None]
            };
            for at in entries {
                let place = (*id, bill, at);
                let of = |name: &str| self.cell(form, name, Some(place)).unwrap_or_default();
                if filter.holds(&of) {
                    places.push(place);
                }
            }
        }
        places
    }

    pub(super) fn execute_query(&self, data: &Value) -> Result<Value, Refused> {
        let (_, rows) = self.select(data)?;
        Ok(json!(rows))
    }

    pub(super) fn bill_query(&self, data: &Value) -> Result<Value, Refused> {
        let (keys, rows) = self.select(data)?;
        let object = |row: Vec<Value>| Value::Object(keys.iter().cloned().zip(row).collect());
        Ok(Value::Array(rows.into_iter().map(object).collect()))
    }

    pub(super) fn business_info(&self, name: &str) -> Result<Value, Refused> {
        let form = Self::form(name)
            .ok_or_else(|| Refused(4, "FormId".to_owned(), "业务对象不存在".to_owned()))?;
        let mut lists = vec!["FBillHead"];
        if !form.entry.is_empty() {
            lists.push(form.entry);
        }
        let describe = |list: &str| {
            let mut fields: Vec<Value> = FIELDS
                .iter()
                .filter(|f| f.form == form.name && f.list == list)
                .filter_map(|f| {
                    let kind = if self.drift && f.drift == "retyped" {
                        165
                    } else {
                        f.kind
                    };
                    Some(json!({
                        "Key": self.spelled(f.key, f.drift)?, "FieldName": f.key.to_uppercase(),
                        "PropertyName": f.key, "FieldType": kind, "EntityKey": list,
                        "Name": [{"Key": 2052, "Value": f.key}],
                    }))
                })
                .collect();
            if self.drift && list == "FBillHead" {
                fields.push(json!({
                    "Key": "F_NEW", "FieldName": "F_NEW", "PropertyName": "F_NEW", "FieldType": 231,
                }));
            }
            let key = if self.capitals && list != "FBillHead" {
                list.to_uppercase()
            } else {
                list.to_owned()
            };
            let id = if list == "FBillHead" {
                form.id.to_owned()
            } else if self.capitals {
                "FENTRYID".to_owned()
            } else {
                "FEntryID".to_owned()
            };
            json!({"Key": key, "EntryName": key, "EntryPkFieldName": id, "Fields": fields})
        };
        let lists: Vec<Value> = lists.into_iter().map(describe).collect();
        Ok(json!({"Result": {
            "ResponseStatus": {"IsSuccess": true, "Errors": [], "SuccessEntitys": [], "MsgCode": 0},
            "NeedReturnData": {"Id": form.name, "Entrys": lists},
        }}))
    }
}
