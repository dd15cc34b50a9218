//! What you learn here: stop a script from outside. It is asked first, may clean up, and every process of it
//! is gone when the record is final.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use script_engine::output::{OutputCursor, OutputItem};
use script_engine::{ExecutionRequest, Identity, LanguageId, Result, ScriptDraft, ScriptName, Shutdown};

const SCRIPT: &str = r#"
trap 'echo asked to stop, cleaning up; exit 3' TERM
sleep 600 &
echo working
wait
"#;

#[tokio::main]
async fn main() -> Result<()> {
    let engine = script_engine::local(std::env::temp_dir().join("script-engine-examples")).await?.build().await?;
    let draft = ScriptDraft::new(ScriptName::parse("patient")?, SCRIPT).with_language(LanguageId::parse("bash")?);
    let version = engine.save(&Identity::default(), draft).await?;
    let id = engine.submit(ExecutionRequest::new(version.name.clone())).await?;

    let mut output = engine.output(id, OutputCursor::default()).await?;
    let mut cancelled = false;
    while let Some(item) = output.next().await {
        if let OutputItem::Chunk { bytes, .. } = item {
            print!("{}", String::from_utf8_lossy(&bytes));
        }
        if !cancelled {
            // It has printed something, so it runs. The call returns at once; the output goes on to its end.
            engine.cancel(id).await?;
            cancelled = true;
        }
    }

    let record = engine.wait(id).await?;
    println!("{}: {}", record.state.as_str(), record.outcome().and_then(|it| it.explain()).unwrap_or_default());
    engine.shutdown(Shutdown::Cancel).await;
    Ok(())
}
