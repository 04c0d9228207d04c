//! A cursor for systems whose rows carry the time of their last change.
//!
//! A pull is a round: all rows changed at or after `since`, walked in the order of their ids.
//! Walking by id and not by time means that a row changed during the round does not move within
//! it, so no page boundary can lose one. What a round must not do, and how it is kept:
//!
//! | danger | what is done |
//! |---|---|
//! | two rows with an equal time on both sides of a boundary | the lower bound is inclusive, and time is no page boundary |
//! | a row changed behind the place of the running round | the next round starts at the newest time seen *before* this one began |
//! | a transaction that commits late with an early time | the next round starts an overlap earlier still |
//! | the overlap yields the same rows again | the cursor remembers (id, version) of the rows within it |
//! | the machine's clock differs from the foreign one | only times that the foreign system gave are used |
//!
//! The memory is bounded: [`MAX_SEEN`] rows. When more rows lie in the overlap, those beyond are
//! delivered again in the next round, which changes nothing, because the same row is the same
//! record; nothing is ever lost for it.

use std::{collections::BTreeSet, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use jinke_types::{Failure, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::connector::{Cursor, PullError};

/// So many rows within the overlap are remembered as delivered, those of the last round and of
/// the one under way together.
pub const MAX_SEEN: usize = 320;
/// An id that a round walks by may be at most this many bytes; with a longer one the cursor
/// cannot be made.
pub const MAX_WALK_ID: usize = 256;

/// The first 64 bits of SHA-256 over the parts, each with its length before it.
pub fn hash(parts: &[&[u8]]) -> u64 {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update((part.len() as u64).to_le_bytes());
        sha.update(part);
    }
    let bytes: [u8; 32] = sha.finalize().into();
    u64::from_le_bytes(bytes[..8].try_into().unwrap_or_default())
}

/// Where an incremental pull stands.
#[derive(Clone, Debug)]
pub struct Incremental {
    state: State,
    overlap: Duration,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Wire", into = "Wire")]
struct State {
    /// Which list, so that a cursor of another one is refused.
    list: String,
    /// Inclusive lower bound of the present or next round; none reads everything.
    since: Option<Timestamp>,
    /// The round under way.
    round: Option<Round>,
    /// Rows with a time at or after `since` that were delivered.
    seen: Seen,
    /// Rows delivered since the first round began; for progress only.
    done: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Round {
    /// The newest time before the round began.
    top: Timestamp,
    /// The id behind which it goes on.
    after: Option<String>,
    /// What the next round shall pass over.
    next: Seen,
}

/// The state as it is written. Most rows that the next round shall pass over are those that this
/// one did, so both memories are written as three parts without an overlap.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wire {
    list: String,
    since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    #[serde(skip_serializing_if = "Seen::is_empty")]
    both: Seen,
    #[serde(skip_serializing_if = "Seen::is_empty")]
    seen: Seen,
    #[serde(skip_serializing_if = "Seen::is_empty")]
    next: Seen,
    done: u64,
}

impl From<Wire> for State {
    fn from(wire: Wire) -> Self {
        let with_both = |set: Seen| Seen(set.0.union(&wire.both.0).copied().collect());
        Self {
            round: wire.top.map(|top| Round {
                top,
                after: wire.after.clone(),
                next: with_both(wire.next.clone()),
            }),
            seen: with_both(wire.seen.clone()),
            list: wire.list,
            since: wire.since,
            done: wire.done,
        }
    }
}

impl From<State> for Wire {
    fn from(state: State) -> Self {
        let none = Seen::default();
        let (seen, next) = (
            &state.seen.0,
            state.round.as_ref().map_or(&none.0, |r| &r.next.0),
        );
        Self {
            both: Seen(seen.intersection(next).copied().collect()),
            seen: Seen(seen.difference(next).copied().collect()),
            next: Seen(next.difference(seen).copied().collect()),
            top: state.round.as_ref().map(|r| r.top),
            after: state.round.as_ref().and_then(|r| r.after.clone()),
            list: state.list,
            since: state.since,
            done: state.done,
        }
    }
}

/// Hashes, as base64 of eight bytes each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Seen(BTreeSet<u64>);

impl Seen {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Seen> for String {
    fn from(seen: Seen) -> Self {
        let bytes: Vec<u8> = seen.0.iter().flat_map(|h| h.to_le_bytes()).collect();
        STANDARD_NO_PAD.encode(bytes)
    }
}

impl TryFrom<String> for Seen {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| "no hashes")?;
        if bytes.len() % 8 != 0 || bytes.len() / 8 > MAX_SEEN {
            return Err("no hashes");
        }
        let hashes = bytes.chunks_exact(8);
        Ok(Self(
            hashes
                .map(|c| u64::from_le_bytes(c.try_into().unwrap_or_default()))
                .collect(),
        ))
    }
}

impl Incremental {
    /// Goes on from `cursor`, or starts with everything. `list` names what is pulled (stream and
    /// whatever else decides which rows it has); a cursor of another one is `CURSOR_UNKNOWN`.
    pub fn resume(
        list: &str,
        cursor: Option<&Cursor>,
        overlap: Duration,
    ) -> Result<Self, PullError> {
        let list = format!("{:016x}", hash(&[list.as_bytes()]));
        let state = match cursor {
            None => State {
                list,
                ..State::default()
            },
            Some(cursor) => {
                let state: State = cursor.decode()?;
                if state.list != list {
                    return Err(Cursor::unknown());
                }
                state
            }
        };
        Ok(Self { state, overlap })
    }

    /// Whether a round is under way, of which an earlier pull read a part.
    pub const fn under_way(&self) -> bool {
        self.state.round.is_some()
    }

    /// Begins a round; nothing when one is under way. `top` is the newest time of change that
    /// the foreign system shows now, taken before anything of the round is read.
    pub fn begin(&mut self, top: Timestamp) {
        self.state.round.get_or_insert_with(|| Round {
            top,
            ..Round::default()
        });
    }

    /// The inclusive lower bound; `None` reads everything.
    pub const fn since(&self) -> Option<Timestamp> {
        self.state.since
    }

    /// The id behind which the round goes on.
    pub fn after(&self) -> Option<&str> {
        self.state.round.as_ref()?.after.as_deref()
    }

    /// Rows walked over since the first round began.
    pub const fn done(&self) -> u64 {
        self.state.done
    }

    /// Walks over a row: `id` is the one walked by, `time` that of its last change, `version`
    /// whatever names its content. Whether it is to be delivered: not when an earlier round has
    /// delivered the same content.
    pub fn admit(&mut self, id: &str, time: Timestamp, version: &[u8]) -> bool {
        let hash = hash(&[id.as_bytes(), version]);
        let fresh = !self.state.seen.0.contains(&hash);
        self.state.done = self.state.done.saturating_add(u64::from(fresh));
        let overlap = self.overlap;
        if let Some(round) = &mut self.state.round {
            if time >= round.top.minus(overlap) {
                let seen = &self.state.seen.0;
                // Rows that the last round knew take no further room.
                let added = round.next.0.difference(seen).count();
                if seen.contains(&hash) || seen.len() + added < MAX_SEEN {
                    round.next.0.insert(hash);
                }
            }
            round.after = Some(id.to_owned());
        }
        fresh
    }

    /// Sets the place behind which the round goes on, for a list that is walked by a token of the
    /// foreign system and not by the ids of its rows; at most [`MAX_WALK_ID`] bytes.
    pub fn walk_to(&mut self, place: &str) {
        if let Some(round) = &mut self.state.round {
            round.after = Some(place.to_owned());
        }
    }

    /// Ends the round: all its rows were walked over. Whether the next one starts elsewhere or
    /// knows more than this one did.
    pub fn finish(&mut self) -> bool {
        let Some(round) = self.state.round.take() else {
            return false;
        };
        let since = Some(round.top.minus(self.overlap)).max(self.state.since);
        let moved = since != self.state.since || round.next != self.state.seen;
        self.state.since = since;
        self.state.seen = round.next;
        moved
    }

    /// The cursor for the present place.
    pub fn cursor(&self) -> Result<Cursor, Failure> {
        Cursor::encode(&self.state)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const OVERLAP: Duration = Duration::from_secs(10);

    #[test]
    fn a_full_memory_fits_a_cursor_and_a_foreign_cursor_is_refused() {
        let mut pull = Incremental::resume("parties", None, OVERLAP).unwrap();
        pull.begin(Timestamp::from_secs(1_800_000_000));
        for i in 0..1_000 {
            pull.admit(&format!("{i}"), Timestamp::from_secs(1_800_000_000), b"v");
        }
        pull.finish();
        pull.begin(Timestamp::from_secs(1_800_000_001));
        for i in 1_000..2_000 {
            pull.admit(
                &"x".repeat(64).replacen('x', &i.to_string(), 1),
                Timestamp::from_secs(1_800_000_001),
                b"v",
            );
        }
        let cursor = pull.cursor().unwrap();
        assert!(
            cursor.0.len() < crate::MAX_CURSOR_BYTES,
            "{}",
            cursor.0.len()
        );
        let again = Incremental::resume("parties", Some(&cursor), OVERLAP).unwrap();
        assert_eq!(again.state, pull.state);
        assert!(Incremental::resume("orders", Some(&cursor), OVERLAP).is_err());
        assert!(Incremental::resume("parties", Some(&Cursor("{}".to_owned())), OVERLAP).is_err());
    }

    /// A system whose rows change while it is read, with times that may be as much as the
    /// overlap late, and a reader that is killed at any place.
    #[derive(Clone, Debug)]
    enum Step {
        /// Row `id` changes; its time is `late` seconds before now.
        Change(u8, u8),
        Tick(u8),
        /// One page of `n` rows is read.
        Read(u8),
        /// The reader starts again from the last saved cursor.
        Kill,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (any::<u8>(), 0..=10_u8).prop_map(|(id, late)| Step::Change(id % 24, late)),
            (0..3_u8).prop_map(Step::Tick),
            (1..6_u8).prop_map(Step::Read),
            Just(Step::Kill),
        ]
    }

    struct World {
        now: i64,
        rows: BTreeMap<String, (Timestamp, u64)>,
        changes: u64,
        saved: Option<Cursor>,
        got: BTreeMap<String, u64>,
        deliveries: BTreeMap<(String, u64), u32>,
        reader: Incremental,
    }

    impl World {
        fn page(&mut self, size: usize) -> bool {
            if !self.reader.under_way() {
                let Some(top) = self.rows.values().map(|(t, _)| *t).max() else {
                    return true;
                };
                self.reader.begin(top);
            }
            let after = self.reader.after().map(str::to_owned).unwrap_or_default();
            let since = self.reader.since().unwrap_or(Timestamp(i64::MIN));
            let page: Vec<_> = self
                .rows
                .range(after.clone()..)
                .filter(|(id, (t, _))| **id > after && *t >= since)
                .take(size)
                .map(|(id, (t, v))| (id.clone(), *t, *v))
                .collect();
            let last = page.len() < size;
            for (id, time, version) in page {
                if self.reader.admit(&id, time, &version.to_le_bytes()) {
                    *self.deliveries.entry((id.clone(), version)).or_default() += 1;
                    self.got.insert(id, version);
                }
            }
            if last {
                self.reader.finish();
            }
            self.saved = Some(self.reader.cursor().unwrap());
            last
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn no_row_is_lost_or_repeated(steps in prop::collection::vec(step(), 1..200)) {
            let mut world = World {
                now: 1_000, rows: BTreeMap::new(), changes: 0, saved: None, got: BTreeMap::new(),
                deliveries: BTreeMap::new(), reader: Incremental::resume("x", None, OVERLAP).unwrap(),
            };
            for step in steps {
                match step {
                    Step::Change(id, late) => {
                        world.changes += 1;
                        let time = Timestamp::from_secs(world.now - i64::from(late));
                        world.rows.insert(format!("{id:02}"), (time, world.changes));
                    }
                    Step::Tick(seconds) => world.now += i64::from(seconds),
                    Step::Read(size) => { world.page(usize::from(size)); }
                    Step::Kill => {
                        world.reader = Incremental::resume("x", world.saved.as_ref(), OVERLAP).unwrap();
                    }
                }
            }
            // The round under way ends, and one more sees everything.
            while !world.page(5) {}
            while !world.page(5) {}
            let want: BTreeMap<_, _> = world.rows.iter().map(|(id, (_, v))| (id.clone(), *v)).collect();
            prop_assert_eq!(&world.got, &want);
            prop_assert!(world.deliveries.values().all(|n| *n == 1), "{:?}", world.deliveries);
        }
    }
}
