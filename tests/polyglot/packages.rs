//! Scripts with packages of their indexes: locked and fetched in build sandboxes, and run without a network, the second
//! time without any of that.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use script_engine_core::contract::{IdSource as _, ScriptExecutor};
use script_engine_core::executor::PooledExecutor;
use script_engine_core::memory::{SystemClock, UuidIds};
use script_engine_core::sandbox::SessionSettings;
use script_engine_core::{
    Engine, EngineBuilder, EntryPoint, Error, ErrorKind, ExecutionRecord, ExecutionRequest, Identity, OwnerId, Result,
    ScriptDraft, ScriptName, ScriptVersion, Shutdown,
};
use script_engine_languages::packages::{
    PackageCounts, PackageSettings, PackageSources, SandboxedResolver, ecosystems,
};
use script_engine_sandbox::{Config, Manager};

use crate::bench::{stdout, story};

/// A folder for packages, which engines share, that is gone when this is.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        // Not below `/tmp`, which in a sandbox is its own.
        let path = PathBuf::from(format!("/var/tmp/script-engine-packages-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// An engine with the packages of a folder.
struct Bench {
    engine: Engine,
    resolver: Arc<SandboxedResolver>,
    state: PathBuf,
}

impl Bench {
    async fn new(folder: &Path, sources: PackageSources) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let state = folder.join(format!("state-{number}"));
        let owner = OwnerId::from_bits(UuidIds.fresh());
        let manager = Manager::open(Config::new(&state), owner).expect("the backend opens");
        let executor =
            Arc::new(PooledExecutor::new(Arc::new(manager), SessionSettings::default()).await.expect("a sandbox"));
        let settings = PackageSettings { sources, ..PackageSettings::new(folder.join("packages")) };
        let steps: Arc<dyn ScriptExecutor> = Arc::<PooledExecutor>::clone(&executor);
        let resolver = Arc::new(SandboxedResolver::new(steps, ecosystems(), Arc::new(SystemClock), settings));
        let builder = Engine::builder(executor)
            .with_owner(owner)
            .with_dependency_resolver(Arc::<SandboxedResolver>::clone(&resolver));
        let builder = script_engine_languages::builtin().into_iter().fold(builder, EngineBuilder::with_language);
        let engine = builder.build().await.expect("the engine is built");
        Self { engine, resolver, state }
    }

    /// An engine that reaches no index.
    async fn cut_off(folder: &Path) -> Self {
        let nowhere =
            PackageSources { http_proxy: Some("http://127.0.0.1:1".to_owned()), ..PackageSources::of_this_machine() };
        Self::new(folder, nowhere).await
    }

    async fn save(&self, file: &str, source: &str) -> Result<Arc<ScriptVersion>> {
        let mut draft = ScriptDraft::new(ScriptName::parse("script")?, Bytes::copy_from_slice(source.as_bytes()));
        draft.entry_point = Some(EntryPoint::parse(file)?);
        self.engine.save(&Identity::default(), draft).await
    }

    async fn run(&self) -> ExecutionRecord {
        let request = ExecutionRequest::new(ScriptName::parse("script").unwrap());
        let id = self.engine.submit(request).await.expect("it is accepted");
        self.engine.wait(id).await.expect("it ends")
    }

    async fn finish(self) {
        let report = self.engine.shutdown(Shutdown::Drain).await;
        assert!(report.errors.is_empty() && report.removed.is_empty(), "{report:?}");
        drop(self.engine);
        std::fs::remove_dir_all(&self.state).unwrap();
    }
}

/// Runs a script twice on an engine, and once more on another that reaches no index.
async fn runs(file: &str, source: &str, expect: &str, package: &str) {
    let folder = Folder::new();
    let bench = Bench::new(&folder.0, PackageSources::of_this_machine()).await;
    let version = bench.save(file, source).await.expect("it is saved");
    let lock = version.manifest.lock.as_ref().expect("it has a lock");
    assert!(lock.packages.iter().any(|it| it.name == package && !it.hashes.is_empty()), "{lock:?}");
    for _ in 0..2 {
        let record = bench.run().await;
        assert_eq!(stdout(&record).trim_end(), expect, "{}", story(&record));
    }
    assert_eq!(bench.resolver.counts(), PackageCounts { locked: 1, built: 1 });
    bench.finish().await;

    let bench = Bench::cut_off(&folder.0).await;
    let again = bench.save(file, source).await.expect("it is saved without an index");
    assert_eq!(again.manifest.lock, version.manifest.lock);
    let record = bench.run().await;
    assert_eq!(stdout(&record).trim_end(), expect, "{}", story(&record));
    assert_eq!(bench.resolver.counts(), PackageCounts::default());
    bench.finish().await;
}

/// What is said of a script that can't be saved.
async fn refusal(bench: &Bench, file: &str, source: &str) -> Error {
    bench.save(file, source).await.expect_err("it can't be locked")
}

#[tokio::test(flavor = "multi_thread")]
async fn python_runs_with_packages_of_its_index() {
    let source = "# /// script\n# dependencies = [\"requests==2.31.0\"]\n# ///\nimport sys, requests\nprint(requests.__version__, requests.__file__, requests.compat.json.__name__)\n";
    runs("main.py", source, "2.31.0 /packages/requests/__init__.py json", "urllib3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_has_the_packages_of_its_lock_and_not_the_machine_s() {
    let plain = "import importlib.util\nprint(importlib.util.find_spec('pip') is None)\n";
    let folder = Folder::new();
    let bench = Bench::new(&folder.0, PackageSources::of_this_machine()).await;
    let locked = format!("# /// script\n# dependencies = [\"idna==3.6\"]\n# ///\n{plain}");
    for (source, expect) in [(plain, "False"), (locked.as_str(), "True")] {
        bench.save("main.py", source).await.expect("it is saved");
        let record = bench.run().await;
        assert_eq!(stdout(&record).trim_end(), expect, "{}", story(&record));
    }
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_may_be_named_like_its_package() {
    let source = "# /// script\n# dependencies = [\"idna==3.6\"]\n# ///\nimport idna\nprint(idna.__version__)\n";
    runs("idna.py", source, "3.6", "idna").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typescript_runs_with_packages_of_its_index() {
    let source = "import { z } from 'npm:zod@3.22.0';\nconst shape = z.object({ n: z.number() });\nconst n: number = shape.parse({ n: 4 }).n;\nconsole.log(n, shape.safeParse({}).success);\n";
    runs("main.ts", source, "4 false", "zod").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bash_runs_with_packages_of_the_system() {
    let source = "# apt: jq\ncommand -v jq\necho '{\"a\":[1,2]}' | jq -c .a\n";
    runs("main.sh", source, "/packages/usr/bin/jq\n[1,2]", "libjq1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_runs_build_one_layer() {
    let folder = Folder::new();
    let bench = Bench::new(&folder.0, PackageSources::of_this_machine()).await;
    bench.save("main.sh", "# apt: jq\njq -n 1\n").await.expect("it is saved");
    let mut under_way = Vec::new();
    for _ in 0..100 {
        let request = ExecutionRequest::new(ScriptName::parse("script").unwrap());
        under_way.push(bench.engine.submit(request).await.expect("it is accepted"));
    }
    for id in under_way {
        let record = bench.engine.wait(id).await.expect("it ends");
        assert_eq!(stdout(&record).trim_end(), "1", "{}", story(&record));
    }
    assert_eq!(bench.resolver.counts(), PackageCounts { locked: 1, built: 1 });
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_t_be_locked_is_one_line_with_the_package_and_the_reason() {
    let folder = Folder::new();
    let bench = Bench::new(&folder.0, PackageSources::of_this_machine()).await;
    for (file, source, expect) in [
        (
            "a.py",
            "# /// script\n# dependencies = ['requests==99']\n# ///\n",
            "dependencies: requests: no version meets `requests==99`",
        ),
        (
            "a.py",
            "# /// script\n# requires-python = '>=3.99'\n# ///\n",
            "source: line 2, column 21: it needs Python >=3.99",
        ),
        (
            "a.ts",
            "import 'npm:no-such-package-of-the-script-engine';",
            "dependencies: no-such-package-of-the-script-engine",
        ),
        (
            "a.sh",
            "# apt: no-such-package-of-the-script-engine\ntrue\n",
            "dependencies: no-such-package-of-the-script-engine: the system's index",
        ),
    ] {
        let error = refusal(&bench, file, source).await;
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
        assert!(error.to_string().starts_with(expect) && error.to_string().lines().count() == 1, "{error}");
    }
    bench.finish().await;
    let bench = Bench::cut_off(&folder.0).await;
    for (file, source) in [
        ("a.py", "# /// script\n# dependencies = ['idna']\n# ///\n"),
        ("a.ts", "import 'npm:ms@2.1.3';"),
        ("a.sh", "# apt: jq\ntrue\n"),
    ] {
        let error = refusal(&bench, file, source).await;
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    bench.finish().await;
}
