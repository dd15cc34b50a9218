//! The traits that hosts, backends and stores implement. May grow in minor releases until 1.0.
//!
//! Read them in this order: [`RuntimeManager`] and [`Machine`] make sandboxes; [`Sandbox`] is what
//! core makes of one; [`ScriptExecutor`] is what the engine calls; [`Language`] knows a toolchain;
//! the stores keep what must last; the small ones at the end ([`Clock`], [`IdSource`],
//! [`EventSink`], [`SecretProvider`], [`AccessPolicy`]) are what tests and hosts replace first.
//!
//! Sentences of the contract carry a tag such as `[EX-01]`. The conformance suite has a case with
//! the same tag for each. No trait has a default method: a wrapper that forgets one does not compile.

mod access;
mod cache;
mod clock;
mod dependency;
mod event;
mod execution_store;
mod executor;
mod language;
mod output_store;
mod registry;
mod runtime;
mod sandbox;
mod script_store;
mod secret;
mod toolchain;

pub use access::{AccessPolicy, Action};
pub use cache::{ArtifactStore, CompiledCache};
pub use clock::{Clock, IdSource};
pub use dependency::{DependencyLayer, DependencyResolver, PackageTarget};
pub use event::EventSink;
pub use execution_store::{ExecutionFilter, ExecutionStore};
pub use executor::{
    ExecutorInfo, Isolation, OutputStream, RunningScript, ScriptControl, ScriptEvent, ScriptExecutor, Spawned, Stop,
};
pub use language::{Check, Compilation, Diagnostic, Language, LanguageInfo, Prepared, Source, Step, StepOutput, Work};
pub use output_store::{OutputReader, OutputSink, OutputStore};
pub use registry::ScriptRegistry;
pub use runtime::{
    BootSpec, Booted, Filter, GcReport, Link, Machine, OwnerStatus, Progress, ReapReport, RuntimeLease, RuntimeManager,
    SandboxPaths, Target, Unheard, Unit, Verdict,
};
pub use sandbox::{Posture, Sandbox};
pub use script_store::{NewVersion, ScriptStore, ScriptSummary};
pub use secret::SecretProvider;
pub use toolchain::{Requirement, Toolchain};
