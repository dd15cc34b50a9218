//! What you learn here: a host that keeps its scripts in tables of its own. The engine asks it for the version to
//! run and stores no scripts itself; everything else stays as it is.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use script_engine::contract::ScriptRegistry;
use script_engine::script::{Manifest, ScriptVersion};
use script_engine::{
    EntryPoint, Error, ErrorKind, ExecutionRequest, Identity, LanguageId, LimitOverrides, NetworkPolicy, Result,
    ScriptId, ScriptName, Selector, Shutdown, Timestamp,
};

/// The host's own scripts: here a map, elsewhere a table.
#[derive(Debug)]
struct OurScripts {
    versions: BTreeMap<String, Arc<ScriptVersion>>,
}

impl OurScripts {
    fn new(sources: &[(&str, &str, &'static str)]) -> Result<Self> {
        let mut versions = BTreeMap::new();
        for (number, (name, file, source)) in (1_u128..).zip(sources) {
            let entry_point = EntryPoint::parse(file)?;
            let manifest = Manifest {
                language: LanguageId::parse(if entry_point.extension() == Some("py") { "python" } else { "bash" })?,
                entry_point,
                source: Bytes::from_static(source.as_bytes()),
                parameter_schema: None,
                dependencies: Vec::new(),
                lock: None,
                limits: LimitOverrides::default(),
                network: NetworkPolicy::Off,
            };
            let version = ScriptVersion {
                script: ScriptId::from_bits(number),
                name: ScriptName::parse(name)?,
                tenant: Identity::default().tenant,
                id: manifest.id(),
                number: semver::Version::new(1, 0, 0),
                parent: None,
                created_at: Timestamp::from_micros(0),
                author: "the host".to_owned(),
                manifest: Arc::new(manifest),
            };
            versions.insert((*name).to_owned(), Arc::new(version));
        }
        Ok(Self { versions })
    }
}

#[async_trait]
impl ScriptRegistry for OurScripts {
    async fn resolve(&self, identity: &Identity, name: &ScriptName, selector: &Selector) -> Result<Arc<ScriptVersion>> {
        let missing = || Error::new(ErrorKind::NotFound, "no such script").with_context("script", name);
        // Whatever the identity may not see does not exist for it.
        let version = self.versions.get(name.as_str()).filter(|it| it.tenant == identity.tenant).ok_or_else(missing)?;
        match selector {
            Selector::Latest => Ok(Arc::clone(version)),
            _ => Err(Error::invalid("selector", "this host keeps one version of each script; ask for the latest")),
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let scripts = OurScripts::new(&[
        ("sum", "sum.py", "import sys; print(sum(map(int, sys.stdin.read().split())))"),
        ("shout", "shout.sh", "echo \"${PARAM_WORD^^}!\""),
    ])?;
    let state = std::env::temp_dir().join("script-engine-examples");
    let engine = script_engine::local(state).await?.with_registry(Arc::new(scripts)).build().await?;

    let sum = ExecutionRequest::new(ScriptName::parse("sum")?)
        .with_stdin(script_engine::Stdin::Bytes(Bytes::from_static(b"1 2 39")));
    let shout = ExecutionRequest::new(ScriptName::parse("shout")?).with_parameter("word", "hello");
    for request in [sum, shout] {
        let name = request.script.clone();
        let id = engine.submit(request).await?;
        let record = engine.wait(id).await?;
        let printed = record.ending.map(|it| it.output.stdout.bytes).unwrap_or_default();
        println!("{name}: {} {}", record.state.as_str(), String::from_utf8_lossy(&printed).trim_end());
    }
    let unknown = engine.submit(ExecutionRequest::new(ScriptName::parse("unknown")?)).await;
    println!("unknown: {}", unknown.map_or_else(|error| error.to_string(), |id| id.to_string()));
    engine.shutdown(Shutdown::Drain).await;
    Ok(())
}
