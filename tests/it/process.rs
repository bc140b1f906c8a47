//! The real program as a process: started in a folder of its own, asked over HTTP, told to stop, killed.
//!
//! Nothing of it outlives its test, and a test that fails prints what it wrote.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::{Value, json};

use crate::harness::{Place, eventually};

/// What a process has written to one of its streams so far.
struct Stream {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Stream {
    fn of(pipe: Option<impl Read + Send + 'static>) -> Self {
        let (text, pipe) = (Arc::<Mutex<String>>::default(), pipe.unwrap());
        let filled = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                let mut text = filled.lock().unwrap();
                text.push_str(&line);
                text.push('\n');
            }
        });
        Self { text, reader: Some(reader) }
    }

    fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    /// All of it has been read: the process is gone.
    fn end(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
    }
}

/// One run of the program.
pub struct Process {
    child: Child,
    out: Stream,
    err: Stream,
}

impl Process {
    /// Starts it in this folder.
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
        command.args(arguments).current_dir(folder);
        Self::of(command)
    }

    /// Starts it so that it survives a write above the limit of a file's size: the write fails, as on a full disk.
    pub fn start_limitable(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", r#"trap '' XFSZ; exec "$@""#, "sh", env!("CARGO_BIN_EXE_evenkeel")]);
        command.args(arguments).current_dir(folder);
        Self::of(command)
    }

    /// Starts another program; nothing of the tests' own environment changes what it does.
    pub fn of(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("EVENKEEL") {
                command.env_remove(name);
            }
        }
        let mut child = command.env("RUST_BACKTRACE", "0").spawn().unwrap();
        let (out, err) = (Stream::of(child.stdout.take()), Stream::of(child.stderr.take()));
        Self { child, out, err }
    }

    /// What it wrote to stdout.
    pub fn out(&self) -> String {
        self.out.text()
    }

    /// What it wrote to stderr: its log.
    pub fn err(&self) -> String {
        self.err.text()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The largest file that it may write from now on, in bytes; none is any.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let limit = Rlimit { current: bytes, maximum: None };
        prlimit(Some(Pid::from_child(&self.child)), Resource::Fsize, limit).unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// SIGKILL: it can do nothing about it.
    pub fn kill9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.out.end();
        self.err.end();
    }

    /// Kills it after this long, whatever it is doing then.
    pub async fn kill9_after(&mut self, delay: Duration) {
        tokio::time::sleep(delay).await;
        self.kill9();
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        let status = eventually("the process ends", async || child.try_wait().unwrap()).await;
        self.out.end();
        self.err.end();
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            let (out, err) = (self.out.text(), self.err.text());
            println!("process {} wrote to stdout:\n{out}\nand to stderr:\n{err}", self.child.id());
        }
    }
}

/// Runs a command to its end: exit code, stdout, stderr.
pub async fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut process = Process::start(folder, arguments);
    let status = process.ended().await;
    (status.code().unwrap(), process.out(), process.err())
}

/// A running engine and a client for it.
pub struct Node {
    pub process: Process,
    pub url: String,
    pub http: reqwest::Client,
}

/// The configuration of `evenkeel serve` in this folder: a free port, this ledger, a log of JSON lines, and `more`.
/// The first lines of `more` may be keys with dots.
pub fn configure(place: &Place, more: &str) {
    let config = format!(
        "server.bind = \"127.0.0.1:0\"\ndatabase.url = \"{}\"\ntelemetry.log_format = \"json\"\n{more}",
        place.url()
    );
    std::fs::write(place.path().join("config.toml"), config).unwrap();
}

impl Node {
    /// `evenkeel serve` with the configuration that [`configure`] wrote.
    pub async fn serve(place: &Place) -> Self {
        Self::start(place, &["serve", "--config", "config.toml"]).await
    }

    /// The same, for [`Process::limit_files`].
    pub async fn serve_limitable(place: &Place) -> Self {
        Self::ready(Process::start_limitable(place.path(), &["serve", "--config", "config.toml"])).await
    }

    /// `evenkeel dev` with its ledger in this folder.
    pub async fn dev(place: &Place) -> Self {
        Self::start(place, &["dev", "--port", "0", "--data-dir", "."]).await
    }

    /// A node that is started like this.
    pub async fn start(place: &Place, arguments: &[&str]) -> Self {
        Self::ready(Process::start(place.path(), arguments)).await
    }

    /// A node that this command starts.
    pub async fn of(command: Command) -> Self {
        Self::ready(Process::of(command)).await
    }

    async fn ready(mut process: Process) -> Self {
        let url = eventually("the engine is ready", async || {
            let ended = process.child.try_wait().unwrap();
            assert!(ended.is_none(), "the engine ended with {ended:?} and never was ready");
            let out = process.out();
            let address = out.split_once("http://")?.1;
            // The line is read when it is whole.
            let end = address.find(|letter: char| !letter.is_ascii_digit() && !matches!(letter, '.' | ':'))?;
            Some(format!("http://{}", &address[..end]))
        })
        .await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { process, url, http }
    }

    /// SIGTERM, and then its end.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.process.signal(Signal::TERM);
        self.process.ended().await
    }

    /// What a path answers, whatever it is.
    pub async fn text(&self, path: &str) -> (StatusCode, String) {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    /// The JSON at a path.
    pub async fn get(&self, path: &str) -> Value {
        let (status, text) = self.text(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Sends a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let answer = self.http.post(format!("{}{path}", self.url)).json(body).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// Sends a body as it is; a refusal has to be a problem document.
    pub async fn send(&self, content_type: &str, body: impl Into<reqwest::Body>) -> (StatusCode, Value) {
        let request = self.http.post(format!("{}/api/v1/events", self.url)).header(CONTENT_TYPE, content_type);
        let answer = request.body(body).send().await.unwrap();
        let status = answer.status();
        if !status.is_success() {
            assert_eq!(answer.headers()[CONTENT_TYPE], "application/problem+json");
        }
        (status, answer.json().await.unwrap())
    }

    /// Sends an event that is to be accepted; gives the id of its record.
    pub async fn submit(&self, event: &Value) -> String {
        let (status, answer) = self.post("/api/v1/events", event).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        answer["id"].as_str().unwrap().to_owned()
    }

    /// Sends events with these ids, of one type, in one request; gives the ids of their records.
    pub async fn submit_all(&self, event_type: &str, ids: &[String]) -> Vec<String> {
        let events: Vec<Value> = ids.iter().map(|id| json!({ "type": event_type, "id": id })).collect();
        let (status, answer) = self.post("/api/v1/events", &Value::Array(events)).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        let results = answer["results"].as_array().unwrap();
        results.iter().map(|result| result["id"].as_str().unwrap().to_owned()).collect()
    }

    /// A record with its attempts.
    pub async fn record(&self, id: &str) -> Value {
        self.get(&format!("/api/v1/events/{id}")).await
    }

    /// Waits until a record stands in this status.
    pub async fn until(&self, id: &str, status: &str) -> Value {
        eventually(&format!("{id} is {status}"), async || {
            let record = self.record(id).await;
            (record["status"] == status).then_some(record)
        })
        .await
    }

    /// How many records stand in this status.
    pub async fn count(&self, status: &str) -> u64 {
        self.get("/api/v1/stats").await["by_status"][status].as_u64().unwrap()
    }

    /// Waits until so many records stand in this status.
    pub async fn until_count(&self, status: &str, count: u64) {
        eventually(&format!("{count} records are {status}"), async || {
            (self.count(status).await == count).then_some(())
        })
        .await;
    }

    /// Waits until nothing is to do any more. The waiting begins anew as long as something ends.
    pub async fn idle(&self) {
        let mut last = u64::MAX;
        while last > 0 {
            last = eventually("another event comes to its end", async || {
                let left = self.unfinished().await;
                (left < last || left == 0).then_some(left)
            })
            .await;
        }
    }

    async fn unfinished(&self) -> u64 {
        let stats = self.get("/api/v1/stats").await;
        let waiting = ["SCHEDULED", "PENDING", "PROCESSING", "RETRY_SCHEDULED"];
        waiting.iter().map(|status| stats["by_status"][status].as_u64().unwrap()).sum()
    }

    /// All records that this query of the list finds, page by page.
    pub async fn list(&self, query: &str) -> Vec<Value> {
        let (mut records, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("/api/v1/events?limit=250&{query}&cursor={cursor}")).await;
            records.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => return records,
            }
        }
    }

    /// A handler as the API shows it.
    pub async fn handler(&self, name: &str) -> Value {
        let handlers = self.get("/api/v1/handlers").await;
        handlers["items"].as_array().unwrap().iter().find(|handler| handler["name"] == name).unwrap().clone()
    }

    /// The memory that the process occupies, in KiB.
    pub fn resident_kib(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// A line of `/metrics`, such as `evenkeel_alerts_total{alert="invalid"}`; nothing if it is not there yet.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = self.text("/metrics").await;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        Some(line.parse().unwrap())
    }

    /// Waits until a line of `/metrics` has this value.
    pub async fn until_metric(&self, name: &str, value: f64) {
        let what = format!("{name} is {value}");
        eventually(&what, async || (self.metric(name).await == Some(value)).then_some(())).await;
    }

    /// The lines of the log, which [`configure`] wants as JSON, with this value in a field.
    pub fn logged(&self, field: &str, value: &str) -> Vec<Value> {
        let lines = self.process.err();
        let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line[field] == value).collect()
    }
}

/// How the attempts of a record ended, in order.
pub fn attempts(record: &Value) -> Vec<&str> {
    record["attempts"].as_array().unwrap().iter().map(|attempt| attempt["status"].as_str().unwrap()).collect()
}
