//! Small packets to PostgreSQL leave at once.
//!
//! sqlx 0.9.0 does not ask for that any more (its issue 4335). Over TLS a statement is several small packets: each waits
//! for the server to acknowledge the one before, which the server puts off for 40 ms. The socket is sqlx's own and not to
//! be had from it, so it is borrowed from the system. To be taken out again with the first sqlx that sets it.

use std::io;
use std::sync::Once;

/// Sets it on all sockets of this process that are connected to this port: one that is not PostgreSQL's takes no harm.
pub(super) fn set(port: u16) {
    static TOLD: Once = Once::new();
    if let Err(error) = try_set(port) {
        // In some containers a process may not even look at itself.
        TOLD.call_once(|| tracing::info!(%error, "cannot set TCP_NODELAY: over TLS, PostgreSQL will be slow"));
    }
}

#[cfg(target_os = "linux")]
fn try_set(port: u16) -> io::Result<()> {
    use rustix::net::sockopt::{set_tcp_nodelay, tcp_nodelay};
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

    let process = pidfd_open(getpid(), PidfdFlags::empty())?;
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // Closed since, as the one that reads this folder.
        let file = match pidfd_getfd(&process, number, PidfdGetfdFlags::empty()) {
            Err(rustix::io::Errno::BADF) => continue,
            file => file?,
        };
        // What is no socket, or connected to nobody, has no peer.
        let peer = rustix::net::getpeername(&file).ok().flatten();
        let peer = peer.and_then(|peer| std::net::SocketAddr::try_from(peer).ok());
        if peer.is_some_and(|peer| peer.port() == port) && !tcp_nodelay(&file)? {
            set_tcp_nodelay(&file, true)?;
        }
    }
    Ok(())
}

/// Other systems do not lend it.
#[cfg(not(target_os = "linux"))]
fn try_set(_: u16) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_socket_to_this_port_sends_at_once_and_others_are_left_alone() {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let streams = [0, 1].map(|n| TcpStream::connect(listeners[n].local_addr().unwrap()).unwrap());
        if let Err(refused) = try_set(listeners[0].local_addr().unwrap().port()) {
            return println!("left out: this process may not borrow its own sockets: {refused}");
        }
        assert_eq!(streams.map(|stream| stream.nodelay().unwrap()), [true, false]);
    }
}
