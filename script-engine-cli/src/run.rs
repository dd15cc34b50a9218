//! `script-engine run`: saves the file as a script in memory, submits it, and passes everything through.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use bytes::Bytes;
use script_engine::contract::OutputStream;
#[cfg(feature = "docker")]
use script_engine::contract::Target;
use script_engine::output::{OutputCursor, OutputItem};
use script_engine::{
    Engine, Error, ExecutionId, ExecutionRecord, ExecutionRequest, LimitOverrides, NetworkPolicy, Outcome, ScriptDraft,
    Shutdown, Stdin,
};
use serde_json::Map;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::arguments::{EngineArguments, RunArguments};
use crate::{engine, exit, inputs, record, terminal};

/// Pieces of stdin and of output that are under way at once, and their size.
const PIECES: usize = 16;
const PIECE: usize = 64 << 10;

/// Runs a script file. Gives its exit code, or 125 with a message on stderr.
pub(crate) async fn run(arguments: Box<RunArguments>) -> ExitCode {
    let inputs = match Inputs::read(&arguments) {
        Ok(inputs) => inputs,
        Err(problems) => return exit::fail(&problems.join("\nscript-engine: ")),
    };
    let progress = terminal::Progress::begin("preparing a sandbox");
    let engine = match engine::build(&chosen(&arguments), false).await {
        Ok(engine) => engine,
        Err(error) => return progress.fail(&explained(&error)),
    };
    progress.follow(&engine);
    let submitted = submit(&engine, inputs).await;
    let followed = match submitted {
        Ok(id) => follow(&engine, id, &arguments, &progress).await,
        Err(error) => Err(error),
    };
    progress.end();
    // Whatever came of it, nothing of the engine's own is left on the machine.
    engine.shutdown(Shutdown::Drain).await;
    // What it keeps of the output is not needed any more.
    drop(engine);
    match followed {
        Ok((record, true)) => finish(&record, arguments.json),
        Ok((_, false)) => exit::NOT_READ.into(),
        Err(error) => exit::fail(&explained(&error)),
    }
}

/// The engine that is asked for; a container is entered by the backend that has containers.
fn chosen(arguments: &RunArguments) -> EngineArguments {
    #[cfg(feature = "docker")]
    if arguments.container.is_some() && arguments.engine.backend.is_none() {
        return EngineArguments { backend: Some(crate::arguments::Backend::Docker), ..arguments.engine.clone() };
    }
    arguments.engine.clone()
}

/// What the command line names, read.
struct Inputs {
    draft: ScriptDraft,
    request: ExecutionRequest,
}

impl Inputs {
    /// Reads every file and value that the command line names, and reports all problems at once.
    fn read(arguments: &RunArguments) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let (draft, parameters) = inputs::script(&arguments.script).unwrap_or_else(|found| {
            problems.extend(found);
            (ScriptDraft::new(inputs::script_name(&arguments.script.file), Bytes::new()), Map::new())
        });
        let mut take = |found: Result<(), String>| problems.extend(found.err());
        let mut request = ExecutionRequest { parameters, ..ExecutionRequest::new(draft.name.clone()) };
        request.identity = inputs::identity();
        request.env.clone_from(&arguments.env);
        if !arguments.network.is_empty() {
            request.network = Some(NetworkPolicy::Allow(arguments.network.clone()));
        }
        if arguments.host_network {
            request.network = Some(NetworkPolicy::Host);
        }
        request.limits = LimitOverrides {
            timeout: arguments.timeout,
            memory_bytes: arguments.memory,
            milli_cpus: arguments.cpus,
            pids: arguments.pids,
            output_bytes: arguments.output_limit,
            ..LimitOverrides::default()
        };
        #[cfg(feature = "docker")]
        if let Some(name) = arguments.container.clone() {
            request = request.with_target(Target { name, user: arguments.user.clone() });
        }
        if let Some(path) = &arguments.stdin {
            request.stdin = Stdin::Open;
            if path != Path::new("-") {
                take(fs::File::open(path).map(drop).map_err(|error| format!("--stdin {}: {error}", path.display())));
            }
        }
        if problems.is_empty() { Ok(Self { draft, request }) } else { Err(problems) }
    }
}

async fn submit(engine: &Engine, inputs: Inputs) -> script_engine::Result<ExecutionId> {
    let identity = inputs.request.identity.clone();
    engine.save(&identity, inputs.draft).await?;
    engine.submit(inputs.request).await
}

/// Passes input and output through until the end. Gives the record, and whether its output was read.
async fn follow(
    engine: &Engine,
    id: ExecutionId,
    arguments: &RunArguments,
    progress: &terminal::Progress,
) -> script_engine::Result<(ExecutionRecord, bool)> {
    if let Some(path) = arguments.stdin.clone() {
        let engine = engine.clone();
        tokio::spawn(async move { feed(&engine, id, &path).await });
    }
    let interrupts = tokio::spawn(cancel_on_signal(engine.clone(), id));
    let read = arguments.json || show(engine, id, progress).await?;
    let record = engine.wait(id).await;
    interrupts.abort();
    Ok((record?, read))
}

async fn feed(engine: &Engine, id: ExecutionId, path: &Path) {
    let (sender, mut pieces) = mpsc::channel::<Bytes>(PIECES);
    let path = path.to_owned();
    // A read of a terminal blocks for as long as its user thinks.
    tokio::task::spawn_blocking(move || {
        let mut input: Box<dyn Read> = if path == Path::new("-") {
            Box::new(io::stdin())
        } else {
            match fs::File::open(&path) {
                Ok(file) => Box::new(file),
                Err(error) => return terminal::complain(&format!("--stdin {}: {error}", path.display())),
            }
        };
        let mut buffer = vec![0; PIECE];
        while let Ok(count @ 1..) = input.read(&mut buffer) {
            if sender.blocking_send(Bytes::copy_from_slice(&buffer[..count])).is_err() {
                return;
            }
        }
    });
    while let Some(piece) = pieces.recv().await {
        if engine.write_stdin(id, piece).await.is_err() {
            return;
        }
    }
    // A script that is gone needs no end of its input.
    drop(engine.close_stdin(id).await);
}

async fn cancel_on_signal(engine: Engine, id: ExecutionId) {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        // One that is over already is no error.
        drop(engine.cancel(id).await);
    }
}

/// Writes the script's output as it comes. Whoever stops reading it stops the script, as a pipe does;
/// gives `false` then.
async fn show(engine: &Engine, id: ExecutionId, progress: &terminal::Progress) -> script_engine::Result<bool> {
    let mut output = engine.output(id, OutputCursor::default()).await?;
    let (sender, mut items) = mpsc::channel::<OutputItem>(PIECES);
    // A terminal or a pipe may block for long, and the engine must go on meanwhile.
    let writer = tokio::task::spawn_blocking(move || {
        let mut written = Ok(());
        while let (Ok(()), Some(item)) = (&written, items.blocking_recv()) {
            written = write(item);
        }
        written
    });
    while let Some(item) = output.next().await {
        // From here on the terminal is the script's, if it was not before.
        progress.end();
        if sender.send(item).await.is_err() {
            drop(engine.cancel(id).await);
            break;
        }
    }
    drop(sender);
    Ok(matches!(writer.await, Ok(Ok(()))))
}

fn write(item: OutputItem) -> io::Result<()> {
    match item {
        OutputItem::Chunk { stream: OutputStream::Stdout, bytes, .. } => {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&bytes)?;
            stdout.flush()
        }
        OutputItem::Chunk { stream: OutputStream::Stderr, bytes, .. } => io::stderr().lock().write_all(&bytes),
        OutputItem::Gap { stream, bytes, .. } => {
            terminal::complain(&format!(
                "{bytes} bytes of {} were printed faster than they were read",
                stream.as_str()
            ));
            Ok(())
        }
        // A structured record is a line of stdout as well.
        OutputItem::Record { .. } => Ok(()),
    }
}

/// Says what the script's own output does not, and gives the exit code.
fn finish(record: &ExecutionRecord, json: bool) -> ExitCode {
    if json {
        // A closed pipe has nobody to tell.
        drop(terminal::print_json(&record::Shown(record)));
    } else if let Some(ending) = &record.ending {
        match &ending.outcome {
            Outcome::Succeeded | Outcome::Failed(_) => {}
            Outcome::NotCompiled(found) => {
                let found: Vec<String> = found.iter().map(ToString::to_string).collect();
                terminal::complain(&format!("the script does not compile:\n{}", found.join("\n")));
            }
            other => terminal::complain(&other.explain().unwrap_or_default()),
        }
        for note in &ending.notes {
            terminal::complain(note);
        }
    }
    exit::code(record).into()
}

/// An error with what led to it, problems on lines of their own.
pub(crate) fn explained(error: &Error) -> String {
    let mut text = match error.problems() {
        [] => error.to_string(),
        problems => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\nscript-engine: "),
    };
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
