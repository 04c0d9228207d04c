//! An identity service that knows of directories what a test says.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use jinke_runner::directory::{DirectoryDoor, Membership, Refused};
use jinke_sdk::DirectoryEntry;
use tonic::Status;

/// What it knows and does.
#[derive(Default)]
pub struct Links {
    /// Who is who, by source and user.
    pub known: BTreeMap<(String, String), Membership>,
    /// So many questions are answered with this.
    pub away: usize,
    pub answer: Option<Status>,
    /// Questions so far.
    pub asked: usize,
}

impl Links {
    /// A user is this member of a source's directory.
    pub fn link(&mut self, source: &str, user: &str, member: &str) {
        let link = Membership::Member(member.to_owned());
        self.known
            .insert((source.to_owned(), user.to_owned()), link);
    }
}

/// The door to it; clones share it.
#[derive(Clone, Default)]
pub struct FakeDirectory(Arc<Mutex<Links>>);

impl FakeDirectory {
    pub fn lock(&self) -> MutexGuard<'_, Links> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl DirectoryDoor for FakeDirectory {
    async fn deliver(&self, _: &str, entries: &[DirectoryEntry]) -> Result<u64, Refused> {
        Ok(entries.len() as u64)
    }

    async fn member(&self, source: &str, user: &str) -> Result<Membership, Status> {
        let mut links = self.lock();
        links.asked += 1;
        if links.away > 0 {
            links.away -= 1;
            let away = || Status::unavailable("nobody answers");
            return Err(links.answer.clone().unwrap_or_else(away));
        }
        let found = links.known.get(&(source.to_owned(), user.to_owned()));
        Ok(found.cloned().unwrap_or(Membership::Nobody))
    }
}
