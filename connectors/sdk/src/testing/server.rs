//! The listener of the fake server: HTTP/1.1 over plain sockets, so that answers can break off
//! at any byte.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use super::{FakeRequest, FakeResponse, Fault, rows::shifted};

const MAX_BODY: usize = 16 << 20;
const MAX_HEAD: u64 = 64 << 10;

type Handler = dyn Fn(&FakeRequest) -> FakeResponse + Send + Sync;
type Every = dyn Fn(u64) -> Option<Fault> + Send + Sync;

/// A server on a loopback port. It ends when dropped.
pub struct FakeServer {
    url: String,
    shared: Arc<Shared>,
    _task: JoinSet<()>,
}

struct Shared {
    handler: Box<Handler>,
    faults: Mutex<Script>,
    requests: AtomicU64,
    sent: AtomicU64,
    under_way: AtomicU64,
    most_under_way: AtomicU64,
    away: AtomicBool,
    hung: watch::Sender<u64>,
}

#[derive(Default)]
struct Script {
    at: BTreeMap<u64, Fault>,
    every: Option<Box<Every>>,
    /// What was answered last for each list, while a scripted fault needs it.
    before: Option<BTreeMap<String, FakeResponse>>,
}

impl FakeServer {
    /// Serves `handler`.
    pub async fn start(
        handler: impl Fn(&FakeRequest) -> FakeResponse + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::start_at("127.0.0.1:0", handler).await
    }

    /// Serves `handler` at an address of its own, e.g. `127.0.0.1:9100`.
    pub async fn start_at(
        address: &str,
        handler: impl Fn(&FakeRequest) -> FakeResponse + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            faults: Mutex::default(),
            requests: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            under_way: AtomicU64::new(0),
            most_under_way: AtomicU64::new(0),
            away: AtomicBool::new(false),
            hung: watch::Sender::new(0),
        });
        let mut task = JoinSet::new();
        task.spawn(accept(listener, shared.clone()));
        Ok(Self {
            url,
            shared,
            _task: task,
        })
    }

    /// `http://127.0.0.1:<port>`.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn faults(&self) -> MutexGuard<'_, Script> {
        let faults = self.shared.faults.lock();
        faults.unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts requests from here on, and lets these go wrong.
    pub fn script(&self, faults: impl IntoIterator<Item = (u64, Fault)>) {
        let mut script = self.faults();
        script.at = faults.into_iter().collect();
        script.every = None;
        let looks_back = script.at.values().any(Fault::looks_back);
        script.before = looks_back.then(BTreeMap::new);
        self.shared.requests.store(0, Ordering::SeqCst);
        self.shared.most_under_way.store(0, Ordering::SeqCst);
        self.shared.sent.store(0, Ordering::SeqCst);
    }

    /// Counts requests from here on, and asks `which` of each.
    pub fn script_every(&self, which: impl Fn(u64) -> Option<Fault> + Send + Sync + 'static) {
        self.script([]);
        self.faults().every = Some(Box::new(which));
    }

    /// Requests since the last script.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Body bytes written since the last script.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::SeqCst)
    }

    /// The most requests that were under way at the same time since the last script.
    pub fn most_under_way(&self) -> u64 {
        self.shared.most_under_way.load(Ordering::SeqCst)
    }

    /// While true, every connection is closed at once, like a server that is gone.
    pub fn away(&self, away: bool) {
        self.shared.away.store(away, Ordering::SeqCst);
    }

    /// Waits until a request meets [`Fault::Hang`] after this call.
    pub fn hung(&self) -> impl Future<Output = ()> + use<> {
        let mut seen = self.shared.hung.subscribe();
        async move {
            // Fails only when the server is gone; then nothing will hang.
            let _ = seen.changed().await;
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // The connections end with the server.
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        if shared.away.load(Ordering::SeqCst) {
            continue;
        }
        let shared = shared.clone();
        connections.spawn(async move {
            // A peer that goes away in the middle is part of the play.
            let _ = connection(socket, &shared).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(socket: TcpStream, shared: &Shared) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut socket = BufReader::new(socket);
    while let Some(request) = read(&mut socket).await? {
        if shared.away.load(Ordering::SeqCst) {
            return Ok(());
        }
        let under_way = shared.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most_under_way.fetch_max(under_way, Ordering::SeqCst);
        let go_on = answer(&mut socket, &request, shared).await;
        shared.under_way.fetch_sub(1, Ordering::SeqCst);
        if !go_on? {
            return Ok(());
        }
    }
    Ok(())
}

async fn read(socket: &mut BufReader<TcpStream>) -> io::Result<Option<FakeRequest>> {
    let mut head = String::new();
    let mut limited = (&mut *socket).take(MAX_HEAD);
    loop {
        let before = head.len();
        if limited.read_line(&mut head).await? == 0 {
            return Ok(None);
        }
        if head[before..].trim_end().is_empty() {
            break;
        }
    }
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ');
    let mut word = || first.next().unwrap_or_default().to_owned();
    let (method, target) = (word(), word());
    let headers: Vec<(String, String)> = lines
        .filter_map(|l| l.split_once(':'))
        .map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(n, _)| n == "content-length");
    let length = length.and_then(|(_, v)| v.parse().ok()).unwrap_or(0_usize);
    if length > MAX_BODY {
        return Ok(None);
    }
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await?;
    Ok(Some(FakeRequest {
        method,
        target,
        headers,
        body,
    }))
}

/// Which list a request asks for: the pages of one differ by numbers alone.
fn list(request: &FakeRequest) -> String {
    let body = String::from_utf8_lossy(&request.body);
    let mut list = format!("{} {} {body}", request.method, request.target);
    list.retain(|c| !c.is_ascii_digit());
    list
}

/// Whether the connection may be used again.
async fn answer(
    socket: &mut BufReader<TcpStream>,
    request: &FakeRequest,
    shared: &Shared,
) -> io::Result<bool> {
    let number = shared.requests.fetch_add(1, Ordering::SeqCst) + 1;
    let fault = {
        let mut script = shared.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let once = script.at.remove(&number);
        once.or_else(|| script.every.as_ref().and_then(|f| f(number)))
    };
    let list = list(request);
    let handle = || {
        let response = (shared.handler)(request);
        let mut script = shared.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = script.before.as_mut();
        let before = kept.and_then(|b| b.insert(list.clone(), response.clone()));
        (response, before)
    };
    let response = match fault {
        None => handle().0,
        Some(Fault::Again) => {
            let (response, before) = handle();
            before.unwrap_or(response)
        }
        Some(Fault::Shifted) => {
            let (response, before) = handle();
            shifted(response, before.as_ref())
        }
        Some(Fault::Status(status, after)) => {
            let mut response = FakeResponse::status(status);
            if let Some(seconds) = after {
                let header = ("retry-after".to_owned(), seconds.to_string());
                response.headers.push(header);
            }
            response
        }
        Some(Fault::Lost) => {
            handle();
            return Ok(false);
        }
        Some(Fault::Cut) => {
            let response = handle().0;
            write(socket, &response, response.body.len() / 2, shared).await?;
            return Ok(false);
        }
        Some(Fault::Hang) => {
            shared.hung.send_modify(|n| *n += 1);
            // Until the peer closes; it will not send anything more.
            let mut rest = [0; 1];
            let _ = socket.read(&mut rest).await;
            return Ok(false);
        }
        Some(Fault::Slow(time)) => {
            tokio::time::sleep(time).await;
            handle().0
        }
        Some(Fault::Body(body)) => FakeResponse {
            status: 200,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body,
        },
        Some(Fault::Flood(bytes)) => {
            flood(socket, bytes, shared).await?;
            return Ok(false);
        }
    };
    let whole = response.body.len();
    write(socket, &response, whole, shared).await?;
    Ok(true)
}

async fn write(
    socket: &mut BufReader<TcpStream>,
    response: &FakeResponse,
    bytes: usize,
    shared: &Shared,
) -> io::Result<()> {
    let mut head = format!(
        "HTTP/1.1 {} X\r\ncontent-length: {}\r\n",
        response.status,
        response.body.len()
    );
    for (name, value) in &response.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut out = head.into_bytes();
    out.extend_from_slice(&response.body[..bytes]);
    socket.write_all(&out).await?;
    socket.flush().await?;
    shared.sent.fetch_add(bytes as u64, Ordering::SeqCst);
    Ok(())
}

async fn flood(socket: &mut BufReader<TcpStream>, bytes: u64, shared: &Shared) -> io::Result<()> {
    let head = b"HTTP/1.1 200 X\r\nconnection: close\r\n\r\n{\"result\": [";
    socket.write_all(head).await?;
    let piece = b"\"aaaaaaaaaaaaa\",".repeat(4_096);
    let mut left = bytes;
    while left > 0 {
        socket.write_all(&piece).await?;
        shared.sent.fetch_add(piece.len() as u64, Ordering::SeqCst);
        left = left.saturating_sub(piece.len() as u64);
        // Lets the peer's refusal be seen between two pieces.
        tokio::time::sleep(Duration::ZERO).await;
    }
    Ok(())
}
