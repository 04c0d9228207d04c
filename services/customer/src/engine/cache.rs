//! What the engine remembers between transactions. It only learns from committed ones.

use std::{
    collections::HashSet,
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};

use lru::LruCache;

use super::prepare::Indexed;

/// Standardized records, by record; each is good for one number of versions, because the state
/// is a function of the versions kept.
pub(crate) struct Cache(Mutex<LruCache<i64, (i64, Arc<Indexed>)>>);

impl Cache {
    pub(crate) fn new(records: usize) -> Self {
        let size = NonZeroUsize::new(records).unwrap_or(NonZeroUsize::MIN);
        Self(Mutex::new(LruCache::new(size)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LruCache<i64, (i64, Arc<Indexed>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn has(&self, no: i64, versions: i64) -> bool {
        self.lock().peek(&no).is_some_and(|(v, _)| *v == versions)
    }

    pub(crate) fn get(&self, no: i64, versions: i64) -> Option<Arc<Indexed>> {
        self.lock()
            .get(&no)
            .filter(|(v, _)| *v == versions)
            .map(|(_, i)| Arc::clone(i))
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    pub(crate) fn learn(&self, learned: Vec<(i64, i64, Arc<Indexed>)>) {
        let mut cache = self.lock();
        for (no, versions, indexed) in learned {
            cache.put(no, (versions, indexed));
        }
    }
}

/// The generic keys at a revision of their set.
#[derive(Clone, Debug, Default)]
pub(crate) struct GenericKeys {
    pub(crate) revision: i64,
    pub(crate) tokens: Arc<HashSet<i64>>,
}

/// The last set of generic keys that was seen committed.
#[derive(Debug, Default)]
pub(crate) struct GenericCache(Mutex<Option<GenericKeys>>);

impl GenericCache {
    pub(crate) fn get(&self, revision: i64) -> Option<GenericKeys> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|g| g.revision == revision).cloned()
    }

    pub(crate) fn learn(&self, keys: GenericKeys) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Two transactions may report out of order; the set never goes back.
        if known.as_ref().is_none_or(|k| k.revision < keys.revision) {
            *known = Some(keys);
        }
    }
}
