//! All languages on containers, beside the Linux sandbox: one script gives one record.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::stage::Stage;

const PROGRAMS: [(&str, &str); 6] = [
    ("count.sh", include_str!("../../../tests/polyglot/programs/count.sh")),
    ("count.py", include_str!("../../../tests/polyglot/programs/count.py")),
    ("count.ts", include_str!("../../../tests/polyglot/programs/count.ts")),
    ("count.go", include_str!("../../../tests/polyglot/programs/count.go")),
    ("Count.java", include_str!("../../../tests/polyglot/programs/Count.java")),
    ("count.cs", include_str!("../../../tests/polyglot/programs/count.cs")),
];

/// A script of each language whose index answers here, that prints what its package makes.
const PACKAGED: [(&str, &str, &str); 5] = [
    ("jq.sh", "# apt: jq\ncommand -v jq | grep -o packages\njq -nc '[1,2]'\n", "packages\n[1,2]\n"),
    (
        "idna.py",
        "# /// script\n# dependencies = [\"idna==3.6\"]\n# ///\nimport idna\nprint(idna.__version__, idna.encode('\u{e4}'))\n",
        "3.6 b'xn--4ca'\n",
    ),
    ("zod.ts", "import { z } from 'npm:zod@3.22.0';\nconst n: number = z.number().parse(4);\nconsole.log(n);\n", "4\n"),
    (
        "uuid.go",
        "package main\n\n// go.mod\n// require github.com/google/uuid v1.6.0\n\nimport (\n\t\"fmt\"\n\n\t\"github.com/google/uuid\"\n)\n\nfunc main() { fmt.Println(uuid.Nil) }\n",
        "00000000-0000-0000-0000-000000000000\n",
    ),
    (
        "Gson.java",
        "//DEPS com.google.code.gson:gson:2.13.1\nclass Gson { public static void main(String[] a) { System.out.println(new com.google.gson.Gson().toJson(new int[] {1, 2})); } }\n",
        "[1,2]\n",
    ),
];

pub(crate) fn one_script_gives_one_record_on_both_backends(endpoint: &str) {
    let stage = Stage::new(endpoint, &PROGRAMS);
    std::fs::write(stage.folder.join("words.json"), json!({"words": ["pear", "fig", "pear", "a \"b\""]}).to_string())
        .unwrap();
    let roots = format!("csharp={}", root_of_csharp().display());
    for (file, _) in PROGRAMS {
        let run = ["run", file, "--params", "words.json", "--json"];
        let containers = record(&stage.engine(&run).printed());
        let own = [&run[..], &["--backend", "linux", "--state", "linux", "--root", &roots]].concat();
        let linux = record(&stage.run(env!("CARGO_BIN_EXE_script-engine"), &own).printed());
        assert_eq!(containers["result"], json!({"total": 4, "words": {"a \"b\"": 1, "fig": 1, "pear": 2}}), "{file}");
        assert_eq!(steady(&containers), steady(&linux), "{file}");
        let name = |it: &Value| it["toolchain"].as_str().unwrap().split(' ').next().unwrap().to_owned();
        assert_eq!(name(&containers), name(&linux), "{file}");
        assert_eq!((&containers["executor"], &linux["executor"]), (&json!("docker"), &json!("linux")));
        // Each restriction that is enforced here is there, and nothing is waived.
        let enforced =
            |it: &Value| it["enforcement"]["enforced"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(enforced(&containers), enforced(&linux), "{file}");
        assert_eq!(containers["enforcement"]["waived"], json!({}), "{file}");
    }
}

pub(crate) fn scripts_run_with_packages(endpoint: &str) {
    let files = PACKAGED.map(|(file, text, _)| (file, text));
    let stage = Stage::new(endpoint, &files);
    for (file, _, expect) in PACKAGED {
        if file.ends_with(".java") {
            name_the_maven_repository(&stage);
        }
        assert_eq!(stage.engine(&["run", file]).printed(), expect, "{file}");
    }
}

/// An image of a JDK has no Maven that knows the usual repository, so settings name the one that this machine's knows.
fn name_the_maven_repository(stage: &Stage) {
    let ask = "unzip -p /usr/share/maven/lib/maven-model-builder-*.jar org/apache/maven/model/pom-4.0.0.xml";
    let model = stage.run("sh", &["-c", ask]).printed();
    let url = model.split_once("<url>").and_then(|it| it.1.split_once("</url>")).map(|it| it.0).unwrap();
    let mirror = format!("<mirror><id>usual</id><mirrorOf>central</mirrorOf><url>{url}</url></mirror>");
    std::fs::create_dir_all(stage.folder.join("home/.m2")).unwrap();
    let settings = format!("<settings><mirrors>{mirror}</mirrors></settings>");
    std::fs::write(stage.folder.join("home/.m2/settings.xml"), settings).unwrap();
}

fn record(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// What is the same whatever the backend, the machine and the time.
fn steady(record: &Value) -> Value {
    let mut steady = record.clone();
    let fields = steady.as_object_mut().unwrap();
    // The lock of a Go script, which is part of a version, names the toolchain.
    if record["language"] == "go" {
        fields.remove("version_id");
    }
    for it in [
        "execution_id",
        "script_id",
        "created_at",
        "start_time",
        "completed_at",
        "duration_seconds",
        "cpu_seconds",
        "cpu_percent",
        "memory_mb",
        "timings",
        "toolchain",
        "executor",
        "enforcement",
    ] {
        assert!(fields.remove(it).is_some(), "{it}");
    }
    steady
}

/// Where `cargo xtask setup` puts the root of C#: beside what cargo builds.
fn root_of_csharp() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let root = program.ancestors().nth(3).unwrap().join("runtime-roots/csharp");
    assert!(root.is_dir(), "{} is not there; run `cargo xtask setup`", root.display());
    root
}
