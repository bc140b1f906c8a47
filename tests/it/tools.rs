//! Programs that are not ours: what `scripts/test-tools` has installed.

use std::path::{Path, PathBuf};

/// A program of `scripts/test-tools`. Without it a test is left out, and `scripts/test` says so at its end; with
/// `EVENKEEL_TEST_REQUIRE=all` it fails.
fn tool(name: &str, path: &str) -> Option<PathBuf> {
    // This binary is in `<target>/<profile>/deps`.
    let binary = std::env::current_exe().unwrap();
    let found = binary.ancestors().nth(3).unwrap().join("test-tools").join(path);
    if found.exists() {
        return Some(found);
    }
    let required = std::env::var("EVENKEEL_TEST_REQUIRE").is_ok_and(|which| which == "all");
    assert!(!required, "{} is missing: run scripts/test-tools", found.display());
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
