//! A suite as a child process, and commands against it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// The binary under test.
pub const JINKE: &str = env!("CARGO_BIN_EXE_jinke");

/// A temporary home with a data folder and a configuration folder of its own.
pub struct Home {
    dir: tempfile::TempDir,
}

/// A serving suite; it is stopped when dropped.
pub struct Serving {
    child: Child,
    pub stdout: Receiver<String>,
}

/// What a command answered.
#[derive(Debug)]
pub struct Answer {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Home {
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file in this home.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Writes rows of cells, given as lines with commas, as a workbook of Excel.
    pub fn workbook(&self, name: &str, rows: &str) -> PathBuf {
        let path = self.path(name);
        let mut book = rust_xlsxwriter::Workbook::new();
        let sheet = book.add_worksheet();
        for (row, line) in (0..).zip(rows.lines()) {
            for (column, cell) in (0..).zip(line.split(',')) {
                sheet.write_string(row, column, cell).unwrap();
            }
        }
        book.save(&path).unwrap();
        path
    }

    /// A command of its own environment, that sees nothing of the machine's.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("JINKE_") {
                command.env_remove(name);
            }
        }
        command
            .env("JINKE_CONFIG_HOME", self.path("config"))
            .env("TZ", "UTC")
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs `jinke` with these arguments in the home, whose data folder is the default one.
    pub fn jinke(&self, args: &[&str]) -> Answer {
        answer(self.command(JINKE).args(args))
    }

    /// The same with text on standard input.
    pub fn jinke_with_input(&self, args: &[&str], input: &str) -> Answer {
        let mut command = self.command(JINKE);
        command.args(args).stdin(Stdio::piped());
        answered(&mut command, |child| {
            let mut stdin = child.stdin.take().unwrap();
            stdin.write_all(input.as_bytes()).unwrap();
        })
    }

    /// A command that must succeed, with its answer as JSON.
    pub fn json(&self, args: &[&str]) -> Value {
        let answer = self.jinke(&[args, &["--json"]].concat());
        assert_eq!(answer.code, 0, "{args:?}: {answer:?}");
        serde_json::from_str(&answer.out).unwrap_or_else(|e| panic!("{args:?}: {e}: {answer:?}"))
    }

    /// A line pasted into a shell.
    pub fn shell(&self, line: &str) -> Answer {
        answer(self.command("sh").args(["-c", line]))
    }

    /// Starts a suite on a free port and waits until it answers.
    pub fn serve(&self, args: &[&str]) -> Serving {
        // A suite that was killed leaves the file that says where it listened.
        let _ = fs::remove_file(self.data().join("endpoint"));
        let run = [
            "run",
            "--listen",
            "127.0.0.1:0",
            "--set",
            "metrics.listen=127.0.0.1:0",
        ];
        let mut serving = self.start(&[&run, args].concat(), "log");
        let begun = Instant::now();
        while !self.jinke(&["whoami"]).out.contains("jinke-cli") {
            let ended = serving.child.try_wait().unwrap();
            let late = begun.elapsed() > Duration::from_secs(60);
            assert!(
                ended.is_none() && !late,
                "not ready ({ended:?}): {}",
                self.log()
            );
            thread::sleep(Duration::from_millis(100));
        }
        serving
    }

    /// Starts a command that goes on until it is stopped; what it writes to standard error is in
    /// the file `log`.
    pub fn start(&self, args: &[&str], log: &str) -> Serving {
        let log = fs::File::create(self.path(log)).unwrap();
        let mut child = self
            .command(JINKE)
            .args(args)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let (sender, stdout) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Serving { child, stdout }
    }

    /// What the suite wrote to standard error.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

impl Serving {
    /// Sends SIGTERM and waits for the end.
    pub fn stop(self) -> ExitStatus {
        self.end_by("-TERM")
    }

    /// Does what Ctrl-C does, and waits for the end.
    pub fn interrupt(self) -> ExitStatus {
        self.end_by("-INT")
    }

    /// Sends a signal, as `kill` takes it, and waits for the end.
    pub fn end_by(mut self, signal: &str) -> ExitStatus {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        let what = format!("a process that was told {signal}");
        within(self.child.id(), &what, || self.child.wait().unwrap())
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lines of standard output up to and with one that contains `end`.
    pub fn until(&self, end: &str, patience: Duration) -> Vec<String> {
        let mut lines = Vec::new();
        let begun = Instant::now();
        loop {
            let left = patience.saturating_sub(begun.elapsed());
            let Ok(line) = self.stdout.recv_timeout(left) else {
                panic!("no line with {end:?} came after {lines:#?}");
            };
            let found = line.contains(end);
            lines.push(line);
            if found {
                return lines;
            }
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How long a process may take to end. What takes longer hangs: it is killed, and the test fails
/// rather than everything waits for it.
const LIMIT: Duration = Duration::from_mins(5);

/// Runs `end`, which waits for the end of the process, and kills that one when it takes too long.
fn within<T>(pid: u32, what: &str, end: impl FnOnce() -> T) -> T {
    let (done, waits) = channel::<()>();
    let watch = thread::spawn(move || {
        let late = waits.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout);
        if late {
            let _ = Command::new("kill")
                .args(["-ABRT", &pid.to_string()])
                .status();
        }
        late
    });
    let ended = end();
    drop(done);
    assert!(
        !watch.join().unwrap(),
        "{what} does not end: killed after {LIMIT:?}"
    );
    ended
}

fn answer(command: &mut Command) -> Answer {
    answered(command, |_| {})
}

/// Runs a command to its end; `begin` sees it begin.
fn answered(command: &mut Command, begin: impl FnOnce(&mut Child)) -> Answer {
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    begin(&mut child);
    let what = format!("{:?}", command.get_args());
    let output = within(child.id(), &what, || child.wait_with_output().unwrap());
    Answer {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Text of a JSON string field, or a panic that shows what is there.
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field]
        .as_str()
        .unwrap_or_else(|| panic!("no {field} in {value:#}"))
}

/// The records of a customer as the command line names them, in order.
pub fn record_keys(customer: &Value) -> Vec<String> {
    let records = customer["records"]
        .as_array()
        .unwrap_or_else(|| panic!("{customer:#}"));
    let key = |r: &Value| {
        let source = text(&r["key"], "source")
            .trim_start_matches("sources/")
            .to_owned();
        format!("{source}/{}", text(&r["key"], "externalId"))
    };
    records.iter().map(key).collect()
}

/// Whether a path can be read by its owner alone.
pub fn is_private(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o077 == 0
}
