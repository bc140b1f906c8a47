//! A PostgreSQL that one test has for itself, to stop it and start it again.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;

use crate::harness::{Place, eventually};

/// The server, in a folder of its own; stopped with its test.
pub struct Server {
    folder: TempDir,
}

impl Server {
    /// Starts one, where the tests have PostgreSQL at all.
    pub fn start() -> Option<Self> {
        drop(Place::on_postgres()?);
        let server = Self { folder: tempfile::tempdir().unwrap() };
        start(server.folder.path());
        if server.variable().is_none() {
            eprintln!("left out: no PostgreSQL on this machine that a test may stop");
            return None;
        }
        Some(server)
    }

    /// A database on it; the options go into its URL.
    pub fn place(&self, options: &str) -> Place {
        Place::on_server(&format!("{}{options}", self.variable().unwrap()))
    }

    /// Starts it again, on its old port with its data; it is ready when this returns.
    /// What else the test does goes on meanwhile.
    pub async fn resume(&self) {
        let folder = self.folder.path().to_owned();
        tokio::task::spawn_blocking(move || start(&folder)).await.unwrap();
    }

    /// Ends it: SIGINT sends its clients away in good order, SIGQUIT is a crash.
    pub async fn stop(&self, signal: Signal) {
        let id = self.process().unwrap();
        kill_process(id, signal).unwrap();
        eventually("the server ends", async || test_kill_process(id).is_err().then_some(())).await;
    }

    /// A line for its configuration, in force when it is started next.
    pub fn configure(&self, line: &str) {
        let path = self.folder.path().join("postgres/data/postgresql.auto.conf");
        let old = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, format!("{old}{line}\n")).unwrap();
    }

    /// Lets it speak TLS, with a certificate of its own, from the next start on.
    pub fn certify(&self) {
        let data = self.folder.path().join("postgres/data");
        let owner = std::fs::metadata(&data).unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        for (name, text) in [("server.crt", made.cert.pem()), ("server.key", made.signing_key.serialize_pem())] {
            let path = data.join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        self.configure("ssl = on");
    }

    fn process(&self) -> Option<Pid> {
        let lines = std::fs::read_to_string(self.folder.path().join("postgres/data/postmaster.pid")).ok()?;
        Pid::from_raw(lines.lines().next()?.parse().ok()?)
    }

    fn variable(&self) -> Option<String> {
        let variables = std::fs::read_to_string(self.folder.path().join("env")).unwrap();
        variables.lines().find_map(|line| Some(line.strip_prefix("EVENKEEL_TEST_POSTGRES_URL=")?.to_owned()))
    }
}

fn start(folder: &Path) {
    script("start", folder, &["--no-install", "postgres"]);
}

fn script(verb: &str, folder: &Path, arguments: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/test-services");
    let mut command = Command::new(script);
    command.arg(verb).arg(folder).args(arguments).env_remove("EVENKEEL_TEST_POSTGRES_URL");
    let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap();
    assert!(ended.success(), "scripts/test-services {verb} ended with {ended}");
}

impl Drop for Server {
    fn drop(&mut self) {
        script("stop", self.folder.path(), &["postgres"]);
    }
}
