//! A folder for one test, and programs that speak to the engine for tests.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder that goes away with the test.
pub(crate) struct Stage {
    pub(crate) folder: PathBuf,
    endpoint: String,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Stage {
    /// Makes a folder that holds `files`.
    pub(crate) fn new(endpoint: &str, files: &[(&str, &str)]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("script-engine-cli-docker-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            std::fs::write(folder.join(name), text).unwrap();
        }
        Self { folder, endpoint: endpoint.to_owned() }
    }

    /// Runs a program in the folder, to its end.
    pub(crate) fn run(&self, program: &str, args: &[&str]) -> Ended {
        let path = std::env::var("PATH").unwrap();
        // Programs in the folder come first, and Docker's settings are those in it.
        let path = format!("{}:{path}", self.folder.display());
        let mut command = Command::new(program);
        command.args(args).current_dir(&self.folder).stdin(Stdio::null());
        command.env("DOCKER_HOST", &self.endpoint).env("DOCKER_CONFIG", &self.folder).env("PATH", path);
        // So are the user's, if the folder has a `home`.
        let home = self.folder.join("home");
        if home.is_dir() {
            command.env("HOME", home);
        }
        let output = command.output().unwrap();
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs `script-engine` with its state in the folder, and with settings by which it leaves no image unless others
    /// are named.
    pub(crate) fn engine(&self, args: &[&str]) -> Ended {
        let own = ["--docker-settings", "settings.json"];
        std::fs::write(self.folder.join(own[1]), r#"{"image_cache": {"enabled": false}}"#).unwrap();
        let own = if args.contains(&own[0]) { &[][..] } else { &own };
        let state = ["--state", "state", "--backend", "docker"];
        self.run(env!("CARGO_BIN_EXE_script-engine"), &[args, &state, own].concat())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

impl Ended {
    /// What was printed by a program that succeeded.
    #[track_caller]
    pub(crate) fn printed(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self.stdout
    }
}
