//! A real browser: headless Chromium, driven over its driver by fantoccini, each in a folder of its own. (thirtyfour would
//! have `serde_json` keep the order of members in the whole build: what is tested would be another program than what runs.)
//!
//! A test says what it does with the page; at its end [`Browser::quit`] fails it if the console had an error or the
//! page's policy was broken. Nothing of it outlives its test.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::elements::Element;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::{Method, Url};
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

/// The keys that have no letter, as the driver wants them.
pub const TAB: &str = "\u{e004}";
pub const ENTER: &str = "\u{e007}";
pub const ESCAPE: &str = "\u{e00c}";

/// A browser and its driver.
pub struct Browser {
    client: Client,
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

/// What only Chromium's driver knows: a verb below the session, and its parameters.
#[derive(Debug)]
struct Extension(&'static str, Value);

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as std::str::FromStr>::Err> {
        base.join(&format!("session/{}/{}", session.unwrap(), self.0))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.1.to_string()))
    }
}

/// Looks at a page again and again until there is something. A look keeps a browser busy that may be about to show it.
pub async fn seen<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    eventually(what, async || {
        let found = look().await;
        if found.is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        found
    })
    .await
}

impl Browser {
    /// Starts one; nothing if this machine has none.
    pub async fn start() -> Option<Self> {
        Self::with(json!({})).await
    }

    /// Starts one that runs no scripts of pages.
    pub async fn scriptless() -> Option<Self> {
        Self::with(json!({ "profile.managed_default_content_settings.javascript": 2 })).await
    }

    async fn with(preferences: Value) -> Option<Self> {
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
        let mut arguments = ARGUMENTS.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", folder.path().join("profile").display()));
        arguments.push("--window-size=1280,900".to_owned());
        let options = json!({ "binary": chromium, "args": arguments, "prefs": preferences });
        let wanted = json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(serde_json::from_value(wanted).unwrap());
        let client = builder.connect(&url).await.unwrap();
        Some(Self { client, _driver: driver, _folder: folder })
    }

    async fn extension(&self, verb: &'static str, what: Value) -> Value {
        self.client.issue_cmd(Extension(verb, what)).await.unwrap()
    }

    async fn tools(&self, command: &str, parameters: Value) {
        self.extension("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await;
    }

    /// Looks at pages as if the system were dark, or light; either way it wants nothing to move.
    pub async fn is_dark(&self, dark: bool) {
        let scheme = if dark { "dark" } else { "light" };
        let scheme = json!({ "name": "prefers-color-scheme", "value": scheme });
        let features = json!([scheme, { "name": "prefers-reduced-motion", "value": "reduce" }]);
        self.tools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// Looks at pages on a phone that is 360 pixels wide.
    pub async fn is_a_phone(&self) {
        let phone = json!({ "width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": true });
        self.tools("Emulation.setDeviceMetricsOverride", phone).await;
    }

    /// Looks at pages on a desk.
    pub async fn is_wide(&self) {
        let desk = json!({ "width": 1_200, "height": 820, "deviceScaleFactor": 1, "mobile": false });
        self.tools("Emulation.setDeviceMetricsOverride", desk).await;
    }

    /// Opens a page.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// Where it is: path and query.
    pub async fn place(&self) -> String {
        let url = self.client.current_url().await.unwrap();
        url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
    }

    /// Waits until it is at a place that begins like this.
    pub async fn until_at(&self, place: &str) -> String {
        seen(&format!("the browser is at {place}"), async || {
            Some(self.place().await).filter(|at| at.starts_with(place))
        })
        .await
    }

    /// Waits for an element.
    async fn find(&self, selector: &str) -> Element {
        let what = format!("{selector} is there");
        seen(&what, async || self.client.find(Locator::Css(selector)).await.ok()).await
    }

    /// Clicks on the first element that this selector finds, once it can be clicked on. A page that lives may put another
    /// in its place at any time.
    pub async fn click(&self, selector: &str) {
        let what = format!("{selector} can be clicked on");
        seen(&what, async || self.client.find(Locator::Css(selector)).await.ok()?.click().await.ok()).await;
    }

    /// Clicks on the first link or button whose text this is, and waits for the page that it leads to.
    pub async fn follow(&self, text: &str) {
        let what = format!("there is a link or button {text:?} to click");
        let path =
            format!("//*[self::a or self::button or self::summary][not(ancestor::nav)][normalize-space()={text:?}]");
        seen(&what, async || self.client.find(Locator::XPath(&path)).await.ok()?.click().await.ok()).await;
    }

    /// Writes into a field, in the place of what is there.
    pub async fn fill(&self, selector: &str, text: &str) {
        let field = self.find(selector).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// The text of the first element that this selector finds.
    pub async fn text(&self, selector: &str) -> Option<String> {
        let found = self.ask_of("return document.querySelector(arguments[0])?.innerText ?? null", &[selector]).await;
        found.as_str().map(|text| text.trim().to_owned())
    }

    /// Waits until an element has a text that this holds for.
    pub async fn until(&self, selector: &str, what: &str, holds: impl Fn(&str) -> bool) -> String {
        seen(what, async || self.text(selector).await.filter(|text| holds(text))).await
    }

    /// What a script of the test's own finds.
    pub async fn ask(&self, script: &str) -> Value {
        self.ask_of(script, &[]).await
    }

    async fn ask_of(&self, script: &str, arguments: &[&str]) -> Value {
        let arguments = arguments.iter().map(|argument| json!(argument)).collect();
        self.client.execute(script, arguments).await.unwrap()
    }

    /// Presses keys, wherever the focus is.
    pub async fn press(&self, keys: &str) {
        let strokes = keys.chars().fold(KeyActions::new("keyboard".to_owned()), |strokes, key| {
            strokes.then(KeyAction::Down { value: key }).then(KeyAction::Up { value: key })
        });
        self.client.perform_actions(strokes).await.unwrap();
    }

    /// Presses a key while Control is held.
    pub async fn press_with_control(&self, key: char) {
        const CONTROL: char = '\u{e009}';
        let strokes = [
            KeyAction::Down { value: CONTROL },
            KeyAction::Down { value: key },
            KeyAction::Up { value: key },
            KeyAction::Up { value: CONTROL },
        ];
        let strokes = strokes.into_iter().fold(KeyActions::new("keyboard".to_owned()), InputSource::then);
        self.client.perform_actions(strokes).await.unwrap();
    }

    /// Goes on with Tab until this selector finds the element with the focus, which can be seen to have it all the way.
    pub async fn tab_to(&self, selector: &str) {
        for _ in 0..150 {
            self.press(TAB).await;
            let focus = "const at = document.activeElement, style = getComputedStyle(at); \
                         return [at.matches(arguments[0]), at === document.body || at.matches(':focus-visible') \
                         && style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2, at.outerHTML]";
            let found = self.ask_of(focus, &[selector]).await;
            assert_eq!(found[1], true, "the focus cannot be seen on {}", found[2]);
            if found[0] == true {
                return;
            }
        }
        panic!("Tab never comes to {selector}");
    }

    /// Puts another tab in front of this one while `meanwhile` goes on, and comes back.
    pub async fn behind_another_tab(&self, meanwhile: impl AsyncFnOnce()) {
        let here = self.client.window().await.unwrap();
        let other = self.client.new_window(true).await.unwrap();
        // It is opened behind this one, and comes to the front when it is switched to.
        self.client.switch_to_window(other.handle).await.unwrap();
        let is_seen = async || (self.ask("return document.hidden").await == false).then_some(());
        seen("the other tab is in front", is_seen).await;
        meanwhile().await;
        self.client.close_window().await.unwrap();
        self.client.switch_to_window(here).await.unwrap();
    }

    /// Fails if the page is wider than its window, or if something is beyond its edge.
    pub async fn fits(&self, what: &str) {
        // A phone zooms out of a page that is too wide: its inner width says nothing.
        let widths = "const whole = document.documentElement; return [whole.scrollWidth, whole.clientWidth]";
        let widths = self.ask(widths).await;
        assert!(widths[0].as_f64().unwrap() <= widths[1].as_f64().unwrap(), "{what} scrolls sideways: {widths}");
        let beyond = "return [...document.querySelectorAll('main *:not(.unseen, thead *)')].filter((element) => { \
                      const place = element.getBoundingClientRect(); \
                      return place.width > 0 && place.left < 0; }).map((element) => element.outerHTML)";
        assert_eq!(self.ask(beyond).await, json!([]), "{what} has something beyond the left edge");
    }

    /// A picture of what is seen, as a file in this folder.
    pub async fn picture(&self, folder: &Path, name: &str) {
        std::fs::write(folder.join(format!("{name}.png")), self.client.screenshot().await.unwrap()).unwrap();
    }

    /// The errors in the console since this was asked last, and what was stopped by a page's policy.
    pub async fn complaints(&self) -> Vec<String> {
        let said = self.extension("se/log", json!({ "type": "browser" })).await;
        let complaint = |line: &Value| {
            let message = line["message"].as_str().unwrap();
            (line["level"] == "SEVERE" || message.contains("Content Security Policy")).then(|| message.to_owned())
        };
        said.as_array().unwrap().iter().filter_map(complaint).collect()
    }

    /// Fails if there are any.
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

    /// The end of a test: the console has no error.
    pub async fn quit(self) {
        self.has_no_complaint("at the end").await;
        self.client.close().await.unwrap();
    }
}
