//! A wire to PostgreSQL that breaks at the worst moment: while a transaction commits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What becomes of the next commit.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub enum Fate {
    /// It arrives, and its answer does not.
    AnswerLost = 1,
    /// It does not even arrive.
    NeverSent = 2,
}

/// The wire; cheap to clone.
#[derive(Clone)]
pub struct Wire {
    fate: Arc<AtomicU8>,
    port: u16,
}

impl Wire {
    /// A wire to the server of this URL.
    pub async fn to(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire = Self { fate: Arc::default(), port: listener.local_addr().unwrap().port() };
        let (server, fate) = (address(url).to_owned(), Arc::clone(&wire.fate));
        actix::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                actix::spawn(relay(client, server, Arc::clone(&fate)));
            }
        });
        wire
    }

    /// The same database through this wire, unencrypted: a commit must be seen to be broken.
    pub fn url(&self, url: &str) -> String {
        format!("{}?sslmode=disable", url.replace(address(url), &format!("127.0.0.1:{}", self.port)))
    }

    /// Breaks at the next commit, once.
    pub fn breaks(&self, fate: Fate) {
        self.fate.store(fate as u8, Ordering::SeqCst);
    }
}

/// Host and port of a URL.
fn address(url: &str) -> &str {
    let (_, rest) = url.split_once('@').unwrap();
    rest.split('/').next().unwrap()
}

async fn relay(mut client: TcpStream, mut server: TcpStream, fate: Arc<AtomicU8>) {
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let to_client = tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(count @ 1..) = read else { return };
                let commits = asked[..count].windows(7).any(|bytes| bytes == b"COMMIT\0");
                match if commits { fate.swap(0, Ordering::SeqCst) } else { 0 } {
                    0 => server.write_all(&asked[..count]).await,
                    fate if fate == Fate::NeverSent as u8 => return,
                    _ => {
                        // The server has committed when it answers.
                        server.write_all(&asked[..count]).await.unwrap();
                        assert!(server.read(&mut answered).await.unwrap() > 0);
                        return;
                    }
                }
            }
            read = server.read(&mut answered) => {
                let Ok(count @ 1..) = read else { return };
                client.write_all(&answered[..count]).await
            }
        };
        if to_client.is_err() {
            return;
        }
    }
}
