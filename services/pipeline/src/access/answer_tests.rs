use jinke_proto::FILE_DESCRIPTOR_SET;
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, ExtensionDescriptor, Kind, MessageDescriptor, Value,
};

use super::*;

const CLASSIFIED: &str = "CLASSIFIED";
/// Units of every amount below a classed field: found again in the bytes.
const AMOUNT: i64 = 7_777_777_777;

/// Fills every field of a message. Text below a classed field is [`CLASSIFIED`]. `choice` picks the
/// variant of each oneof.
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
        let classed = below || field.options().has_extension(class);
        let one = match field.kind() {
            Kind::Message(m) => Value::Message(fill(&m, class, classed, choice)),
            Kind::Enum(_) => Value::EnumNumber(1),
            Kind::String => Value::String(if classed { CLASSIFIED } else { "plain" }.to_owned()),
            Kind::Bool => Value::Bool(true),
            Kind::Int32 => Value::I32(1),
            Kind::Int64 if classed => Value::I64(AMOUNT),
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

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|w| w == text.as_bytes())
}

fn check<A: Masked + Message + Default + PartialEq + Clone + std::fmt::Debug>(
    filled: &[u8],
    name: &str,
) -> bool {
    let whole = A::decode(filled).expect("the filled message decodes");
    let mut masked = whole.clone();
    super::super::mask(&mut masked, &FieldMask::default());
    assert!(
        !holds(&masked.encode_to_vec(), CLASSIFIED),
        "{name} shows a classed field: {masked:?}"
    );
    let mut again = masked.clone();
    super::super::mask(&mut again, &FieldMask::default());
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
        .filter(|s| s.package_name() == "jinke.pipeline.v1")
    {
        for method in service.methods() {
            answers += 1;
            let of = method.output();
            let name = of.name().to_owned();
            for choice in 0..5 {
                let bytes = fill(&of, &class, false, choice).encode_to_vec();
                let something = by_name!(
                    name.as_str(),
                    &bytes,
                    Pipeline,
                    ListPipelinesResponse,
                    ListPipelineVersionsResponse,
                    ListPipelineChangesResponse,
                    WatchPipelineChangesResponse,
                    Lead,
                    BatchCreateLeadsResponse,
                    IngestLeadsResponse,
                    ListLeadsResponse,
                    ConvertLeadResponse,
                    GetFirstTouchResponse,
                    AssignmentRule,
                    ListAssignmentRulesResponse,
                    DeleteAssignmentRuleResponse,
                    Opportunity,
                    ListOpportunitiesResponse,
                    ListTransitionsResponse,
                    GetBoardResponse,
                    GetForecastResponse,
                    Activity,
                    ListActivitiesResponse,
                    ListActivityVersionsResponse,
                    Task,
                    ListTasksResponse,
                    ListFiringsResponse,
                );
                if something {
                    with_something.insert(name.clone());
                }
            }
        }
    }
    assert!(answers >= 40, "only {answers} methods were found");
    // The test would pass on messages in which it never placed anything.
    for name in [
        "Lead",
        "Opportunity",
        "Activity",
        "Task",
        "ListTransitionsResponse",
        "GetBoardResponse",
        "GetForecastResponse",
        "WatchPipelineChangesResponse",
        "ConvertLeadResponse",
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
    let mut with = pb::Lead {
        person_name: "张三".to_owned(),
        phones: vec!["13812345678".to_owned()],
        ..Default::default()
    };
    let mut without = pb::Lead::default();
    super::super::mask(&mut with, &mask);
    super::super::mask(&mut without, &mask);
    assert_eq!(with.person_name, "张三");
    assert!(with.phones.is_empty());
    assert_eq!(with.hidden_classes, without.hidden_classes);
    assert_eq!(with.hidden_classes.len(), FieldClass::ALL.len() - 2);
}
