//! What a mail says, as templates over the event. Compiled once and before anything starts; pure from then on.

use std::fs;
use std::path::{Path, PathBuf};

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};

use super::Options;
use super::address::{self, has_control, mailbox};
use super::rendering::{self, Unrendered};

/// Why templates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("the template {} cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It can be read, but is no template; the error names its place.
    #[error(transparent)]
    Syntax(#[from] minijinja::Error),
    /// A subject that no event could make good.
    #[error("`subject` holds a line break")]
    Subject,
    /// An address that no event could make good.
    #[error("`{entry}` in `{key}` {why}")]
    Address {
        /// `to`, `cc` or `bcc`.
        key: &'static str,
        /// What is written there.
        entry: String,
        /// What is wrong with it.
        why: address::Error,
    },
}

/// The templates of a handler.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
    to: Vec<String>,
    cc: Vec<String>,
    bcc: Vec<String>,
    text: Option<String>,
    html: Option<String>,
}

/// What the templates made of an event. Nothing of it is trusted yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Who gets it; entries that came out empty are gone.
    pub to: Vec<Recipient>,
    /// Who gets a copy, likewise.
    pub cc: Vec<Recipient>,
    /// Who gets a hidden copy, likewise.
    pub bcc: Vec<Recipient>,
    /// The subject.
    pub subject: String,
    /// The plain text.
    pub text: Option<String>,
    /// The HTML.
    pub html: Option<String>,
}

/// What became of one entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Which entry, such as `to[0]`.
    pub entry: String,
    /// Its text.
    pub text: String,
}

const SUBJECT: &str = "subject";

/// How the names of the templates from files begin. Entries and the subject have a name of one word, so that no file
/// can take the place of another part, whatever it is called, and one file may be both texts.
const TEXT: &str = "text ";
const HTML: &str = "html ";

impl Templates {
    /// Reads and compiles all templates. Their files are relative to `base_dir`.
    ///
    /// # Errors
    /// [`Error`], which names the file and the line.
    pub fn load(options: &Options, base_dir: &Path) -> Result<Self, Error> {
        let mut environment = Environment::new();
        // Errors then know which expression they are about.
        environment.set_debug(true);
        // What is missing is an error and never a gap in the mail; `{% if data.note %}` may ask for it all the same.
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_auto_escape_callback(|name| match name.starts_with(HTML) {
            true => AutoEscape::Html,
            false => AutoEscape::None,
        });
        rendering::bound(&mut environment);
        if has_control(&options.subject) {
            return Err(Error::Subject);
        }
        environment.add_template_owned(SUBJECT, options.subject.clone())?;
        let mut from_file = |part: &str, path: &Path| {
            let (name, file) = (format!("{part}{}", path.display()), base_dir.join(path));
            let source = fs::read_to_string(&file).map_err(|source| Error::Read { path: file, source })?;
            environment.add_template_owned(name.clone(), source)?;
            Ok::<_, Error>(name)
        };
        let text = options.text.as_deref().map(|path| from_file(TEXT, path)).transpose()?;
        let html = options.html.as_deref().map(|path| from_file(HTML, path)).transpose()?;
        let to = addresses(&mut environment, "to", &options.to)?;
        let cc = addresses(&mut environment, "cc", &options.cc)?;
        let bcc = addresses(&mut environment, "bcc", &options.bcc)?;
        Ok(Self { environment, to, cc, bcc, text, html })
    }

    /// What becomes of an event, which is given as the value of its structured JSON.
    ///
    /// # Errors
    /// [`Unrendered`], of the first template.
    pub fn render(&self, event: &Value) -> Result<Rendered, Unrendered> {
        let one = |name: &str| rendering::render(&self.environment, name, event);
        let all = |entries: &[String]| {
            let mut recipients = Vec::new();
            for entry in entries {
                let text = one(entry)?;
                if !text.trim().is_empty() {
                    recipients.push(Recipient { entry: entry.clone(), text });
                }
            }
            Ok::<_, Unrendered>(recipients)
        };
        Ok(Rendered {
            to: all(&self.to)?,
            cc: all(&self.cc)?,
            bcc: all(&self.bcc)?,
            subject: one(SUBJECT)?,
            text: self.text.as_deref().map(one).transpose()?,
            html: self.html.as_deref().map(one).transpose()?,
        })
    }
}

/// Compiles the entries of a list; gives the names of their templates.
fn addresses(
    environment: &mut Environment<'static>,
    key: &'static str,
    entries: &[String],
) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        // What is no template is the same for every event, so it is better judged now.
        if !["{{", "{%", "{#"].iter().any(|opening| entry.contains(opening)) {
            mailbox(entry).map_err(|why| Error::Address { key, entry: entry.clone(), why })?;
        }
        let name = format!("{key}[{index}]");
        environment.add_template_owned(name.clone(), entry.clone())?;
        names.push(name);
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::values;
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn options() -> Options {
        Options { to: vec!["{{ data.email }}".into()], subject: "{{ data.n }}".into(), ..Options::default() }
    }

    fn rendered(options: &Options, files: &[(&str, &str)], event: serde_json::Value) -> Result<Rendered, String> {
        let templates = Templates::load(options, folder(files).path()).unwrap();
        let event = serde_json::from_str(&event.to_string()).and_then(values::value).unwrap();
        templates.render(&event).map_err(|error| error.to_string())
    }

    fn load_error(options: &Options, files: &[(&str, &str)]) -> String {
        let folder = folder(files);
        let error = anyhow::Error::from(Templates::load(options, folder.path()).unwrap_err());
        format!("{error:#}").replace(&folder.path().display().to_string(), "FOLDER")
    }

    #[test]
    fn only_the_html_is_escaped() {
        let options = Options {
            text: Some("a.txt".into()),
            html: Some("a.html.j2".into()),
            subject: "{{ data.n }}".into(),
            ..options()
        };
        let files = [("a.txt", "{{ data.n }} {{ subject }}"), ("a.html.j2", "<b>{{ data.n }}</b>")];
        let event = json!({ "subject": "order 7", "data": { "email": "a@b.example", "n": "<i>&" } });
        let rendered = rendered(&options, &files, event).unwrap();
        assert_eq!(rendered.subject, "<i>&");
        assert_eq!(rendered.text.as_deref(), Some("<i>& order 7"));
        assert_eq!(rendered.html.as_deref(), Some("<b>&lt;i&gt;&amp;</b>"));
    }

    #[test]
    fn a_file_is_no_other_part_whatever_it_is_called() {
        for (text, html) in [("subject", "to[0]"), ("text b", "subject"), ("html ", "b"), ("b", "b")] {
            let options = Options { text: Some(text.into()), html: Some(html.into()), ..options() };
            let source = "{{ data.email }} {{ data.n }}";
            let event = json!({ "data": { "email": "a@b.example", "n": "<i>" } });
            let rendered = rendered(&options, &[(text, source), (html, source)], event).unwrap();
            assert_eq!((rendered.to[0].text.as_str(), rendered.subject.as_str()), ("a@b.example", "<i>"));
            assert_eq!(rendered.text.as_deref(), Some("a@b.example <i>"), "{text}");
            assert_eq!(rendered.html.as_deref(), Some("a@b.example &lt;i&gt;"), "{html}");
        }
    }

    #[test]
    fn entries_that_come_out_empty_are_nobody() {
        let entry = "{% if data.copy %}{{ data.copy }}{% endif %}";
        let options = Options { cc: vec![entry.into(), "c@d.example".into()], ..options() };
        let rendered = rendered(&options, &[], json!({ "data": { "email": "a@b.example", "n": 1 } })).unwrap();
        assert_eq!(rendered.to, [Recipient { entry: "to[0]".into(), text: "a@b.example".into() }]);
        assert_eq!(rendered.cc, [Recipient { entry: "cc[1]".into(), text: "c@d.example".into() }]);
    }

    #[test]
    fn a_variable_that_is_missing_is_named_with_its_template_and_line() {
        let options = Options { text: Some("mail.txt".into()), ..options() };
        let files = [("mail.txt", "Dear {{ data.n }},\n{{ data.nmae }}")];
        let missing = |event| rendered(&options, &files, event).unwrap_err();
        let complete = json!({ "data": { "email": "a@b.example", "n": 1 } });
        assert_eq!(missing(complete), "undefined value: `data.nmae` is undefined (in text mail.txt:2)");
        assert_eq!(missing(json!({ "data": { "n": 1 } })), "undefined value: `data.email` is undefined (in to[0]:1)");
        assert_eq!(missing(json!({})), "undefined value: `data` is undefined (in to[0]:1)");
    }

    #[test]
    fn what_no_event_could_make_good_is_found_before_there_is_one() {
        let html = |text| load_error(&Options { html: Some("m.html".into()), ..options() }, &[("m.html", text)]);
        let to = |entry: &str| load_error(&Options { to: vec![entry.into()], ..options() }, &[]);
        insta::assert_snapshot!(
            [
                html("<p>\n{{ data.n }\n</p>"),
                html("{% include 'footer.html' %}"),
                load_error(&Options { text: Some("none.txt".into()), ..options() }, &[]),
                load_error(&Options { subject: "Hello\nBcc: {{ data.n }}".into(), ..options() }, &[]),
                to("{{ data.email"),
                to("ada at example.org"),
            ]
            .join("\n"),
            @r#"
            syntax error: unexpected `}`, expected end of variable block (in html m.html:2)
            syntax error: unknown statement include (in html m.html:1)
            the template FOLDER/none.txt cannot be read: No such file or directory (os error 2)
            `subject` holds a line break
            syntax error: unexpected end of input, expected end of variable block (in to[0]:1)
            `ada at example.org` in `to` is no mail address: Missing domain or user
            "#
        );
    }
}
