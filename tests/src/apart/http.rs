//! A small HTTP client: one request, one connection.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, Result};
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, StatusCode, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Calls a gateway over HTTPS.
#[derive(Clone)]
pub struct Https {
    tls: TlsConnector,
    token: String,
}

impl std::fmt::Debug for Https {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Https")
    }
}

impl Https {
    /// Trusts the authority in a file, and carries this token.
    ///
    /// # Errors
    /// When the file is no certificate.
    pub fn new(authority: &Path, token: &str) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(authority)?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
            token: token.to_owned(),
        })
    }

    /// One request to a port of this machine; the answer's code and JSON.
    ///
    /// # Errors
    /// When there is no answer, or it is no JSON.
    pub async fn call(
        &self,
        port: u16,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value)> {
        self.call_one_of(&[port], method, path, body).await
    }

    /// The same to the first of several ports that lets the client in. What was sent is not sent
    /// again.
    ///
    /// # Errors
    /// As [`Https::call`].
    pub async fn call_one_of(
        &self,
        ports: &[u16],
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value)> {
        let mut stream = Err(anyhow::anyhow!("no port"));
        for port in ports {
            stream = self.enter(*port).await;
            if stream.is_ok() {
                break;
            }
        }
        let stream = stream?;
        let text = body.map(Value::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(text)))?;
        let (code, text) = exchange(stream, request).await?;
        let json = serde_json::from_slice(&text).context("an answer that is no JSON")?;
        Ok((code, json))
    }
}

impl Https {
    async fn enter(&self, port: u16) -> Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let name = ServerName::try_from("localhost")?;
        Ok(self.tls.connect(name, stream).await?)
    }
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let code = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    drop(sender);
    connection.abort();
    Ok((code, body))
}

/// GET over plain HTTP from a port of this machine.
///
/// # Errors
/// When there is no answer.
pub async fn get_plain(port: u16, path: &str) -> Result<(u16, String)> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = Request::builder()
        .uri(path)
        .header(header::HOST, "localhost")
        .body(Full::new(Bytes::new()))?;
    let (code, body) = exchange(stream, request).await?;
    Ok((code.as_u16(), String::from_utf8_lossy(&body).into_owned()))
}
