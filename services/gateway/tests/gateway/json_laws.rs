//! What is written can be read again, for every message of the contract.

use jinke_gateway::json;
use proptest::prelude::*;
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value,
};

use crate::support::pool;

/// Decisions out of random bytes; zeros when they are used up.
struct Tape<'a>(&'a [u8]);

impl Tape<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }
    fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n.max(1)
    }
    fn wide(&mut self) -> u64 {
        // Small numbers, edges, and anything.
        match self.below(4) {
            0 => u64::from(self.byte()),
            1 => [
                0,
                1,
                u64::MAX,
                1 << 53,
                (1 << 53) + 1,
                i64::MAX as u64,
                1 << 31,
                1 << 63,
            ][self.below(8)],
            _ => (0..8).fold(0, |n, _| n << 8 | u64::from(self.byte())),
        }
    }
    fn text(&mut self) -> String {
        const PIECES: [&str; 10] = [
            "a",
            "金",
            "\"",
            "\\",
            "\n",
            "\u{0}",
            "𠮷",
            " ",
            "</script>",
            "9",
        ];
        (0..self.below(5)).map(|_| PIECES[self.below(10)]).collect()
    }
}

fn scalar(kind: &Kind, tape: &mut Tape<'_>, depth: usize) -> Value {
    let wide = tape.wide();
    match kind {
        // Eighths, which the reader takes exactly; it may be off by the last digit of others.
        Kind::Double => Value::F64(if tape.below(5) == 0 {
            f64::INFINITY
        } else {
            wide as u32 as f64 / 8.0
        }),
        Kind::Float => Value::F32(wide as u16 as f32 / 8.0),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(wide as i32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(wide as i64),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(wide as u32),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(wide),
        Kind::Bool => Value::Bool(wide % 2 == 1),
        Kind::String => Value::String(tape.text()),
        Kind::Bytes => Value::Bytes(wide.to_le_bytes().to_vec().into()),
        Kind::Enum(desc) => {
            let values: Vec<_> = desc.values().collect();
            Value::EnumNumber(values[tape.below(values.len())].number())
        }
        Kind::Message(desc) => Value::Message(message(desc, tape, depth + 1)),
    }
}

fn message(desc: &MessageDescriptor, tape: &mut Tape<'_>, depth: usize) -> DynamicMessage {
    let mut out = DynamicMessage::new(desc.clone());
    match desc.full_name() {
        "google.protobuf.Timestamp" => {
            let seconds = (tape.wide() % 315_537_897_599) as i64 - 62_135_596_800;
            out.set_field_by_name("seconds", Value::I64(seconds));
            out.set_field_by_name("nanos", Value::I32((tape.wide() % 1_000_000_000) as i32));
            return out;
        }
        "google.protobuf.Duration" => {
            let sign = if tape.below(2) == 0 { 1 } else { -1 };
            let seconds = (tape.wide() % 315_576_000_000) as i64;
            out.set_field_by_name("seconds", Value::I64(sign * seconds));
            out.set_field_by_name(
                "nanos",
                Value::I32(sign as i32 * (tape.wide() % 1_000_000_000) as i32),
            );
            return out;
        }
        "google.protobuf.FieldMask" => {
            let paths = ["display_name", "nested.size", "email"];
            let paths = (0..tape.below(3)).map(|_| Value::String(paths[tape.below(3)].to_owned()));
            out.set_field_by_name("paths", Value::List(paths.collect()));
            return out;
        }
        // What is in these has its own rules; the services of ours do not use them.
        "google.protobuf.Any"
        | "google.protobuf.Struct"
        | "google.protobuf.Value"
        | "google.protobuf.ListValue" => {
            return out;
        }
        _ => {}
    }
    if depth > 4 {
        return out;
    }
    for field in desc.fields() {
        let any = field
            .kind()
            .as_message()
            .is_some_and(|m| m.full_name() == "google.protobuf.Any");
        if any || tape.below(3) != 0 {
            continue;
        }
        if field
            .containing_oneof()
            .is_some_and(|o| o.fields().any(|f| out.has_field(&f)))
        {
            continue;
        }
        let value = if field.is_map() {
            map(&field, tape, depth)
        } else if field.is_list() {
            Value::List(
                (0..tape.below(4))
                    .map(|_| scalar(&field.kind(), tape, depth))
                    .collect(),
            )
        } else {
            scalar(&field.kind(), tape, depth)
        };
        out.set_field(&field, value);
    }
    out
}

fn map(field: &FieldDescriptor, tape: &mut Tape<'_>, depth: usize) -> Value {
    let kind = field.kind();
    let entry = kind.as_message().unwrap();
    let entries = (0..tape.below(3)).map(|_| {
        let key = match entry.map_entry_key_field().kind() {
            Kind::String => MapKey::String(tape.text()),
            Kind::Int32 => MapKey::I32(tape.wide() as i32),
            other => panic!("a map by {other:?}"),
        };
        (
            key,
            scalar(&entry.map_entry_value_field().kind(), tape, depth),
        )
    });
    Value::Map(entries.collect())
}

fn check(pool: &DescriptorPool, which: usize, tape: &[u8]) -> Result<(), TestCaseError> {
    let all: Vec<_> = pool
        .all_messages()
        .filter(|m| m.full_name().starts_with("jinke.") && !m.is_map_entry())
        .collect();
    let desc = &all[which % all.len()];
    // Encoded once, so that what is at its default is not there, as in every message that comes
    // from a service.
    let before = message(desc, &mut Tape(tape), 0).encode_to_vec();
    let before = DynamicMessage::decode(desc.clone(), before.as_slice()).unwrap();
    let text = json::text(&before).unwrap();
    let after = json::message(desc, &text, "").map_err(|f| {
        TestCaseError::fail(format!(
            "{}: {f}: {}",
            desc.full_name(),
            String::from_utf8_lossy(&text)
        ))
    })?;
    // Without showing the messages: the debug form of a type that holds itself never ends. Maps
    // are in no order, so the texts may differ.
    prop_assert!(
        after == before,
        "{}: {}",
        desc.full_name(),
        String::from_utf8_lossy(&text)
    );
    prop_assert_eq!(json::text(&after).unwrap().len(), text.len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn messages_of_the_contract_survive(which in any::<usize>(), tape in proptest::collection::vec(any::<u8>(), 0..400)) {
        let pool = DescriptorPool::decode(jinke_proto::FILE_DESCRIPTOR_SET).unwrap();
        check(&pool, which, &tape)?;
    }

    #[test]
    fn messages_of_every_type_survive(which in any::<usize>(), tape in proptest::collection::vec(any::<u8>(), 0..400)) {
        check(&pool(), which, &tape)?;
    }
}
