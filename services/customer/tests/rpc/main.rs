//! The RPCs over a real tonic server in this process, with grants made up by the test.

mod changes;
mod cohesion;
mod facts;
mod hostile;
mod house;
mod loads;
mod masks;
mod operations;
mod replays;
mod search;
mod streams;
mod timeline;
mod walls;
