//! The bare tonic server to compare with: it sends a customer back as it came, in a process of its
//! own, as the suite has one.

use std::process::Stdio;

use anyhow::{Context as _, Result};
use jinke_proto::jinke::customer::v1::Customer;
use jinke_tests::suite::Authed;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpListener,
    process::{Child, Command},
};
use tonic::{
    Request, Response, Status,
    client::Grpc,
    codegen::{BoxFuture, Context, Poll, Service, http, http::uri::PathAndQuery},
    server::{NamedService, UnaryService},
    transport::server::TcpIncoming,
};
use tonic_prost::ProstCodec;

use super::Caller;

/// The path of its only method.
const PATH: &str = "/jinke.bench.v1.EchoService/Echo";

#[derive(Clone, Copy)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "jinke.bench.v1.EchoService";
}

impl UnaryService<Customer> for Echo {
    type Response = Customer;
    type Future = std::future::Ready<Result<Response<Customer>, Status>>;
    fn call(&mut self, request: Request<Customer>) -> Self::Future {
        std::future::ready(Ok(Response::new(request.into_inner())))
    }
}

impl Service<http::Request<tonic::body::Body>> for Echo {
    type Response = http::Response<tonic::body::Body>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        Box::pin(async move {
            let mut server = tonic::server::Grpc::new(ProstCodec::default());
            Ok(server.unary(Echo, request).await)
        })
    }
}

/// Serves until the process is killed. Prints its port first.
pub async fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    // The builder's own `tcp_nodelay` does not reach listeners that are given to it.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    tonic::transport::Server::builder()
        .add_service(Echo)
        .serve_with_incoming(incoming)
        .await?;
    Ok(())
}

/// The server as a child process; it ends when this is dropped.
pub struct Server {
    /// Where it listens.
    pub endpoint: String,
    _child: Child,
}

impl Server {
    /// Starts it.
    pub async fn start() -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("echo")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let out = child.stdout.take().context("its output")?;
        let line = BufReader::new(out).lines().next_line().await?;
        let port: u16 = line.context("its port")?.parse()?;
        Ok(Self {
            endpoint: format!("http://127.0.0.1:{port}"),
            _child: child,
        })
    }
}

/// Sends the same customer again and again.
pub struct EchoCaller {
    grpc: Grpc<Authed>,
    customer: Customer,
}

impl EchoCaller {
    /// Over a connection.
    pub fn new(peer: Authed, customer: Customer) -> Self {
        Self {
            grpc: Grpc::new(peer),
            customer,
        }
    }
}

impl Caller for EchoCaller {
    async fn call(&mut self, _: u64) -> Result<()> {
        self.grpc.ready().await?;
        let answer: Response<Customer> = self
            .grpc
            .unary(
                Request::new(self.customer.clone()),
                PathAndQuery::from_static(PATH),
                ProstCodec::default(),
            )
            .await?;
        anyhow::ensure!(
            answer.get_ref().name == self.customer.name,
            "another customer came back"
        );
        Ok(())
    }
}
