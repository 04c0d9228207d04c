//! What a message on the wire names and shows: resource names, and classes of values.
//!
//! The bytes that leave the process are read, not what a handler meant to send: neither a forgotten
//! line in a mask function nor a new field escapes. A plan for every message of the contract is
//! made once from the descriptor set; reading a message is then one walk over its tags, which
//! copies nothing but names.
//!
//! A field with `(jinke.type.v1.field_class)` is of that class. A value of a party (a message with
//! `attribute`, `scheme` and a `datum`) is of the class of its attribute, by
//! [`jinke_types::class_of`]; whether it is a person's is told by the `PartyKind` of the nearest
//! message around it, and a value without one counts as a person's. A previewed value states its
//! class itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read as _,
    sync::LazyLock,
};

use flate2::read::GzDecoder;
use jinke_types::{Failure, FieldClass};
use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor, Value};

use jinke_proto::jinke::r#type::v1 as ty;

/// Longest name that is noted, in bytes.
const MAX_NAME: usize = 256;
/// How deep messages are looked into.
const MAX_DEPTH: usize = 12;
/// How deep names are looked for in a request, and in an answer: its resources, not what they hold.
const REQUEST_DEPTH: usize = 3;
const ANSWER_DEPTH: usize = 2;
/// Most bytes that a compressed request or answer is unpacked to for this purpose.
const REQUEST_UNPACKED: u64 = 1 << 20;
const ANSWER_UNPACKED: u64 = 64 << 20;

/// A class as the wire states it.
fn class_in(number: i32) -> Option<FieldClass> {
    ty::FieldClass::try_from(number)
        .ok()
        .and_then(crate::access::field_class)
}

/// What a field means here.
#[derive(Clone, Debug)]
enum Meaning {
    /// Of this class.
    Class(FieldClass),
    /// The name of the message itself.
    Name,
    /// Text that may be the name of something.
    Text,
    /// A message with a plan.
    Message(usize),
}

/// How a value of a party is told.
#[derive(Clone, Debug)]
struct Valued {
    attribute: u32,
    scheme: u32,
    data: BTreeSet<u32>,
}

#[derive(Clone, Debug, Default)]
struct Plan {
    fields: BTreeMap<u32, Meaning>,
    /// The field with the kind of the party, and its number for a person.
    kind: Option<(u32, u64)>,
    valued: Option<Valued>,
    /// The fields with a stated class and with the text it is the class of.
    stated: Option<(u32, u32)>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Names, in order of appearance, each once, at most as many as asked for.
    pub(crate) names: Vec<String>,
    /// How many names there were.
    pub(crate) count: usize,
    /// Classes of values.
    pub(crate) classes: BTreeSet<FieldClass>,
}

impl Found {
    /// Adds a name, unless it is there or `most` are.
    pub(crate) fn name(&mut self, name: &str, most: usize) {
        // The last ones are looked at only: names repeat next to each other, and a page of a
        // thousand must not cost a million comparisons.
        if self.names.iter().rev().take(8).any(|n| n == name) {
            return;
        }
        self.count += 1;
        if self.names.len() < most {
            self.names.push(name.to_owned());
        }
    }
}

/// Plans of the requests and answers of the contract.
pub(crate) struct Scanner {
    plans: Vec<Plan>,
    methods: BTreeMap<String, (usize, usize)>,
    collections: BTreeSet<String>,
}

impl Scanner {
    /// The plans of the contract.
    ///
    /// # Errors
    /// `INTERNAL` when the descriptor set cannot be read.
    pub(crate) fn contract() -> Result<&'static Self, Failure> {
        static CONTRACT: LazyLock<Result<Scanner, Failure>> =
            LazyLock::new(|| Scanner::of(jinke_proto::FILE_DESCRIPTOR_SET));
        CONTRACT.as_ref().map_err(Clone::clone)
    }

    fn of(descriptor_set: &[u8]) -> Result<Self, Failure> {
        let pool = DescriptorPool::decode(descriptor_set).map_err(Failure::internal)?;
        let mut made = Maker {
            pool: &pool,
            known: BTreeMap::new(),
            plans: Vec::new(),
        };
        let mut methods = BTreeMap::new();
        for service in pool.services() {
            for method in service.methods() {
                let path = format!("/{}/{}", service.full_name(), method.name());
                let plans = (made.plan(&method.input()), made.plan(&method.output()));
                methods.insert(path, plans);
            }
        }
        Ok(Self {
            plans: made.plans,
            methods,
            collections: collections(&pool),
        })
    }

    /// What the messages in `body` name, each a frame as gRPC sends it. Stops where it does not
    /// understand.
    pub(crate) fn request(&self, path: &str, body: &[u8], most: usize) -> Found {
        let mut walk = Walk::new(self, most, true);
        if let Some((request, _)) = self.methods.get(path) {
            for message in Frames(body, REQUEST_UNPACKED) {
                walk.message(*request, &message, true, 0);
            }
        }
        walk.found
    }

    /// What the answers in `body` show and of what.
    pub(crate) fn answer(&self, path: &str, body: &[u8], most: usize) -> Found {
        let mut walk = Walk::new(self, most, false);
        if let Some((_, answer)) = self.methods.get(path) {
            for message in Frames(body, ANSWER_UNPACKED) {
                walk.message(*answer, &message, true, 0);
            }
        }
        walk.found
    }

    /// Whether a text is a name as the contract makes them: a collection, then an id.
    fn is_name(&self, text: &str) -> bool {
        text.len() <= MAX_NAME
            && text.bytes().all(|b| b.is_ascii_graphic())
            && text
                .split_once('/')
                .is_some_and(|(c, id)| !id.is_empty() && self.collections.contains(c))
    }
}

/// The collections in the paths of the contract's HTTP rules: `customers` of
/// `/v1/{name=customers/*}:merge`.
fn collections(pool: &DescriptorPool) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let Some(http) = pool.get_extension_by_name("google.api.http") else {
        return found;
    };
    for method in pool
        .services()
        .flat_map(|s| s.methods().collect::<Vec<_>>())
    {
        let options = method.options();
        let rule = options.get_extension(&http);
        let Some(rule) = rule.as_message() else {
            continue;
        };
        for verb in ["get", "post", "patch", "delete", "put"] {
            let path = rule.get_field_by_name(verb);
            let path = path.as_ref().and_then(|p| p.as_str()).unwrap_or_default();
            let parts: Vec<_> = path.split(['/', '{', '}', '=', ':']).collect();
            for pair in parts.windows(2) {
                if pair[1] == "*" && !pair[0].is_empty() {
                    found.insert(pair[0].to_owned());
                }
            }
        }
    }
    found
}

struct Maker<'a> {
    pool: &'a DescriptorPool,
    known: BTreeMap<String, usize>,
    plans: Vec<Plan>,
}

impl Maker<'_> {
    fn plan(&mut self, message: &MessageDescriptor) -> usize {
        if let Some(at) = self.known.get(message.full_name()) {
            return *at;
        }
        let at = self.plans.len();
        // Noted first: messages may hold each other.
        self.known.insert(message.full_name().to_owned(), at);
        self.plans.push(Plan::default());
        let mut plan = Plan::default();
        for field in message.fields() {
            if let Some(meaning) = self.meaning(&field) {
                plan.fields.insert(field.number(), meaning);
            }
            if let Kind::Enum(kind) = field.kind()
                && kind.name() == "PartyKind"
                && !field.is_list()
            {
                let person = kind.values().find(|v| v.name() == "PARTY_KIND_PERSON");
                plan.kind = person
                    .and_then(|v| u64::try_from(v.number()).ok())
                    .map(|person| (field.number(), person));
            }
        }
        let number = |name: &str| message.get_field_by_name(name).map(|f| f.number());
        let datum = message.oneofs().find(|o| o.name() == "datum");
        if let (Some(attribute), Some(scheme), Some(datum)) =
            (number("attribute"), number("scheme"), datum)
        {
            let data = datum.fields().filter(|f| f.name() != "null");
            plan.valued = Some(Valued {
                attribute,
                scheme,
                data: data.map(|f| f.number()).collect(),
            });
        }
        if let (Some(_), Some(class), Some(text)) =
            (number("attribute"), number("field_class"), number("text"))
        {
            plan.stated = Some((class, text));
        }
        self.plans[at] = plan;
        at
    }

    fn meaning(&mut self, field: &FieldDescriptor) -> Option<Meaning> {
        if let Some(class) = self.class(field) {
            return Some(Meaning::Class(class));
        }
        match field.kind() {
            Kind::String if field.name() == "name" => Some(Meaning::Name),
            Kind::String => Some(Meaning::Text),
            Kind::Message(message) => Some(Meaning::Message(self.plan(&message))),
            _ => None,
        }
    }

    fn class(&self, field: &FieldDescriptor) -> Option<FieldClass> {
        let option = self
            .pool
            .get_extension_by_name("jinke.type.v1.field_class")?;
        let options = field.options();
        match options.get_extension(&option).as_ref() {
            Value::EnumNumber(n) => class_in(*n),
            _ => None,
        }
    }
}

/// The messages of a body: a byte that says whether it is compressed, four of length, the bytes.
struct Frames<'a>(&'a [u8], u64);

impl<'a> Iterator for Frames<'a> {
    type Item = std::borrow::Cow<'a, [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        let ([flag, a, b, c, d], rest) = self.0.split_first_chunk::<5>()?;
        let length = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).ok()?;
        // The last message of a request may have been noted in part.
        let (message, rest) = rest.split_at(length.min(rest.len()));
        self.0 = rest;
        if *flag == 0 {
            return Some(message.into());
        }
        // The services compress by gzip alone. What does not unpack whole is read as far as it did.
        let mut unpacked = Vec::new();
        let _ = GzDecoder::new(message)
            .take(self.1)
            .read_to_end(&mut unpacked);
        Some(unpacked.into())
    }
}

/// One field on the wire.
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Fixed,
}

/// The fields of a message; ends at the first byte that makes no sense.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u32, Wire<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok()?;
        let wire = match tag & 7 {
            0 => Wire::Number(self.varint()?),
            1 => {
                self.0 = self.0.get(8..)?;
                Wire::Fixed
            }
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                let (bytes, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                Wire::Bytes(bytes)
            }
            5 => {
                self.0 = self.0.get(4..)?;
                Wire::Fixed
            }
            _ => return None,
        };
        Some((number, wire))
    }
}

struct Walk<'a> {
    scanner: &'a Scanner,
    most: usize,
    /// Every text is looked at for names, not only fields called so.
    texts: bool,
    found: Found,
}

impl<'a> Walk<'a> {
    fn new(scanner: &'a Scanner, most: usize, texts: bool) -> Self {
        Self {
            scanner,
            most,
            texts,
            found: Found::default(),
        }
    }

    fn message(&mut self, plan: usize, bytes: &[u8], person: bool, depth: usize) {
        let plan = &self.scanner.plans[plan];
        if let Some(valued) = &plan.valued {
            self.value(valued, bytes, person);
            return;
        }
        if let Some((class, text)) = plan.stated {
            self.stated(class, text, bytes);
            return;
        }
        if depth > MAX_DEPTH {
            return;
        }
        let person = plan.kind.map_or(person, |(field, of_person)| {
            // Not stated is a person, the stricter of the two.
            let kind = Fields(bytes).find_map(|(n, wire)| match wire {
                Wire::Number(kind) if n == field => Some(kind),
                _ => None,
            });
            kind.is_none_or(|kind| kind == of_person || kind == 0)
        });
        for (number, wire) in Fields(bytes) {
            match (plan.fields.get(&number), wire) {
                (Some(Meaning::Class(class)), _) => {
                    self.found.classes.insert(*class);
                }
                (Some(Meaning::Message(inner)), Wire::Bytes(bytes)) => {
                    self.message(*inner, bytes, person, depth + 1);
                }
                (Some(Meaning::Name), Wire::Bytes(bytes)) => self.name(bytes, depth),
                (Some(Meaning::Text), Wire::Bytes(bytes)) if self.texts => self.name(bytes, depth),
                _ => {}
            }
        }
    }

    fn name(&mut self, bytes: &[u8], depth: usize) {
        let deepest = if self.texts {
            REQUEST_DEPTH
        } else {
            ANSWER_DEPTH
        };
        if depth > deepest || bytes.len() > MAX_NAME {
            return;
        }
        if let Ok(text) = str::from_utf8(bytes)
            && self.scanner.is_name(text)
        {
            self.found.name(text, self.most);
        }
    }

    fn value(&mut self, valued: &Valued, bytes: &[u8], person: bool) {
        let (mut attribute, mut scheme, mut there) = ("", "", false);
        for (number, wire) in Fields(bytes) {
            if let Wire::Bytes(bytes) = wire {
                let text = || str::from_utf8(bytes).unwrap_or_default();
                if number == valued.attribute {
                    attribute = text();
                } else if number == valued.scheme {
                    scheme = text();
                }
            }
            there |= valued.data.contains(&number);
        }
        if there {
            let class = jinke_types::class_of(attribute, scheme, person);
            self.found.classes.insert(class);
        }
    }

    fn stated(&mut self, class: u32, text: u32, bytes: &[u8]) {
        let (mut stated, mut there) = (None, false);
        for (number, wire) in Fields(bytes) {
            match wire {
                Wire::Number(n) if number == class => {
                    stated = i32::try_from(n).ok().and_then(class_in);
                }
                Wire::Bytes(bytes) if number == text => there |= !bytes.is_empty(),
                _ => {}
            }
        }
        if there {
            // A value without a class counts as one of the most guarded.
            self.found
                .classes
                .insert(stated.unwrap_or(FieldClass::Sensitive));
        }
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
