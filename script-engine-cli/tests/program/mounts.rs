//! `mounts`: what is told and what is written, for each form; that bad input is refused before anything is.

use serde_json::Value;

use crate::stage::{Ended, Stage};

const SCRIPT: &str = "import json\nprint(json.load(open('/scripts/args.json')))\n";
const SCHEMA: &str = r#"{"properties": {"n": {"type": "integer"}, "token": {"type": "string", "writeOnly": true}}}"#;

fn stage() -> Stage {
    Stage::new(&[("a.py", SCRIPT), ("schema.json", SCHEMA)])
}

fn told(stage: &Stage, args: &[&str]) -> Ended {
    let args: Vec<&str> = ["mounts", "a.py", "--schema", "schema.json"].iter().chain(args).copied().collect();
    stage.run(&args)
}

#[test]
fn dockers_form_is_a_line_for_a_shell_and_its_files_are_there() {
    let stage = stage();
    let ended = told(&stage, &["--form", "docker", "--into", "jobs", "--param", "n=3", "--image", "mine:1"]);
    let text = String::from_utf8(ended.stdout.clone()).unwrap();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{text}");
    let name = std::fs::read_dir(stage.path("jobs")).unwrap().next().unwrap().unwrap().file_name();
    let name = name.to_str().unwrap();
    assert!(name.starts_with("a-1-0-0-"), "{name}");
    let scripts = stage.path("jobs").join(name).join("scripts");
    assert!(text.starts_with(&format!("docker run --rm -v {}:/scripts:ro -e ", scripts.display())), "{text}");
    assert!(text.contains(" -e PARAM_N=3 ") && text.contains(" mine:1 "), "{text}");
    assert!(text.ends_with(" /scripts/a.py\n"), "{text}");
    assert_eq!(std::fs::read_to_string(scripts.join("a.py")).unwrap(), SCRIPT);
    assert_eq!(std::fs::read_to_string(scripts.join("args.json")).unwrap(), r#"{"n":3}"#);
    assert_eq!(stage.left(), 0);
}

#[test]
fn no_secret_is_told_or_written() {
    let stage = stage();
    let secret = "correct-horse-battery";
    let given = format!("token={secret}");
    for form in ["docker", "compose", "kubernetes"] {
        for more in [&[][..], &["--json"]] {
            let base = ["--form", form, "--into", "jobs", "--param", "n=3", "--param", &given];
            let ended = told(&stage, &[&base[..], more].concat());
            let text = String::from_utf8_lossy(&ended.stdout).into_owned();
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            assert!(text.contains("PARAM_TOKEN") && !text.contains(secret), "{text}");
        }
    }
    let found = std::process::Command::new("grep").args(["-r", secret]).arg(stage.path("jobs")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    assert_eq!(std::fs::read_dir(stage.path("jobs")).unwrap().count(), 1);
}

#[test]
fn kubernetes_needs_no_folder_and_json_is_one_object() {
    let stage = stage();
    let ended = told(&stage, &["--form", "kubernetes", "--param", "n=3", "--json"]);
    let made: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(made["config_map"]["data"]["a.py"], SCRIPT);
    assert_eq!(made["config_map"]["data"]["args.json"], r#"{"n":3}"#);
    assert_eq!(made["pod"]["spec"]["volumes"][0]["configMap"]["name"], made["config_map"]["metadata"]["name"]);
    let text = String::from_utf8(told(&stage, &["--form", "kubernetes"]).stdout).unwrap();
    assert!(text.contains("\n---\n") && text.contains("  \"a.py\": |\n    import json\n"), "{text}");
}

#[test]
fn bad_input_is_refused_and_nothing_is_written() {
    let stage = stage();
    stage.write("long.sh", format!("#!/bin/bash\n: {}\n", "x".repeat(1 << 20)).as_bytes());
    for (args, expected) in [
        (
            &["a.py", "--schema", "schema.json", "--form", "docker", "--into", "jobs", "--param", "n=x"][..],
            "parameters/n",
        ),
        (&["a.py", "--form", "docker"], "--into"),
        (&["a.py", "--form", "docker", "--into", "jobs/with:colon"], "colon"),
        (&["a.py", "--form", "nomad", "--into", "jobs"], "nomad"),
        (&["missing.py", "--form", "compose", "--into", "jobs"], "missing.py"),
        (&["long.sh", "--form", "kubernetes", "--into", "jobs"], "at most 1048576"),
    ] {
        let ended = stage.run(&[&["mounts"], args].concat());
        assert_eq!((ended.code, ended.stdout.as_slice()), (Some(125), &b""[..]), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{args:?}: {}", ended.stderr);
    }
    assert!(!stage.path("jobs").exists());
}
