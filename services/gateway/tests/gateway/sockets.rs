//! Over real connections: HTTP/1.1, HTTP/2, TLS, gRPC-Web, a generated service behind it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
};
use jinke_gateway::{Serving, serve};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{House, house};

async fn listening(house: &House) -> Serving {
    serve::listen(
        house.gateway.clone(),
        house.draining.clone(),
        house.draining.clone(),
    )
    .await
    .unwrap()
}

async fn exchange(addr: SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let _ = stream.write_all(text.as_bytes()).await;
    let mut out = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut out)).await;
    // A connection that is reset has ended too.
    let _ = read.expect("an end");
    String::from_utf8_lossy(&out).into_owned()
}

#[tokio::test]
async fn both_versions_of_http_on_one_port() {
    let house = house(&[]);
    let serving = listening(&house).await;
    for h2 in [false, true] {
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new())
            .http2_only(h2)
            .build_http();
        let uri = format!("http://{}/v1/things/7?int64Value=5", serving.addr());
        let request = Request::get(uri)
            .header("authorization", "Bearer good")
            .body(Full::default())
            .unwrap();
        let response = client.request(request).await.unwrap();
        let version = if h2 {
            Version::HTTP_2
        } else {
            Version::HTTP_11
        };
        assert_eq!(
            (response.status().as_u16(), response.version()),
            (200, version)
        );
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "{\"name\":\"things/7\",\"int64Value\":\"5\"}");
    }
    house.draining.trigger();
    serving.wait().await.unwrap();
}

#[tokio::test]
async fn tls_speaks_what_the_client_offers() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let (cert_set, key_set) = (
        format!("tls.cert_file={}", cert.display()),
        format!("tls.key_file={}", key.display()),
    );
    let house = house(&[&cert_set, &key_set]);
    let serving = listening(&house).await;
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(&cert).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    for protocol in ["h2", "http/1.1"] {
        let mut config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let tcp = TcpStream::connect(serving.addr()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let tls = tokio_rustls::TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
            .unwrap();
        let request = |uri: &str| {
            Request::get(uri.to_owned())
                .header("host", "localhost")
                .body(Full::<Bytes>::default())
                .unwrap()
        };
        let response = if protocol == "h2" {
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tls))
                    .await
                    .unwrap();
            tokio::spawn(connection);
            sender
                .send_request(request("https://localhost/v1/things/7"))
                .await
                .unwrap()
        } else {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tls))
                .await
                .unwrap();
            tokio::spawn(connection);
            sender.send_request(request("/v1/things/7")).await.unwrap()
        };
        assert_eq!(response.status(), 200, "{protocol}");
    }
    // With an authority for clients, whoever shows no certificate of it is not let in.
    let own = format!("tls.client_ca_file={}", cert.display());
    let mutual = crate::support::house(&[&cert_set, &key_set, &own]);
    let serving = listening(&mutual).await;
    let config = |shown: bool| {
        let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots.clone());
        if !shown {
            return builder.with_no_client_auth();
        }
        let chain = vec![CertificateDer::from_pem_file(&cert).unwrap()];
        let key = rustls::pki_types::PrivateKeyDer::from_pem_file(&key).unwrap();
        builder.with_client_auth_cert(chain, key).unwrap()
    };
    for shown in [true, false] {
        let tcp = TcpStream::connect(serving.addr()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config(shown)));
        let mut answer = Vec::new();
        // A refusal of TLS 1.3 comes behind the handshake, with the first read.
        let told = async {
            let mut tls = connector.connect(name, tcp).await?;
            let ask = b"GET /v1/things/7 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
            tls.write_all(ask).await?;
            tls.read_to_end(&mut answer).await
        }
        .await;
        assert_eq!(answer.starts_with(b"HTTP/1.1 200"), shown, "{told:?}");
    }

    let missing = crate::support::house(&[
        "tls.cert_file=/nowhere/c.pem",
        "tls.key_file=/nowhere/k.pem",
    ]);
    let refused = serve::listen(
        missing.gateway.clone(),
        missing.draining.clone(),
        missing.draining.clone(),
    )
    .await
    .unwrap_err();
    assert_eq!(refused.reason, "CONFIG");
}

#[tokio::test]
async fn slow_and_broken_clients_are_let_go() {
    let house = house(&["head_seconds=1"]);
    let serving = listening(&house).await;
    let begun = std::time::Instant::now();
    let (silent, half_preface, half_head) = tokio::join!(
        exchange(serving.addr(), ""),
        exchange(serving.addr(), "PRI * HT"),
        exchange(serving.addr(), "GET /v1/things/1 HTTP/1.1\r\nhost: a\r\n"),
    );
    assert!(
        begun.elapsed() < Duration::from_secs(6),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!((silent.as_str(), half_preface.as_str()), ("", ""));
    assert!(
        half_head.is_empty() || half_head.starts_with("HTTP/1.1 408"),
        "{half_head}"
    );
    let garbage = exchange(serving.addr(), "\u{0}\u{1}\r\n\r\n").await;
    assert!(
        garbage.is_empty() || garbage.starts_with("HTTP/1.1 400"),
        "{garbage}"
    );
    let large = format!(
        "GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
        "a".repeat(200_000)
    );
    let refused = exchange(serving.addr(), &large).await;
    assert!(refused.starts_with("HTTP/1.1 431"), "{refused}");
    let smuggled = "POST /v1/things HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\nconnection: close\r\ncontent-type: application/json\r\n\r\n0\r\n\r\nGET /v1/things/evil HTTP/1.1\r\n\r\n";
    let answer = exchange(serving.addr(), smuggled).await;
    assert!(answer.matches("HTTP/1.1").count() <= 1, "{answer}");
    let fine = exchange(
        serving.addr(),
        "GET /v1/things/1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(fine.starts_with("HTTP/1.1 200"), "{fine}");
}

#[tokio::test]
async fn draining_lets_requests_finish() {
    let house = house(&[]);
    let serving = listening(&house).await;
    let addr = serving.addr();
    let watch = tokio::spawn(async move {
        exchange(
            addr,
            "GET /v1/things:watch HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        )
        .await
    });
    while house.service.calls() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    house.draining.trigger();
    serving.wait().await.unwrap();
    let text = watch.await.unwrap();
    assert!(text.contains("event: error"), "{text}");
    assert!(TcpStream::connect(addr).await.is_err());
}

/// Whoever connected before the end, or just behind its beginning, and has asked nothing yet, is
/// answered and told to close.
#[tokio::test]
async fn draining_answers_whoever_has_just_connected() {
    const ASK: &[u8] = b"GET /v1/things/1 HTTP/1.1\r\nhost: a\r\n\r\n";
    let house = house(&[]);
    let serving = listening(&house).await;
    let mut before = TcpStream::connect(serving.addr()).await.unwrap();
    let mut idle = TcpStream::connect(serving.addr()).await.unwrap();
    house.draining.trigger();
    let mut after = TcpStream::connect(serving.addr()).await.unwrap();
    for stream in [&mut before, &mut after] {
        stream.write_all(ASK).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
    // One that never asks does not keep the gateway.
    let addr = serving.addr();
    serving.wait().await.unwrap();
    assert_eq!(idle.read(&mut [0; 8]).await.unwrap_or(0), 0);
    assert!(TcpStream::connect(addr).await.is_err());
}

/// A connection of HTTP/2 answers pings by itself, so pings alone would keep it for ever.
#[tokio::test]
async fn a_connection_without_requests_is_closed() {
    let house = house(&["head_seconds=1"]);
    let serving = listening(&house).await;
    let ask = |uri: &str| {
        Request::get(format!("http://{}{uri}", serving.addr()))
            .header("authorization", "Bearer good")
            .body(Full::<Bytes>::default())
            .unwrap()
    };
    let connect = async || {
        let stream = TcpStream::connect(serving.addr()).await.unwrap();
        let io = hyper_util::rt::TokioIo::new(stream);
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
            .await
            .unwrap()
    };
    let patience = Duration::from_secs(20);
    // One that never asks, and one that has asked.
    for asks in [false, true] {
        let (mut sender, open) = connect().await;
        let open = tokio::spawn(open);
        if asks {
            let answer = sender.send_request(ask("/v1/things/7")).await.unwrap();
            assert_eq!(answer.status(), 200);
            answer.into_body().collect().await.unwrap();
        }
        let closed = tokio::time::timeout(patience, open).await;
        closed.expect("closed").unwrap().unwrap();
    }
    // One that carries a stream stays as long as that does.
    let (mut sender, open) = connect().await;
    let open = tokio::spawn(open);
    let stream = sender.send_request(ask("/v1/things:watch")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!open.is_finished(), "a stream was cut");
    drop(stream);
    let closed = tokio::time::timeout(patience, open).await;
    closed.expect("closed").unwrap().unwrap();
}

/// The service behind goes on, so the gateway itself tells those who stream to come again.
#[tokio::test]
async fn draining_ends_streams_of_grpc() {
    for content_type in ["application/grpc", "application/grpc-web+proto"] {
        let house = house(&[]);
        let open = Arc::strong_count(&house.service.open);
        let mut call =
            crate::support::request("POST", "/jinke.test.v1.ThingService/WatchThings", "");
        let kind = content_type.parse().unwrap();
        call.headers_mut().insert("content-type", kind);
        *call.version_mut() = Version::HTTP_2;
        *call.body_mut() = tonic::body::Body::new(
            Full::new(Bytes::from_static(&[0; 5])).map_err(|never| match never {}),
        );
        let answer = house.raw(call).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(Arc::strong_count(&house.service.open), open + 1);
        house.draining.trigger();
        let all = tokio::time::timeout(Duration::from_secs(5), answer.into_body().collect());
        let all = all.await.expect("an end").unwrap();
        let status = all.trailers().and_then(|t| t.get("grpc-status").cloned());
        let body = String::from_utf8_lossy(&all.to_bytes()).into_owned();
        let told = status.map(|s| s.to_str().unwrap().to_owned());
        assert!(
            told.as_deref() == Some("14") || body.contains("grpc-status:14"),
            "{told:?} {body}"
        );
        assert_eq!(Arc::strong_count(&house.service.open), open);
    }
}

#[tokio::test]
async fn browsers_speak_grpc_web() {
    use prost::Message;
    let house = house(&[]);
    let serving = listening(&house).await;
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    // A `Thing` with a name: field 1, length, text.
    let message = [b"\x0a\x08things/7".as_slice()].concat();
    let mut framed = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
    framed.extend(&message);
    let ask = |token: &str, path: &str| {
        Request::post(format!("http://{}{path}", serving.addr()))
            .header("content-type", "application/grpc-web+proto")
            .header("x-grpc-web", "1")
            .header("authorization", format!("Bearer {token}"))
            .header("x-jinke-service-token", "Bearer stolen")
            .body(Full::new(Bytes::from(framed.clone())))
            .unwrap()
    };
    let response = client
        .request(ask("good", "/jinke.test.v1.ThingService/GetThing"))
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert!(
        response.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("application/grpc-web")
    );
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body[..framed.len()], framed[..]);
    let trailer = String::from_utf8_lossy(&body[framed.len() + 5..]).into_owned();
    assert!(
        body[framed.len()] == 0x80 && trailer.contains("grpc-status:0"),
        "{trailer}"
    );
    assert!(
        !house
            .service
            .last()
            .headers
            .contains_key("x-jinke-service-token")
    );
    let response = client
        .request(ask("expired", "/jinke.test.v1.ThingService/GetThing"))
        .await
        .unwrap();
    assert_eq!(response.headers()["grpc-status"], "16");
    let before = house.service.calls();
    let response = client
        .request(ask("good", "/grpc.reflection.v1.ServerReflection/X"))
        .await
        .unwrap();
    assert_eq!(response.headers()["grpc-status"], "12");
    assert_eq!(house.service.calls(), before);
    assert!(jinke_proto::google::rpc::Status::decode(&b""[..]).is_ok());
}
