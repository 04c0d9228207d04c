//! Messages into a file.

use std::{io::Write as _, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt as _};
use jinke_sdk::{
    ConfigKey, Connector, Cursor, Message, Outbound, Page, Part, PartKind, PullError,
    PullErrorKind, SendError, SendErrorKind, Sent, Settings, Spec, StreamSchema, ValueType,
    Verification,
};
use jinke_types::{Code, Failure};

/// See [`super`].
#[derive(Clone, Debug)]
pub struct LogSink {
    path: Option<Arc<PathBuf>>,
}

#[async_trait]
impl Connector for LogSink {
    fn spec() -> Spec {
        Spec {
            kind: "log",
            display_name: "日志（消息写入文件）",
            about: "Appends messages to a file, one JSON object a line; without a file it only \
                    notes in the log, without its text, that there was a message.",
            keys: vec![ConfigKey {
                name: "path",
                about: "The file, below a folder of connector.files.folders.",
                value: ValueType::Text,
                required: false,
                secret: false,
                default: None,
            }],
            parts: vec![Part {
                name: "message",
                kind: PartKind::Message,
                about: "messages to any recipient",
                verification: Verification::RealServer,
                evidence: "a file of this machine; a message may be written twice after a crash",
            }],
        }
    }

    fn open(settings: &Settings) -> Result<Self, Failure> {
        Ok(Self {
            path: settings.text("path").map(|p| Arc::new(PathBuf::from(p))),
        })
    }

    async fn check(&self) -> Result<(), Failure> {
        self.append(String::new()).await
    }

    async fn discover(&self) -> Result<Vec<StreamSchema>, Failure> {
        Ok(Vec::new())
    }

    async fn pull(
        &self,
        _: &str,
        _: Option<Cursor>,
    ) -> BoxStream<'static, Result<Page, PullError>> {
        no_streams()
    }

    fn outbound(&self) -> Option<&dyn Outbound> {
        Some(self)
    }
}

/// The pull of a sink: `STREAM_UNKNOWN`.
pub(super) fn no_streams() -> BoxStream<'static, Result<Page, PullError>> {
    let failure = Failure::new(
        Code::NotFound,
        "STREAM_UNKNOWN",
        "the connection has no such stream",
    );
    let error = PullError::new(PullErrorKind::Unreadable, failure);
    futures::stream::iter([Err(error)]).boxed()
}

impl LogSink {
    async fn append(&self, line: String) -> Result<(), Failure> {
        let Some(path) = self.path.clone() else {
            return Ok(());
        };
        let write = move || {
            let mut options = std::fs::OpenOptions::new();
            options.create(true).append(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(&*path)?;
            file.write_all(line.as_bytes())?;
            file.sync_data()
        };
        let done = tokio::task::spawn_blocking(write).await;
        done.map_err(Failure::internal)?.map_err(|e| {
            Failure::new(
                Code::Unavailable,
                "FILE_UNWRITABLE",
                format!("the file cannot be written: {}", e.kind()),
            )
        })
    }
}

#[async_trait]
impl Outbound for LogSink {
    // A line that stands there twice is told by its key.
    fn repeats_by_key(&self) -> bool {
        true
    }

    async fn send(&self, message: &Message) -> Result<Sent, SendError> {
        tracing::info!(
            key = message.key,
            characters = message.text.chars().count(),
            "a message for the log"
        );
        let line = serde_json::to_string(message).map_err(Failure::internal);
        let written = match line {
            Ok(line) => self.append(line + "\n").await,
            Err(failure) => Err(failure),
        };
        written.map_err(|f| SendError::new(SendErrorKind::Unavailable, f))?;
        Ok(Sent::default())
    }
}
