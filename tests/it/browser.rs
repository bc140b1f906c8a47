//! A real browser: headless Chromium, driven over its driver, each in a folder of its own.
//!
//! The few verbs of the driver's protocol (WebDriver) that are needed are spoken here: a client of it wants `serde_json`
//! to keep the order of members, and what is tested would be another program than what runs.
//!
//! A test says what it does with the page; at its end [`Browser::quit`] fails it if the console had an error or the
//! page's policy was broken. Nothing of it outlives its test.

use std::path::PathBuf;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::eventually;
use crate::tools;

/// What a browser is told that is to look at pages of this machine only, and may run as root.
const ARGUMENTS: [&str; 10] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--disable-quic",
    "--hide-scrollbars",
];

/// Where the browser is: its own times are not UTC, wherever the tests run.
pub const ZONE: (&str, &str) = ("Asia/Kolkata", "+05:30");

/// How a page is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// As if the system were dark.
    pub dark: bool,
    /// As wide as a phone: 360 pixels.
    pub phone: bool,
    /// Without the pages' scripts.
    pub scriptless: bool,
}

/// A browser and its driver.
pub struct Browser {
    http: reqwest::Client,
    /// The session's address at the driver.
    session: String,
    _driver: Driver,
    _folder: TempDir,
}

/// The process of the driver, which ends its browser.
struct Driver(std::process::Child);

impl Drop for Driver {
    fn drop(&mut self) {
        // The browser is in the driver's group: both go, however the test has ended.
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        drop(self.0.wait());
    }
}

impl Browser {
    /// Starts one; nothing if this machine has none.
    pub async fn start(look: Look) -> Option<Self> {
        use std::os::unix::process::CommandExt;
        let (chromium, driver) = tools::chromium()?;
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("driver.log");
        let mut command = Command::new(driver);
        command.arg("--port=0").env("HOME", folder.path()).env("TZ", ZONE.0).process_group(0);
        command.stdout(std::fs::File::create(&log).unwrap()).stderr(std::process::Stdio::null());
        let driver = Driver(command.spawn().unwrap());
        let url = eventually("the driver listens", async || {
            let said = std::fs::read_to_string(&log).ok()?;
            let port = said.split("on port ").nth(2)?.split('.').next()?.trim().to_owned();
            Some(format!("http://127.0.0.1:{port}"))
        })
        .await;
        let (profile, width) = (folder.path().join("profile"), if look.phone { 500 } else { 1_280 });
        let mut arguments = ARGUMENTS.map(str::to_owned).to_vec();
        arguments.extend([format!("--user-data-dir={}", profile.display()), format!("--window-size={width},900")]);
        if look.dark {
            arguments.push("--force-dark-mode".to_owned());
        }
        let mut options = json!({ "binary": chromium, "args": arguments });
        if look.scriptless {
            options["prefs"] = json!({ "profile.managed_default_content_settings.javascript": 2 });
        }
        if look.phone {
            // A window cannot be as narrow; a phone's screen can.
            options["mobileEmulation"] = json!({ "deviceMetrics": { "width": 360, "height": 740, "pixelRatio": 2.0 } });
        }
        let wanted = json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut browser = Self { http, session: format!("{url}/session"), _driver: driver, _folder: folder };
        let session = browser.tell("", json!({ "capabilities": { "alwaysMatch": wanted } })).await.unwrap();
        browser.session = format!("{}/{}", browser.session, session["sessionId"].as_str().unwrap());
        Some(browser)
    }

    /// One verb of the protocol; an error is what the driver says.
    async fn tell(&self, verb: &str, what: Value) -> Result<Value, String> {
        let answer = self.http.post(format!("{}{verb}", self.session)).json(&what).send().await.unwrap();
        let (status, mut answer) = (answer.status(), answer.json::<Value>().await.unwrap());
        if status.is_success() { Ok(answer["value"].take()) } else { Err(answer.to_string()) }
    }

    /// Opens a page.
    pub async fn open(&self, url: &str) {
        self.tell("/url", json!({ "url": url })).await.unwrap();
    }

    /// The text of the first element that this selector finds.
    pub async fn text(&self, selector: &str) -> Option<String> {
        let found = self.ask_of("return document.querySelector(arguments[0])?.innerText ?? null", &[selector]).await;
        found.as_str().map(|text| text.trim().to_owned())
    }

    /// Waits until an element has a text that this holds for.
    pub async fn until(&self, selector: &str, what: &str, holds: impl Fn(&str) -> bool) -> String {
        eventually(what, async || self.text(selector).await.filter(|text| holds(text))).await
    }

    /// What a script of the test's own finds.
    pub async fn ask(&self, script: &str) -> Value {
        self.ask_of(script, &[]).await
    }

    async fn ask_of(&self, script: &str, arguments: &[&str]) -> Value {
        self.tell("/execute/sync", json!({ "script": script, "args": arguments })).await.unwrap()
    }

    /// Presses keys, wherever the focus is.
    pub async fn press(&self, keys: &str) {
        let strokes =
            keys.chars().flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key })));
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": strokes.collect::<Vec<_>>() });
        self.tell("/actions", json!({ "actions": [keyboard] })).await.unwrap();
    }

    /// Fails if the page is wider than its window.
    pub async fn fits(&self, what: &str) {
        let widths = self.ask("return [document.documentElement.scrollWidth, window.innerWidth]").await;
        assert!(widths[0].as_f64().unwrap() <= widths[1].as_f64().unwrap(), "{what} scrolls sideways: {widths}");
    }

    /// A picture of what is seen, where `EVENKEEL_SCREENSHOTS` names a folder for it.
    pub async fn picture(&self, name: &str) {
        if let Some(folder) = std::env::var_os("EVENKEEL_SCREENSHOTS") {
            let picture = self.http.get(format!("{}/screenshot", self.session)).send().await.unwrap();
            let picture: Value = picture.json().await.unwrap();
            let png = STANDARD.decode(picture["value"].as_str().unwrap()).unwrap();
            std::fs::write(PathBuf::from(folder).join(format!("{name}.png")), png).unwrap();
        }
    }

    /// Fails if the console has an error, or something was stopped by the page's policy.
    pub async fn has_no_complaint(&self, what: &str) {
        let complaints = self.complaints().await;
        assert!(complaints.is_empty(), "{what}: {complaints:#?}");
    }

    /// Fails unless the one complaint of the console is that a page was answered with this status.
    pub async fn complains_only_of(&self, status: u16) {
        let complaints = self.complaints().await;
        let told = format!("the server responded with a status of {status}");
        assert!(complaints.len() == 1 && complaints[0].contains(&told), "{complaints:#?}");
    }

    /// What the console has complained of since the last look.
    async fn complaints(&self) -> Vec<String> {
        let said = self.tell("/se/log", json!({ "type": "browser" })).await.unwrap();
        let is_complaint = |line: &&Value| {
            line["level"] == "SEVERE" || line["message"].as_str().unwrap().contains("Content Security Policy")
        };
        said.as_array().unwrap().iter().filter(is_complaint).map(|line| line["message"].to_string()).collect()
    }

    /// The end of a test: the console has no error.
    pub async fn quit(self) {
        self.has_no_complaint("at the end").await;
        self.http.delete(&self.session).send().await.unwrap();
    }
}
