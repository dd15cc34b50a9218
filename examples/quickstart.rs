//! What you learn here: keep a Python script with the schema of its parameters, run it in a sandbox, read
//! what it prints while it runs, and what its record says afterwards.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use script_engine::output::{OutputCursor, OutputItem};
use script_engine::{EntryPoint, ExecutionRequest, Identity, Result, ScriptDraft, ScriptName, Shutdown};
use serde_json::json;

const SCRIPT: &str = r#"
import json, os
args = json.load(open("/scripts/args.json"))
for number in range(1, args["rounds"] + 1):
    print(f"hello {args['name']}, round {number}")
    print("@@" + json.dumps({"done": number, "of": args["rounds"]}))
json.dump({"greeted": args["name"]}, open(os.environ["SCRIPT_RESULT"], "w"))
"#;

#[tokio::main]
async fn main() -> Result<()> {
    let engine = script_engine::local(std::env::temp_dir().join("script-engine-examples")).await?.build().await?;
    let schema = json!({
        "properties": { "name": { "type": "string" }, "rounds": { "type": "integer", "maximum": 9, "default": 3 } },
        "required": ["name"],
    });
    let draft = ScriptDraft::new(ScriptName::parse("greet")?, SCRIPT)
        .with_entry_point(EntryPoint::parse("greet.py")?)
        .with_parameter_schema(schema);
    let version = engine.save(&Identity::default(), draft).await?;

    let request = ExecutionRequest::new(version.name.clone()).with_parameter("name", "world");
    let id = engine.submit(request).await?;
    let mut output = engine.output(id, OutputCursor::default()).await?;
    while let Some(item) = output.next().await {
        match item {
            OutputItem::Chunk { bytes, .. } => print!("{}", String::from_utf8_lossy(&bytes)),
            OutputItem::Record { value, .. } => println!("  record {value}"),
            OutputItem::Gap { bytes, .. } => println!("  {bytes} bytes are no longer kept"),
        }
    }

    let record = engine.wait(id).await?;
    println!("{} {} {}: {}", record.begun.script_name, version.number, id, record.state.as_str());
    if let Some(ending) = &record.ending {
        println!("result {}", ending.result.clone().unwrap_or_default());
        for (stage, time) in ending.timings.iter() {
            let bar = "#".repeat(usize::try_from(time.as_millis() / 2).unwrap_or(0).min(60));
            println!("{:>10} {:7.1} ms {bar}", stage.as_str(), time.as_secs_f64() * 1000.0);
        }
    }
    engine.shutdown(Shutdown::Drain).await;
    Ok(())
}
