//! Where departments and members go, and who knows which of our users is which member: the identity
//! service.

use std::time::Duration;

use async_trait::async_trait;
use jinke_proto::jinke::identity::v1::{
    self as pb, directory_entry::Entry, directory_service_client::DirectoryServiceClient,
};
use jinke_sdk::DirectoryEntry;
use tonic::{
    Status,
    body::Body,
    client::GrpcService,
    codegen::{Body as HttpBody, Bytes, StdError},
};

use crate::{deliver::is_retryable, problem::Problem};

/// Entries in one call; the identity service takes no more.
const MAX_ENTRIES: usize = 500;
/// A call that is not answered in this time is made again later. Taking entries again changes
/// nothing.
const DEADLINE: Duration = Duration::from_secs(60);

/// Who a user is in a directory is a question of one row; a message waits for it.
const QUESTION: Duration = Duration::from_secs(10);

/// Who one of our users is in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Membership {
    /// The member with this id of the directory's own.
    Member(String),
    /// A member who is gone.
    Gone,
    /// No member of it is this user.
    Nobody,
}

/// Why entries were not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What happened.
    pub problem: Problem,
    /// It may work later.
    pub later: bool,
}

/// The door of whoever keeps departments and members.
#[async_trait]
pub trait DirectoryDoor: Send + Sync {
    /// Takes entries of one connection, parents before children. Taking one again changes
    /// nothing. How many were taken.
    async fn deliver(&self, source: &str, entries: &[DirectoryEntry]) -> Result<u64, Refused>;

    /// Who a user, `users/…`, is in the directory of a source.
    async fn member(&self, source: &str, user: &str) -> Result<Membership, Status>;
}

/// The identity service.
#[derive(Clone, Debug)]
pub struct IdentityDoor<T>(DirectoryServiceClient<T>);

impl<T> IdentityDoor<T>
where
    T: GrpcService<Body>,
    T::Error: Into<StdError>,
    T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
    /// Over a transport.
    pub fn new(transport: T) -> Self {
        Self(DirectoryServiceClient::new(transport))
    }
}

#[async_trait]
impl<T> DirectoryDoor for IdentityDoor<T>
where
    T: GrpcService<Body> + Clone + Send + Sync + 'static,
    T::Error: Into<StdError>,
    T::Future: Send,
    T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
    async fn deliver(&self, source: &str, entries: &[DirectoryEntry]) -> Result<u64, Refused> {
        let mut taken = 0;
        for some in entries.chunks(MAX_ENTRIES) {
            let mut request = tonic::Request::new(pb::SyncDirectoryRequest {
                directory: format!("directories/{source}"),
                entries: some.iter().map(entry).collect(),
                max_leavers_percent: 0,
            });
            request.set_timeout(DEADLINE);
            let mut client = self.0.clone();
            let answer = tokio::time::timeout(
                DEADLINE + Duration::from_secs(5),
                client.sync_directory(request),
            );
            let late = || Status::deadline_exceeded("the identity service did not answer in time");
            let answer = answer.await.unwrap_or_else(|_| Err(late()));
            let told = answer.map_err(|status| refused(&status))?.into_inner();
            for skipped in &told.skipped {
                tracing::warn!(
                    source,
                    reason = skipped.reason,
                    "an entry of a directory was not taken"
                );
            }
            taken += (some.len() - told.skipped.len().min(some.len())) as u64;
        }
        Ok(taken)
    }

    async fn member(&self, source: &str, user: &str) -> Result<Membership, Status> {
        let mut request = tonic::Request::new(pb::ListDirectoryLinksRequest {
            parent: format!("directories/{source}"),
            resource: user.to_owned(),
            ..pb::ListDirectoryLinksRequest::default()
        });
        request.set_timeout(QUESTION);
        let mut client = self.0.clone();
        // The deadline is sent along too; this one also ends a call whose connection is dead.
        let answer = tokio::time::timeout(
            QUESTION + Duration::from_secs(5),
            client.list_directory_links(request),
        );
        let late = || Status::deadline_exceeded("the identity service did not answer in time");
        let answer = answer.await.unwrap_or_else(|_| Err(late()))?;
        // Looked at again: a service that does not know the filter answers with everybody.
        let mut links = answer.into_inner().links.into_iter();
        Ok(match links.find(|link| link.resource == user) {
            None => Membership::Nobody,
            Some(link) if link.gone => Membership::Gone,
            Some(link) => Membership::Member(link.external_id),
        })
    }
}

fn refused(status: &Status) -> Refused {
    // The token of this service is renewed by the kit; a refusal may pass.
    let later = is_retryable(status.code()) || status.code() == tonic::Code::Unauthenticated;
    Refused {
        problem: Problem::from(status),
        later,
    }
}

fn entry(entry: &DirectoryEntry) -> pb::DirectoryEntry {
    let entry = match entry {
        DirectoryEntry::RoundBegan => Entry::RoundBegan(pb::DirectoryRoundBegan {}),
        DirectoryEntry::RoundEnded => Entry::RoundEnded(pb::DirectoryRoundEnded {}),
        DirectoryEntry::Department(department) => Entry::Department(pb::DirectoryDepartment {
            external_id: department.external_id.clone(),
            parent_external_id: department.parent.clone().unwrap_or_default(),
            display_name: department.name.clone(),
            active: department.active,
        }),
        DirectoryEntry::Member(member) => Entry::Member(pb::DirectoryMember {
            external_id: member.external_id.clone(),
            display_name: member.name.clone(),
            department_external_ids: member.departments.clone(),
            active: member.active,
        }),
    };
    pb::DirectoryEntry { entry: Some(entry) }
}
