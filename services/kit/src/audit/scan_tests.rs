//! Messages of the contract, and what is found in them.

use jinke_proto::jinke::{connector::v1 as con, customer::v1 as cu, pipeline::v1 as pi};
use prost::Message;

use super::*;

const GET: &str = "/jinke.customer.v1.CustomerService/GetCustomer";
const LIST: &str = "/jinke.customer.v1.CustomerService/ListCustomers";

fn framed(message: &impl Message) -> Vec<u8> {
    let body = message.encode_to_vec();
    let mut out = vec![0];
    out.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
    out.extend_from_slice(&body);
    out
}

fn zipped(message: &impl Message) -> Vec<u8> {
    use std::io::Write as _;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&message.encode_to_vec()).unwrap();
    let body = gzip.finish().unwrap();
    let mut out = vec![1];
    out.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
    out.extend_from_slice(&body);
    out
}

fn value(attribute: &str, scheme: &str) -> cu::GoldenValue {
    cu::GoldenValue {
        value: Some(cu::Value {
            attribute: attribute.into(),
            scheme: scheme.into(),
            datum: Some(cu::value::Datum::Text("13800000000".into())),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn customer(kind: cu::PartyKind, values: Vec<cu::GoldenValue>) -> cu::Customer {
    cu::Customer {
        name: "customers/7".into(),
        kind: kind.into(),
        values,
        ..Default::default()
    }
}

fn answer(path: &str, body: &[u8]) -> Found {
    Scanner::contract().unwrap().answer(path, body, 1_000)
}

#[test]
fn the_class_of_a_golden_value_is_that_of_its_attribute_and_party() {
    use FieldClass::{Address, Contact, PersonIdentifier, PersonName, Public, Sensitive};
    use cu::PartyKind::{Organization, Person, Unspecified};
    let cases = [
        (Organization, "phone", "", Contact),
        (Organization, "name", "", Public),
        (Person, "name", "", PersonName),
        // Not stated counts as a person.
        (Unspecified, "name", "", PersonName),
        (Organization, "identifier", "uscc", Public),
        (Organization, "identifier", "id_card", PersonIdentifier),
        (Person, "identifier", "vat", PersonIdentifier),
        (Organization, "address", "billing", Address),
        (Person, "date_of_birth", "", Sensitive),
    ];
    for (kind, attribute, scheme, class) in cases {
        let shown = customer(kind, vec![value(attribute, scheme)]);
        for body in [framed(&shown), zipped(&shown)] {
            let found = answer(GET, &body);
            assert_eq!(found.classes, [class].into(), "{kind:?} {attribute}");
            assert_eq!(found.names, ["customers/7"]);
        }
    }
    // Taken back: there is nothing to show.
    let mut taken = value("phone", "");
    taken.value.as_mut().unwrap().datum = Some(cu::value::Datum::Null(true));
    let found = answer(GET, &framed(&customer(Organization, vec![taken])));
    assert_eq!(found.classes, BTreeSet::new());
}

#[test]
fn classed_fields_count_when_they_are_filled() {
    let path = "/jinke.pipeline.v1.LeadService/GetLead";
    let mut lead = pi::Lead {
        name: "leads/3".into(),
        ..Default::default()
    };
    assert_eq!(answer(path, &framed(&lead)).classes, BTreeSet::new());
    lead.phones.push("13800000000".into());
    lead.person_name = "王芳".into();
    let found = answer(path, &framed(&lead));
    let wanted = [FieldClass::PersonName, FieldClass::Contact];
    assert_eq!(found.classes, wanted.into());
    // A money of nothing is still shown.
    lead = pi::Lead {
        estimate: Some(Default::default()),
        ..Default::default()
    };
    let found = answer(path, &framed(&lead));
    assert_eq!(found.classes, [FieldClass::SalesAmount].into());
}

#[test]
fn a_previewed_value_states_its_class() {
    use con::preview_record::Value;
    let path = "/jinke.connector.v1.ConnectorService/PreviewMapping";
    let page = |value: Value| con::PreviewMappingResponse {
        records: vec![con::PreviewRecord {
            values: vec![value],
            ..Default::default()
        }],
        ..Default::default()
    };
    let shown = Value {
        attribute: "phone".into(),
        text: "138".into(),
        field_class: ty::FieldClass::Contact.into(),
        hidden: false,
    };
    let hidden = Value {
        text: String::new(),
        ..shown.clone()
    };
    let found = answer(path, &framed(&page(shown)));
    assert_eq!(found.classes, [FieldClass::Contact].into());
    assert_eq!(answer(path, &framed(&page(hidden))).classes, [].into());
}

#[test]
fn a_page_names_its_resources_and_a_stream_its_messages() {
    let page = |from: i64, to: i64| cu::ListCustomersResponse {
        customers: (from..to)
            .map(|n| cu::Customer {
                name: format!("customers/{n}"),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    };
    let mut two = framed(&page(0, 600));
    two.extend(framed(&page(600, 1_200)));
    let found = answer(LIST, &two);
    assert_eq!((found.count, found.names.len()), (1_200, 1_000));
    assert_eq!(found.names[999], "customers/999");
}

#[test]
fn names_of_a_request_are_those_of_known_collections() {
    let path = "/jinke.customer.v1.CustomerService/MergeCustomers";
    let scanner = Scanner::contract().unwrap();
    let request = cu::MergeCustomersRequest {
        customer: "customers/1".into(),
        other_customer: "customers/2".into(),
        comment: "the same".into(),
        ..Default::default()
    };
    let found = scanner.request(path, &framed(&request), 100);
    assert_eq!(found.names, ["customers/1", "customers/2"]);
    for strange in ["phones/138", "customers/", "/1", "customers/ a", "客户/1"] {
        let request = cu::GetCustomerRequest {
            name: strange.into(),
            ..Default::default()
        };
        let found = scanner.request(GET, &framed(&request), 100);
        assert_eq!(found.names, Vec::<String>::new(), "{strange}");
    }
}

/// Whatever the bytes, reading them ends and does not panic.
#[test]
fn bytes_of_any_kind_are_borne() {
    use proptest::prelude::*;
    let scanner = Scanner::contract().unwrap();
    let paths: Vec<&String> = scanner.methods.keys().collect();
    proptest!(|(at in 0..paths.len(), body in prop::collection::vec(any::<u8>(), 0..300), frame: bool)| {
        let body = if frame {
            let mut framed = vec![0, 0, 0, 1, 44];
            framed.extend(body);
            framed
        } else {
            body
        };
        scanner.answer(paths[at], &body, 10);
        scanner.request(paths[at], &body, 10);
    });
}
