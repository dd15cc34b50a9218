//! `script-engine run`: saves the file as a script in memory, submits it, and passes everything through.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use bytes::Bytes;
use script_engine::contract::OutputStream;
use script_engine::output::{OutputCursor, OutputItem};
use script_engine::{
    Engine, EntryPoint, Error, ExecutionId, ExecutionRecord, ExecutionRequest, Identity, LanguageId, LimitOverrides,
    NetworkPolicy, Outcome, ScriptDraft, ScriptName, Shutdown, Stdin,
};
use serde_json::{Map, Value};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::arguments::RunArguments;
use crate::{engine, exit, record, terminal};

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
    let engine = match engine::build(&arguments.engine, false).await {
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

/// What the command line names, read.
struct Inputs {
    draft: ScriptDraft,
    request: ExecutionRequest,
}

impl Inputs {
    /// Reads every file and value that the command line names, and reports all problems at once.
    fn read(arguments: &RunArguments) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let name = script_name(&arguments.file);
        let draft = draft_of(&arguments.file, arguments.language.as_deref());
        let mut draft = draft.unwrap_or_else(|found| {
            problems.extend(found);
            ScriptDraft::new(name.clone(), Bytes::new())
        });
        let mut take = |found: Result<(), String>| problems.extend(found.err());
        let mut request =
            ExecutionRequest::new(name).with_identity(Identity { invoker: "cli".into(), ..Identity::default() });

        if let Some(path) = &arguments.schema {
            take(read_json(path, "--schema").map(|it| draft.parameter_schema = Some(it)));
        }
        take(parameters(arguments).map(|it| request.parameters = it));
        request.env.clone_from(&arguments.env);
        if !arguments.network.is_empty() {
            request.network = Some(NetworkPolicy::Allow(arguments.network.clone()));
        }
        request.limits = LimitOverrides {
            timeout: arguments.timeout,
            memory_bytes: arguments.memory,
            milli_cpus: arguments.cpus,
            pids: arguments.pids,
            output_bytes: arguments.output_limit,
            ..LimitOverrides::default()
        };
        if let Some(path) = &arguments.stdin {
            request.stdin = Stdin::Open;
            if path != Path::new("-") {
                take(fs::File::open(path).map(drop).map_err(|error| format!("--stdin {}: {error}", path.display())));
            }
        }
        if problems.is_empty() { Ok(Self { draft, request }) } else { Err(problems) }
    }
}

/// A draft of a script file. Reports all problems at once.
pub(crate) fn draft_of(file: &Path, language: Option<&str>) -> Result<ScriptDraft, Vec<String>> {
    let mut problems = Vec::new();
    let mut take = |found: Result<(), String>| problems.extend(found.err());
    let mut draft = ScriptDraft::new(script_name(file), Bytes::new());
    take(read_file(file, script_engine::script::MAX_SOURCE as u64).map(|it| draft.source = it.into()));
    take(entry_point(file).map(|it| draft.entry_point = it));
    if let Some(language) = language {
        let parsed = LanguageId::parse(&language.to_lowercase());
        take(parsed.map(|it| draft.language = Some(it)).map_err(|error| format!("--language {error}")));
    }
    if problems.is_empty() { Ok(draft) } else { Err(problems) }
}

/// The file's own name, under which the script finds itself.
fn entry_point(file: &Path) -> Result<Option<EntryPoint>, String> {
    let Some(name) = file.file_name() else { return Ok(None) };
    let name = name.to_str().ok_or_else(|| format!("{}: the name is not UTF-8; rename the file", file.display()))?;
    EntryPoint::parse(name).map(Some).map_err(|error| error.to_string())
}

/// A script name from a file name: lower case, with `-` for what a name may not hold.
fn script_name(file: &Path) -> ScriptName {
    let stem = file.file_stem().map(|it| it.to_string_lossy().to_lowercase()).unwrap_or_default();
    let plain: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).take(100).collect();
    let plain = plain.trim_start_matches(['-', '_']);
    let fallback = || ScriptName::parse("script");
    #[expect(clippy::expect_used, reason = "the literal is a valid name")]
    ScriptName::parse(plain).or_else(|_| fallback()).expect("a plain name")
}

fn read_file(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let fail = |error: io::Error| format!("cannot read {}: {error}", path.display());
    let file = fs::File::open(path).map_err(fail)?;
    if file.metadata().map_err(fail)?.is_dir() {
        return Err(format!("cannot read {}: it is a folder", path.display()));
    }
    // One byte more than allowed shows that there is more.
    let mut content = Vec::new();
    file.take(most + 1).read_to_end(&mut content).map_err(fail)?;
    Ok(content)
}

fn read_json(path: &Path, option: &str) -> Result<Value, String> {
    const MOST: u64 = 16 << 20;
    let content = read_file(path, MOST).map_err(|error| format!("{option}: {error}"))?;
    serde_json::from_slice(&content).map_err(|error| format!("{option} {}: is not JSON: {error}", path.display()))
}

fn parameters(arguments: &RunArguments) -> Result<Map<String, Value>, String> {
    let mut parameters = match &arguments.parameter_file {
        None => Map::new(),
        Some(path) => match read_json(path, "--params")? {
            Value::Object(map) => map,
            _ => return Err(format!("--params {}: is not a JSON object of parameters", path.display())),
        },
    };
    for (name, value) in &arguments.parameters {
        parameters.insert(name.clone(), value.clone().into());
    }
    Ok(parameters)
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
    // From here on the terminal is the script's.
    progress.end();
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
