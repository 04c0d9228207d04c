//! Pages read ahead of the delivery, so that a slow service holds the connector back and memory
//! stays bounded.

use std::sync::Arc;

use futures::{StreamExt as _, stream::BoxStream};
use jinke_sdk::{Connector, Cursor, KnownRecords, Page, PullError, PullErrorKind, SweepLimit};
use jinke_types::Failure;
use tokio::{sync::mpsc, task::JoinHandle};

/// Pages that are read ahead of the delivery.
pub const PAGES_AHEAD: usize = 2;

/// Reads pages ahead in a task of its own; the bounded channel holds it back.
pub(crate) struct PageReader {
    pages: mpsc::Receiver<Result<Page, PullError>>,
    task: JoinHandle<()>,
}

impl PageReader {
    /// Of a pull.
    pub(crate) fn pull(
        connector: &Arc<dyn Connector>,
        stream: &str,
        cursor: Option<String>,
    ) -> Self {
        let (connector, stream) = (connector.clone(), stream.to_owned());
        Self::of(async move { connector.pull(&stream, cursor.map(Cursor)).await })
    }

    /// Of a sweep.
    pub(crate) fn sweep(
        connector: &Arc<dyn Connector>,
        stream: &str,
        known: Arc<dyn KnownRecords>,
        limit: SweepLimit,
    ) -> Self {
        let (connector, stream) = (connector.clone(), stream.to_owned());
        Self::of(async move { connector.sweep(&stream, known, limit).await })
    }

    fn of(
        begin: impl Future<Output = BoxStream<'static, Result<Page, PullError>>> + Send + 'static,
    ) -> Self {
        let (sender, pages) = mpsc::channel(PAGES_AHEAD);
        let task = tokio::spawn(async move {
            let mut pull = begin.await;
            while let Some(page) = pull.next().await {
                let last = page.is_err();
                if sender.send(page).await.is_err() || last {
                    break;
                }
            }
        });
        Self { pages, task }
    }

    /// A page that is there already.
    pub(crate) fn ready(&mut self) -> Option<Result<Page, PullError>> {
        self.pages.try_recv().ok()
    }

    pub(crate) async fn next(&mut self) -> Option<Result<Page, PullError>> {
        self.pages.recv().await
    }

    /// After the last page: a connector that panicked has not come to its end.
    pub(crate) async fn join(&mut self) -> Result<(), PullError> {
        (&mut self.task).await.map_err(|e| {
            let failure = Failure::internal(format!("the connector stopped: {e}"));
            PullError::new(PullErrorKind::Unreadable, failure)
        })
    }
}

impl Drop for PageReader {
    fn drop(&mut self) {
        self.task.abort();
    }
}
