//! The connector service over real databases of both engines, with a foreign system and a customer
//! service that do what a test says.

mod callbacks;
#[cfg(feature = "rigs")]
mod callers;
mod configure;
mod kingdee;
mod leading;
mod leads;
mod middle;
mod outbound;
mod recipients;
#[cfg(feature = "rigs")]
mod rigs;
mod runs;
mod sweeps;
mod world;
