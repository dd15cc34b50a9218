//! Measures several ways of doing one thing by turns, so that whatever else the machine does falls on
//! all of them alike. Figures are medians; compare their ratios, not the times.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::expect_used, reason = "a bench that can't run has nothing to say")]

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use script_engine::languages::packages::{self, PackageSettings, PackageSources};
use script_engine::memory::MemoryOutput;
use script_engine::sandbox_linux::Config;
use script_engine::{Engine, EntryPoint, ExecutionRecord, ExecutionRequest, Identity, ScriptDraft, ScriptName};

/// One way of doing the thing: a name and a function that does it once.
pub struct Way<'a> {
    name: &'static str,
    /// Does it, and says how long it took.
    once: Box<dyn FnMut() -> Pin<Box<dyn Future<Output = Duration> + 'a>> + 'a>,
}

impl std::fmt::Debug for Way<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl<'a> Way<'a> {
    /// Names a way, all of which is measured.
    pub fn new<F: Future<Output = ()> + 'a>(name: &'static str, mut once: impl FnMut() -> F + 'a) -> Self {
        let timed = |it: F| async move {
            let begin = Instant::now();
            it.await;
            begin.elapsed()
        };
        Self { name, once: Box::new(move || Box::pin(timed(once()))) }
    }

    /// Names a way that measures itself: what was made ready before and is cleared up afterwards does not count.
    pub fn timed<F: Future<Output = Duration> + 'a>(name: &'static str, mut once: impl FnMut() -> F + 'a) -> Self {
        Self { name, once: Box::new(move || Box::pin(once())) }
    }
}

/// Does each way once unmeasured and then `rounds` times by turns, and prints the median, the 95th
/// percentile, and the ratio of each median to the first one's.
pub async fn compare(title: &str, rounds: usize, mut ways: Vec<Way<'_>>) {
    let mut times: Vec<Vec<Duration>> = vec![Vec::with_capacity(rounds); ways.len()];
    for way in &mut ways {
        (way.once)().await;
    }
    for _ in 0..rounds {
        for (way, times) in ways.iter_mut().zip(&mut times) {
            times.push((way.once)().await);
        }
    }
    println!("{title} ({rounds} rounds by turns)");
    let mut base = None;
    for (way, times) in ways.iter().zip(&mut times) {
        times.sort();
        let median = times[times.len() / 2];
        let base = *base.get_or_insert(median);
        println!(
            "  {:<38} median {:9.3} ms   p95 {:9.3} ms   ratio {:.2}",
            way.name,
            median.as_secs_f64() * 1e3,
            times[times.len() * 95 / 100].as_secs_f64() * 1e3,
            median.as_secs_f64() / base.as_secs_f64()
        );
    }
}

/// An engine like [`engine`]'s whose packages come from where this machine's own tools get them, with settings changed by
/// `set`. C# has the root that `cargo xtask setup` makes beside what cargo builds.
pub async fn engine_with_packages(state: &Path, set: impl FnOnce(&mut PackageSettings)) -> Engine {
    let sources = PackageSources::of_this_machine();
    let folder = packages::folder_below(state);
    let mut packages = PackageSettings { sources, ..PackageSettings::new(folder) };
    set(&mut packages);
    let program = std::env::current_exe().expect("a program");
    let roots = program.ancestors().nth(3).expect("a target folder").join("runtime-roots");
    assert!(roots.join("csharp").is_dir(), "{} has no root for C#; run `cargo xtask setup`", roots.display());
    let builder =
        script_engine::local_with(Config::new(state).with_roots_in(&roots), packages).await.expect("a sandbox");
    builder.with_output_store(Arc::new(MemoryOutput::new(0, 0))).build().await.expect("an engine")
}

/// An engine on the Linux sandbox with its state in a folder for temporary files. It forgets the output
/// of an execution when that is over, so that its memory is that of one execution.
pub async fn engine() -> Engine {
    let state = std::env::temp_dir().join(format!("script-engine-bench-{}", std::process::id()));
    let builder = script_engine::local(state).await.expect("a sandbox");
    builder.with_output_store(Arc::new(MemoryOutput::new(0, 0))).build().await.expect("an engine")
}

/// Saves a script under its file name.
pub async fn save(engine: &Engine, file: &str, source: &str) -> ScriptName {
    save_as(engine, &file.to_lowercase().replace('.', "-"), file, source).await
}

/// Saves a script in a file under a name of its own.
pub async fn save_as(engine: &Engine, name: &str, file: &str, source: &str) -> ScriptName {
    let name = ScriptName::parse(name).expect("a name");
    let draft =
        ScriptDraft::new(name.clone(), source.to_owned()).with_entry_point(EntryPoint::parse(file).expect("a path"));
    engine.save(&Identity::default(), draft).await.expect("a sound script");
    name
}

/// Runs a script to its end, which must be good.
pub async fn run(engine: &Engine, name: &ScriptName) -> ExecutionRecord {
    let id = engine.submit(ExecutionRequest::new(name.clone())).await.expect("accepted");
    let record = engine.wait(id).await.expect("a record");
    assert_eq!(record.outcome().map(script_engine::Outcome::class), Some("succeeded"), "{record:?}");
    record
}

/// The most memory this program has held at once, in bytes (`VmHWM`).
#[must_use]
pub fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find(|it| it.starts_with("VmHWM:")).expect("VmHWM");
    line.split_whitespace().nth(1).and_then(|it| it.parse::<u64>().ok()).expect("a number") << 10
}
