//! One rendering of one template, within bounds: whatever an event holds, it costs no more time and memory than this.
//! Pure.
//!
//! One thing escapes: minijinja repeats a list (`[data.s] * data.n`) without making it, so that only its use costs, and
//! pays for a text of it when that is there. Templates that do this with a number of the event are on their own.

use std::io;

use minijinja::{Environment, ErrorKind, Value};

/// What one rendering may cost: a step of the template costs one, and so do 64 bytes that it makes.
const FUEL: u64 = 1_000_000;

/// The most bytes that one rendering may give.
const MOST_BYTES: usize = 10 << 20;

/// Why a template could not be rendered: what is wrong, and in which template and line. Text only, as minijinja's own
/// error holds the whole event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unrendered(String);

/// Sets the bounds that minijinja keeps itself.
pub fn bound(environment: &mut Environment<'_>) {
    environment.set_fuel(Some(FUEL));
}

/// What becomes of a template with a context.
///
/// # Errors
/// A variable that the context does not have, a filter that does not take its value, or a bound; it names the template.
pub fn render(environment: &Environment<'_>, name: &str, context: &Value) -> Result<String, Unrendered> {
    let mut text = Bounded(Vec::new());
    let template = environment.get_template(name);
    let rendered = template.and_then(|template| template.render_captured_to(context, &mut text).map(drop));
    rendered.map_err(|error| match error.kind() {
        ErrorKind::OutOfFuel => Unrendered(format!("the template takes more steps or memory than it may: {error}")),
        ErrorKind::WriteFailure => Unrendered(format!("the template gives more than {MOST_BYTES} bytes: {error}")),
        _ => Unrendered(error.to_string()),
    })?;
    String::from_utf8(text.0).map_err(|error| Unrendered(error.to_string()))
}

/// A text that refuses to become too long.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > MOST_BYTES - self.0.len() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use minijinja::context;

    use super::*;

    fn rendered(template: &str) -> Result<String, String> {
        let mut environment = Environment::new();
        bound(&mut environment);
        environment.add_template("t", template).unwrap();
        let context = context! { s => "a\nb", n => 3_000_000_000_u64, big => "x".repeat(1 << 20) };
        render(&environment, "t", &context).map_err(|error| error.to_string())
    }

    #[test]
    fn what_takes_too_much_ends_soon_and_says_so() {
        let loops = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}";
        let began = Instant::now();
        for template in [
            loops,
            "{{ s | indent(n) }}",
            "{{ [1] | slice(n) }}",
            "{{ [1] | batch(n, 0) }}",
            "{{ s * n }}",
            "{{ (1,) * 100000000 }}",
            "{{ ([1] * 100000000) | list }}",
            "{{ '%3000000000d' | format(1) }}",
            "{{ '%.3000000000f' | format(1.5) }}",
            "{{ big | replace('x', big) }}",
            "{{ range(90000) | join(big) }}",
            "{% macro m() %}{{ big }}{{ big }}{% endmacro %}{% for a in range(9999) %}{% set x = m() %}{% endfor %}",
            "{% set ns = namespace(s=s) %}{% for a in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        ] {
            let error = rendered(template).expect_err(template);
            assert!(error.starts_with("the template takes more steps or memory than it may: "), "{template}: {error}");
            assert!(error.ends_with("(in t:1)"), "{error}");
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }

    #[test]
    fn a_text_has_a_most() {
        let ten = "{% for a in range(10) %}{{ big }}{% endfor %}";
        assert_eq!(rendered(ten).unwrap().len(), MOST_BYTES);
        let error = rendered(&format!("{ten}.")).unwrap_err();
        assert!(error.starts_with("the template gives more than 10485760 bytes: "), "{error}");
    }

    #[test]
    fn a_long_list_is_well_within_the_bounds() {
        let list =
            "{% for a in range(10000) %}{% if a is odd %}{{ a }} {{ s | upper }}: {{ a * 2 }}\n{% endif %}{% endfor %}";
        rendered(list).unwrap();
    }
}
