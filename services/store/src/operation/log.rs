//! The operations of a database as the kit serves them.

use std::sync::Arc;

use jinke_types::{Clock, Operation, OperationAnswer, OperationLog, OperationQuery};

use crate::database::Database;

/// The operations of a service's database: `Built::operations(Operations::new(db, clock))`.
#[derive(Clone)]
pub struct Operations {
    db: Database,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Operations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operations").finish_non_exhaustive()
    }
}

impl Operations {
    /// Those of `db`.
    pub fn new(db: Database, clock: Arc<dyn Clock>) -> Self {
        Self { db, clock }
    }
}

impl OperationLog for Operations {
    fn get(&self, id: i64) -> OperationAnswer<'_, Operation> {
        Box::pin(async move {
            let mut reader = self.db.read().await?;
            super::get(&mut reader, id).await
        })
    }

    fn list(&self, query: OperationQuery) -> OperationAnswer<'_, Vec<Operation>> {
        Box::pin(async move {
            let mut reader = self.db.read().await?;
            super::list(&mut reader, &query).await
        })
    }

    fn cancel(&self, id: i64) -> OperationAnswer<'_, Operation> {
        Box::pin(async move {
            let now = self.clock.now();
            self.db
                .write(async |mut tx| super::cancel(&mut tx, id, now).await)
                .await
        })
    }

    fn delete(&self, id: i64) -> OperationAnswer<'_, ()> {
        Box::pin(async move {
            self.db
                .write(async |mut tx| super::delete(&mut tx, id).await)
                .await
        })
    }
}

impl Database {
    /// The operations of this database, to be served.
    pub fn operations(&self, clock: Arc<dyn Clock>) -> Arc<dyn OperationLog> {
        Arc::new(Operations::new(self.clone(), clock))
    }
}
