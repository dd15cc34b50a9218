//! What you learn here: the least code that runs a script and looks at what came of it.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use script_engine::{ExecutionRequest, Identity, LanguageId, Result, ScriptDraft, ScriptName};

#[tokio::main]
async fn main() -> Result<()> {
    let engine = script_engine::local(std::env::temp_dir().join("script-engine-examples")).await?.build().await?;
    let draft = ScriptDraft::new(ScriptName::parse("hello")?, "echo hello from a sandbox; id -u")
        .with_language(LanguageId::parse("bash")?);
    let version = engine.save(&Identity::default(), draft).await?;
    let id = engine.submit(ExecutionRequest::new(version.name.clone())).await?;
    let record = engine.wait(id).await?;
    println!("{}", record.state.as_str());
    if let Some(ending) = &record.ending {
        print!("{}", String::from_utf8_lossy(&ending.output.stdout.bytes));
        if let Some(why) = ending.outcome.explain() {
            println!("{why}");
        }
    }
    Ok(())
}
