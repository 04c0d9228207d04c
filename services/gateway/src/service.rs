//! The gateway as a service of the kit: [`jinke_kit::run`] makes a process of it, with metrics,
//! health and draining, and the suite hosts it beside the others.
//!
//! It follows no access snapshot and has no credential: what a caller may do is decided by the
//! service his token is passed on to.

use std::time::Duration;

use futures::{StreamExt, stream::FuturesUnordered};
use jinke_kit::{Built, Check, Peers, Service, ServiceContext};
use jinke_types::{Code, Failure};
use prometheus::{IntGaugeVec, Opts};

use crate::{
    call::Backends,
    config::{DEFAULT_CONFIG, GatewayConfig, SECTION},
    edge::Gateway,
    serve,
};

/// How long one service may take to say that it serves. Less than what the kit gives the whole
/// check, so that one that is stopped does not hide the others.
const PEER_ANSWERS: Duration = Duration::from_secs(2);

/// The service, for [`jinke_kit::run`] and the suite. Listens at `gateway.listen`; see
/// [`jinke_kit::Running::listening`].
#[derive(Clone, Copy, Debug)]
pub struct GatewayService;

impl Service for GatewayService {
    const NAME: &'static str = SECTION;
    const GUARDED: bool = false;
    type Config = GatewayConfig;
    const DEFAULT_CONFIG: &'static str = DEFAULT_CONFIG;

    async fn build(ctx: ServiceContext<GatewayConfig>) -> Result<Built, Failure> {
        if ctx.config.listen.is_empty() {
            return Ok(Built::new());
        }
        let backends = Backends::peers(&ctx.peers);
        let answers = IntGaugeVec::new(
            Opts::new(
                "jinke_gateway_peer_serves",
                "1 when the service says that it serves, 0 when not.",
            ),
            &["peer"],
        )
        .map_err(Failure::internal)?;
        ctx.metrics.register(answers.clone())?;
        let gateway = Gateway::new(
            jinke_proto::FILE_DESCRIPTOR_SET,
            ctx.config,
            backends,
            &ctx.metrics,
            &*ctx.entropy,
            ctx.shutdown.clone(),
        )?;
        let serving = serve::listen(gateway, ctx.leaving, ctx.shutdown).await?;
        let peers = ctx.peers;
        Ok(Built::new()
            .listening(serving.addr())
            .check(SomePeer { peers, answers })
            .task("http", serving.wait()))
    }
}

/// Holds while one of the services serves. One that is away costs its own calls only, and must not
/// take the way to the others.
struct SomePeer {
    peers: Peers,
    answers: IntGaugeVec,
}

#[tonic::async_trait]
impl Check for SomePeer {
    fn name(&self) -> &'static str {
        "peers"
    }
    async fn check(&self) -> Result<(), Failure> {
        let mut asked: FuturesUnordered<_> = self
            .peers
            .names()
            .map(|name| async move {
                let check = self.peers.check(name);
                let answer = tokio::time::timeout(PEER_ANSWERS, check.check()).await;
                let serves = matches!(answer, Ok(Ok(())));
                let gauge = self.answers.with_label_values(&[name]);
                gauge.set(i64::from(serves));
                serves
            })
            .collect();
        let mut some = false;
        while let Some(serves) = asked.next().await {
            some |= serves;
        }
        if some {
            return Ok(());
        }
        let why = "none of the services behind the gateway serves";
        Err(Failure::new(Code::Unavailable, "PEER_NOT_SERVING", why))
    }
}
