//! One run: its streams one after the other, to a state that says what became of it.

use std::sync::Arc;

use jinke_sdk::{Connector, StreamSchema, directory::DIRECTORY, lead::LEAD};
use jinke_store::lease;
use jinke_types::Failure;

use super::{Trouble, keep::Led, pull, sweep};
use crate::{
    core::Sealer,
    deliver::ensure_source,
    domain::{Connection, Run, RunKind, RunState, StreamState},
    import::SourceSpec,
    problem::Problem,
    store::{connections, runs},
};

/// A run under way.
pub(super) struct Work {
    pub(super) led: Led,
    pub(super) connection: Connection,
    pub(super) connector: Arc<dyn Connector>,
    pub(super) sealer: Sealer,
    pub(super) run: Run,
}

/// Works at the next run of the connection, when there is one.
pub(super) async fn next(led: &Led) -> Result<(), Failure> {
    let core = &led.core;
    let now = core.clock.now();
    let Some(run) = runs::next(&mut *core.db.read().await?, &led.id, now).await? else {
        return Ok(());
    };
    let number = run.number;
    // Dropping the work at any place is safe: all it wrote it wrote in whole transactions.
    let stopped = tokio::select! {
        done = execute(led, run) => return done,
        stopped = wishes(led, number) => stopped?,
    };
    if stopped.deleted {
        return Ok(());
    }
    // What the dropped work has saved is read back and only its state is changed.
    let Some(mut run) = runs::get(&mut *core.db.read().await?, &led.id, number).await? else {
        return Ok(());
    };
    if run.state.ended() {
        return Ok(());
    }
    run.update_time = core.clock.now();
    run.retry_time = None;
    if stopped.cancel {
        run.state = RunState::Cancelled;
        run.end_time = Some(run.update_time);
        core.numbers.runs.with_label_values(&["cancelled"]).inc();
    } else {
        run.state = RunState::Queued;
    }
    save(led, &run).await
}

/// Completes once somebody wants the run to stop.
async fn wishes(led: &Led, number: i64) -> Result<runs::Wishes, Failure> {
    loop {
        let wishes = runs::wishes(&mut *led.core.db.read().await?, &led.id, number).await?;
        if wishes.deleted || wishes.cancel || wishes.paused {
            return Ok(wishes);
        }
        tokio::time::sleep(led.core.limits.poll).await;
    }
}

/// Writes a run under the lease.
pub(super) async fn save(led: &Led, run: &Run) -> Result<(), Failure> {
    led.core
        .db
        .write(async |mut tx| {
            lease::guard(&mut tx, &led.lease).await?;
            runs::save(&mut tx, run).await
        })
        .await
}

async fn execute(led: &Led, mut run: Run) -> Result<(), Failure> {
    let core = &led.core;
    let connection = core.connection(&led.id).await?;
    let now = core.clock.now();
    run.attempts += 1;
    run.state = RunState::Running;
    run.start_time.get_or_insert(now);
    run.update_time = now;
    run.retry_time = None;
    run.error = None;
    save(led, &run).await?;
    tracing::info!(
        connection = led.id,
        run = run.number,
        attempt = run.attempts,
        "a run begins"
    );
    let connector = match core.open(&connection) {
        Ok(connector) => connector,
        Err(failure) => {
            let trouble = Some(Trouble::All(Problem::from(&failure)));
            return end(led, run, connection.revision, trouble).await;
        }
    };
    let revision = connection.revision;
    let sealer = core.sealer(&connection)?;
    let mut work = Work {
        led: led.clone(),
        connection,
        connector,
        sealer,
        run,
    };
    let trouble = match work.streams().await {
        Ok(()) => None,
        Err(Trouble::Keeper(failure)) => return Err(failure),
        Err(trouble) => Some(trouble),
    };
    end(led, work.run, revision, trouble).await
}

impl Work {
    async fn streams(&mut self) -> Result<(), Trouble> {
        let core = self.led.core.clone();
        let source = &self.connection.source;
        let spec = SourceSpec {
            id: source.id.clone(),
            display_name: if source.display_name.is_empty() {
                self.connection.display_name.clone()
            } else {
                source.display_name.clone()
            },
            trust: source.trust,
            org_unit: self.connection.org_unit.clone(),
            walled: source.walled,
        };
        ensure_source(&*core.door, core.limits.delivery, &*core.entropy, &spec)
            .await
            .map_err(|status| Trouble::of_status(&status))?;
        let found = self.connector.discover().await;
        let found = found.map_err(|failure| Trouble::of_failure(&failure))?;
        let wanted = if self.run.streams.is_empty() {
            self.connection.streams.clone()
        } else {
            self.run.streams.clone()
        };
        for stream in &wanted {
            if !found.iter().any(|schema| schema.stream == *stream) {
                let unknown = Failure::new(
                    jinke_types::Code::NotFound,
                    "STREAM_UNKNOWN",
                    "the connection has no such stream",
                );
                let progress = self.run.stream(stream);
                progress.state = StreamState::Failed;
                progress.error = Some(Problem::from(&unknown));
            }
        }
        for schema in found {
            let chosen = wanted.is_empty() || wanted.contains(&schema.stream);
            // Nobody has a list of departments to compare with but their own platform, and a lead
            // that its source has no more stays here.
            let swept = self.run.kind == RunKind::Sweep;
            let compared = ![DIRECTORY, LEAD].contains(&schema.kind.as_str());
            if chosen && (!swept || compared) {
                self.stream(&schema).await?;
            }
        }
        Ok(())
    }

    /// One stream; what only concerns this one is kept in its progress and the next one goes on.
    async fn stream(&mut self, schema: &StreamSchema) -> Result<(), Trouble> {
        let progress = self.run.stream(&schema.stream);
        if progress.state == StreamState::Done {
            return Ok(());
        }
        progress.state = StreamState::Running;
        progress.error = None;
        progress.note(schema.notes.iter().cloned());
        self.run.update_time = self.led.core.clock.now();
        save(&self.led, &self.run).await?;
        let done = match self.run.kind {
            RunKind::Pull => pull::stream(self, schema).await,
            RunKind::Sweep => sweep::stream(self, schema).await,
        };
        let (findings, stream) = (&self.run.findings, &schema.stream);
        let asks = !self.run.approved && findings.iter().any(|f| f.stream == *stream);
        let progress = self.run.stream(stream);
        match done {
            // Its sweep waits for consent, and is then made anew.
            Ok(()) if asks => progress.state = StreamState::Pending,
            Ok(()) => progress.state = StreamState::Done,
            Err(Trouble::Here(problem)) => {
                progress.state = StreamState::Failed;
                progress.error = Some(problem);
            }
            Err(trouble) => return Err(trouble),
        }
        self.run.update_time = self.led.core.clock.now();
        save(&self.led, &self.run).await?;
        Ok(())
    }
}

/// The state a run ends in, or waits in; `revision` is that of the connection as it ran.
async fn end(
    led: &Led,
    mut run: Run,
    revision: i64,
    trouble: Option<Trouble>,
) -> Result<(), Failure> {
    let core = &led.core;
    let now = core.clock.now();
    run.update_time = now;
    let mut problem = None;
    match trouble {
        Some(Trouble::Later(later)) => {
            run.failures += 1;
            let attempt = u32::try_from(run.failures).unwrap_or(u32::MAX);
            run.error = Some(later.clone());
            match core.limits.run.wait(attempt, &*core.entropy) {
                Some(wait) => {
                    run.state = RunState::Waiting;
                    run.retry_time = Some(now.plus(wait));
                }
                None => run.state = RunState::Failed,
            }
            if run.failures > 2 {
                problem = Some(later);
            }
        }
        Some(Trouble::All(all)) => {
            run.state = RunState::Failed;
            run.error = Some(all.clone());
            problem = Some(all);
        }
        Some(Trouble::Here(here)) => {
            run.state = RunState::Failed;
            run.error = Some(here);
        }
        Some(Trouble::Keeper(failure)) => return Err(failure),
        None => {
            let failed = run.progress.iter().find(|p| p.state == StreamState::Failed);
            run.state = if let Some(stream) = failed {
                run.error.clone_from(&stream.error);
                problem.clone_from(&stream.error);
                RunState::Failed
            } else if !run.findings.is_empty() && !run.approved {
                RunState::NeedsApproval
            } else if run
                .progress
                .iter()
                .any(crate::domain::StreamProgress::has_errors)
            {
                RunState::SucceededWithErrors
            } else {
                RunState::Succeeded
            };
        }
    }
    if run.state.ended() {
        run.end_time = Some(now);
        let label = format!("{:?}", run.state).to_lowercase();
        core.numbers.runs.with_label_values(&[&label]).inc();
    }
    tracing::info!(connection = led.id, run = run.number, state = ?run.state, "a run stops");
    core.db
        .write(async |mut tx| {
            lease::guard(&mut tx, &led.lease).await?;
            runs::save(&mut tx, &run).await?;
            let of = (led.id.as_str(), revision);
            connections::set_problem(&mut tx, of, problem.as_ref()).await
        })
        .await
}
