//! Creating and changing rows.

use jinke_sdk::testing::{FakeRequest, FakeResponse};
use serde_json::{Value, json};

use super::{Refused, Row, World, date, moment, schema::SETS, time, touch};

/// Lists that come as `{"results": […]}` as lists, all the way down.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(mut map) => match map.remove("results") {
            Some(Value::Array(list)) if map.is_empty() => {
                Value::Array(list.into_iter().map(plain).collect())
            }
            Some(other) => {
                map.insert("results".to_owned(), other);
                Value::Object(map)
            }
            None => Value::Object(map.into_iter().map(|(k, v)| (k, plain(v))).collect()),
        },
        other => other,
    }
}

const MISSING: Refused = Refused(400, "R11/101", "字段必输");

impl World {
    pub(super) fn create(&mut self, set: &str, body: &[u8]) -> Result<FakeResponse, Refused> {
        let set = SETS.iter().find(|s| s.name == set);
        let set = set.ok_or(Refused(
            404,
            "005056A509B11EE1B9A8FEC11C21578E",
            "找不到资源",
        ))?;
        let body: Value = serde_json::from_slice(body)
            .map_err(|_| Refused(400, "005056A509B11EE1B9A8FEC11C21D78E", "JSON无效"))?;
        let mut row: Row = match plain(body) {
            Value::Object(row) => row,
            _ => return Err(MISSING),
        };
        self.now = self.now.plus(std::time::Duration::from_secs(1));
        let now = self.now;
        let text = |row: &Row, name: &str| {
            row.get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        self.creations += 1;
        let count = self.creations;
        let number = if set.name == "A_SalesOrder" {
            let sold_to = format!("{:0>10}", text(&row, "SoldToParty"));
            let partners = self.sets.get("A_BusinessPartner").into_iter().flatten();
            let known = partners
                .into_iter()
                .any(|(_, p)| p.get("Customer") == Some(&json!(sold_to)));
            if !known
                || row
                    .get("to_Item")
                    .and_then(Value::as_array)
                    .is_none_or(Vec::is_empty)
            {
                self.creations -= 1;
                return Err(Refused(400, "VP/198", "售达方未定义或没有项目"));
            }
            row.insert("LastChangeDateTime".to_owned(), moment(now));
            row.insert("OverallSDProcessStatus".to_owned(), json!("A"));
            for (i, item) in row
                .get_mut("to_Item")
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
                .enumerate()
            {
                item["SalesOrderItem"] = json!(format!("{}", 10 * (i + 1)));
                item["NetAmount"] = json!("10.00");
            }
            format!("{}", 5_900_000 + count)
        } else {
            let name: String = ["OrganizationBPName1", "OrganizationBPName2", "LastName"]
                .iter()
                .map(|n| text(&row, n))
                .collect();
            if name.is_empty() {
                self.creations -= 1;
                return Err(MISSING);
            }
            let number = format!("{:010}", 1_900_000 + count);
            row.insert("BusinessPartnerFullName".to_owned(), json!(name));
            row.insert("Customer".to_owned(), json!(number));
            row.insert("CreationTime".to_owned(), time(now));
            number
        };
        row.insert("CreationDate".to_owned(), date(now));
        row.insert(set.key.to_owned(), json!(number));
        let told = self.shown(set.name, &row, "", "");
        self.sets.entry(set.name).or_default().insert(number, row);
        Ok(FakeResponse {
            status: 201,
            ..FakeResponse::json(&json!({"d": told}))
        })
    }

    /// `Set('number')` with the properties to change.
    pub(super) fn change(
        &mut self,
        path: &str,
        request: &FakeRequest,
    ) -> Result<FakeResponse, Refused> {
        let gone = || Refused(404, "005056A509B11EE1B9A8FEC11C21578E", "找不到资源");
        let (set, number) = path.split_once("('").ok_or_else(gone)?;
        let number = number.strip_suffix("')").ok_or_else(gone)?;
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        self.now = self.now.plus(std::time::Duration::from_secs(1));
        let now = self.now;
        let row = self.row(set, number).ok_or_else(gone)?;
        let version = row.get("version").cloned().unwrap_or(json!(0));
        match request.header("if-match") {
            None => return Err(Refused(428, "/IWFND/CM_BEC/026", "需要If-Match")),
            Some(etag) if etag != "*" && etag != format!("W/\"{version}\"") => {
                return Err(Refused(412, "/IWBEP/CM_V2_RUNTIME/042", "前提条件失败"));
            }
            Some(_) => {}
        }
        if let Value::Object(changes) = body {
            row.extend(changes);
        }
        touch(row, now);
        Ok(FakeResponse::status(204))
    }
}
