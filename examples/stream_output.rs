//! What you learn here: several readers of one execution's output. One that comes late gets what it missed
//! and then what comes, with no gap and no duplicate; one that stops goes on later where it was.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use bytes::Bytes;
use script_engine::contract::OutputReader;
use script_engine::output::{OutputCursor, OutputItem};
use script_engine::{ExecutionRequest, Identity, LanguageId, Result, ScriptDraft, ScriptName, Shutdown, Stdin};

const SCRIPT: &str = r#"
echo first, to stdout
echo second, to stderr >&2
read -r line
echo "then it read: $line"
"#;

#[tokio::main]
async fn main() -> Result<()> {
    let engine = script_engine::local(std::env::temp_dir().join("script-engine-examples")).await?.build().await?;
    let draft = ScriptDraft::new(ScriptName::parse("talkative")?, SCRIPT).with_language(LanguageId::parse("bash")?);
    let version = engine.save(&Identity::default(), draft).await?;
    let request = ExecutionRequest::new(version.name.clone()).with_stdin(Stdin::Open);
    let id = engine.submit(request).await?;

    // An early reader, which stops after the first piece. Where it was is a value, with a text form.
    let mut early = engine.output(id, OutputCursor::default()).await?;
    let mut place = OutputCursor::default();
    if let Some(item) = early.next().await {
        show("early", &item);
        place = after(&item, place);
    }
    drop(early);
    println!("the early reader stops at {place}");

    // The script waits for this line, so whatever is read now was printed before or comes after.
    engine.write_stdin(id, Bytes::from_static(b"a line from the host\n")).await?;
    engine.close_stdin(id).await?;

    read_all("again", engine.output(id, place).await?).await;
    engine.wait(id).await?;
    // The execution is over; its output is kept.
    read_all("late", engine.output(id, OutputCursor::default()).await?).await;
    engine.shutdown(Shutdown::Drain).await;
    Ok(())
}

async fn read_all(reader: &str, mut output: Box<dyn OutputReader>) {
    while let Some(item) = output.next().await {
        show(reader, &item);
    }
}

/// The position of a reader that was at `place` and got `item`.
fn after(item: &OutputItem, place: OutputCursor) -> OutputCursor {
    use script_engine::contract::OutputStream::{Stderr, Stdout};
    let length = |bytes: &Bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    match item {
        OutputItem::Chunk { stream: Stdout, offset, bytes, .. } => {
            OutputCursor { stdout: offset + length(bytes), ..place }
        }
        OutputItem::Chunk { stream: Stderr, offset, bytes, .. } => {
            OutputCursor { stderr: offset + length(bytes), ..place }
        }
        OutputItem::Gap { stream: Stdout, offset, bytes } => OutputCursor { stdout: offset + bytes, ..place },
        OutputItem::Gap { stream: Stderr, offset, bytes } => OutputCursor { stderr: offset + bytes, ..place },
        OutputItem::Record { index, .. } => OutputCursor { structured: index + 1, ..place },
    }
}

fn show(reader: &str, item: &OutputItem) {
    match item {
        OutputItem::Chunk { stream, offset, time, bytes, .. } => {
            let text = String::from_utf8_lossy(bytes);
            println!("{reader:>6} {time} {} at {offset}: {}", stream.as_str(), text.trim_end());
        }
        OutputItem::Record { value, .. } => println!("{reader:>6} record {value}"),
        OutputItem::Gap { bytes, .. } => println!("{reader:>6} {bytes} bytes are no longer kept"),
    }
}
