//! What compiling and fetching cost the first time, and what is left of that the second: for each compiled
//! language a new source against a known one, for packages a run with them against one without, a new
//! layer against one in place; and whether a hundred locks of one wish are one.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::expect_used, reason = "a bench that can't run has nothing to say")]

use std::cell::Cell;
use std::path::Path;

use script_engine::{Engine, EntryPoint, Identity, ScriptDraft, ScriptName, Shutdown};
use script_engine_benches::{Way, compare, engine_with_packages, run, save};

const PLAIN: &str = "print('hello')\n";
const PACKAGED: &str = "# /// script\n# dependencies = [\"idna\"]\n# ///\nprint('hello')\n";

const LANGUAGES: [(&str, &str, &str, usize); 3] = [
    ("typescript", "main.ts", "enum E { A = 'a' }\nconst e: E = E.A;\nconsole.log(e);\n// ", 30),
    ("go", "main.go", "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(1) }\n\n// ", 7),
    ("java", "Main.java", "class Main { public static void main(String[] a) { System.out.println(1); } }\n// ", 7),
];

#[tokio::main]
async fn main() {
    // Below a folder that every user may enter: sandboxes read packages in it.
    let state = std::path::PathBuf::from(format!("/var/tmp/script-engine-bench-{}", std::process::id()));
    let engine = engine_with_packages(&state, false).await;
    for (language, file, source, rounds) in LANGUAGES {
        compiled(&engine, language, file, source, rounds).await;
    }
    packaged(&engine).await;
    engine.shutdown(Shutdown::Drain).await;
    layers(&state).await;
    locks(&state).await;
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
async fn packaged(engine: &Engine) {
    let (plain, packaged) = (save(engine, "plain.py", PLAIN).await, save(engine, "packaged.py", PACKAGED).await);
    let (plain, packaged) = (&plain, &packaged);
    compare(
        "python: print",
        100,
        vec![
            Way::new("without packages", || async move { drop(run(engine, plain).await) }),
            Way::new("with a layer that is in place", || async move { drop(run(engine, packaged).await) }),
        ],
    )
    .await;
}

/// A layer that is there, and one that is fetched: the folder of layers is emptied before each.
async fn layers(state: &Path) {
    let engine = engine_with_packages(state, false).await;
    let name = save(&engine, "packaged.py", PACKAGED).await;
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

/// A hundred locks, each decided anew, of packages in one order and in the other.
async fn locks(state: &Path) {
    let engine = engine_with_packages(state, true).await;
    let draft = |dependencies: &str| {
        let source = format!("# /// script\n# dependencies = [{dependencies}]\n# ///\nprint(1)\n");
        ScriptDraft::new(ScriptName::parse("locked").expect("a name"), source)
            .with_entry_point(EntryPoint::parse("locked.py").expect("a path"))
    };
    let drafts = [draft("\"idna\", \"six\""), draft("\"six\", \"idna\"")];
    let mut found = Vec::new();
    for number in 0..100 {
        let lock = engine.lock(&Identity::default(), &drafts[number % 2]).await.expect("a lock");
        found.push(lock.expect("packages").digest);
    }
    found.sort();
    found.dedup();
    println!("python: 100 locks of two packages in two orders are {} lock(s)", found.len());
    engine.shutdown(Shutdown::Drain).await;
}
