//! Scripts with packages of a feed that the tests serve: decided, fetched, compiled against and run with.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use script_engine_core::contract::{IdSource as _, ScriptExecutor};
use script_engine_core::executor::PooledExecutor;
use script_engine_core::memory::{SystemClock, UuidIds};
use script_engine_core::sandbox::SessionSettings;
use script_engine_core::{
    Engine, EntryPoint, Error, ErrorKind, ExecutionRecord, ExecutionRequest, Identity, LanguageId, OwnerId,
    ScriptDependency, ScriptDraft, ScriptName, Shutdown,
};
use script_engine_languages::CSharp;
use script_engine_languages::packages::{
    IndexSource, NuGetPackages, PackageCounts, PackageSettings, PackageSources, SandboxedResolver,
};
use script_engine_sandbox::{Config, Manager, Root};

use crate::bench::{Bench, end, printed, root};
use crate::feed::{Feed, Package};

/// Compiles a library, in the sandbox, and prints it.
const LIBRARY: &str = r#"
echo 'namespace Greeting { public static class Greeter { public static string Greet(string name) => "hello " + name; } }' >/work/Greeter.cs
cd /usr/share/dotnet
for it in shared/Microsoft.NETCore.App/8.*/*.dll; do echo "-r:$PWD/$it"; done >/work/references
dotnet exec roslyn/csc.dll -nologo -noconfig -nostdlib+ -target:library @/work/references -out:/work/Greeting.dll /work/Greeter.cs >&2
base64 -w0 /work/Greeting.dll
"#;

async fn library() -> Vec<u8> {
    let bench = Bench::new().await;
    let set = |request: ExecutionRequest| {
        request.with_env("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1").with_env("COMPlus_EnableDiagnostics", "0")
    };
    let record = bench.run("library.sh", LIBRARY, set).await;
    assert_eq!(end(&record), Ok(0), "{:?}", printed(&record));
    let library = STANDARD.decode(printed(&record).0.trim()).unwrap();
    bench.finish().await;
    library
}

/// An engine whose C# gets packages of a feed.
struct Shop {
    engine: Engine,
    resolver: Arc<SandboxedResolver>,
}

impl Shop {
    async fn new(folder: &Path, feed: &str) -> Self {
        let owner = OwnerId::from_bits(UuidIds.fresh());
        let mut config = Config::new(folder.join("state"));
        config.spare_launchers = 0;
        config.roots.insert("csharp".to_owned(), Root::Folder(root()));
        let manager = Arc::new(Manager::open(config, owner).unwrap());
        let executor: Arc<dyn ScriptExecutor> =
            Arc::new(PooledExecutor::new(manager, SessionSettings::default()).await.unwrap());
        let sources = PackageSources {
            nuget_source: IndexSource { url: Some(feed.to_owned()), ..IndexSource::default() },
            ..PackageSources::default()
        };
        let settings = PackageSettings { sources, ..PackageSettings::new(folder.join("packages")) };
        let nuget = Arc::new(NuGetPackages::new().unwrap());
        let resolver = SandboxedResolver::new(Arc::clone(&executor), vec![nuget], Arc::new(SystemClock), settings);
        let resolver = Arc::new(resolver);
        let engine = Engine::builder(executor)
            .with_owner(owner)
            .with_language(Arc::new(CSharp::new().unwrap()))
            .with_dependency_resolver(Arc::<SandboxedResolver>::clone(&resolver))
            .build()
            .await
            .unwrap();
        Self { engine, resolver }
    }

    /// Saves a script; gives its name, and what its lock has.
    async fn save(&self, source: &str, beside: &[ScriptDependency]) -> Result<(ScriptName, Vec<String>), Error> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = ScriptName::parse(&format!("script-{}", NUMBER.fetch_add(1, Ordering::Relaxed))).unwrap();
        let mut draft = ScriptDraft::new(name.clone(), source.as_bytes().to_vec())
            .with_entry_point(EntryPoint::parse("main.cs").unwrap());
        draft.dependencies = beside.to_vec();
        let version = self.engine.save(&Identity::default(), draft).await?;
        let packages = version.manifest.lock.iter().flat_map(|it| &it.packages);
        Ok((name, packages.map(|it| format!("{} {}", it.name, it.version)).collect()))
    }

    async fn run(&self, name: &ScriptName) -> ExecutionRecord {
        let id = self.engine.submit(ExecutionRequest::new(name.clone())).await.unwrap();
        self.engine.wait(id).await.unwrap()
    }

    async fn finish(self) {
        let report = self.engine.shutdown(Shutdown::Drain).await;
        assert!(report.errors.is_empty() && report.removed.is_empty(), "{report:?}");
    }
}

fn folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("script-engine-nuget-{name}-{}", std::process::id()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_runs_with_a_package_and_again_without_the_feed() {
    let (folder, library) = (folder("twice"), library().await);
    let feed = Feed::start();
    feed.offer(
        Package::new("Greeting", "1.2.0")
            .needing("netstandard2.0", "Words", "1.0.0")
            .file("lib/netstandard2.0/Greeting.dll", &library)
            .file("lib/net48/Greeting.dll", b"for another framework")
            .file("build/Greeting.targets", b"<Project><Target Name=\"evil\" /></Project>")
            .file("tools/init.ps1", b"evil"),
    );
    feed.offer(Package::new("Words", "1.0.0"));
    feed.offer(Package::new("Words", "2.0.0"));
    let address = feed.index();
    let source = "#:package Greeting@1.0\nusing Greeting;\nSystem.Console.WriteLine(Greeter.Greet(\"packages\"));\n";
    for served in [true, false] {
        let shop = Shop::new(&folder, &address).await;
        let (name, packages) = shop.save(source, &[]).await.unwrap();
        assert_eq!(packages, ["Greeting 1.2.0", "Words 1.0.0"]);
        let record = shop.run(&name).await;
        assert_eq!((end(&record), printed(&record)), (Ok(0), ("hello packages\n".to_owned(), String::new())));
        let work = u64::from(served);
        assert_eq!(shop.resolver.counts(), PackageCounts { locked: work, built: work });
        if served {
            let csharp = LanguageId::parse("csharp").unwrap();
            let found = shop.engine.search_packages(&csharp, "greet", 5).await.unwrap();
            assert_eq!(found.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["Greeting"]);
            feed.close();
        }
        shop.finish().await;
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_resolver_decides_and_what_it_complains_of() {
    let folder = folder("rules");
    let feed = Feed::start();
    for version in ["1.0.0", "1.5.0", "2.0.0", "3.0.0-beta.1"] {
        feed.offer(Package::new("Core", version));
    }
    feed.offer(Package::new("Core", "2.5.0").taken_back());
    feed.offer(Package::new("A", "1.0.0").needing("netstandard2.0", "Core", "1.5.0"));
    feed.offer(Package::new("B", "1.0.0").needing("netstandard2.0", "Core", "[1.0.0]"));
    feed.offer(Package::new("C", "1.0.0").needing("netstandard2.0", "Absent", "1.0.0"));
    feed.offer(Package::new("Round", "1.0.0").needing("netstandard2.0", "About", "1.0.0"));
    feed.offer(Package::new("About", "1.0.0").needing("netstandard2.0", "Round", "1.0.0"));
    feed.offer(Package::new("Old", "1.0.0").needing("net48", "Absent", "1.0.0").needing(
        "netstandard1.0",
        "Core",
        "1.0.0",
    ));
    let shop = Shop::new(&folder, &feed.index()).await;
    let decided = async |declared: &[(&str, &str)]| {
        let beside: Vec<_> = declared.iter().map(|it| ScriptDependency::runtime(it.0, it.1)).collect();
        shop.save("System.Console.WriteLine(1);", &beside).await.map(|it| it.1)
    };
    for (declared, expect) in [
        (&[("Core", "1.0")][..], &["Core 1.0.0"][..]),
        (&[("Core", "1.1")], &["Core 1.5.0"]),
        (&[("core", "")], &["Core 2.0.0"]),
        (&[("Core", "1.*")], &["Core 1.5.0"]),
        (&[("Core", "[2.1,)")], &["Core 2.5.0"]),
        (&[("Core", "3.0.0-beta.1")], &["Core 3.0.0-beta.1"]),
        (&[("A", "1.0")], &["A 1.0.0", "Core 1.5.0"]),
        (&[("A", "1.0"), ("Core", "2.0")], &["A 1.0.0", "Core 2.0.0"]),
        (&[("Round", "1.0")], &["About 1.0.0", "Round 1.0.0"]),
        (&[("Old", "1.0")], &["Core 1.0.0", "Old 1.0.0"]),
    ] {
        assert_eq!(decided(declared).await.unwrap(), expect, "{declared:?}");
    }
    for (declared, expect) in [
        (&[("Nobody", "1.0")][..], "dependencies: Nobody: no such package in the feed"),
        (&[("Core", "9.0")], "dependencies: Core 9.0: no such version in the feed; the newest is 2.5.0"),
        (&[("C", "1.0")], "dependencies: Absent: no such package in the feed (needed by C 1.0.0)"),
        (
            &[("A", "1.0"), ("B", "1.0")],
            "dependencies: Core: no version will do for all: A 1.0.0 needs 1.5.0, B 1.0.0 needs [1.0.0]",
        ),
        (
            &[("A", "1.0"), ("Core", "1.0")],
            "dependencies: Core 1.0.0: A 1.0.0 needs Core 1.5.0; ask for such a version",
        ),
        (
            &[("Core", "^1")],
            "dependencies: Core ^1: not a version or range of NuGet; give one such as 1.2.3, [1.0,2.0) or 1.*",
        ),
    ] {
        assert_eq!(decided(declared).await.unwrap_err().to_string(), expect);
    }
    feed.close();
    let error = decided(&[("Core", "1.2")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().starts_with("the NuGet feed can't be reached: "), "{error}");
    shop.finish().await;
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_the_same_wherever_it_is_decided_and_in_whatever_order() {
    let feed = Feed::start();
    feed.offer(Package::new("Words", "1.0.0"));
    feed.offer(Package::new("A", "1.0.0").needing("netstandard2.0", "Words", "1.0.0"));
    feed.offer(Package::new("B", "1.0.0").needing("netstandard2.0", "Words", "1.0.0"));
    let mut beside = [ScriptDependency::runtime("A", "1.0"), ScriptDependency::runtime("B", "1.0")];
    let mut locks = Vec::new();
    for number in 0..3 {
        let folder = folder(&format!("lock-{number}"));
        let shop = Shop::new(&folder, &feed.index()).await;
        let mut draft = ScriptDraft::new(ScriptName::parse("locked").unwrap(), "System.Console.WriteLine(1);")
            .with_entry_point(EntryPoint::parse("main.cs").unwrap());
        draft.dependencies = beside.to_vec();
        locks.push(shop.engine.lock(&Identity::default(), &draft).await.unwrap().unwrap());
        beside.reverse();
        shop.finish().await;
        std::fs::remove_dir_all(folder).unwrap();
    }
    assert_eq!(locks[0].packages.len(), 3);
    assert!(locks.iter().all(|it| *it == locks[0]), "{locks:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_that_was_changed_is_refused() {
    let folder = folder("changed");
    let feed = Feed::start();
    feed.offer(Package::new("Words", "1.0.0").file("lib/netstandard2.0/Words.dll", b"first"));
    let shop = Shop::new(&folder, &feed.index()).await;
    let (name, _) = shop.save("#:package Words@1.0\nSystem.Console.WriteLine(1);", &[]).await.unwrap();
    feed.offer(Package::new("Words", "1.0.0").file("lib/netstandard2.0/Words.dll", b"second"));
    let record = shop.run(&name).await;
    let expect = "Words 1.0.0: checksum mismatch: the feed serves something else than before";
    assert!(format!("{:?}", record.ending).contains(expect), "{record:?}");
    shop.finish().await;
    std::fs::remove_dir_all(folder).unwrap();
}
