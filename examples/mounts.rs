//! What you learn here: run a version in a container of your own. The engine says what to mount, for Docker, Compose
//! and Kubernetes; arguments are checked as for an execution, and secrets stay outside.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use script_engine::mounts::MountRequest;
use script_engine::{Error, Identity, LanguageId, Result, ScriptDraft, ScriptName};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<()> {
    let folder = std::env::temp_dir().join("script-engine-examples");
    let engine = script_engine::local(&folder).await?.build().await?;
    let draft = ScriptDraft::new(ScriptName::parse("hook")?, "echo \"deploying $PARAM_VERSION\"\n")
        .with_language(LanguageId::parse("bash")?)
        .with_parameter_schema(json!({"required": ["version"], "properties": {
            "version": {"type": "string"}, "token": {"type": "string", "writeOnly": true},
        }}));
    let version = engine.save(&Identity::default(), draft).await?;

    let request = MountRequest::new(version.name.clone())
        .with_parameter("version", "1.4.2")
        .with_parameter("token", "correct horse battery staple");
    let mounts = engine.mounts(request).await?;

    let into = folder.join("mounts");
    mounts.write(&into).await?;
    let line: Vec<String> = mounts.docker(&into)?.run_arguments();
    println!("docker run {line:?}\n\n{}\n{}", mounts.compose(&into)?.to_yaml(), mounts.kubernetes()?.to_yaml());
    println!("to be given to the container by whoever starts it: {}", mounts.secret_variables().join(", "));
    std::fs::remove_dir_all(&into).map_err(|error| Error::internal(error.to_string()))
}
