//! `run --in`: a script in a container of the user's, which is left as it was.

use serde_json::Value;

use crate::stage::Stage;

/// A container of somebody else's, which goes away with the test.
struct Target<'a> {
    stage: &'a Stage,
    id: String,
    before: String,
}

impl<'a> Target<'a> {
    fn start(stage: &'a Stage, options: &[&str], program: &str) -> Self {
        let image = ["--entrypoint", "/bin/bash", "stella-runtime/bash:base", "-c", program];
        let begin = ["run", "--detach", "--init", "--network", "none"];
        let id = stage.run("docker", &[&begin, options, &image].concat()).printed().trim().to_owned();
        let mut target = Self { stage, id, before: String::new() };
        target.before = target.inside();
        target
    }

    /// One with a file of its own.
    fn application(stage: &'a Stage) -> Self {
        let mut target = Self::start(stage, &[], SLEEP);
        let write = "echo of the application >/srv/state";
        stage.run("docker", &["exec", &target.id, "sh", "-c", write]).printed();
        target.before = target.inside();
        target
    }

    /// What runs in it, and which files are in folders for temporary ones.
    fn inside(&self) -> String {
        let state = ["inspect", "--format", "{{.State.Status}} {{.State.StartedAt}} {{.RestartCount}}", &self.id];
        let diff = self.stage.run("docker", &["diff", &self.id]).printed();
        let mut files: Vec<&str> = diff.lines().filter(|it| it.starts_with('A')).collect();
        files.sort_unstable();
        let state = self.stage.run("docker", &state).printed();
        let processes = self.stage.run("docker", &["top", &self.id, "-eo", "pid,args"]);
        format!("{state}{files:?}\n{}", processes.stdout)
    }

    fn run(&self, args: &[&str]) -> crate::stage::Ended {
        self.stage.engine(&[&["run"], args, &["--in", &self.id]].concat())
    }

    #[track_caller]
    fn assert_unchanged(&self) {
        assert_eq!(self.inside(), self.before);
    }
}

impl Drop for Target<'_> {
    fn drop(&mut self) {
        self.stage.run("docker", &["rm", "--force", &self.id]);
    }
}

/// A program that goes on.
const SLEEP: &str = "exec sleep infinity";

pub(crate) fn a_script_runs_beside_the_containers_own_program(endpoint: &str) {
    let script = "cat /srv/state - \"$SCRIPT_ARGS_FILE\"; echo \" $PARAM_PATH $GIVEN $(id -u)\"\n\
        pwd | grep -q script-engine && [ -w . ] && echo scratch >\"$TMPDIR/x\"; echo told >&2; exit 7\n";
    let stage = Stage::new(endpoint, &[("a.sh", script), ("in.txt", "from stdin\n")]);
    let target = Target::application(&stage);
    let given = ["--param", "path=/tmp/data", "--env", "GIVEN=/work/x", "--stdin", "in.txt"];
    let ended = target.run(&[&["a.sh"], &given[..]].concat());
    // What a user gives is passed on as it is, though the guest's own folders are elsewhere.
    let expected = "of the application\nfrom stdin\n{\"path\":\"/tmp/data\"} /tmp/data /work/x 0\n";
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(7), expected), "{ended:?}");
    assert!(ended.stderr.contains("told"), "{ended:?}");
    target.assert_unchanged();

    let record = target.run(&["a.sh", "--user", "1234:1234", "--json"]);
    let record: Value = serde_json::from_str(&record.stdout).unwrap();
    assert_eq!(record["target"], serde_json::json!({"name": target.id, "user": "1234:1234"}));
    assert_eq!((&record["state"], &record["exit_code"]), (&"FAILED".into(), &7.into()), "{record}");
    assert!(record["stdout"].as_str().unwrap().ends_with(" 1234\n"), "{record}");
    let enforcement = &record["enforcement"];
    assert_eq!(enforcement["enforced"]["memory"], "supervised", "{record}");
    assert!(enforcement["waived"]["file_system"].as_str().unwrap().contains("somebody else's"), "{record}");
    target.assert_unchanged();
}

pub(crate) fn what_is_compiled_needs_nothing_of_the_container(endpoint: &str) {
    let script = "package main\n\nimport (\n\t\"fmt\"\n\t\"os\"\n)\n\nfunc main() {\n\
        \tstate, _ := os.ReadFile(\"/srv/state\")\n\tfmt.Printf(\"%s%s\\n\", state, os.Getenv(\"PARAM_A\"))\n}\n";
    let stage = Stage::new(endpoint, &[("a.go", script)]);
    let target = Target::application(&stage);
    assert_eq!(target.run(&["a.go", "--param", "a=b"]).printed(), "of the application\nb\n");
    target.assert_unchanged();
}

pub(crate) fn a_container_that_can_not_run_it_is_unsupported_and_says_why(endpoint: &str) {
    let stage = Stage::new(endpoint, &[("a.py", "print(1)\n"), ("a.sh", "echo 1\n")]);
    let check = |target: &Target<'_>, file: &str, expected: &[&str]| {
        let ended = target.run(&[file, "--json"]);
        let record: Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
        assert_eq!((ended.code, &record["error"]["kind"]), (Some(125), &"unsupported".into()), "{ended:?}");
        let message = record["error"]["message"].as_str().unwrap();
        assert!(expected.iter().all(|it| message.contains(it)), "{message}");
        target.assert_unchanged();
    };
    check(&Target::application(&stage), "a.py", &["can't start `python3`", "compiled"]);
    check(&Target::start(&stage, &["--read-only"], SLEEP), "a.sh", &["no folder in which a program"]);
    let no_shell = "rm -f /bin/sh /bin/dash /usr/bin/sh /usr/bin/dash; exec sleep infinity";
    let no_shell = Target::start(&stage, &[], no_shell);
    check(&no_shell, "a.sh", &["has no shell"]);
    stage.run("docker", &["pause", &no_shell.id]).printed();
    let ended = no_shell.run(&["a.sh"]);
    assert!(ended.code == Some(125) && ended.stderr.contains("does not run; start it"), "{ended:?}");
    stage.run("docker", &["unpause", &no_shell.id]).printed();

    let missing = stage.engine(&["run", "a.sh", "--in", "no-such-container"]);
    assert!(missing.code == Some(125) && missing.stderr.contains("no-such-container"), "{missing:?}");
    let named = stage.engine(&["run", "a.sh", "--in", "../containers/json"]);
    assert!(named.code == Some(125) && named.stderr.contains("target.name: is no name"), "{named:?}");
    let elsewhere = stage.run(
        env!("CARGO_BIN_EXE_script-engine"),
        &["run", "a.sh", "--in", &no_shell.id, "--backend", "linux", "--state", "state"],
    );
    assert!(elsewhere.stderr.contains("linux: gets into no machine of somebody else's"), "{elsewhere:?}");
}

pub(crate) fn a_script_that_is_stopped_leaves_nothing(endpoint: &str) {
    let script = "trap '' TERM; echo begun; (sleep 600 & setsid sleep 600 &) ; while :; do sleep 600; done\n";
    let stage = Stage::new(endpoint, &[("a.sh", script)]);
    let target = Target::application(&stage);
    let ended = target.run(&["a.sh", "--timeout", "500ms"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(124), "begun\n"), "{ended:?}");
    target.assert_unchanged();
}
