//! Steps made of a driver: a small program of ours, in the ecosystem's own language, that starts the
//! ecosystem's own tool in a sandbox and leaves one answer in JSON. What it says is hostile: packages
//! decide much of it.

use bytes::Bytes;
use script_engine_core::contract::{Step, StepOutput};
use script_engine_core::{Error, ErrorKind, JobFile, RelPath, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::sources::{IndexSource, PackageSources, is_secret, without_users};
use crate::source_text;

/// Where a driver leaves its answer, and a layer.
const ANSWER: &str = "/work/answer.json";
const LAYER: &str = "/work/layer.tar";
/// The longest answer that is read.
const LONGEST: usize = 64 << 20;

/// A driver's program.
pub(crate) struct Driver {
    /// What starts it; its path and the path of the scratch space follow.
    pub(crate) interpreter: &'static [&'static str],
    /// The name of the file that is started.
    pub(crate) main: &'static str,
    /// All its files by name.
    pub(crate) files: &'static [(&'static str, &'static str)],
    /// Environment variables.
    pub(crate) env: &'static [(&'static str, &'static str)],
}

/// Why a driver has nothing to give.
#[derive(Debug, Deserialize)]
pub(crate) struct Failure<F> {
    /// What the tool said, or the driver's own word for it.
    pub(crate) text: String,
    /// What the driver found out besides.
    #[serde(flatten)]
    pub(crate) facts: F,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer<T, F> {
    Failed { failed: Failure<F> },
    Done(T),
}

/// What a driver is started with.
pub(crate) struct Input {
    json: Value,
    more: Vec<(String, Bytes)>,
    layer: bool,
    secrets: Secrets,
}

impl Input {
    /// The driver's `input.json`: an object, to which the settings of the index are put.
    pub(crate) fn new(mut json: Value, index: &IndexSource, sources: &PackageSources) -> Self {
        json["source"] = source(index, sources);
        Self { json, more: Vec::new(), layer: false, secrets: Secrets::of(index) }
    }

    /// A further file for the driver.
    pub(crate) fn file(mut self, name: impl Into<String>, content: impl Into<Bytes>) -> Self {
        self.more.push((name.into(), content.into()));
        self
    }

    /// Says that the driver leaves a layer besides its answer.
    pub(crate) fn for_layer(mut self) -> Self {
        self.layer = true;
        self
    }
}

impl Driver {
    /// The step that starts it, and reads its answer. `read` is given the layer too, and asked only if
    /// the driver did not fail.
    pub(crate) fn step<T, A, F>(
        &self,
        input: Input,
        complain: impl FnOnce(Failure<F>) -> Error + Send + 'static,
        read: impl FnOnce(A, Option<Bytes>) -> Result<T> + Send + 'static,
    ) -> Result<Step<T>>
    where
        A: DeserializeOwned,
        F: DeserializeOwned,
    {
        let Input { json, more, layer, secrets } = input;
        let file = |name: &str, content: Bytes| {
            Ok::<_, Error>(JobFile { path: RelPath::parse(name)?, content, executable: false })
        };
        let mut files = vec![file("input.json", Bytes::from(json.to_string()))?];
        for (name, content) in self.files {
            files.push(file(name, Bytes::from_static(content.as_bytes()))?);
        }
        for (name, content) in more {
            files.push(file(&name, content)?);
        }
        let words = self.interpreter.iter().map(|it| (*it).to_owned());
        Ok(Step {
            files,
            argv: words.chain([format!("/scripts/{}", self.main), "/work".to_owned()]).collect(),
            env: self.env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            collect: [ANSWER].into_iter().chain(layer.then_some(LAYER)).map(str::to_owned).collect(),
            read: Box::new(move |output| match answer(&output, &secrets)? {
                Answer::Failed { failed } => {
                    Err(complain(Failure { text: secrets.cleaned(&failed.text), facts: failed.facts }))
                }
                Answer::Done(it) => read(it, output.files.into_iter().nth(1).flatten()),
            }),
        })
    }
}

/// Reads the answer that a driver left.
fn answer<T: DeserializeOwned>(output: &StepOutput, secrets: &Secrets) -> Result<T> {
    let none = |why: &str| {
        let said = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
        let said = String::from_utf8_lossy(said);
        let last = said.lines().rfind(|it| !it.trim().is_empty()).unwrap_or_default();
        Error::new(ErrorKind::Unavailable, format!("the step for packages {why}"))
            .with_context("exit_code", output.exit_code.map_or("none".to_owned(), |it| it.to_string()))
            .with_context("said", source_text::message(&secrets.cleaned(last)))
    };
    match output.files.first() {
        Some(Some(bytes)) if bytes.len() > LONGEST => Err(none("gave an answer of more than 64 MiB")),
        Some(Some(bytes)) => {
            serde_json::from_slice(bytes).map_err(|error| none("gave an answer that can't be read").with_source(error))
        }
        _ => Err(none("gave no answer")),
    }
}

/// What the drivers of all ecosystems are told of where packages come from.
fn source(index: &IndexSource, sources: &PackageSources) -> Value {
    let more: serde_json::Map<String, Value> =
        index.more.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    json!({
        "url": index.url,
        "credentials": index.credentials.as_ref().map(|(user, password)| [user, password]),
        "more": more,
        "http_proxy": sources.http_proxy,
        "ca_certificates": sources.ca_certificates.as_ref().map(|it| String::from_utf8_lossy(it)),
    })
}

/// What no error may quote: passwords of the sources.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    pub(crate) fn of(index: &IndexSource) -> Self {
        let password = index.credentials.iter().map(|(_, password)| password.clone());
        // A file of such a name is long and no word of it would be found; a setting is the secret itself.
        let more = index.more.iter().filter(|(name, _)| is_secret(name)).map(|(_, value)| value.clone());
        Self(password.chain(more).filter(|it| !it.is_empty()).collect())
    }

    /// The text without passwords, and without what stands before the host in an address.
    pub(crate) fn cleaned(&self, text: &str) -> String {
        let text = self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***"));
        without_users(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_quote_no_password() {
        let index = IndexSource { credentials: Some(("me".into(), "p:w".into())), ..IndexSource::default() };
        let secrets = Secrets::of(&index);
        for (text, expect) in [
            ("at https://me:p%3Aw@host/simple and https://host/a@b", "at https://host/simple and https://host/a@b"),
            ("password p:w was refused", "password *** was refused"),
            ("://@", "://"),
            ("plain", "plain"),
        ] {
            assert_eq!(secrets.cleaned(text), expect);
        }
    }

    #[test]
    fn a_driver_that_breaks_is_named_with_its_last_words() {
        let output = StepOutput {
            exit_code: Some(1),
            stdout: Bytes::new(),
            stderr: Bytes::from_static(b"Traceback\nKeyError: https://u:p@h/\n\n"),
            files: vec![None],
        };
        let error = answer::<Value>(&output, &Secrets::default()).unwrap_err();
        let expect = "the step for packages gave no answer exit_code=`1` said=`KeyError: https://h/`";
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Unavailable, expect));
        let output = StepOutput { files: vec![Some(Bytes::from_static(b"{"))], ..output };
        assert!(answer::<Value>(&output, &Secrets::default()).unwrap_err().to_string().contains("can't be read"));
    }
}
