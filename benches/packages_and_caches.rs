//! What compiling and fetching cost the first time, and what is left of that the second: for each compiled
//! language a new source against a known one, for packages a run with them against one without, a new
//! layer against one in place; what Java gains by an archive of its packages' classes; and for each language
//! whether a hundred locks of one wish are one. Languages can be named, and `class-data`:
//! `cargo bench -p script-engine-benches --bench packages_and_caches -- python go`.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::expect_used, reason = "a bench that can't run has nothing to say")]

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::Path;

use script_engine::{Engine, EntryPoint, Identity, ScriptDependency, ScriptDraft, ScriptName, Shutdown};
use script_engine_benches::{Way, compare, engine_with_packages, run, save, save_as};

/// A source that its compiler takes some time for, up to a comment that makes each one new.
const COMPILED: [(&str, &str, &str, usize); 4] = [
    ("typescript", "main.ts", "enum E { A = 'a' }\nconst e: E = E.A;\nconsole.log(e);\n// ", 30),
    ("go", "main.go", "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(1) }\n\n// ", 7),
    ("java", "Main.java", "class Main { public static void main(String[] a) { System.out.println(1); } }\n// ", 7),
    ("csharp", "main.cs", "class P { static void Main() { System.Console.WriteLine(1); } }\n// ", 7),
];

/// The same job without packages and with one. The index of C# is one that tests serve themselves, so its
/// packages are not among these.
const PACKAGED: [(&str, &str, &str, &str, usize); 5] = [
    ("bash", "main.sh", "echo '[1,2]'\n", "# apt: jq\necho '[1,2]'\n", 100),
    ("python", "main.py", "print('hello')\n", PYTHON, 100),
    ("typescript", "main.ts", "console.log('hello');\n", "// npm: zod@3.22.0\nconsole.log('hello');\n", 60),
    ("go", "main.go", GO_PLAIN, GO, 60),
    ("java", "Main.java", JAVA_PLAIN, JAVA, 30),
];
const PYTHON: &str = "# /// script\n# dependencies = [\"rich==13.7.1\"]\n# ///\nprint('hello')\n";
const GO_PLAIN: &str = "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(\"hello\") }\n";
const GO: &str = "package main\n\n// go.mod\n// require github.com/google/uuid v1.6.0\n\nimport (\n\t\"fmt\"\n\n\t\"github.com/google/uuid\"\n)\n\nfunc main() { fmt.Println(\"hello\", uuid.Nil) }\n";
const JAVA_PLAIN: &str = "class Main { public static void main(String[] a) { System.out.println(\"hello\"); } }\n";
const JAVA: &str = "//DEPS com.google.code.gson:gson:2.13.1\nclass Main { public static void main(String[] a) { System.out.println(\"hello\"); } }\n";

const GSON: &str = "//DEPS com.google.code.gson:gson:2.13.1
class Main {
    public static void main(String[] a) {
        System.out.println(new com.google.gson.Gson().toJson(java.util.Map.of(1, java.util.List.of(2))));
    }
}
";
const JACKSON: &str = "//DEPS com.fasterxml.jackson.core:jackson-databind:2.17.2
class Main {
    public static void main(String[] a) throws Exception {
        var json = new com.fasterxml.jackson.databind.ObjectMapper();
        System.out.println(json.readTree(json.writeValueAsString(java.util.Map.of(1, java.util.List.of(2)))));
    }
}
";

/// A script and two packages.
type Locked = (&'static str, &'static str, &'static str, [(&'static str, &'static str); 2]);

const LOCKED: [Locked; 5] = [
    ("bash", "main.sh", "true\n", [("jq", ""), ("bc", "")]),
    ("python", "main.py", "print(1)\n", [("rich", ""), ("six", "")]),
    ("typescript", "main.ts", "console.log(1)\n", [("zod", "^3"), ("semver", "^7")]),
    ("go", "main.go", GO, [("github.com/google/uuid", "v1.6.0"), ("github.com/pkg/errors", "v0.9.1")]),
    ("java", "Main.java", JAVA_PLAIN, [("com.google.code.gson:gson", "2.13.1"), ("org.slf4j:slf4j-simple", "2.0.9")]),
];

#[tokio::main]
async fn main() {
    // Below a folder that every user may enter: sandboxes read packages in it.
    let state = std::path::PathBuf::from(format!("/var/tmp/script-engine-bench-{}", std::process::id()));
    let engine = engine_with_packages(&state, |_| {}).await;
    let named: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with("--")).collect();
    let wanted = |language: &str| named.is_empty() || named.iter().any(|it| it == language);
    for (language, file, source, rounds) in COMPILED.into_iter().filter(|it| wanted(it.0)) {
        compiled(&engine, language, file, source, rounds).await;
    }
    for (language, file, plain, source, rounds) in PACKAGED.into_iter().filter(|it| wanted(it.0)) {
        packaged(&engine, language, file, [plain, source], rounds).await;
    }
    engine.shutdown(Shutdown::Drain).await;
    if wanted("python") {
        layers(&state).await;
    }
    if wanted("class-data") {
        class_data(&state).await;
    }
    locks(&state, wanted).await;
    std::fs::remove_dir_all(&state).expect("the state can be removed");
}

/// A source that was never seen against one that was: both are saved and run.
async fn compiled(engine: &Engine, language: &'static str, file: &str, source: &str, rounds: usize) {
    let number = Cell::new(0_u32);
    let next = || {
        number.set(number.get() + 1);
        format!("{source}{}\n", number.get())
    };
    let known = format!("{source}known\n");
    let once = async |text: String| {
        let name = save(engine, file, &text).await;
        drop(run(engine, &name).await);
    };
    let once = &once;
    compare(
        &format!("{language}: save and run"),
        rounds,
        vec![Way::new("compiled before", || once(known.clone())), Way::new("never seen", || once(next()))],
    )
    .await;
}

/// The same job, with packages in place and without any.
async fn packaged(engine: &Engine, language: &str, file: &str, sources: [&str; 2], rounds: usize) {
    let [plain, packaged] = &[
        save_as(engine, &format!("{language}-plain"), file, sources[0]).await,
        save_as(engine, &format!("{language}-packaged"), file, sources[1]).await,
    ];
    compare(
        &format!("{language}: run"),
        rounds,
        vec![
            Way::new("without packages", || async move { drop(run(engine, plain).await) }),
            Way::new("with a layer that is in place", || async move { drop(run(engine, packaged).await) }),
        ],
    )
    .await;
}

/// A layer that is there, and one that is fetched: the folder of layers is emptied before each.
async fn layers(state: &Path) {
    let engine = engine_with_packages(state, |_| {}).await;
    let name = save(&engine, "packaged.py", PYTHON).await;
    let (engine, name) = (&engine, &name);
    let empty = || {
        let layers = state.join("packages/layers");
        for entry in std::fs::read_dir(&layers).expect("the folder of layers").flatten() {
            if entry.path().is_dir() {
                std::fs::remove_dir_all(entry.path()).expect("a layer can be removed");
            }
        }
    };
    compare(
        "python: a layer",
        7,
        vec![
            Way::new("in place", || async move { drop(run(engine, name).await) }),
            Way::new("fetched and built", || {
                empty();
                async move { drop(run(engine, name).await) }
            }),
        ],
    )
    .await;
    engine.shutdown(Shutdown::Drain).await;
}

/// A package whose classes are mapped from an archive in its layer, and one whose classes are read.
async fn class_data(state: &Path) {
    let mapped = engine_with_packages(state, |_| {}).await;
    let read = engine_with_packages(state, |it| it.finished_in_place = false).await;
    for (package, source) in [("gson", GSON), ("jackson", JACKSON)] {
        let [mapped, read] =
            &[(&mapped, save(&mapped, "Main.java", source).await), (&read, save(&read, "Main.java", source).await)];
        compare(
            &format!("java: run with {package}"),
            30,
            vec![
                Way::new("its classes are read", || async move { drop(run(read.0, &read.1).await) }),
                Way::new("its classes are mapped", || async move { drop(run(mapped.0, &mapped.1).await) }),
            ],
        )
        .await;
    }
    mapped.shutdown(Shutdown::Drain).await;
    read.shutdown(Shutdown::Drain).await;
}

/// A hundred locks for each language, each decided anew, of packages in one order and in the other.
async fn locks(state: &Path, wanted: impl Fn(&str) -> bool) {
    let engine = engine_with_packages(state, |it| it.upgrade = true).await;
    for (language, file, source, declared) in LOCKED.into_iter().filter(|it| wanted(it.0)) {
        let mut draft = ScriptDraft::new(ScriptName::parse("locked").expect("a name"), source)
            .with_entry_point(EntryPoint::parse(file).expect("a path"));
        draft.dependencies = declared.map(|it| ScriptDependency::runtime(it.0, it.1)).to_vec();
        let mut found = BTreeSet::new();
        for _ in 0..100 {
            let lock = engine.lock(&Identity::default(), &draft).await.expect("a lock");
            found.insert(lock.expect("packages").digest);
            draft.dependencies.reverse();
        }
        println!("{language}: 100 locks of two packages in two orders are {} lock(s)", found.len());
    }
    engine.shutdown(Shutdown::Drain).await;
}
