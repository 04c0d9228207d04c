//! `make run-split`: every service and the gateway as a process of its own, with TLS, on
//! PostgreSQL, until Ctrl-C.
//!
//! ```text
//! split                         a fresh database on the server of JINKE_TEST_POSTGRES, gone at the end
//! split --postgres URL --dir D  this database and folder, which stay
//! split --mutual                clients must show certificates too
//! ```

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use jinke_kit::shutdown;
use jinke_store::{Engine, testing::Place};
use jinke_tests::{
    apart::{House, Plan, Tls},
    suite::binary,
};

struct Arguments {
    postgres: Option<String>,
    dir: Option<PathBuf>,
    mutual: bool,
}

fn arguments() -> Result<Arguments> {
    let mut found = Arguments {
        postgres: None,
        dir: None,
        mutual: false,
    };
    let mut all = std::env::args().skip(1);
    while let Some(argument) = all.next() {
        match argument.as_str() {
            "--postgres" => found.postgres = Some(all.next().context("--postgres needs a URL")?),
            "--dir" => found.dir = Some(all.next().context("--dir needs a folder")?.into()),
            "--mutual" => found.mutual = true,
            other => bail!("unknown argument {other:?}"),
        }
    }
    if found.postgres.is_some() != found.dir.is_some() {
        bail!("--postgres and --dir go together: the folder holds the keys of the database");
    }
    Ok(found)
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = arguments()?;
    let fresh = tempfile::tempdir()?;
    let (postgres, dir, place) = match (arguments.postgres, arguments.dir) {
        (Some(url), Some(dir)) => (url, std::path::absolute(dir)?, None),
        _ => {
            let place = Place::new(Engine::Postgres).await;
            (place.config().url, fresh.path().to_owned(), Some(place))
        }
    };
    std::fs::create_dir_all(&dir)?;
    let mut plan = Plan::new(&dir, &postgres);
    plan.known_ports = true;
    if arguments.mutual {
        plan.tls = Tls::Mutual;
    }
    // One listener for the whole run: a Ctrl-C between two looks at the processes is not lost.
    let mut signals = shutdown::Signals::listen()?;
    let started = tokio::select! {
        started = House::start(plan) => started,
        _ = signals.next() => bail!("stopped before everything was ready"),
    };
    let outcome = match started {
        Ok(house) => serve(house, signals).await,
        Err(error) => Err(error),
    };
    if let Some(place) = place {
        place.remove().await;
    }
    outcome
}

async fn serve(mut house: House, mut signals: shutdown::Signals) -> Result<()> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "服务 service   gRPC                      metrics, /readyz           log"
    )?;
    for process in house.processes.values() {
        writeln!(
            out,
            "{:<14} https://127.0.0.1:{}  http://127.0.0.1:{}  {}",
            process.kind.name,
            process.grpc,
            process.admin,
            process.log.display()
        )?;
    }
    let (http, ca) = (house.http("gateway-0"), &house.certificates.authority);
    let credentials = house.key_dir().join("admin.toml");
    writeln!(
        out,
        "\nHTTP 接口 JSON and gRPC for all services: https://127.0.0.1:{http}\n\
         试一试 try:\n  \
         {} --endpoint https://127.0.0.1:{http} --tls-ca {} --credentials {} sources list\n  \
         curl --cacert {} https://127.0.0.1:{http}/openapi.json\n\
         按 Ctrl-C 停止 Ctrl-C stops them all",
        binary().display(),
        ca.display(),
        credentials.display(),
        ca.display(),
    )?;
    drop(out);
    // A process that ends by itself takes the others with it, so that nobody overlooks it.
    loop {
        tokio::select! {
            _ = signals.next() => break,
            () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {}
        }
        if let Some(ended) = house.ended() {
            bail!("{ended}");
        }
    }
    house.stop().await
}
