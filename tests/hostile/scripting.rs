//! Languages that do nothing but start an interpreter: what a hostile script is, no check shall stop.

use std::sync::Arc;

use script_engine_core::contract::{Check, Language, LanguageInfo, Prepared, Source, Work};
use script_engine_core::{EntryPoint, JobFile, LanguageId, Limits, RelPath, Result};

/// A language by its interpreter.
#[derive(Debug)]
struct Plain {
    info: LanguageInfo,
    interpreter: &'static str,
}

impl Language for Plain {
    fn info(&self) -> &LanguageInfo {
        &self.info
    }

    fn check(&self, _source: &Source) -> Result<Work<Check>> {
        Ok(Work::Done(Check::new()))
    }

    fn prepare(&self, source: &Source) -> Result<Work<Prepared>> {
        let path = source.entry_point.as_str();
        let file = JobFile { path: RelPath::parse(path)?, content: source.bytes.clone(), executable: false };
        let argv = vec![self.interpreter.to_owned(), format!("/scripts/{path}")];
        Ok(Work::Done(Prepared { files: vec![file], argv, env: Vec::new() }))
    }

    fn fingerprint(&self) -> String {
        self.interpreter.to_owned()
    }
}

/// The languages that hostile scripts are written in.
pub(crate) fn languages() -> Vec<Arc<dyn Language>> {
    [("bash", "sh"), ("python3", "py")].map(plain).into()
}

fn plain((interpreter, extension): (&'static str, &str)) -> Arc<dyn Language> {
    Arc::new(Plain {
        info: LanguageInfo {
            id: LanguageId::parse(interpreter.trim_end_matches('3')).unwrap(),
            title: interpreter.to_owned(),
            extensions: vec![extension.to_owned()],
            interpreters: vec![interpreter.to_owned()],
            entry_point: EntryPoint::parse(&format!("main.{extension}")).unwrap(),
            limits: Limits::default(),
            image: String::new(),
            env: Vec::new(),
        },
        interpreter,
    })
}
