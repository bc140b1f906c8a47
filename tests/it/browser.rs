//! A real browser: headless Chromium, driven over its driver, each in a folder of its own.
//!
//! A test says what it does with the page; at its end [`Browser::quit`] fails it if the console had an error or the
//! page's policy was broken. Nothing of it outlives its test.

use std::path::PathBuf;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tempfile::TempDir;
pub use thirtyfour::By;
use thirtyfour::common::log::LoggingPrefsLogLevel;
use thirtyfour::{ChromiumLikeCapabilities, DesiredCapabilities, WebDriver};

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
    pub page: WebDriver,
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
        command.arg("--port=0").env("HOME", folder.path()).process_group(0);
        command.stdout(std::fs::File::create(&log).unwrap()).stderr(std::process::Stdio::null());
        let driver = Driver(command.spawn().unwrap());
        let url = eventually("the driver listens", async || {
            let said = std::fs::read_to_string(&log).ok()?;
            let port = said.split("on port ").nth(2)?.split('.').next()?.trim().to_owned();
            Some(format!("http://127.0.0.1:{port}"))
        })
        .await;
        let mut wanted = DesiredCapabilities::chrome();
        wanted.set_binary(chromium.to_str().unwrap()).unwrap();
        for argument in ARGUMENTS {
            wanted.add_arg(argument).unwrap();
        }
        wanted.add_arg(&format!("--user-data-dir={}", folder.path().join("profile").display())).unwrap();
        let width = if look.phone { 500 } else { 1_280 };
        wanted.add_arg(&format!("--window-size={width},900")).unwrap();
        if look.dark {
            wanted.add_arg("--force-dark-mode").unwrap();
        }
        if look.scriptless {
            let setting = serde_json::json!({ "profile.managed_default_content_settings.javascript": 2 });
            wanted.add_experimental_option("prefs", setting).unwrap();
        }
        if look.phone {
            // A window cannot be as narrow; a phone's screen can.
            let screen = serde_json::json!({ "deviceMetrics": { "width": 360, "height": 740, "pixelRatio": 2.0 } });
            wanted.add_experimental_option("mobileEmulation", screen).unwrap();
        }
        wanted.set_logging_prefs("browser", LoggingPrefsLogLevel::All).unwrap();
        let page = WebDriver::new(url, wanted).await.unwrap();
        Some(Self { page, _driver: driver, _folder: folder })
    }

    /// Opens a page.
    pub async fn open(&self, url: &str) {
        self.page.goto(url).await.unwrap();
    }

    /// The text of the first element that this selector finds.
    pub async fn text(&self, selector: &str) -> Option<String> {
        self.page.find(By::Css(selector)).await.ok()?.text().await.ok()
    }

    /// Waits until an element has a text that this holds for.
    pub async fn until(&self, selector: &str, what: &str, holds: impl Fn(&str) -> bool) -> String {
        eventually(what, async || self.text(selector).await.filter(|text| holds(text))).await
    }

    /// What a script of the test's own finds.
    pub async fn ask(&self, script: &str) -> Value {
        self.page.execute(script, Vec::new()).await.unwrap().json().clone()
    }

    /// Presses keys, wherever the focus is.
    pub async fn press(&self, keys: &str) {
        self.page.active_element().await.unwrap().send_keys(keys).await.unwrap();
    }

    /// Fails if the page is wider than its window.
    pub async fn fits(&self, what: &str) {
        let widths = self.ask("return [document.documentElement.scrollWidth, window.innerWidth]").await;
        assert!(widths[0].as_f64().unwrap() <= widths[1].as_f64().unwrap(), "{what} scrolls sideways: {widths}");
    }

    /// A picture of what is seen, where `EVENKEEL_SCREENSHOTS` names a folder for it.
    pub async fn picture(&self, name: &str) {
        if let Some(folder) = std::env::var_os("EVENKEEL_SCREENSHOTS") {
            let png = self.page.screenshot_as_png().await.unwrap();
            std::fs::write(PathBuf::from(folder).join(format!("{name}.png")), png).unwrap();
        }
    }

    /// Fails if the console has an error, or something was stopped by the page's policy.
    pub async fn has_no_complaint(&self, what: &str) {
        let said = self.page.get_log("browser").await.unwrap();
        let complaints: Vec<&str> = said
            .iter()
            .filter(|line| line.level == "SEVERE" || line.message.contains("Content Security Policy"))
            .map(|line| line.message.as_str())
            .collect();
        assert!(complaints.is_empty(), "{what}: {complaints:#?}");
    }

    /// The end of a test: the console has no error.
    pub async fn quit(self) {
        self.has_no_complaint("at the end").await;
        self.page.quit().await.unwrap();
    }
}
