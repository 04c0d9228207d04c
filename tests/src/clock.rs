//! A clock that a test moves in every process of a house at once.
//!
//! The processes of a debug build go by the machine's clock and are ahead of it by the seconds in
//! a file (`JINKE_TEST_CLOCK`); release builds know nothing of it. What waits, such as a pause
//! between two looks at a feed, goes by the machine.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Result;
use jinke_types::{Clock, SystemClock, Timestamp};

/// The variable that names the file.
pub const VARIABLE: &str = "JINKE_TEST_CLOCK";

/// The clock in a file.
#[derive(Clone, Debug)]
pub struct TestClock {
    file: PathBuf,
    ahead: Duration,
}

impl TestClock {
    /// A clock in this folder, not ahead yet.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn new(folder: &Path) -> Result<Self> {
        let file = folder.join("clock");
        std::fs::write(&file, "0")?;
        Ok(Self {
            file,
            ahead: Duration::ZERO,
        })
    }

    /// Its file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Lets days pass, for all processes at one instant.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn pass_days(&mut self, days: u64) -> Result<()> {
        self.ahead += Duration::from_secs(days * 86_400);
        // In one step: nobody reads half a number.
        let next = self.file.with_extension("next");
        std::fs::write(&next, self.ahead.as_secs().to_string())?;
        std::fs::rename(next, &self.file)?;
        Ok(())
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(self.ahead)
    }
}
