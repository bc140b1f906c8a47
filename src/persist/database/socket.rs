//! The sockets to PostgreSQL: small packets leave at once, and a dead network is noticed.
//!
//! sqlx 0.9.0 sets neither. Without TCP_NODELAY (its issue 4335) a statement over TLS is several small packets of which
//! each waits until the server has acknowledged the one before, which the server puts off for 40 ms. Without keepalives a
//! read whose answer never comes keeps its place in the pool for a quarter of an hour. The sockets are sqlx's own and not
//! to be had from it, so they are borrowed from the system. To be taken out again when sqlx sets both.

use std::io;
use std::sync::Once;

/// Sets it for all sockets of this process that are connected to this port: one that is not PostgreSQL's takes no harm.
pub(super) fn tune(port: u16) {
    static TOLD: Once = Once::new();
    if let Err(error) = try_tune(port) {
        // In some containers a process may not even look at itself.
        TOLD.call_once(|| {
            tracing::info!(%error, "cannot tune the sockets to PostgreSQL: it will be slow over TLS, and a dead network \
                                    is noticed late");
        });
    }
}

#[cfg(target_os = "linux")]
fn try_tune(port: u16) -> io::Result<()> {
    use std::fs::File;
    use std::os::fd::IntoRawFd;
    use std::os::unix::fs::FileTypeExt;

    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

    let process = pidfd_open(getpid(), PidfdFlags::empty())?;
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        let is_socket = std::fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"));
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // Never a file: closing what was borrowed would drop the locks of this process on it, as SQLite's.
        if !is_socket {
            continue;
        }
        let file = match pidfd_getfd(&process, number, PidfdGetfdFlags::empty()) {
            // Closed since.
            Err(rustix::io::Errno::BADF) => continue,
            file => File::from(file?),
        };
        if !file.metadata()?.file_type().is_socket() {
            // Its number has become a file's meanwhile. It stays open, for the same reason.
            let _ = file.into_raw_fd();
            continue;
        }
        // What is connected to nobody has no peer.
        let peer = rustix::net::getpeername(&file).ok().flatten();
        let peer = peer.and_then(|peer| std::net::SocketAddr::try_from(peer).ok());
        if peer.is_some_and(|peer| peer.port() == port) {
            tune_one(&file)?;
        }
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn tune_one(socket: &impl std::os::fd::AsFd) -> io::Result<()> {
    use std::time::Duration;

    use rustix::net::sockopt;

    sockopt::set_tcp_nodelay(socket, true)?;
    // As the server is told to do it at its end: asked after 5 s, given up 6 s later.
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, Duration::from_secs(5))?;
    sockopt::set_tcp_keepintvl(socket, Duration::from_secs(2))?;
    sockopt::set_tcp_keepcnt(socket, 3)?;
    // The same for what was sent and never acknowledged.
    sockopt::set_tcp_user_timeout(socket, 11_000)?;
    Ok(())
}

/// Other systems do not lend them.
#[cfg(not(target_os = "linux"))]
fn try_tune(_: u16) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use std::os::unix::fs::MetadataExt;

    use rustix::net::sockopt::{socket_keepalive, tcp_user_timeout};

    use super::*;

    #[test]
    fn a_socket_to_this_port_is_tuned_and_others_are_left_alone() {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let streams = [0, 1].map(|n| TcpStream::connect(listeners[n].local_addr().unwrap()).unwrap());
        if let Err(refused) = try_tune(listeners[0].local_addr().unwrap().port()) {
            return println!("left out: this process may not borrow its own sockets: {refused}");
        }
        assert_eq!(streams.each_ref().map(|stream| stream.nodelay().unwrap()), [true, false]);
        assert_eq!(streams.each_ref().map(|stream| socket_keepalive(stream).unwrap()), [true, false]);
        assert_eq!(streams.each_ref().map(|stream| tcp_user_timeout(stream).unwrap()), [11_000, 0]);
    }

    /// The locks that this process holds on a file.
    fn locks(inode: u64) -> usize {
        let locks = std::fs::read_to_string("/proc/locks").unwrap();
        let ours = format!(" {} ", std::process::id());
        locks.lines().filter(|lock| lock.contains(&ours) && lock.contains(&format!(":{inode} "))).count()
    }

    #[test]
    fn the_locks_on_files_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("locked.db");
        let database = rusqlite::Connection::open(&path).unwrap();
        database.execute_batch("CREATE TABLE t (n); BEGIN IMMEDIATE").unwrap();
        let inode = std::fs::metadata(&path).unwrap().ino();
        let before = locks(inode);
        assert!(before > 0);
        drop(try_tune(1));
        assert_eq!(locks(inode), before);
    }
}
