//! What came from an agent, sorted: events of the running script, and answers to requests. Bounded
//! by the credit that the agent was given; an agent that sends more broke the protocol.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::sync::{Notify, Semaphore};

use super::switchboard::Switchboard;
use crate::contract::{OutputStream, ScriptEvent};
use crate::wire::{FromAgent, Header, Stream};
use crate::{BrokenLimit, Error, ErrorKind, Exit, ExitReport, Timestamp, Usage};

/// Answers that may wait; each request has one, and a fault may come on top.
const MAX_REPLIES: usize = 8;
/// Bytes up to which small pieces of one stream are joined while they wait.
const JOIN: usize = 16 << 10;

/// An answer of the agent.
#[derive(Debug)]
pub(super) enum Reply {
    Hello { build: String, features: u32, landlock_abi: u32 },
    Listening,
    Started,
    Primed,
    File(Option<Bytes>),
    Reset(Vec<String>),
    Posture(Vec<(String, String)>),
    Fault(AgentFault),
    Lost(String),
}

impl Reply {
    pub(super) fn unexpected(&self, operation: &'static str) -> Error {
        let name = match self {
            Self::Hello { .. } => "hello",
            Self::Listening => "listening",
            Self::Started => "started",
            Self::Primed => "primed",
            Self::File(_) => "file",
            Self::Reset(_) => "reset done",
            Self::Posture(_) => "posture",
            Self::Fault(_) => "fault",
            Self::Lost(_) => "lost",
        };
        Error::internal("the agent gave an answer that was not asked for")
            .with_context("operation", operation)
            .with_context("answer", name)
    }
}

/// What the agent could not do.
#[derive(Debug)]
pub(super) struct AgentFault {
    operation: String,
    message: String,
    errno: i32,
}

impl AgentFault {
    pub(super) fn error(&self) -> Error {
        let os = match self.errno {
            0 => String::new(),
            errno => format!(" ({})", std::io::Error::from_raw_os_error(errno)),
        };
        let kind = match self.operation.as_str() {
            // The program is not there or can't be executed: another runtime or another program helps.
            "exec" => ErrorKind::NotFound,
            "collect" | "file" => ErrorKind::InvalidRequest,
            "listen" => ErrorKind::Unsupported,
            _ => ErrorKind::Unavailable,
        };
        Error::new(kind, format!("{}: {}{os}", self.operation, self.message))
    }
}

#[derive(Debug, Default)]
struct State {
    execution: u32,
    events: VecDeque<ScriptEvent>,
    waiting: [u64; 2],
    beat: Option<Usage>,
    exited: Option<ExitReport>,
    lost: Option<String>,
    replies: VecDeque<Reply>,
    file: Option<Collecting>,
    switchboard: Option<Arc<Switchboard>>,
}

#[derive(Debug)]
struct Collecting {
    max: u64,
    begun: bool,
    content: BytesMut,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Inbox {
    state: Mutex<State>,
    // One for each side, because one call waits on each at a time.
    event: Notify,
    reply: Notify,
    // For those who wait for credit that an ended execution does not give.
    over: Notify,
    window: u64,
}

impl Inbox {
    pub(super) fn new(window: u64) -> Self {
        Self { state: Mutex::default(), event: Notify::new(), reply: Notify::new(), over: Notify::new(), window }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the last execution and expects events of the next one, and its connections if it may have any.
    pub(super) fn begin(&self, execution: u32, switchboard: Option<Arc<Switchboard>>) {
        let mut state = self.lock();
        let (lost, replies) = (state.lost.take(), std::mem::take(&mut state.replies));
        *state = State { execution, lost, replies, switchboard, ..State::default() };
    }

    fn switchboard(&self) -> Result<Arc<Switchboard>, String> {
        self.lock().switchboard.clone().ok_or_else(|| "a connection where none is allowed".to_owned())
    }

    /// Expects the pieces of one file of at most `max` bytes.
    pub(super) fn begin_collect(&self, max: u64) {
        self.lock().file = Some(Collecting { max, begun: false, content: BytesMut::new() });
    }

    /// Whether the execution has ended, or another has begun.
    pub(super) fn is_over(&self, execution: u32) -> bool {
        let state = self.lock();
        state.execution != execution || state.exited.is_some() || state.lost.is_some()
    }

    /// Waits until the execution has ended, or another has begun. Cancel-safe.
    pub(super) async fn over(&self, execution: u32) {
        loop {
            let over = self.over.notified();
            tokio::pin!(over);
            // Heard from here on, so an end between the look and the wait is not missed.
            over.as_mut().enable();
            if self.is_over(execution) {
                return;
            }
            over.await;
        }
    }

    /// The link is gone.
    pub(super) fn lose(&self, reason: &str) {
        let mut state = self.lock();
        state.lost.get_or_insert_with(|| reason.to_owned());
        drop(state);
        self.event.notify_one();
        self.reply.notify_one();
        self.over.notify_waiters();
    }

    /// Waits for the next event, and says how much credit to give back for it. Cancel-safe: an event
    /// is taken and returned in one step. `Exited` and `Lost` come again when asked again.
    pub(super) async fn next(&self) -> (ScriptEvent, Option<(Stream, u32)>) {
        loop {
            if let Some(found) = self.try_next() {
                return found;
            }
            self.event.notified().await;
        }
    }

    fn try_next(&self) -> Option<(ScriptEvent, Option<(Stream, u32)>)> {
        let mut state = self.lock();
        if let Some(usage) = state.beat.take() {
            return Some((ScriptEvent::Beat(usage), None));
        }
        if let Some(event) = state.events.pop_front() {
            let credit = match &event {
                ScriptEvent::Output { stream, bytes, .. } => {
                    let (index, wire) = match stream {
                        OutputStream::Stdout => (0, Stream::Stdout),
                        OutputStream::Stderr => (1, Stream::Stderr),
                    };
                    state.waiting[index] -= bytes.len() as u64;
                    Some((wire, u32::try_from(bytes.len()).unwrap_or(u32::MAX)))
                }
                ScriptEvent::Beat(_) | ScriptEvent::Exited(_) | ScriptEvent::Lost { .. } => None,
            };
            return Some((event, credit));
        }
        if let Some(report) = state.exited {
            return Some((ScriptEvent::Exited(report), None));
        }
        state.lost.clone().map(|reason| (ScriptEvent::Lost { reason, out_of_memory: false }, None))
    }

    /// Waits for the next answer. Cancel-safe.
    pub(super) async fn reply(&self) -> Reply {
        loop {
            {
                let mut state = self.lock();
                if let Some(reply) = state.replies.pop_front() {
                    return reply;
                }
                if let Some(reason) = &state.lost {
                    return Reply::Lost(reason.clone());
                }
            }
            self.reply.notified().await;
        }
    }

    /// Sorts one frame. The error says how the agent broke the protocol.
    pub(super) fn take(&self, header: &Header, payload: Bytes, stdin_credit: &Semaphore) -> Result<(), String> {
        if header.kind == FromAgent::DATA {
            return self.take_data(header, payload);
        }
        if header.kind == FromAgent::TRAFFIC {
            return self.switchboard()?.traffic(payload);
        }
        let message = FromAgent::decode(header, &payload).map_err(|error| error.to_string())?;
        match message {
            FromAgent::Hello { build, features, landlock_abi, .. } => {
                self.answer(Reply::Hello { build, features, landlock_abi })
            }
            FromAgent::Listening => self.answer(Reply::Listening),
            FromAgent::Accepted { id, host, port, credit } => self.switchboard()?.accepted(id, &host, port, credit),
            FromAgent::Started { .. } => self.answer(Reply::Started),
            FromAgent::Primed => self.answer(Reply::Primed),
            FromAgent::Data { .. } | FromAgent::Traffic { .. } => Err("a data frame of another kind".to_owned()),
            FromAgent::End { stream: Stream::File, total } => self.end_file(total),
            FromAgent::End { .. } => Ok(()),
            FromAgent::Exited {
                code,
                signal,
                user_us,
                system_us,
                peak_memory,
                out_of_memory,
                too_many_processes,
                leaked,
            } => {
                let broke = match (out_of_memory, too_many_processes) {
                    (true, _) => Some(BrokenLimit::Memory),
                    (false, true) => Some(BrokenLimit::Pids),
                    (false, false) => None,
                };
                let cpu = Duration::from_micros(user_us.saturating_add(system_us));
                let exit = if signal == 0 { Exit::Code(code) } else { Exit::Signal(signal) };
                let usage = Usage { cpu, peak_memory, processes: 0 };
                self.lock().exited = Some(ExitReport { exit, usage, broke, leaked });
                self.event.notify_one();
                self.over.notify_waiters();
                Ok(())
            }
            FromAgent::Beat { cpu_us, memory, processes } => {
                self.lock().beat = Some(Usage { cpu: Duration::from_micros(cpu_us), peak_memory: memory, processes });
                self.event.notify_one();
                Ok(())
            }
            FromAgent::Credit { stream: Stream::Stdin, bytes } => {
                // Bounded: the sum of credit is what fits the pipe and the agent's own buffer.
                let room = Semaphore::MAX_PERMITS - stdin_credit.available_permits();
                stdin_credit.add_permits(room.min(bytes as usize));
                Ok(())
            }
            FromAgent::Credit { .. } => Err("credit for a stream that is not written".to_owned()),
            FromAgent::FileBegin { size, note } => self.begin_file(size, &note),
            FromAgent::ResetDone { findings } => self.answer(Reply::Reset(findings)),
            FromAgent::PostureReport { facts } => self.answer(Reply::Posture(facts)),
            FromAgent::Fault { operation, message, errno, fatal } => {
                let fault = AgentFault { operation, message, errno };
                if fatal {
                    self.lose(&fault.error().to_string());
                }
                self.answer(Reply::Fault(fault))
            }
        }
    }

    fn take_data(&self, header: &Header, mut payload: Bytes) -> Result<(), String> {
        let time_us = payload.try_get_u64_le().map_err(|_| "a data frame without a time".to_owned())?;
        let (index, stream) = match header.stream {
            Stream::Stdout => (0, OutputStream::Stdout),
            Stream::Stderr => (1, OutputStream::Stderr),
            Stream::File => return self.take_file(&payload),
            Stream::Control | Stream::Stdin => return Err("data on a stream that has none".to_owned()),
        };
        let mut state = self.lock();
        if header.execution != state.execution || state.exited.is_some() {
            return Err("output of an execution that is not running".to_owned());
        }
        state.waiting[index] += payload.len() as u64;
        if state.waiting[index] > self.window {
            return Err("more output than it had credit for".to_owned());
        }
        if payload.is_empty() {
            return Ok(());
        }
        let time = Timestamp::from_micros(i64::try_from(time_us).unwrap_or(i64::MAX));
        match state.events.back_mut() {
            // Many small pieces that nobody fetched yet cost no more than their bytes.
            Some(ScriptEvent::Output { stream: last, bytes, .. })
                if *last == stream && bytes.len() + payload.len() <= JOIN =>
            {
                *bytes = [&bytes[..], &payload[..]].concat().into();
            }
            _ => state.events.push_back(ScriptEvent::Output { stream, time, bytes: payload }),
        }
        drop(state);
        self.event.notify_one();
        Ok(())
    }

    fn answer(&self, reply: Reply) -> Result<(), String> {
        let mut state = self.lock();
        if state.replies.len() >= MAX_REPLIES {
            return Err("answers that nobody asked for".to_owned());
        }
        state.replies.push_back(reply);
        drop(state);
        self.reply.notify_one();
        Ok(())
    }

    fn begin_file(&self, size: u64, note: &str) -> Result<(), String> {
        let mut state = self.lock();
        let Some(file) = state.file.as_mut().filter(|it| !it.begun) else {
            return Err("a file that was not asked for".to_owned());
        };
        file.begun = true;
        let reply = match (size, note) {
            (u64::MAX, "") => Reply::File(None),
            (_, "") if size <= file.max => return Ok(()),
            (_, note) => Reply::Fault(AgentFault {
                operation: "collect".into(),
                message: if note.is_empty() { "the file is longer than allowed".into() } else { note.into() },
                errno: 0,
            }),
        };
        state.file = None;
        drop(state);
        self.answer(reply)
    }

    fn take_file(&self, piece: &[u8]) -> Result<(), String> {
        let mut state = self.lock();
        match state.file.as_mut() {
            Some(file) if file.begun && (file.content.len() + piece.len()) as u64 <= file.max => {
                file.content.extend_from_slice(piece);
                Ok(())
            }
            _ => Err("a piece of a file that was not asked for".to_owned()),
        }
    }

    fn end_file(&self, total: u64) -> Result<(), String> {
        let Some(file) = self.lock().file.take_if(|it| it.begun) else {
            // The end of a file that was refused in `FileBegin`.
            return Ok(());
        };
        if file.content.len() as u64 != total {
            return Err("a file of another length than it said".to_owned());
        }
        self.answer(Reply::File(Some(file.content.freeze())))
    }
}
