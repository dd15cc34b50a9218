//! Carries out a step on the machine that tests run on, with folders that stand in for `/scripts` and `/work`: for tests
//! only. The product does it in a sandbox.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use script_engine_core::Result;
use script_engine_core::contract::{Step, StepOutput};

/// A folder that is gone when this is.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("script-engine-packages-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// What comes of the step, with the programs of `path`.
pub(crate) fn carry_out<T>(step: Step<T>, path: &str) -> Result<T> {
    let folder = Folder::new();
    let output = run(&step, path, &folder.0);
    (step.read)(output)
}

/// What the step leaves, unread.
pub(crate) fn output_of<T>(step: &Step<T>, path: &str) -> StepOutput {
    run(step, path, &Folder::new().0)
}

fn run<T>(step: &Step<T>, path: &str, folder: &Path) -> StepOutput {
    let (scripts, work) = (folder.join("scripts"), folder.join("work"));
    for folder in [&scripts, &work] {
        std::fs::create_dir_all(folder).unwrap();
    }
    for file in &step.files {
        let path = scripts.join(file.path.as_str());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &file.content).unwrap();
    }
    let folders = [("/scripts", &scripts), ("/work", &work)];
    let here = |text: &str| {
        let mut text = text.to_owned();
        for (inside, folder) in folders {
            // Where a path begins, and nowhere else.
            for before in ["", ":", "=", " "] {
                let marked = format!("{before}{inside}");
                let real = format!("{before}{}", folder.display());
                if before.is_empty() {
                    if let Some(rest) = text.strip_prefix(inside) {
                        text = format!("{}{rest}", folder.display());
                    }
                } else {
                    text = text.replace(&marked, &real);
                }
            }
        }
        text
    };
    let output = Command::new(&step.argv[0])
        .args(step.argv[1..].iter().map(|it| here(it)))
        .env_clear()
        .env("PATH", path)
        .envs(step.env.iter().map(|(name, value)| (name, here(value))))
        .current_dir(&work)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let named = |bytes: &[u8]| {
        let mut text = String::from_utf8_lossy(bytes).into_owned();
        for (inside, folder) in folders {
            text = text.replace(folder.to_str().unwrap(), inside);
        }
        Bytes::from(text)
    };
    StepOutput {
        exit_code: output.status.code(),
        stdout: named(&output.stdout),
        stderr: named(&output.stderr),
        files: step.collect.iter().map(|it| std::fs::read(here(it)).ok().map(Bytes::from)).collect(),
    }
}
