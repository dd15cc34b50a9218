//! Writes down what a language is. The literals in this crate are checked by its tests.

use std::time::Duration;

use script_engine_core::contract::{LanguageInfo, Requirement};
use script_engine_core::{EntryPoint, LanguageId, LimitOverrides, Limits, Result};

/// What a compiler may use in a step. Its working files lie in memory, so they count as such.
pub(crate) const COMPILER: LimitOverrides = LimitOverrides {
    timeout: Some(Duration::from_secs(180)),
    memory_bytes: Some(1 << 30),
    milli_cpus: Some(4000),
    pids: Some(1024),
    output_bytes: None,
    work_bytes: Some(1 << 30),
    tmp_bytes: Some(64 << 20),
    files: None,
    open_files: Some(4096),
};

/// What differs between the languages of this crate.
pub(crate) struct Facts<'a> {
    pub(crate) id: &'a str,
    pub(crate) title: &'a str,
    pub(crate) extensions: &'a [&'a str],
    pub(crate) interpreters: &'a [&'a str],
    pub(crate) entry_point: &'a str,
    pub(crate) milli_cpus: u32,
    pub(crate) memory_mib: u64,
    pub(crate) step_limits: LimitOverrides,
    pub(crate) least: &'a str,
    pub(crate) mend: &'a str,
    pub(crate) image: &'a str,
    pub(crate) env: &'a [(&'a str, &'a str)],
    pub(crate) code_variables: &'a [&'a str],
    pub(crate) packages_dir: &'a str,
}

impl Facts<'_> {
    pub(crate) fn info(&self) -> Result<LanguageInfo> {
        let all = |it: &[&str]| it.iter().map(ToString::to_string).collect();
        Ok(LanguageInfo {
            id: LanguageId::parse(self.id)?,
            title: self.title.to_owned(),
            extensions: all(self.extensions),
            interpreters: all(self.interpreters),
            entry_point: EntryPoint::parse(self.entry_point)?,
            limits: Limits { milli_cpus: self.milli_cpus, memory_bytes: self.memory_mib << 20, ..Limits::default() },
            step_limits: self.step_limits.clone(),
            requirement: Requirement { least: self.least.to_owned(), mend: self.mend.to_owned() },
            image: self.image.to_owned(),
            env: self.env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            code_variables: all(self.code_variables),
            packages_dir: self.packages_dir.to_owned(),
        })
    }
}
