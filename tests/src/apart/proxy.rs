//! A TCP proxy that can be cut, stalled, and made to lie about a word.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// What becomes of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They pass.
    Open,
    /// They are taken and go nowhere; connections stand.
    Stalled,
    /// Connections are reset, old and new.
    Cut,
}

/// Stands before an address.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    lie: Arc<Lie>,
    pace: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

/// A text that is replaced by another of the same length on the way to the server.
#[derive(Debug, Default)]
struct Lie {
    told: AtomicU64,
    words: std::sync::OnceLock<(Vec<u8>, Vec<u8>)>,
}

impl Lie {
    fn tell(&self, bytes: &mut [u8]) {
        let Some((from, to)) = self.words.get() else {
            return;
        };
        let mut at = 0;
        while let Some(found) = bytes[at..].windows(from.len()).position(|w| w == from) {
            let here = at + found;
            bytes[here..here + to.len()].copy_from_slice(to);
            at = here + to.len();
            self.told.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// `host:port` of a URL.
///
/// # Errors
/// When there is none.
pub fn host_of(url: &str) -> Result<String> {
    let rest = url.split_once("://").context("a URL")?.1;
    let rest = rest.split(['/', '?']).next().unwrap_or(rest);
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    Ok(host.to_owned())
}

impl Proxy {
    /// Listens on a free port before `target`, `host:port`.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start(target: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (mode, modes) = watch::channel(Mode::Open);
        let (target, lie) = (target.to_owned(), Arc::new(Lie::default()));
        let pace: Arc<AtomicU64> = Arc::default();
        let (told, paced) = (Arc::clone(&lie), Arc::clone(&pace));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (target, modes, lie) = (target.clone(), modes.clone(), Arc::clone(&told));
                let pace = Arc::clone(&paced);
                tokio::spawn(async move {
                    // Either side may go away at any time; that is what this is for.
                    let _ = carry(client, &target, modes, &lie, &pace).await;
                });
            }
        });
        Ok(Self {
            address,
            mode,
            lie,
            pace,
            task,
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, for connections that stand too.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// From now on each piece of an answer takes so much longer on its way to the client.
    pub fn pace(&self, delay: Duration) {
        let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.pace.store(millis, Ordering::Relaxed);
    }

    /// From now on the server hears `to` where a client says `from`. Once, and of the same length.
    ///
    /// # Panics
    /// When the lengths differ or a lie is told already.
    pub fn lie(&self, from: &str, to: &str) {
        assert_eq!(from.len(), to.len(), "what is around it has lengths");
        let words = (from.as_bytes().to_vec(), to.as_bytes().to_vec());
        self.lie.words.set(words).expect("one lie at a time");
    }

    /// How often the lie was told.
    pub fn told(&self) -> u64 {
        self.lie.told.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(
    mut client: TcpStream,
    target: &str,
    mut mode: watch::Receiver<Mode>,
    lie: &Lie,
    pace: &AtomicU64,
) -> Result<()> {
    if *mode.borrow() == Mode::Cut {
        client.set_zero_linger()?;
        return Ok(());
    }
    let mut server = TcpStream::connect(target).await?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let (truth, swift) = (Lie::default(), AtomicU64::new(0));
        tokio::select! {
            done = pump(from_client, to_server, mode.clone(), lie, &swift) => done?,
            done = pump(from_server, to_client, mode.clone(), &truth, pace) => done?,
            cut = mode.wait_for(|mode| *mode == Mode::Cut) => drop(cut),
        }
    }
    if *mode.borrow() == Mode::Cut {
        client.set_zero_linger()?;
        server.set_zero_linger()?;
    }
    Ok(())
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut mode: watch::Receiver<Mode>,
    lie: &Lie,
    pace: &AtomicU64,
) -> Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let n = from.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        match pace.load(Ordering::Relaxed) {
            0 => {}
            millis => tokio::time::sleep(Duration::from_millis(millis)).await,
        }
        mode.wait_for(|mode| *mode != Mode::Stalled).await?;
        lie.tell(&mut buffer[..n]);
        to.write_all(&buffer[..n]).await?;
    }
}
