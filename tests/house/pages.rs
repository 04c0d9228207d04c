//! Pages of docs as tests: their commands and programs are run as they stand.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use tokio::process::Command;

/// Generous: whatever is waited for comes within a moment on a machine that is not busy.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// A page of docs.
pub fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// What stands below a heading, up to the next heading that is not below it.
pub fn section(page: &str, heading: &str) -> String {
    let level = |line: &str| line.bytes().take_while(|b| *b == b'#').count();
    let depth = level(heading);
    let mut lines = page.lines().skip_while(|line| *line != heading);
    let first = lines.next().unwrap_or_else(|| panic!("no {heading}"));
    let mut fenced = false;
    let below = lines.take_while(|line| {
        fenced ^= line.starts_with("```");
        // A comment of a shell begins like a heading.
        fenced || !(1..=depth).contains(&level(line))
    });
    let all: Vec<&str> = std::iter::once(first).chain(below).collect();
    all.join("\n")
}

/// The fenced blocks of the page: language, text.
pub fn blocks(page: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => open = Some((language.to_owned(), String::new())),
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block of the page is not closed");
    found
}

/// The blocks of one language.
pub fn of(blocks: &[(String, String)], language: &str) -> Vec<String> {
    let chosen = blocks.iter().filter(|(l, _)| l == language);
    chosen.map(|(_, text)| text.clone()).collect()
}

/// Runs programs as a person who follows the page would.
pub struct Desk<'a> {
    /// Where he stands.
    pub folder: &'a Path,
    /// What his programs are told.
    pub environment: BTreeMap<&'static str, String>,
}

impl Desk<'_> {
    /// What a program answers; none when the machine has no such program.
    pub async fn run(&self, program: &str, arguments: &[&str]) -> Option<Output> {
        let child = Command::new(program)
            .args(arguments)
            .current_dir(self.folder)
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let child = match child {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            child => child.expect(program),
        };
        let ended = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
        let output = ended.expect("it ends").expect(program);
        assert!(
            output.status.success(),
            "{program} {arguments:?}\n{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Some(output)
    }

    /// What a script answers; it must end well.
    pub async fn text(&self, script: &str) -> String {
        let ran = self.run("bash", &["-euo", "pipefail", "-c", script]).await;
        let ran = ran.expect("a machine with bash");
        String::from_utf8(ran.stdout).expect("text")
    }
}
