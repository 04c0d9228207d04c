//! Saving, submitting and reviewing bills.

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::{
    Refused, Row, World,
    schema::{FIELDS, FORMS, Field, Form},
    time,
};

fn refused(field: &str, why: &str) -> Refused {
    Refused(11, field.to_owned(), why.to_owned())
}

fn success(bills: &[(i64, String)]) -> Value {
    let told: Vec<Value> = bills
        .iter()
        .enumerate()
        .map(|(i, (id, number))| json!({"Id": id, "Number": number, "DIndex": i}))
        .collect();
    let (id, number) = bills.first().cloned().unwrap_or_default();
    json!({"Result": {
        "ResponseStatus": {
            "IsSuccess": true, "Errors": [], "SuccessEntitys": told, "SuccessMessages": [],
            "MsgCode": 0,
        },
        "Id": id, "Number": number, "NeedReturnData": [{}],
    }})
}

impl World {
    fn known(body: &Value) -> Result<&'static Form, Refused> {
        let name = body["formid"].as_str().unwrap_or_default();
        Self::form(name).ok_or_else(|| Refused(4, "formid".to_owned(), "业务对象不存在".to_owned()))
    }

    /// The id of the base record that `{"FNumber": …}` names.
    fn named(&self, field: &Field, given: &Value) -> Result<i64, Refused> {
        let number = given
            .as_object()
            .and_then(|o| o.iter().find(|(k, _)| k.eq_ignore_ascii_case("FNumber")))
            .map(|(_, v)| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
        let number = number.ok_or_else(|| refused(field.key, "基础资料须以编码指定"))?;
        let table = self.tables.get(field.to);
        let found = table
            .into_iter()
            .flatten()
            .find(|(_, bill)| bill.head.get("FNumber").and_then(Value::as_str) == Some(&*number));
        found
            .map(|(id, _)| *id)
            .ok_or_else(|| refused(field.key, "基础资料不存在或未审核"))
    }

    /// What a model gives for the fields of one list.
    fn taken(&self, form: &Form, list: &str, given: &Map<String, Value>) -> Result<Row, Refused> {
        let mut row = Row::new();
        for (key, value) in given {
            // Heads have parts of their own, whose fields are the head's.
            if let (Some(part), true) = (value.as_object(), key == "FSaleOrderFinance") {
                row.extend(self.taken(form, list, part)?);
                continue;
            }
            let field = FIELDS
                .iter()
                .find(|f| f.form == form.name && f.list == list && f.key.eq_ignore_ascii_case(key));
            // Names that it does not know are passed over in silence, as the product does it.
            let Some(field) = field else { continue };
            let value = if field.to.is_empty() {
                match (field.kind, value.as_str().map(str::parse::<Decimal>)) {
                    (106, Some(Ok(number))) => {
                        serde_json::from_str(&number.to_string()).unwrap_or_default()
                    }
                    (106, Some(Err(_))) => return Err(refused(field.key, "数值格式不正确")),
                    _ => value.clone(),
                }
            } else {
                json!(self.named(field, value)?)
            };
            row.insert(field.key.to_owned(), value);
        }
        Ok(row)
    }

    pub(super) fn save(&mut self, body: &Value) -> Result<Value, Refused> {
        let form = Self::known(body)?;
        let data = &body["data"];
        let model = data["Model"]
            .as_object()
            .ok_or_else(|| Refused(8, "Model".to_owned(), "参数不能为空".to_owned()))?;
        let id = model.get(form.id).and_then(Value::as_i64).unwrap_or(0);
        let head = self.taken(form, "FBillHead", model)?;
        let mut entries = Vec::new();
        for entry in model
            .get(form.entry)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let entry = entry.as_object().cloned().unwrap_or_default();
            entries.push(self.taken(form, form.entry, &entry)?);
        }
        if let Some(number) = head.get(form.number) {
            let taken = self.tables.get(form.name).into_iter().flatten();
            if taken
                .into_iter()
                .any(|(other, bill)| *other != id && bill.head.get(form.number) == Some(number))
            {
                return Err(refused(form.number, "编码已存在，请重新录入"));
            }
        }
        let status = self.status_field(form.name);
        self.now = self.now.plus(std::time::Duration::from_secs(1));
        let now = self.now;
        let id = if id == 0 {
            complete(form, &head, &entries)?;
            let mut head = head;
            head.insert(status.to_owned(), json!("A"));
            self.create(form.name, Value::Object(head), &[], now)
        } else {
            let bill = self
                .bill(form.name, id)
                .ok_or_else(|| refused(form.id, "单据不存在"))?;
            if !["Z", "A", "D"].contains(&bill.head[status].as_str().unwrap_or_default()) {
                return Err(refused(status, "已提交或已审核的单据不允许保存"));
            }
            bill.head.extend(head);
            bill.head.insert("FModifyDate".to_owned(), time(now));
            id
        };
        let drop = data["IsDeleteEntry"] != json!("False") && data["IsDeleteEntry"] != json!(false);
        self.put(form, id, entries, drop);
        let bill = self.bill(form.name, id).cloned().unwrap_or_default();
        let number = bill
            .head
            .get(form.number)
            .and_then(Value::as_str)
            .unwrap_or_default();
        Ok(success(&[(id, number.to_owned())]))
    }

    /// Puts entries into a bill and sums them up.
    fn put(&mut self, form: &Form, id: i64, entries: Vec<Row>, drop: bool) {
        let mut ids = self.entry_ids;
        if let Some(bill) = self.bill(form.name, id) {
            if drop && !entries.is_empty() {
                bill.entries.clear();
            }
            for mut entry in entries {
                let number = |key: &str| {
                    let text = entry.get(key).map(Value::to_string).unwrap_or_default();
                    text.trim_matches('"')
                        .parse::<Decimal>()
                        .unwrap_or_default()
                };
                let amount = (number("FQty") * number("FTaxPrice")).round_dp(2);
                let amount = serde_json::from_str(&amount.to_string()).unwrap_or_default();
                entry.insert("FAllAmount".to_owned(), amount);
                ids += 1;
                bill.entries.push((ids, entry));
            }
            if form.name == "SAL_SaleOrder" {
                let total: Decimal = bill
                    .entries
                    .iter()
                    .filter_map(|(_, e)| e.get("FAllAmount")?.to_string().parse::<Decimal>().ok())
                    .sum();
                let total = serde_json::from_str(&total.to_string()).unwrap_or_default();
                bill.head.insert("FBillAllAmount".to_owned(), total);
                let currency = bill.head.get("FSettleCurrId").cloned();
                bill.head.insert(
                    "FSettleCurrId".to_owned(),
                    currency.unwrap_or(json!(100_001)),
                );
            }
        }
        self.entry_ids = ids;
    }

    /// The ids that an operation names, by id or by number.
    fn addressed(&self, form: &Form, data: &Value) -> Vec<i64> {
        let mut ids: Vec<i64> = match &data["Ids"] {
            Value::String(text) => text
                .split(',')
                .filter_map(|t| t.trim().parse().ok())
                .collect(),
            Value::Number(n) => n.as_i64().into_iter().collect(),
            _ => Vec::new(),
        };
        for number in data["Numbers"].as_array().into_iter().flatten() {
            let table = self.tables.get(form.name).into_iter().flatten();
            let found = table
                .into_iter()
                .find(|(_, b)| b.head.get(form.number) == Some(number));
            ids.extend(found.map(|(id, _)| *id));
        }
        ids
    }

    pub(super) fn operate(&mut self, name: &str, body: &Value) -> Result<Value, Refused> {
        let form = Self::known(body)?;
        let ids = self.addressed(form, &body["data"]);
        if ids.is_empty() {
            return Err(Refused(8, "Ids".to_owned(), "参数不能为空".to_owned()));
        }
        let status = self.status_field(form.name);
        let (from, to): (&[&str], &str) = match name {
            "Submit" => (&["Z", "A", "D"], "B"),
            "Audit" => (&["B"], "C"),
            "UnAudit" => (&["C"], "D"),
            _ => (&["Z", "A", "D"], ""),
        };
        self.now = self.now.plus(std::time::Duration::from_secs(1));
        let now = time(self.now);
        let mut done = Vec::new();
        for id in ids {
            let bill = self
                .bill(form.name, id)
                .ok_or_else(|| refused(form.id, "单据不存在"))?;
            if !from.contains(&bill.head[status].as_str().unwrap_or_default()) {
                return Err(refused(status, "单据状态不允许此操作"));
            }
            let number = bill
                .head
                .get(form.number)
                .and_then(Value::as_str)
                .unwrap_or_default();
            done.push((id, number.to_owned()));
            if to.is_empty() {
                self.table(form.name).remove(&id);
                continue;
            }
            bill.head.insert(status.to_owned(), json!(to));
            match name {
                "Audit" => bill.head.insert("FApproveDate".to_owned(), now.clone()),
                "UnAudit" => bill.head.insert("FApproveDate".to_owned(), Value::Null),
                _ => bill.head.insert("FModifyDate".to_owned(), now.clone()),
            };
        }
        Ok(success(&done))
    }

    pub(super) fn view(&self, body: &Value) -> Result<Value, Refused> {
        let form = Self::known(body)?;
        let data = &body["data"];
        let id = data["Id"]
            .as_i64()
            .or_else(|| data["Id"].as_str()?.parse().ok());
        let table = self.tables.get(form.name).into_iter().flatten();
        let found = table.into_iter().find(|(other, bill)| {
            Some(**other) == id || bill.head.get(form.number) == Some(&data["Number"])
        });
        let (id, bill) = found.ok_or_else(|| refused(form.id, "单据不存在"))?;
        let mut told = bill.head.clone();
        told.insert("Id".to_owned(), json!(id));
        Ok(json!({"Result": {"ResponseStatus": {"IsSuccess": true}, "Result": told}}))
    }
}

/// What a new bill needs.
fn complete(form: &Form, head: &Row, entries: &[Row]) -> Result<(), Refused> {
    let needed: &[&str] = match form.name {
        "BD_Customer" | "BD_CommonContact" => &["FName"],
        "SAL_SaleOrder" => &["FCustId", "FDate", "FBillTypeID"],
        _ => &[],
    };
    for key in needed {
        let blank = head
            .get(*key)
            .is_none_or(|v| v.is_null() || v == &json!(""));
        if blank {
            return Err(refused(key, "字段必录"));
        }
    }
    if form.name == "SAL_SaleOrder" {
        let whole = |e: &Row| e.contains_key("FMaterialId") && e.contains_key("FQty");
        if entries.is_empty() || !entries.iter().all(whole) {
            return Err(refused("FSaleOrderEntry", "分录必录"));
        }
    }
    let known = FORMS.iter().any(|f| f.name == form.name);
    if known {
        Ok(())
    } else {
        Err(refused("formid", "业务对象不存在"))
    }
}
