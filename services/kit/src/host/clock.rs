//! The clock a process goes by.

use std::sync::Arc;

use jinke_types::{Clock, SystemClock};

/// The machine's clock.
///
/// In a build with debug assertions, and only there, the variable `JINKE_TEST_CLOCK` may name a
/// file with a number of seconds, by which the clock is ahead; tests of the finished house let
/// months pass in every process at once by writing it. A release build does not hold this code, so
/// that nobody can move the clock of an installation by its environment.
pub(super) fn of_process() -> Arc<dyn Clock> {
    #[cfg(debug_assertions)]
    if let Some(file) = std::env::var_os("JINKE_TEST_CLOCK") {
        return Arc::new(moved::Moved(file.into()));
    }
    Arc::new(SystemClock)
}

#[cfg(debug_assertions)]
mod moved {
    use std::{path::PathBuf, time::Duration};

    use jinke_types::{Clock, SystemClock, Timestamp};

    /// Ahead of the machine's clock by the seconds in a file; not at all while it cannot be read.
    pub(super) struct Moved(pub(super) PathBuf);

    impl Clock for Moved {
        fn now(&self) -> Timestamp {
            let text = std::fs::read_to_string(&self.0).unwrap_or_default();
            let ahead = text.trim().parse().unwrap_or(0);
            SystemClock.now().plus(Duration::from_secs(ahead))
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn it_is_ahead_by_what_the_file_says() {
            let dir = std::env::temp_dir().join(format!("jinke-clock-{}", std::process::id()));
            std::fs::write(&dir, "86400\n").expect("a file");
            let (now, moved) = (SystemClock.now(), Moved(dir.clone()).now());
            std::fs::remove_file(&dir).expect("the file goes");
            assert!(moved >= now.plus(Duration::from_secs(86_400)));
            let (now, moved) = (SystemClock.now(), Moved(dir).now());
            assert!(moved >= now && moved < now.plus(Duration::from_secs(3_600)));
        }
    }
}
