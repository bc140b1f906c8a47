//! A line between a client and a server that can be cut, and that can swallow what is said in one direction.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix::Arbiter;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the line does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Open,
    /// What the client says is swallowed.
    Deaf,
    /// What the server says is swallowed.
    Mute,
    /// Every connection is ended, and none is made.
    Cut,
}

/// See above; its thread ends with it.
pub struct Line {
    pub address: SocketAddr,
    mode: watch::Sender<Mode>,
    swallowed: Arc<AtomicUsize>,
    thread: Arbiter,
}

impl Line {
    /// To this address, `host:port`.
    pub async fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mode, modes) = watch::channel(Mode::Open);
        let (thread, server) = (Arbiter::new(), server.to_owned());
        let listener = listener.into_std().unwrap();
        let swallowed = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&swallowed);
        thread.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((client, _)) = listener.accept().await {
                if *modes.borrow() != Mode::Cut {
                    actix::spawn(carry(client, server.clone(), modes.clone(), Arc::clone(&count)));
                }
            }
        });
        Self { address, mode, swallowed, thread }
    }

    /// How many pieces it has swallowed.
    pub fn swallowed(&self) -> usize {
        self.swallowed.load(Ordering::SeqCst)
    }

    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.thread.stop();
    }
}

async fn carry(client: TcpStream, server: String, modes: watch::Receiver<Mode>, swallowed: Arc<AtomicUsize>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let mut cut = modes.clone();
    tokio::select! {
        () = pass(from_client, to_server, modes.clone(), Mode::Deaf, &swallowed) => {}
        () = pass(from_server, to_client, modes, Mode::Mute, &swallowed) => {}
        _ = cut.wait_for(|mode| *mode == Mode::Cut) => {}
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    modes: watch::Receiver<Mode>,
    swallows: Mode,
    swallowed: &AtomicUsize,
) {
    let mut buffer = vec![0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let mode = *modes.borrow();
        if mode == swallows {
            swallowed.fetch_add(1, Ordering::SeqCst);
        } else if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
