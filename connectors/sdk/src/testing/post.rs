//! What a simulator needs to call back: one request over a plain socket.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::FakeResponse;

/// An answer is read up to this many bytes.
pub const MAX_ANSWER: u64 = 1 << 20;
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends one request to a URL `http://host:port/path?query` and reads the whole answer. No TLS,
/// no redirects: it calls endpoints on the same machine. It ends after ten seconds.
pub async fn post(
    method: &str,
    url: &str,
    content_type: &str,
    body: &[u8],
) -> io::Result<FakeResponse> {
    let bad = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, why.to_owned());
    let rest = url
        .strip_prefix("http://")
        .ok_or_else(|| bad("only http addresses are called"))?;
    let (host, path) = match rest.find(['/', '?']) {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    if path.bytes().any(|b| b <= b' ') || host.bytes().any(|b| b <= b' ') {
        return Err(bad("the address holds white space"));
    }
    let exchange = async {
        let mut socket = TcpStream::connect(host).await?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: {content_type}\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        socket.write_all(head.as_bytes()).await?;
        socket.write_all(body).await?;
        let mut answer = Vec::new();
        let mut socket = socket.take(MAX_ANSWER);
        while !whole(&answer) && socket.read_buf(&mut answer).await? > 0 {}
        read(&answer).ok_or_else(|| bad("the answer is no HTTP"))
    };
    tokio::time::timeout(TIMEOUT, exchange)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// Whether the answer has as many bytes as it says; an answer without a length ends with its
/// connection.
fn whole(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|w| w == b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|l| {
        l.strip_prefix("content-length:")?
            .trim()
            .parse::<usize>()
            .ok()
    });
    length.is_some_and(|n| answer.len() - end - 4 >= n)
}

fn read(answer: &[u8]) -> Option<FakeResponse> {
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|l| l.split_once(':'))
        .map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_owned()))
        .collect();
    let mut body = answer[end + 4..].to_vec();
    let chunked = |(n, v): &(String, String)| n == "transfer-encoding" && v == "chunked";
    if headers.iter().any(chunked) {
        body = unchunk(&body)?;
    }
    Some(FakeResponse {
        status,
        headers,
        body,
    })
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    loop {
        let end = rest.windows(2).position(|w| w == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(out);
        }
        let from = end + 2;
        out.extend_from_slice(rest.get(from..from.checked_add(size)?)?);
        rest = rest.get(from + size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeServer;

    #[tokio::test]
    async fn a_request_arrives_and_its_answer_comes_back() {
        let server = FakeServer::start(|r| {
            let said = format!(
                "{} {} {}",
                r.method,
                r.target,
                String::from_utf8_lossy(&r.body)
            );
            FakeResponse {
                body: said.into_bytes(),
                ..FakeResponse::status(201)
            }
        })
        .await
        .unwrap();
        let url = format!("{}/a?b=1", server.url());
        let answer = post("POST", &url, "text/xml", "你".as_bytes())
            .await
            .unwrap();
        let said = String::from_utf8(answer.body).unwrap();
        assert_eq!((answer.status, said.as_str()), (201, "POST /a?b=1 你"));
        assert!(post("GET", "https://x/", "", b"").await.is_err());
        assert_eq!(
            unchunk(b"3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n").unwrap(),
            b"abcd"
        );
        assert_eq!(unchunk(b"ffffffffffffffff\r\nabc"), None);
    }
}
