use jinke_proto::FILE_DESCRIPTOR_SET;
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, ExtensionDescriptor, Kind, MessageDescriptor, Value,
};

use super::*;

const CLASSIFIED: &str = "CLASSIFIED";

/// Fills every field of a message. Text below a classed field, and text that is personal by what
/// stands beside it, is [`CLASSIFIED`]. `choice` picks the variant of each oneof.
fn fill(
    of: &MessageDescriptor,
    class: &ExtensionDescriptor,
    below: bool,
    choice: usize,
) -> DynamicMessage {
    let mut out = DynamicMessage::new(of.clone());
    for field in of.fields() {
        if let Some(oneof) = field.containing_oneof() {
            let variants: Vec<_> = oneof.fields().collect();
            if variants[choice % variants.len()] != field {
                continue;
            }
        }
        let classed =
            below || field.options().has_extension(class) || is_personal(of, field.name());
        let one = match field.kind() {
            Kind::Message(m) => Value::Message(fill(&m, class, classed, choice)),
            Kind::Enum(e) if e.name() == "PartyKind" => Value::EnumNumber(2),
            Kind::Enum(_) => Value::EnumNumber(1),
            Kind::String if of.name() == "Value" && field.name() == "attribute" => {
                Value::String("phone".to_owned())
            }
            Kind::String if of.name() == "Value" && field.name() == "country" => {
                Value::String("CN".to_owned())
            }
            Kind::String if field.name() == "comparison" => Value::String("phone".to_owned()),
            Kind::String => Value::String(if classed { CLASSIFIED } else { "plain" }.to_owned()),
            Kind::Bool => Value::Bool(true),
            Kind::Int32 => Value::I32(1),
            Kind::Int64 => Value::I64(1),
            Kind::Bytes => Value::Bytes(b"plain".to_vec().into()),
            other => panic!("a field of kind {other:?} needs a line here"),
        };
        let value = if field.is_list() {
            Value::List(vec![one])
        } else {
            one
        };
        out.set_field(&field, value);
    }
    out
}

/// Fields whose class depends on what stands beside them and not on an option.
fn is_personal(of: &MessageDescriptor, field: &str) -> bool {
    matches!(
        (of.name(), field),
        ("Value", "text" | "address")
            | ("ComparisonResult", "left_value" | "right_value")
            | ("Customer", "display_name")
    )
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|w| w == text.as_bytes())
}

fn check<A: Masked + Message + Default + PartialEq + Clone>(filled: &[u8], name: &str) -> bool {
    let whole = A::decode(filled).expect("the filled message decodes");
    let mut masked = whole.clone();
    super::super::mask(&mut masked, &FieldMask::default());
    assert!(
        !holds(&masked.encode_to_vec(), CLASSIFIED),
        "{name} shows a classed field"
    );
    let again = {
        let mut again = masked.clone();
        super::super::mask(&mut again, &FieldMask::default());
        again
    };
    assert!(
        again == masked,
        "masking {name} twice is not masking it once"
    );
    let mut open = whole.clone();
    super::super::mask(&mut open, &FieldMask::all());
    assert_eq!(
        holds(&open.encode_to_vec(), CLASSIFIED),
        holds(filled, CLASSIFIED),
        "{name} hides from a caller who may see everything",
    );
    holds(filled, CLASSIFIED)
}

macro_rules! by_name {
    ($name:expr, $bytes:expr, $($message:ident),* $(,)?) => {
        match $name {
            $(stringify!($message) => check::<pb::$message>($bytes, $name),)*
            other => panic!("{other} is answered by an RPC and not tested here"),
        }
    };
}

#[test]
fn every_classed_field_is_masked() {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("the descriptor set is read");
    let class = pool
        .get_extension_by_name("jinke.type.v1.field_class")
        .expect("the option is there");
    let mut with_something = std::collections::BTreeSet::new();
    let mut answers = 0;
    for service in pool
        .services()
        .filter(|s| s.package_name() == "jinke.customer.v1")
    {
        for method in service.methods() {
            answers += 1;
            let of = method.output();
            let name = of.name().to_owned();
            if name == "Operation" {
                // Its result is packed by the handler of the operation, whose message is here too.
                continue;
            }
            for choice in 0..6 {
                let bytes = fill(&of, &class, false, choice).encode_to_vec();
                let something = by_name!(
                    name.as_str(),
                    &bytes,
                    Source,
                    ListSourcesResponse,
                    IngestSourceRecordsResponse,
                    StreamSourceRecordsResponse,
                    SourceRecord,
                    ListSourceRecordsResponse,
                    Customer,
                    BatchGetCustomersResponse,
                    ListCustomersResponse,
                    SearchCustomersResponse,
                    LookupCustomersResponse,
                    UnmergeCustomerResponse,
                    EraseCustomerResponse,
                    GetCustomerLineageResponse,
                    ListCustomerRevisionsResponse,
                    ListTimelineEntriesResponse,
                    ListTimelineChangesResponse,
                    ListRelationshipsResponse,
                    GetCustomerTotalsResponse,
                    ListCustomerChangesResponse,
                    WatchCustomerChangesResponse,
                    GetCustomerStatsResponse,
                    ListRuleSetsResponse,
                    RuleSet,
                    DryRun,
                    ListDryRunDifferencesResponse,
                    DeleteDryRunResponse,
                    MatchExplanation,
                    MatchPartyResponse,
                    ListMatchReviewsResponse,
                    Judgement,
                    ListJudgementsResponse,
                );
                if something {
                    with_something.insert(name.clone());
                }
            }
        }
    }
    assert!(answers >= 30, "only {answers} methods were found");
    // The test would pass on messages in which it never placed anything.
    for name in [
        "Customer",
        "GetCustomerLineageResponse",
        "ListCustomerRevisionsResponse",
        "ListTimelineEntriesResponse",
        "ListRelationshipsResponse",
        "GetCustomerTotalsResponse",
        "WatchCustomerChangesResponse",
        "MatchExplanation",
        "MatchPartyResponse",
        "SourceRecord",
        "Judgement",
    ] {
        assert!(
            with_something.contains(name),
            "{name} was never filled with anything classed"
        );
    }
}

#[test]
fn hidden_classes_come_from_the_mask_alone() {
    let mask = FieldMask::of([FieldClass::Public, FieldClass::PersonName]);
    let mut with = pb::Customer {
        kind: 2,
        display_name: "张三".to_owned(),
        ..Default::default()
    };
    let mut without = pb::Customer {
        kind: 1,
        ..Default::default()
    };
    super::super::mask(&mut with, &mask);
    super::super::mask(&mut without, &mask);
    assert_eq!(with.display_name, "张三");
    assert_eq!(with.hidden_classes, without.hidden_classes);
    assert_eq!(with.hidden_classes.len(), FieldClass::ALL.len() - 2);
}
