//! Asking the customer service.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jinke_kit::{Bearer, Peer, failure};
use jinke_proto::jinke::customer::v1 as cpb;
use jinke_types::{Code, Failure};

use super::check::number_of;
use crate::{
    domain::{Lead, LeadPrivate, MANUAL_SOURCE},
    outside::{Customers, Found, Known, Moves},
};
use cpb::{
    customer_service_client::CustomerServiceClient, match_service_client::MatchServiceClient,
    source_service_client::SourceServiceClient,
};

/// Candidates asked for.
const CANDIDATES: i32 = 5;

/// The customer service as a peer.
#[derive(Clone)]
pub struct CustomerPeer(pub Peer);

fn wrong(what: &str) -> Failure {
    Failure::internal(format!("the customer service answered without {what}"))
}

fn number(name: &str) -> Result<i64, Failure> {
    number_of(name, "customers").ok_or_else(|| wrong("a customer's name"))
}

/// What a full customer tells.
fn known(c: &cpb::Customer) -> Result<Known, Failure> {
    let mut addresses = Vec::with_capacity(c.records.len());
    for record in &c.records {
        addresses.push(number(&record.address)?);
    }
    let owner = c.values.iter().find_map(|g| {
        let v = g.value.as_ref().filter(|v| v.attribute == "owner")?;
        match &v.datum {
            Some(cpb::value::Datum::Text(text)) if text.starts_with("users/") => Some(text.clone()),
            _ => None,
        }
    });
    Ok(Known {
        current: number(&c.name)?,
        addresses,
        person: c.kind() == cpb::PartyKind::Person,
        owner,
    })
}

fn text(attribute: &str, text: &str) -> cpb::Value {
    cpb::Value {
        attribute: attribute.to_owned(),
        datum: Some(cpb::value::Datum::Text(text.to_owned())),
        ..cpb::Value::default()
    }
}

/// The party a lead states: the organization when it names one, else the person.
fn party(lead: &Lead, private: &LeadPrivate) -> cpb::Party {
    let mut values = Vec::new();
    let organization = !lead.company.is_empty();
    if organization {
        values.push(text("name", &lead.company));
        if !lead.uscc.is_empty() {
            values.push(cpb::Value {
                scheme: "uscc".to_owned(),
                ..text("identifier", &lead.uscc)
            });
        }
        if !private.person_name.is_empty() {
            values.push(text("contact_name", &private.person_name));
        }
    } else {
        values.push(text("name", &private.person_name));
        if !private.title.is_empty() {
            values.push(text("title", &private.title));
        }
    }
    if !lead.region.is_empty() {
        values.push(cpb::Value {
            attribute: "address".to_owned(),
            datum: Some(cpb::value::Datum::Address(cpb::Address {
                text: lead.region.clone(),
                ..cpb::Address::default()
            })),
            ..cpb::Value::default()
        });
    }
    values.extend(private.phones.iter().map(|p| text("phone", p)));
    values.extend(private.emails.iter().map(|e| text("email", e)));
    let kind = if organization {
        cpb::PartyKind::Organization
    } else {
        cpb::PartyKind::Person
    };
    cpb::Party {
        kind: kind.into(),
        values,
    }
}

impl CustomerPeer {
    async fn full(&self, peer: Peer, address: i64) -> Result<Known, Failure> {
        let request = cpb::GetCustomerRequest {
            name: format!("customers/{address}"),
            view: cpb::CustomerView::Full.into(),
        };
        let answer = CustomerServiceClient::new(peer)
            .get_customer(request)
            .await
            .map_err(|s| failure(&s))?;
        known(answer.get_ref())
    }

    /// Makes the source of what people type in, when it is not there.
    async fn ensure_manual(&self) -> Result<(), Failure> {
        let mut sources = SourceServiceClient::new(self.0.clone());
        let request = cpb::CreateSourceRequest {
            source_id: MANUAL_SOURCE.to_owned(),
            source: Some(cpb::Source {
                display_name: "人工录入".to_owned(),
                sharing: cpb::source::Sharing::Group.into(),
                ..cpb::Source::default()
            }),
            request_id: String::new(),
        };
        match sources.create_source(request).await {
            Ok(_) => Ok(()),
            Err(s) => match failure(&s) {
                f if f.code == Code::AlreadyExists => Ok(()),
                f => Err(f),
            },
        }
    }

    async fn ingest(&self, record: cpb::SourceRecord) -> Result<cpb::IngestResult, Failure> {
        let request = cpb::IngestSourceRecordsRequest {
            records: vec![record],
            ..cpb::IngestSourceRecordsRequest::default()
        };
        let answer = SourceServiceClient::new(self.0.clone())
            .ingest_source_records(request)
            .await
            .map_err(|s| failure(&s))?
            .into_inner();
        let result = answer
            .results
            .into_iter()
            .next()
            .ok_or_else(|| wrong("a result"))?;
        match &result.error {
            None => Ok(result),
            Some(error) => Err(Failure::new(
                Code::FailedPrecondition,
                "CUSTOMER_REFUSED",
                "the customer service does not take this lead as a customer",
            )
            .with("code", error.code)),
        }
    }
}

#[async_trait]
impl Customers for CustomerPeer {
    async fn get(&self, bearer: Option<&Bearer>, address: i64) -> Result<Known, Failure> {
        let peer = match bearer {
            Some(bearer) => self.0.acting_for(bearer),
            None => self.0.clone(),
        };
        self.full(peer, address).await
    }

    async fn find(&self, lead: &Lead) -> Result<Found, Failure> {
        let private = lead.private.clone().unwrap_or_default();
        let request = cpb::MatchPartyRequest {
            party: Some(party(lead, &private)),
            page_size: CANDIDATES,
        };
        let answer = MatchServiceClient::new(self.0.clone())
            .match_party(request)
            .await
            .map_err(|s| failure(&s))?
            .into_inner();
        let mut unsure = Vec::new();
        for candidate in &answer.candidates {
            let customer = candidate
                .customer
                .as_ref()
                .ok_or_else(|| wrong("a customer"))?;
            let id = number(&customer.name)?;
            if candidate.would_merge {
                let record = number(&candidate.record)?;
                return Ok(Found::Known(record, self.full(self.0.clone(), id).await?));
            }
            unsure.push((id, candidate.score));
        }
        Ok(if unsure.is_empty() {
            Found::Nobody
        } else {
            Found::Unsure(unsure)
        })
    }

    async fn register(&self, lead: &Lead) -> Result<Known, Failure> {
        let private = lead.private.clone().unwrap_or_default();
        let key = cpb::RecordKey {
            source: format!("sources/{MANUAL_SOURCE}"),
            external_id: format!("lead-{}", lead.id),
        };
        let record = cpb::SourceRecord {
            key: Some(key.clone()),
            completeness: cpb::source_record::Completeness::Full.into(),
            body: Some(cpb::source_record::Body::Party(party(lead, &private))),
            ..cpb::SourceRecord::default()
        };
        self.ensure_manual().await?;
        let result = self.ingest(record).await?;
        let holder = number(&result.customer)?;
        // The reference is to the record itself: should it be parted from the customer it fell to,
        // lead and opportunity go with it.
        let request = cpb::GetCustomerRequest {
            name: format!("customers/{holder}"),
            view: cpb::CustomerView::Full.into(),
        };
        let customer = CustomerServiceClient::new(self.0.clone())
            .get_customer(request)
            .await
            .map_err(|s| failure(&s))?
            .into_inner();
        let mut known = known(&customer)?;
        let own = customer
            .records
            .iter()
            .find(|r| r.key.as_ref() == Some(&key))
            .ok_or_else(|| wrong("the record just made"))?;
        known.addresses = vec![number(&own.address)?];
        Ok(known)
    }

    async fn changes(&self, token: &str, page: i32) -> Result<Moves, Failure> {
        let request = cpb::ListCustomerChangesRequest {
            page_size: page,
            page_token: token.to_owned(),
            include_snapshots: true,
        };
        let answer = CustomerServiceClient::new(self.0.clone())
            .list_customer_changes(request)
            .await
            .map_err(|s| failure(&s))?
            .into_inner();
        let mut holds = Vec::new();
        let mut named = BTreeSet::new();
        for change in &answer.changes {
            named.insert(number(&change.customer)?);
            for other in &change.related {
                named.insert(number(other)?);
            }
            // Without a snapshot it answers as another customer, whose own change tells of it.
            if let Some(snapshot) = &change.snapshot {
                let known = known(snapshot)?;
                holds.push((known.current, known.addresses));
            }
        }
        Ok(Moves {
            holds,
            named,
            token: answer.next_page_token,
        })
    }
}

impl std::fmt::Debug for CustomerPeer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CustomerPeer")
    }
}
