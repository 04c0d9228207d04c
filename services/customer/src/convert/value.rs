//! Record keys, values and addresses.

use jinke_types::{Address, Datum, RecordKey, Value, attribute};

use super::{
    check::{Check, MAX_EXTERNAL_ID, join},
    number, pb,
};

/// Most values of one party or relationship.
pub const MAX_VALUES: usize = 500;
/// Most characters of a text value; remarks and custom attributes may have [`MAX_LONG_TEXT`].
pub const MAX_TEXT: usize = 1_000;
/// Most characters of free text.
pub const MAX_LONG_TEXT: usize = 20_000;

/// A required record key.
pub fn record_key(check: &mut Check, path: &str, key: Option<pb::RecordKey>) -> Option<RecordKey> {
    let Some(key) = key else {
        return check.wrong(path, "is required");
    };
    let source = check.source_name(join(path, "source"), &key.source);
    let field = join(path, "external_id");
    let external_id = if key.external_id.is_empty() {
        check.wrong(field, "is required")
    } else {
        check.line(field, key.external_id, MAX_EXTERNAL_ID)
    };
    Some(RecordKey {
        source: source?,
        external_id: external_id?,
    })
}

/// A record key on its way out.
pub fn record_key_out(key: &RecordKey) -> pb::RecordKey {
    pb::RecordKey {
        source: format!("sources/{}", key.source),
        external_id: key.external_id.clone(),
    }
}

/// A list of values, at most [`MAX_VALUES`].
pub fn values(check: &mut Check, path: &str, values: Vec<pb::Value>) -> Option<Vec<Value>> {
    let path = join(path, "values");
    if values.len() > MAX_VALUES {
        return check.wrong(path, format!("holds more than {MAX_VALUES} values"));
    }
    let parsed: Vec<_> = values
        .into_iter()
        .enumerate()
        .map(|(i, v)| value(check, &format!("{path}[{i}]"), v))
        .collect();
    parsed.into_iter().collect()
}

/// One value of one attribute.
pub fn value(check: &mut Check, path: &str, v: pb::Value) -> Option<Value> {
    let name = v.attribute;
    if !attribute::is_valid(&name) {
        return check.wrong(
            join(path, "attribute"),
            "is neither a known attribute nor a custom one (x_ and up to 62 of a-z 0-9 _)",
        );
    }
    let scope = check.word(join(path, "scope"), v.scope, 128, "_-./");
    let scheme = check.word(join(path, "scheme"), v.scheme, 64, "_-.:");
    if name == attribute::IDENTIFIER && scheme.as_deref() == Some("") {
        check.wrong::<()>(join(path, "scheme"), "an identifier needs its scheme");
    }
    let country = check.word(join(path, "country"), v.country, 2, "");
    let two_capitals = |c: &str| c.len() == 2 && c.bytes().all(|b| b.is_ascii_uppercase());
    if country
        .as_deref()
        .is_some_and(|c| !c.is_empty() && !two_capitals(c))
    {
        check.wrong::<()>(
            join(path, "country"),
            "is not an ISO 3166 code of two capital letters",
        );
    }
    let unit = check.line(join(path, "unit"), v.unit, 32);
    let valid_from = number::optional_time(check, join(path, "valid_from"), v.valid_from);
    let valid_to = number::optional_time(check, join(path, "valid_to"), v.valid_to);
    order(check, path, valid_from.flatten(), valid_to.flatten());
    let datum = datum(check, path, &name, v.datum);
    Some(Value {
        attribute: name,
        scope: scope?,
        datum: datum?,
        scheme: scheme?,
        country: country?,
        unit: unit?,
        valid_from: valid_from?,
        valid_to: valid_to?,
    })
}

/// Refuses a validity that ends before it begins.
pub fn order<T: PartialOrd>(check: &mut Check, path: &str, from: Option<T>, to: Option<T>) {
    if let (Some(from), Some(to)) = (from, to)
        && to < from
    {
        check.wrong::<()>(join(path, "valid_to"), "is before valid_from");
    }
}

fn datum(
    check: &mut Check,
    path: &str,
    name: &str,
    datum: Option<pb::value::Datum>,
) -> Option<Datum> {
    use pb::value::Datum as D;
    if let Some(datum) = &datum
        && !fits(name, datum)
    {
        return check.wrong(path, format!("{name} does not hold a value of this sort"));
    }
    match datum {
        Some(D::Text(text)) => {
            let long = name == attribute::REMARK || name.starts_with("x_");
            let max = if long { MAX_LONG_TEXT } else { MAX_TEXT };
            check.text(join(path, "text"), text, max).map(Datum::Text)
        }
        Some(D::Number(n)) => {
            number::decimal(check, join(path, "number"), &n.value).map(Datum::Number)
        }
        Some(D::Date(d)) => number::date(check, join(path, "date"), &d),
        Some(D::Address(a)) => address(check, &join(path, "address"), a).map(Datum::Address),
        Some(D::Null(true)) => Some(Datum::Null),
        Some(D::Null(false)) => check.wrong(join(path, "null"), "must be true when set"),
        None => check.wrong(path, "one of text, number, date, address, null is required"),
    }
}

/// Whether an attribute holds a datum of this sort. A phone sent as a number would be stored and
/// never compared with another, so it is refused instead.
fn fits(name: &str, datum: &pb::value::Datum) -> bool {
    use pb::value::Datum as D;
    match datum {
        D::Text(_) | D::Null(_) => true,
        D::Address(_) => name == attribute::ADDRESS || name.starts_with("x_"),
        D::Number(_) => {
            name.starts_with("x_") || matches!(name, attribute::CREDIT_LIMIT | attribute::SIZE)
        }
        D::Date(_) => name.starts_with("x_") || name == attribute::DATE_OF_BIRTH,
    }
}

fn address(check: &mut Check, path: &str, a: pb::Address) -> Option<Address> {
    let country = check.text(join(path, "country"), a.country, 100);
    let province = check.text(join(path, "province"), a.province, 100);
    let city = check.text(join(path, "city"), a.city, 100);
    let district = check.text(join(path, "district"), a.district, 100);
    let text = check.text(join(path, "text"), a.text, MAX_TEXT);
    let postcode = check.text(join(path, "postcode"), a.postcode, 20);
    Some(Address {
        country: country?,
        province: province?,
        city: city?,
        district: district?,
        text: text?,
        postcode: postcode?,
    })
}

/// A value on its way out.
pub fn value_out(v: &Value) -> pb::Value {
    use pb::value::Datum as D;
    let datum = match &v.datum {
        Datum::Text(text) => D::Text(text.clone()),
        Datum::Number(n) => D::Number(number::decimal_out(*n)),
        Datum::Date(year, month, day) => D::Date(jinke_proto::google::r#type::Date {
            year: *year,
            month: i32::from(*month),
            day: i32::from(*day),
        }),
        Datum::Address(a) => D::Address(pb::Address {
            country: a.country.clone(),
            province: a.province.clone(),
            city: a.city.clone(),
            district: a.district.clone(),
            text: a.text.clone(),
            postcode: a.postcode.clone(),
        }),
        Datum::Null => D::Null(true),
    };
    pb::Value {
        attribute: v.attribute.clone(),
        scope: v.scope.clone(),
        datum: Some(datum),
        scheme: v.scheme.clone(),
        country: v.country.clone(),
        unit: v.unit.clone(),
        valid_from: v.valid_from.map(number::time_out),
        valid_to: v.valid_to.map(number::time_out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(attribute: &str, text: impl Into<String>) -> pb::Value {
        pb::Value {
            attribute: attribute.to_owned(),
            datum: Some(pb::value::Datum::Text(text.into())),
            ..pb::Value::default()
        }
    }

    fn field_of(v: pb::Value) -> String {
        let mut check = Check::new();
        value(&mut check, "values[2]", v);
        check.done().unwrap_err().violations.remove(0).field
    }

    #[test]
    fn each_wrong_field_has_its_path() {
        assert_eq!(field_of(text("nome", "x")), "values[2].attribute");
        assert_eq!(
            field_of(text("name", "x".repeat(10_000_000))),
            "values[2].text"
        );
        assert_eq!(field_of(text("name", "a\0b")), "values[2].text");
        assert_eq!(field_of(text("identifier", "91310000")), "values[2].scheme");
        assert_eq!(
            field_of(pb::Value {
                country: "cn".to_owned(),
                ..text("phone", "1")
            }),
            "values[2].country"
        );
        assert_eq!(
            field_of(pb::Value {
                scope: "a b".to_owned(),
                ..text("phone", "1")
            }),
            "values[2].scope"
        );
        assert_eq!(
            field_of(pb::Value {
                datum: None,
                ..text("phone", "")
            }),
            "values[2]"
        );
        assert_eq!(
            field_of(pb::Value {
                datum: Some(pb::value::Datum::Null(false)),
                ..text("phone", "")
            }),
            "values[2].null"
        );
        let t = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        assert_eq!(
            field_of(pb::Value {
                valid_from: t(10),
                valid_to: t(9),
                ..text("name", "x")
            }),
            "values[2].valid_to"
        );
    }

    #[test]
    fn what_comes_in_goes_out() {
        let address = pb::Address {
            province: "浙江省".to_owned(),
            city: "杭州市".to_owned(),
            text: "文三路 1 号\n二楼".to_owned(),
            ..pb::Address::default()
        };
        let date = jinke_proto::google::r#type::Date {
            year: 1990,
            month: 2,
            day: 28,
        };
        let number = jinke_proto::google::r#type::Decimal {
            value: "1000.50".to_owned(),
        };
        let all = [
            text("name", "杭州示例有限公司"),
            pb::Value {
                scheme: "uscc".to_owned(),
                country: "CN".to_owned(),
                ..text("identifier", "9")
            },
            pb::Value {
                datum: Some(pb::value::Datum::Address(address)),
                ..text("address", "")
            },
            pb::Value {
                datum: Some(pb::value::Datum::Date(date)),
                ..text("date_of_birth", "")
            },
            pb::Value {
                datum: Some(pb::value::Datum::Number(number)),
                unit: "CNY".to_owned(),
                scope: "orgUnits/east".to_owned(),
                ..text("credit_limit", "")
            },
            pb::Value {
                datum: Some(pb::value::Datum::Null(true)),
                ..text("x_color", "")
            },
        ];
        for v in all {
            let parsed = value(&mut Check::new(), "", v.clone()).expect("is valid");
            assert_eq!(value_out(&parsed), v);
        }
    }

    #[test]
    fn too_many_values_are_refused_before_they_are_looked_at() {
        let mut check = Check::new();
        assert_eq!(
            values(&mut check, "party", vec![text("name", "x"); MAX_VALUES + 1]),
            None
        );
        assert_eq!(
            check.done().unwrap_err().violations[0].field,
            "party.values"
        );
    }

    #[test]
    fn keys_need_both_parts() {
        let key = |source: &str, id: &str| {
            Some(pb::RecordKey {
                source: source.to_owned(),
                external_id: id.to_owned(),
            })
        };
        for bad in [
            None,
            key("erp", "1"),
            key("sources/erp", ""),
            key("sources/erp", "a\tb"),
            key("sources/erp", &"x".repeat(257)),
            key("sources/erp", "a\0"),
        ] {
            assert_eq!(
                record_key(&mut Check::new(), "key", bad.clone()),
                None,
                "{bad:?}"
            );
        }
        let good = key("sources/erp", "C-001#contact:张三");
        let parsed = record_key(&mut Check::new(), "key", good.clone()).unwrap();
        assert_eq!(Some(record_key_out(&parsed)), good);
    }
}
