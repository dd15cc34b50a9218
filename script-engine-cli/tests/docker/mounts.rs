//! What `mounts` tells is taken by Docker and by Compose, and the script does there what it does elsewhere.

use crate::stage::Stage;

const PYTHON: &str =
    "import json, os\nprint(json.load(open(os.environ['SCRIPT_ARGS_FILE'])), os.environ['PARAM_TEXT'])\n";
const BASH: &str =
    "echo \"$PARAM_TEXT\"; cat /scripts/args.json; echo x 2>/dev/null >/scripts/new || echo ' read-only'\n";
const GO: &str =
    "package main\n\nimport (\n\t\"fmt\"\n\t\"os\"\n)\n\nfunc main() { fmt.Println(os.Getenv(\"PARAM_TEXT\")) }\n";

/// What a shell and Compose would take for something else.
const TEXT: &str = "a 'b' \"c\" $HOME ${d} `e`\nf: yes";

pub(crate) fn a_container_with_the_binds_runs_the_script(endpoint: &str) {
    let stage = Stage::new(endpoint, &[("a.py", PYTHON), ("b.sh", BASH), ("c.go", GO)]);
    let given = format!("text={TEXT}");
    let json = serde_json::json!({ "text": TEXT }).to_string();
    for (file, image, expected) in [
        (
            "a.py",
            "stella-runtime/python:base",
            format!("{{'text': {}}} {TEXT}\n", r#"'a \'b\' "c" $HOME ${d} `e`\nf: yes'"#),
        ),
        ("b.sh", "stella-runtime/bash:base", format!("{TEXT}\n{json} read-only\n")),
        // What is compiled needs nothing of the image.
        ("c.go", "stella-runtime/bash:base", format!("{TEXT}\n")),
    ] {
        let told = ["mounts", file, "--form", "docker", "--into", "jobs", "--image", image, "--param", &given];
        let line = stage.engine(&told).printed();
        // A user that the host has not, for whom the files have to be readable.
        let line = line.replacen("docker run", "docker run --network none --user 70000:70000", 1);
        let ended = stage.run("sh", &["-c", &line]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), expected.as_str()), "{file}: {line}\n{ended:?}");
    }
}

pub(crate) fn compose_takes_the_fragment(endpoint: &str) {
    let stage = Stage::new(endpoint, &[("a.py", PYTHON)]);
    let given = format!("text={TEXT}");
    let image = "stella-runtime/python:base";
    let told =
        ["mounts", "a.py", "--form", "compose", "--into", "jo$bs", "--image", image, "--param", &given, "--json"];
    let fragment: serde_json::Value = serde_json::from_str(&stage.engine(&told).printed()).unwrap();
    let yaml = stage.engine(&told[..told.len() - 1]).printed();
    std::fs::write(stage.folder.join("compose.yaml"), yaml).unwrap();
    let (name, service) = fragment["services"].as_object().unwrap().iter().next().unwrap();
    // Compose says what it understood in the form that it reads, with `$` twice.
    let understood = stage.run("docker-compose", &["-f", "compose.yaml", "config"]).printed();
    let understood: serde_json::Value = serde_saphyr::from_str(&understood).unwrap();
    let understood = &understood["services"][name];
    assert_eq!(understood["environment"], service["environment"]);
    assert_eq!(understood["command"], service["command"]);
    let places = stage.folder.join("jo$bs").join(name).join("scripts").display().to_string();
    assert_eq!(understood["volumes"][0]["source"], places.replace('$', "$$"));
}
