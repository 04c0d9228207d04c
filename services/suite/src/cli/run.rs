//! `jinke run`: the suite in one process, with sample data on request.

mod fresh;
mod sample_import;
mod sample_insights;
mod sample_pipeline;
mod summary;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use jinke_kit::{
    Running,
    client::{Credential, write_secret},
    shutdown, telemetry,
    tls::{ClientTls, ServerTls},
};
use jinke_runner::simulate::Simulation;
use jinke_types::{Clock as _, Code, Failure, SystemClock};

use super::{Global, Outcome, config::ConfigArgs};
use crate::{
    connect::{self, endpoint_file},
    print::Printer,
    progress::say,
    suite::{self, Area, Storage, chosen},
};

/// How many companies the samples are about.
const SAMPLE_COMPANIES: usize = 1_200;

/// A suite whose services are not ready by then will not become so by waiting.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Services to start
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Area::ALL)]
    services: Vec<Area>,
    /// Address to serve gRPC on [default: 127.0.0.1:7420]; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    config: ConfigArgs,
    /// Write sample files of invented companies, start a simulated Kingdee and WeCom that know
    /// some of them, and import all of it
    #[arg(long)]
    samples: bool,
    /// How many companies the samples are about
    #[arg(long, value_name = "N", default_value_t = SAMPLE_COMPANIES, hide = true)]
    sample_companies: usize,
    /// Delete what is in the data folder first
    #[arg(long)]
    fresh: bool,
    /// Stop after the samples are imported and the summary is printed
    #[arg(long, requires = "samples")]
    exit_after_import: bool,
}

/// Starts the suite and serves until SIGINT or SIGTERM.
///
/// # Errors
/// When the suite cannot start, or the samples cannot be imported.
pub async fn run(global: &Global, args: RunArgs, printer: &mut Printer<'_>) -> Outcome {
    let areas = chosen(&args.services)?;
    if args.samples && areas != Area::ALL {
        return Err(Failure::new(
            Code::InvalidArgument,
            "SAMPLES_NEED_ALL",
            "--samples needs all services in this process",
        ));
    }
    let mut layers = args
        .config
        .layers(global, args.listen.map(|a| a.to_string()).as_deref());
    if console::user_attended_stderr() {
        // Log lines would tear the progress bars; whoever wants them sets the level.
        layers.weak.push(("telemetry.level", "warn".to_owned()));
    }
    if args.listen.is_some() {
        // Whoever starts a second suite on this machine chooses its port; HTTP takes a free one.
        layers
            .weak
            .push(("gateway.listen", "127.0.0.1:0".to_owned()));
    }
    let config = suite::config(&layers)?;
    let data_dir = config.data_dir();
    let storages = areas
        .iter()
        .map(|area| Storage::of(*area, &config))
        .collect::<Result<Vec<_>, _>>()?;
    if args.fresh {
        for kept in fresh::clear(&data_dir, &storages)? {
            say(&format!("保留 kept, it is not ours: {}", kept.display()));
        }
    }
    fresh::mark(&data_dir)?;
    let samples = samples_folder(&config)?;
    let tls = server_tls(&config)?;
    let telemetry = telemetry::init(&config)?;
    let places = (data_dir.as_path(), samples.as_path());
    let done = serve(&args, config, &areas, places, tls, printer).await;
    // Sending the last spans blocks.
    tokio::task::spawn_blocking(|| telemetry.flush())
        .await
        .map_err(Failure::internal)?;
    done
}

/// Starts, imports the samples when asked, serves.
async fn serve(
    args: &RunArgs,
    config: jinke_kit::Config,
    areas: &[Area],
    (data_dir, folder): (&Path, &Path),
    tls: Option<ClientTls>,
    printer: &mut Printer<'_>,
) -> Outcome {
    let gateway: jinke_gateway::GatewayConfig = config.section(jinke_gateway::SECTION)?;
    let gateway_tls = !gateway.tls.cert_file.as_os_str().is_empty();
    // From here on, so that Ctrl-C while everything still starts ends the import before it begins.
    let mut signals = shutdown::Signals::listen().map_err(Failure::internal)?;
    let running = suite::start(config, areas).await?;
    let endpoint = endpoint(running.addr(), tls.is_some());
    write_private(&endpoint_file(data_dir), &format!("{endpoint}\n"))?;
    if let Err(failure) = running.ready(READY_WITHIN).await {
        stop_quietly(running).await;
        return Err(failure);
    }
    say(&format!(
        "服务已启动 serving {} at {endpoint}",
        names(areas)
    ));
    if let Some(addr) = running.listening(jinke_gateway::SECTION) {
        let scheme = if gateway_tls { "https" } else { "http" };
        say(&format!("HTTP 接口 JSON over HTTP at {scheme}://{addr}"));
    }
    let mut simulations = Vec::new();
    if args.samples {
        let work = samples(args, (data_dir, folder), &endpoint, tls, printer);
        let done = tokio::select! {
            biased;
            signal = signals.next() => {
                say(&format!("{signal}: 停止导入，下次接着来 stopping; the next run goes on"));
                running.stop().await?;
                return Ok(ExitCode::from(crate::print::error::EXIT_INTERRUPTED));
            }
            done = work => done,
        };
        match done {
            Ok(found) => simulations = found,
            Err(failure) => {
                stop_quietly(running).await;
                return Err(failure);
            }
        }
    }
    if args.exit_after_import {
        running.stop().await?;
        return Ok(ExitCode::SUCCESS);
    }
    say("按 Ctrl-C 停止 Ctrl-C stops");
    running.wait().await?;
    // The simulated systems answer as long as the suite may ask them.
    drop(simulations);
    Ok(ExitCode::SUCCESS)
}

/// Where the samples are written: below the first folder that connections may read files from.
fn samples_folder(config: &jinke_kit::Config) -> Result<PathBuf, Failure> {
    let section: jinke_runner::config::ConnectorConfig = config.section("connector")?;
    let folders = section.folders(&config.data_dir());
    let first = folders.into_iter().next();
    Ok(first.unwrap_or_else(|| config.data_dir()).join("samples"))
}

async fn stop_quietly(running: Running) {
    if let Err(failure) = running.stop().await {
        say(&format!("while stopping: {failure}"));
    }
}

async fn samples(
    args: &RunArgs,
    (data_dir, folder): (&Path, &Path),
    endpoint: &str,
    tls: Option<ClientTls>,
    printer: &mut Printer<'_>,
) -> Result<Vec<Simulation>, Failure> {
    let key = connect::admin_key(data_dir)?;
    let clock = std::sync::Arc::new(SystemClock);
    let peer = jinke_kit::client::connect(endpoint, Credential::Key(key), tls.as_ref(), clock)?;
    let samples = sample_import::import(&peer, folder, args.sample_companies).await?;
    let imported = SystemClock.now();
    let seeded = sample_pipeline::seed(&peer).await?;
    let published = sample_insights::publish(&peer, imported).await?;
    printer.line("")?;
    printer.line(format!(
        "示例销售数据 sample sales       商机 opportunities {}，线索 leads {}，任务 tasks {}；\
         看漏斗 see the funnel: jinke pipeline board",
        seeded.opportunities, seeded.leads, seeded.tasks
    ))?;
    if let Some(published) = published {
        printer.line(format!(
            "等级与生命周期已写回客户 grade and lifecycle written back  客户 customers {}，\
             新增标签 tags set {}，收回 taken back {}",
            published.customers, published.added, published.removed
        ))?;
    }
    summary::print(&peer, data_dir, &samples.imported, printer).await?;
    Ok(samples.simulations)
}

/// How a client in this process trusts the suite's own certificate.
fn server_tls(config: &jinke_kit::Config) -> Result<Option<ClientTls>, Failure> {
    let tls: ServerTls = config.section("server.tls")?;
    Ok((!tls.cert_file.as_os_str().is_empty()).then(|| ClientTls {
        ca_file: tls.cert_file,
        ..ClientTls::default()
    }))
}

/// Where a client on this machine reaches `addr`.
fn endpoint(addr: SocketAddr, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    match addr {
        SocketAddr::V4(a) if a.ip().is_unspecified() => {
            format!("{scheme}://127.0.0.1:{}", a.port())
        }
        SocketAddr::V6(a) if a.ip().is_unspecified() => format!("{scheme}://[::1]:{}", a.port()),
        addr => format!("{scheme}://{addr}"),
    }
}

fn names(areas: &[Area]) -> String {
    areas
        .iter()
        .map(|a| a.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Writes a file that only its owner can read, in one step.
fn write_private(path: &Path, text: &str) -> Result<(), Failure> {
    write_secret(path, text.as_bytes()).map_err(|e| {
        Failure::new(
            Code::FailedPrecondition,
            "FILE_NOT_WRITTEN",
            format!("{} cannot be written: {}", path.display(), e.kind()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_here_reach_a_server_that_listens_everywhere() {
        let of = |addr: &str| endpoint(addr.parse().unwrap(), false);
        assert_eq!(of("0.0.0.0:7420"), "http://127.0.0.1:7420");
        assert_eq!(of("[::]:1"), "http://[::1]:1");
        assert_eq!(of("10.0.0.5:7420"), "http://10.0.0.5:7420");
        assert_eq!(
            endpoint("127.0.0.1:7".parse().unwrap(), true),
            "https://127.0.0.1:7"
        );
    }
}
