//! The examples run, and the README shows them as they are.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where cargo puts a built example: beside the folder of this test binary.
fn example(name: &str) -> PathBuf {
    let deps = std::env::current_exe().unwrap();
    deps.parent().unwrap().parent().unwrap().join("examples").join(name)
}

#[test]
fn the_handler_of_ones_own_charges_at_its_second_attempt() {
    let output = Command::new(example("own_handler")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("order 7 paid at attempt 2; 1999 cents so far"), "{text}");
    assert!(text.contains("order.shipped is SUCCESS after 1 attempts"), "{text}");
}

#[test]
fn the_readme_shows_the_example_as_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let example = std::fs::read_to_string(root.join("examples/own_handler.rs")).unwrap();
    let shown =
        readme.split("<!-- examples/own_handler.rs -->\n```rust\n").nth(1).unwrap().split("```").next().unwrap();
    let body = example.split_once("\n\n").unwrap().1;
    assert_eq!(shown, body, "README.md shows examples/own_handler.rs without its head");
}
