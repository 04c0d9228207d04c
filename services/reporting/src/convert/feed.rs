//! The feeds of the other services, read and put into this service's words.

use std::time::Duration;

use jinke_kit::{Peer, Peers, failure};
use jinke_proto::jinke::{
    customer::v1::{
        self as customer, customer_service_client::CustomerServiceClient,
        source_service_client::SourceServiceClient, timeline_entry::Entry,
    },
    identity::v1::{self as identity, identity_service_client::IdentityServiceClient},
    pipeline::v1::{self as pipeline, pipeline_service_client::PipelineServiceClient},
};
use jinke_types::{Failure, Timestamp};
use tonic::Request;

use super::sales;
use crate::{
    facts::Stages,
    feed::{
        Change, CustomerState, DirectoryState, Feeds, InteractionState, LineState, Page,
        PersonState, SourceState, TransactionState, UnitState,
    },
    number,
};

/// Longest a page may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Largest page taken.
const MAX_PAGE_BYTES: usize = 64 * 1024 * 1024;
/// Most users, and most org units, that are taken over.
const MAX_PEOPLE: usize = 100_000;

/// The services that this one follows.
#[derive(Clone)]
pub struct PeerFeeds {
    peers: Peers,
    pipeline: bool,
}

impl PeerFeeds {
    /// Customer, and pipeline when it is part of the installation.
    pub const fn new(peers: Peers, pipeline: bool) -> Self {
        Self { peers, pipeline }
    }
}

fn request<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(PATIENCE);
    request
}

#[tonic::async_trait]
impl Feeds for PeerFeeds {
    async fn page(&self, feed: &'static str, token: &str) -> Result<Page, Failure> {
        let page_token = token.to_owned();
        match feed {
            "customers" => {
                let mut client = CustomerServiceClient::new(self.peers.get("customer"))
                    .max_decoding_message_size(MAX_PAGE_BYTES);
                let asked = customer::ListCustomerChangesRequest {
                    page_size: 100,
                    page_token,
                    include_snapshots: true,
                };
                let answer = client.list_customer_changes(request(asked)).await;
                Ok(customers(answer.map_err(|s| failure(&s))?.into_inner()))
            }
            "timeline" => {
                let mut client = CustomerServiceClient::new(self.peers.get("customer"))
                    .max_decoding_message_size(MAX_PAGE_BYTES);
                let asked = customer::ListTimelineChangesRequest {
                    page_size: 1_000,
                    page_token,
                };
                let answer = client.list_timeline_changes(request(asked)).await;
                Ok(timeline(answer.map_err(|s| failure(&s))?.into_inner()))
            }
            _ if !self.pipeline => Ok(Page {
                changes: Vec::new(),
                next: page_token,
                position: None,
                time: None,
            }),
            _ => {
                let mut client = PipelineServiceClient::new(self.peers.get("pipeline"))
                    .max_decoding_message_size(MAX_PAGE_BYTES);
                let asked = pipeline::ListPipelineChangesRequest {
                    page_size: 200,
                    page_token,
                    include_snapshots: true,
                };
                let answer = client.list_pipeline_changes(request(asked)).await;
                let mut page = sales::page(answer.map_err(|s| failure(&s))?.into_inner());
                for change in &mut page.changes {
                    if let Change::Pipeline(state) = change {
                        state.versions = versions(&mut client, &state.id).await?;
                    }
                }
                Ok(page)
            }
        }
    }

    async fn sources(&self) -> Result<Vec<SourceState>, Failure> {
        let mut client = SourceServiceClient::new(self.peers.get("customer"));
        let (mut sources, mut page_token) = (Vec::new(), String::new());
        loop {
            let asked = customer::ListSourcesRequest {
                page_size: 1_000,
                page_token,
            };
            let answer = client
                .list_sources(request(asked))
                .await
                .map_err(|s| failure(&s))?
                .into_inner();
            sources.extend(answer.sources.into_iter().map(|s| SourceState {
                shared: s.sharing() == customer::source::Sharing::Group,
                id: id_of(&s.name, "sources/"),
                name: s.display_name,
                org_unit: s.org_unit,
            }));
            page_token = answer.next_page_token;
            if page_token.is_empty() {
                return Ok(sources);
            }
        }
    }

    async fn directory(&self) -> Result<DirectoryState, Failure> {
        directory(&self.peers).await
    }
}

/// Every version of a pipeline with its stages. Versions never change, so that asking later than the
/// feed says tells more of them and of none another thing.
async fn versions(
    client: &mut PipelineServiceClient<Peer>,
    pipeline: &str,
) -> Result<Vec<(i64, Stages)>, Failure> {
    let (mut versions, mut page_token) = (Vec::new(), String::new());
    loop {
        let asked = pipeline::ListPipelineVersionsRequest {
            parent: format!("pipelines/{pipeline}"),
            page_size: 100,
            page_token,
        };
        let answer = client
            .list_pipeline_versions(request(asked))
            .await
            .map_err(|s| failure(&s))?
            .into_inner();
        versions.extend(answer.pipeline_versions.into_iter().map(sales::version));
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            return Ok(versions);
        }
    }
}

/// All pages of a list of identity.
macro_rules! every {
    ($client:ident . $list:ident ( $request:ident ) . $field:ident) => {{
        let (mut all, mut page_token) = (Vec::new(), String::new());
        loop {
            let asked = identity::$request {
                page_size: 1_000,
                page_token,
            };
            let answer = $client.$list(request(asked)).await;
            let answer = answer.map_err(|s| failure(&s))?.into_inner();
            all.extend(answer.$field);
            page_token = answer.next_page_token;
            if page_token.is_empty() || all.len() >= MAX_PEOPLE {
                break all;
            }
        }
    }};
}

async fn directory(peers: &Peers) -> Result<DirectoryState, Failure> {
    let mut client =
        IdentityServiceClient::new(peers.get("identity")).max_decoding_message_size(MAX_PAGE_BYTES);
    let users: Vec<identity::User> = every!(client.list_users(ListUsersRequest).users);
    let units: Vec<identity::OrgUnit> =
        every!(client.list_org_units(ListOrgUnitsRequest).org_units);
    Ok(DirectoryState {
        people: users
            .into_iter()
            .map(|u| {
                let person = PersonState {
                    display_name: u.display_name,
                    org_unit: u.org_unit,
                };
                (u.name, person)
            })
            .collect(),
        units: units
            .into_iter()
            .map(|u| {
                let unit = UnitState {
                    display_name: u.display_name,
                    parent: u.parent,
                };
                (u.name, unit)
            })
            .collect(),
    })
}

pub(super) fn id_of(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_owned()
}

pub(super) fn no_of(name: &str, prefix: &str) -> Option<i64> {
    name.strip_prefix(prefix)?.parse().ok()
}

pub(super) fn time(t: Option<prost_types::Timestamp>) -> Option<Timestamp> {
    let t = t?;
    let micros = t.seconds.checked_mul(1_000_000)?;
    Some(Timestamp(micros.checked_add(i64::from(t.nanos) / 1_000)?))
}

fn record_key(key: Option<customer::RecordKey>) -> (String, String) {
    let key = key.unwrap_or_default();
    (id_of(&key.source, "sources/"), key.external_id)
}

pub(super) fn money(m: Option<jinke_proto::google::r#type::Money>) -> Option<(String, i64, i32)> {
    let m = m?;
    (!m.currency_code.is_empty()).then_some((m.currency_code, m.units, m.nanos))
}

/// A page of the feed of customers.
pub fn customers(page: customer::ListCustomerChangesResponse) -> Page {
    let last = page.changes.last();
    let (position, at) = (last.map(|c| c.position), last.and_then(|c| time(c.time)));
    let changes = page
        .changes
        .into_iter()
        .map(|change| {
            let Some(id) = no_of(&change.customer, "customers/") else {
                return Change::Other;
            };
            Change::Customer(id, change.snapshot.map(|c| Box::new(state(c))))
        })
        .collect();
    Page {
        changes,
        next: page.next_page_token,
        position,
        time: at,
    }
}

fn state(c: customer::Customer) -> CustomerState {
    let person = c.kind() == customer::PartyKind::Person;
    let mut state = CustomerState {
        person,
        deleted: c.delete_time.is_some(),
        create_time: time(c.create_time).unwrap_or_default(),
        ..CustomerState::default()
    };
    let mut addresses = std::collections::BTreeMap::new();
    for record in c.records {
        let (source, external_id) = record_key(record.key);
        let Some(no) = no_of(&record.address, "customers/") else {
            continue;
        };
        addresses.insert(no, source.clone());
        state.records.push((source, external_id, no));
    }
    for golden in c.values {
        let Some(value) = golden.value else { continue };
        let source = golden
            .provenance
            .and_then(|p| p.record)
            .map(|key| id_of(&key.source, "sources/"))
            .unwrap_or_default();
        put(&mut state, value, source);
    }
    if !person && state.name.is_empty() {
        state.name = c.display_name;
    }
    for tag in c.tags {
        let source = no_of(&tag.address, "customers/")
            .and_then(|no| addresses.get(&no).cloned())
            .unwrap_or_default();
        state.values.push(("tag", tag.tag, source));
    }
    state
}

/// Keeps of a golden value what customers are split by, and that it is there.
fn put(state: &mut CustomerState, value: customer::Value, source: String) {
    use customer::value::Datum;
    let text = match &value.datum {
        Some(Datum::Text(text)) => text.clone(),
        _ => String::new(),
    };
    let mut add = |attribute: &'static str, value: String| {
        state.values.push((attribute, value, source.clone()));
    };
    match value.attribute.as_str() {
        "name" => {
            add("name", String::new());
            if !state.person && state.name.is_empty() {
                state.name = text;
                state.name_source = source;
            }
        }
        "identifier" if value.scheme == "uscc" => add("uscc", String::new()),
        "phone" => add("phone", String::new()),
        "email" => add("email", String::new()),
        "contact_name" => add("contact", String::new()),
        "industry" => add("industry", text),
        "size" => add("size", text),
        "owner" => add("owner", text),
        "tag" => add("tag", text),
        "address" => {
            add("address", String::new());
            if let Some(Datum::Address(a)) = value.datum {
                let province = if a.province.is_empty() {
                    province_of(&a.text).unwrap_or_default().to_owned()
                } else {
                    a.province
                };
                if !province.is_empty() {
                    add("province", province);
                }
                if !a.city.is_empty() {
                    add("city", a.city);
                }
            }
        }
        _ => {}
    }
}

/// Names of the provincial divisions (GB/T 2260, level one) with what addresses call them for short.
const PROVINCES: [(&str, &str); 34] = [
    ("北京", "北京市"),
    ("天津", "天津市"),
    ("河北", "河北省"),
    ("山西", "山西省"),
    ("内蒙古", "内蒙古自治区"),
    ("辽宁", "辽宁省"),
    ("吉林", "吉林省"),
    ("黑龙江", "黑龙江省"),
    ("上海", "上海市"),
    ("江苏", "江苏省"),
    ("浙江", "浙江省"),
    ("安徽", "安徽省"),
    ("福建", "福建省"),
    ("江西", "江西省"),
    ("山东", "山东省"),
    ("河南", "河南省"),
    ("湖北", "湖北省"),
    ("湖南", "湖南省"),
    ("广东", "广东省"),
    ("广西", "广西壮族自治区"),
    ("海南", "海南省"),
    ("重庆", "重庆市"),
    ("四川", "四川省"),
    ("贵州", "贵州省"),
    ("云南", "云南省"),
    ("西藏", "西藏自治区"),
    ("陕西", "陕西省"),
    ("甘肃", "甘肃省"),
    ("青海", "青海省"),
    ("宁夏", "宁夏回族自治区"),
    ("新疆", "新疆维吾尔自治区"),
    ("台湾", "台湾省"),
    ("香港", "香港特别行政区"),
    ("澳门", "澳门特别行政区"),
];

/// The province a one-line address begins with.
fn province_of(text: &str) -> Option<&'static str> {
    let text = text.trim_start();
    PROVINCES
        .iter()
        .find(|(short, _)| text.starts_with(short))
        .map(|(_, name)| *name)
}

/// A page of the feed of transactions and interactions.
pub fn timeline(page: customer::ListTimelineChangesResponse) -> Page {
    let last = page.changes.last();
    let (position, at) = (last.map(|c| c.position), last.and_then(|c| time(c.time)));
    let changes = page
        .changes
        .into_iter()
        .map(|change| {
            let Ok(id) = change.uid.parse() else {
                return Change::Other;
            };
            match change.entry {
                Some(entry) if !change.deleted => fact(id, entry),
                _ => Change::Gone(id),
            }
        })
        .collect();
    Page {
        changes,
        next: page.next_page_token,
        position,
        time: at,
    }
}

fn fact(id: i64, entry: customer::TimelineEntry) -> Change {
    let key = record_key(entry.key);
    let at = time(entry.time).unwrap_or_default();
    match entry.entry {
        Some(Entry::Transaction(t)) => Change::Transaction(Box::new(TransactionState {
            id,
            key,
            kind: u8::try_from(t.kind).unwrap_or_default(),
            party: record_key(t.party),
            time: at,
            status: t.status,
            amount: money(t.amount),
            lines: t
                .lines
                .into_iter()
                .map(|l| LineState {
                    product: l.product,
                    code: l.code,
                    category: l.category,
                    amount: l.amount.map(|m| (m.units, m.nanos)),
                })
                .collect(),
            employee: t.employee,
        })),
        Some(Entry::Interaction(i)) => Change::Interaction(Box::new(InteractionState {
            id,
            key,
            rating: rating(&i),
            kind: u8::try_from(i.kind).unwrap_or_default(),
            party: Some(record_key(i.party)),
            address: None,
            holder: None,
            org_unit: String::new(),
            time: at,
            channel: i.channel,
            inbound: i.inbound,
            employee: i.employee,
        })),
        None => Change::Gone(id),
    }
}

/// The answer to a survey: an event of the channel `survey:csat` or `survey:nps` whose subject is
/// the number, from 0 to 10.
fn rating(i: &customer::Interaction) -> Option<(u8, i64)> {
    let survey = match i.channel.as_str() {
        "survey:csat" => 1,
        "survey:nps" => 2,
        _ => return None,
    };
    let value = number::parse(i.subject.trim())?;
    (0..=10 * number::ONE)
        .contains(&value)
        .then(|| i64::try_from(value).ok())?
        .map(|value| (survey, value))
}
