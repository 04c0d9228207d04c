//! The client against a real listener that misbehaves in every way a server can.

use std::{io::Write as _, time::Duration};

use flate2::{Compression, write::GzEncoder};
use jinke_http::{Client, ClientConfig, Method, NetworkPolicy, Origin, Request};
use jinke_types::Failure;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// A server that answers every connection with these bytes, then closes or goes silent.
async fn server(answer: Vec<u8>, silent: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut seen = Vec::new();
                let mut buffer = [0; 4096];
                while !seen.windows(4).any(|w| w == b"\r\n\r\n") {
                    match socket.read(&mut buffer).await {
                        Ok(n) if n > 0 => seen.extend_from_slice(&buffer[..n]),
                        _ => return,
                    }
                }
                let _ = socket.write_all(&answer).await;
                if silent {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                }
            });
        }
    });
    url
}

fn client(url: &str, max_body: usize) -> Client {
    let policy = NetworkPolicy::new()
        .allow(Origin::of(url).expect("a URL"))
        .with_private_network();
    let config = ClientConfig {
        max_body,
        timeout: Duration::from_millis(500),
        ..ClientConfig::default()
    };
    Client::new(config, policy).expect("a client")
}

async fn get(answer: impl Into<Vec<u8>>, silent: bool) -> Result<jinke_http::Response, Failure> {
    let url = server(answer.into(), silent).await;
    client(&url, 10_000)
        .send(Request::new(Method::GET, format!("{url}/x?token=secret")))
        .await
}

#[tokio::test]
async fn an_answer_is_an_answer_whatever_its_status() {
    let answer = get(
        "HTTP/1.1 503 Busy\r\ncontent-length: 4\r\nretry-after: 7\r\n\r\nlate",
        false,
    )
    .await
    .expect("an answer");
    assert_eq!(
        (answer.status.as_u16(), &answer.body[..]),
        (503, &b"late"[..])
    );
    assert_eq!(answer.header("retry-after"), Some("7"));
}

#[tokio::test]
async fn bodies_are_bounded_declared_or_not() {
    let declared = get(
        "HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\nx",
        true,
    )
    .await;
    assert_eq!(declared.unwrap_err().reason, "HTTP_BODY_TOO_LARGE");
    let mut endless = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    endless.extend(vec![b'x'; 50_000]);
    assert_eq!(
        get(endless, false).await.unwrap_err().reason,
        "HTTP_BODY_TOO_LARGE"
    );
}

#[tokio::test]
async fn a_body_that_unpacks_to_much_is_bounded() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&vec![0; 50_000_000]).expect("memory");
    let packed = gzip.finish().expect("memory");
    assert!(packed.len() < 100_000);
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        packed.len()
    )
    .into_bytes();
    answer.extend(packed);
    assert_eq!(
        get(answer, false).await.unwrap_err().reason,
        "HTTP_BODY_TOO_LARGE"
    );
}

#[tokio::test]
async fn cut_slow_and_silent_servers_end_in_clear_errors() {
    let cut = get("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", false).await;
    assert_eq!(cut.unwrap_err().reason, "HTTP_BODY_CUT");
    assert_eq!(get("", true).await.unwrap_err().reason, "HTTP_TIMEOUT");
    let half = get("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", true).await;
    assert_eq!(half.unwrap_err().reason, "HTTP_TIMEOUT");
    let nobody = client("http://127.0.0.1:1", 10);
    let gone = nobody.send(Request::new(Method::GET, "http://127.0.0.1:1/"));
    assert_eq!(gone.await.unwrap_err().reason, "HTTP_CONNECT");
}

#[tokio::test]
async fn redirects_stay_on_the_same_server() {
    let other = server(
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec(),
        false,
    )
    .await;
    let away = format!("HTTP/1.1 302 Found\r\nlocation: {other}/\r\ncontent-length: 0\r\n\r\n");
    let error = get(away, false).await.unwrap_err();
    assert_eq!(error.reason, "HTTP_REDIRECT");
    let round = "HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(get(round, false).await.unwrap_err().reason, "HTTP_REDIRECT");
}

#[tokio::test]
async fn other_servers_and_names_that_lead_home_are_refused() {
    let url = server(
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec(),
        false,
    )
    .await;
    let client_ = client(&url, 10);
    let other = client_
        .send(Request::new(Method::GET, "http://198.51.100.1/"))
        .await;
    assert_eq!(other.unwrap_err().reason, "HOST_REFUSED");
    // A listed name that resolves to the loopback interface, without leave for private networks.
    let port = url.rsplit(':').next().expect("a port");
    let name = format!("http://localhost:{port}");
    let policy = NetworkPolicy::new().allow(Origin::of(&name).expect("a URL"));
    let guarded = Client::new(ClientConfig::default(), policy.clone()).expect("a client");
    let refused = guarded
        .send(Request::new(Method::GET, format!("{name}/")))
        .await;
    assert_eq!(refused.unwrap_err().reason, "HTTP_CONNECT");
    let allowed = Client::new(ClientConfig::default(), policy.with_private_network());
    let answer = allowed
        .expect("a client")
        .send(Request::new(Method::GET, format!("{name}/")))
        .await;
    assert_eq!(answer.expect("an answer").status.as_u16(), 200);
}

#[tokio::test]
async fn nothing_secret_is_shown() {
    let request = Request::new(Method::GET, "http://h/x?token=secret")
        .header("authorization", "Bearer secret")
        .expect("a header")
        .body("secret");
    assert_eq!(format!("{request:?}"), "GET http://h/x");
    assert!(!format!("{}", get("", true).await.unwrap_err()).contains("secret"));
    assert_eq!(
        Request::new(Method::GET, "http://h/")
            .header("a b", "c")
            .unwrap_err()
            .reason,
        "HEADER_INVALID"
    );
}

#[test]
fn a_wrong_certificate_is_named() {
    let config = ClientConfig {
        identity_pem: Some(b"no pem".to_vec()),
        ..ClientConfig::default()
    };
    let error = Client::new(config, NetworkPolicy::new()).unwrap_err();
    assert_eq!(
        (error.reason, error.metadata["which"].as_str()),
        ("CERTIFICATE_INVALID", "identity")
    );
}
