//! A folder for one test, with scripts in it, and the program started there.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

/// A folder that goes away with the test.
pub(crate) struct Stage {
    folder: PathBuf,
}

/// How the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Stage {
    /// Makes a folder that holds `files`.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let stage = Self { folder };
        for (name, text) in files {
            stage.write(name, text.as_bytes());
        }
        stage
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.folder.join(name), bytes).unwrap();
    }

    /// The program with `args`, in the folder, which holds the state of commands that run something too.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_script-engine"));
        command.args(args).current_dir(&self.folder).stdin(Stdio::null());
        if matches!(args.first(), Some(&"run" | &"mounts" | &"check")) {
            command.args(["--state", "state"]);
        }
        command
    }

    /// Starts the program with all three streams held.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        self.command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        self.command(args).output().unwrap().into()
    }

    /// What engines that ended left in the state folder for others to clear up.
    pub(crate) fn left(&self) -> usize {
        std::fs::read_dir(self.folder.join("state/sandbox/owners")).map_or(0, Iterator::count)
    }

    /// Runs a script with `--json` and reads the one object.
    pub(crate) fn record(&self, args: &[&str]) -> (Value, Ended) {
        let args: Vec<&str> = ["run"].iter().chain(args).chain(&["--json"]).copied().collect();
        let ended = self.run(&args);
        let record = serde_json::from_slice(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
        (record, ended)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let code = output.status.code();
        assert_eq!(output.status.signal(), None, "the program must end by itself");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!stderr.contains("panicked"), "{stderr}");
        Self { code, stdout: output.stdout, stderr }
    }
}

impl Ended {
    #[track_caller]
    pub(crate) fn check(&self, code: i32, stdout: &str, stderr: &str) {
        let seen = (self.code, String::from_utf8_lossy(&self.stdout).into_owned(), self.stderr.clone());
        assert_eq!(seen, (Some(code), stdout.to_owned(), stderr.to_owned()));
    }
}
