//! Programs that are not ours: what `scripts/test-tools` has installed.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A program of `scripts/test-tools`. Without it a test is left out, and `scripts/test` says so at its end; with
/// `EVENKEEL_TEST_REQUIRE=all` it fails.
fn tool(name: &str, path: &str) -> Option<PathBuf> {
    // This binary is in `<target>/<profile>/deps`.
    let binary = std::env::current_exe().unwrap();
    let found = binary.ancestors().nth(3).unwrap().join("test-tools").join(path);
    if found.exists() { Some(found) } else { left_out(name) }
}

/// The test that wants this program is left out, or fails.
#[expect(clippy::print_stderr, reason = "what is left out is said")]
fn left_out(name: &str) -> Option<PathBuf> {
    let required = std::env::var("EVENKEEL_TEST_REQUIRE").is_ok_and(|which| which == "all");
    assert!(!required, "{name} is missing: run scripts/test-tools");
    eprintln!("left out: {name} is missing; scripts/test-tools installs it");
    None
}

/// A Python that has the packages of `tests/tools/requirements.txt`.
pub fn python() -> Option<PathBuf> {
    tool("python", "python/bin/python")
}

/// The folder of `tests/tools/package.json` with its packages, for `node` to run in.
pub fn javascript() -> Option<PathBuf> {
    tool("javascript", "javascript/node_modules").and_then(|path| path.parent().map(Path::to_path_buf))
}

/// The `curl` of this machine.
pub fn curl() -> Option<PathBuf> {
    in_path("curl").or_else(|| left_out("curl"))
}

/// The `kcat` of this machine.
pub fn kcat() -> Option<PathBuf> {
    in_path("kcat").or_else(|| left_out("kcat"))
}

/// The browser of this machine, and its driver.
pub fn chromium() -> Option<(PathBuf, PathBuf)> {
    in_path("chromium").zip(in_path("chromedriver")).or_else(|| left_out("chromium").zip(None))
}

/// The `promtool` of this machine.
pub fn promtool() -> Option<PathBuf> {
    in_path("promtool").or_else(|| left_out("promtool"))
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.exists())
}

/// Half an installation would be found out by some other test, which would not say so.
#[test]
fn what_is_installed_can_be_used() {
    if let Some(python) = python() {
        let status = Command::new(python).args(["-c", "import cloudevents, schemathesis"]).status().unwrap();
        assert!(status.success(), "run scripts/test-tools");
    }
    if let Some(folder) = javascript() {
        let status = Command::new("node")
            .args(["-e", "require('cloudevents'); require('axe-core')"])
            .current_dir(folder)
            .status()
            .unwrap();
        assert!(status.success(), "run scripts/test-tools");
    }
}
