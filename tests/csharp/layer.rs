//! Scripts with packages: what is compiled against a layer's assemblies, and runs with them.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use script_engine_core::contract::{DependencyLayer, DependencyResolver, PackageTarget, Progress};
use script_engine_core::packages::{Declared, DependencyLock, LayerUse, PackageSummary};
use script_engine_core::{Digest, LanguageId, Result};
use script_engine_languages::CSharp;

use crate::bench::{Bench, end, printed};

/// Has one layer for all locks.
#[derive(Debug)]
struct OneLayer(PathBuf);

#[async_trait]
impl DependencyResolver for OneLayer {
    fn supports(&self, language: &LanguageId) -> bool {
        language.as_str() == "csharp"
    }

    async fn lock(&self, declared: &Declared, _: &PackageTarget, _: &dyn Progress) -> Result<DependencyLock> {
        let names: Vec<String> = declared.packages.iter().map(|it| format!("{} {}", it.name, it.requirement)).collect();
        let files = vec![("packages.txt".to_owned(), names.join("\n").into())];
        DependencyLock::new(LanguageId::parse("csharp")?, "any".to_owned(), Vec::new(), files)
    }

    async fn materialize(
        &self,
        lock: &DependencyLock,
        _: LayerUse,
        _: &PackageTarget,
        _: &dyn Progress,
    ) -> Result<DependencyLayer> {
        let digest = Digest::of(b"layer");
        Ok(DependencyLayer { lock: lock.digest, digest, path: self.0.clone(), hold: Arc::new(()) })
    }

    async fn search(&self, _: &str, _: usize, _: &PackageTarget) -> Result<Vec<PackageSummary>> {
        Ok(Vec::new())
    }
}

/// Compiles a library, in the sandbox, and prints it.
const LIBRARY: &str = r#"
echo 'namespace Greeting { public static class Greeter { public static string Greet(string name) => "hello " + name; } }' >/work/Greeter.cs
cd /usr/share/dotnet
for it in shared/Microsoft.NETCore.App/8.*/*.dll; do echo "-r:$PWD/$it"; done >/work/references
dotnet exec roslyn/csc.dll -nologo -noconfig -nostdlib+ -target:library @/work/references -out:/work/Greeting.dll /work/Greeter.cs >&2
base64 -w0 /work/Greeting.dll
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_s_assemblies_are_compiled_against_and_loaded() {
    let folder = std::env::temp_dir().join(format!("script-engine-csharp-layer-{}", std::process::id()));
    let bench = Bench::with(Arc::new(CSharp::new().unwrap()), Some(Arc::new(OneLayer(folder.clone())))).await;
    let set = |request: script_engine_core::ExecutionRequest| {
        request.with_env("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1").with_env("COMPlus_EnableDiagnostics", "0")
    };
    let library = bench.run("library.sh", LIBRARY, set).await;
    assert_eq!(end(&library), Ok(0), "{:?}", printed(&library));
    std::fs::create_dir_all(folder.join("lib")).unwrap();
    std::fs::write(folder.join("lib/Greeting.dll"), STANDARD.decode(printed(&library).0.trim()).unwrap()).unwrap();

    let source = "#r \"nuget: Greeting, 1.0\"\nusing Greeting;\nConsole.WriteLine(Greeter.Greet(\"packages\"));\n";
    let record = bench.run("main.csx", source, |request| request).await;
    assert_eq!((end(&record), printed(&record)), (Ok(0), ("hello packages\n".to_owned(), String::new())));
    let record =
        bench.run("main.cs", &source.replace("#r \"nuget: Greeting, 1.0\"", "#:package Greeting@1.0"), |it| it).await;
    assert_eq!(end(&record), Ok(0), "{:?}", printed(&record));
    let record = bench.run("main.cs", &source.replace("#r \"nuget: Greeting, 1.0\"", ""), |it| it).await;
    assert!(end(&record).unwrap_err().contains("line 2, column 7: The type or namespace name 'Greeting'"));
    bench.finish().await;
    std::fs::remove_dir_all(folder).unwrap();
}
