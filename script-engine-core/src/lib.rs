#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod cache;
pub mod contract;
pub mod executor;
mod finding;
pub mod gateway;
pub mod memory;
pub mod mounts;
pub mod output;
pub mod packages;
pub mod parameters;
pub mod quantity;
pub mod sandbox;
pub mod selector;
pub mod wire;

mod cancel;
pub mod detect;
mod digest;
mod enforcement;
mod engine;
mod error;
mod event;
mod execution;
mod ids;
mod job;
mod language_settings;
mod limits;
pub mod network;
mod outcome;
mod prime;
mod registry;
mod request;
pub mod script;
mod secret;
mod settings;
mod target;
mod timestamp;
mod timings;

pub use cancel::{Cancel, CancelHandle};
pub use digest::{Digest, Hasher};
pub use enforcement::{Capability, Egress, Enforced, EnforcementReport, Mechanism, Need, Needs, Restriction, Waiver};
pub use engine::{Engine, EngineBuilder, Shutdown, ShutdownReport, StepPlace, StepRunner, Vitals};
pub use error::{Error, ErrorKind, Problem, Result, Retry};
pub use event::EngineEvent;
pub use execution::{
    Ending, ExecutionRecord, ExecutionState, NewExecution, OutputRecord, Started, StreamRecord, Transition,
};
pub use finding::{Finding, Grade};
pub use ids::{
    Epoch, ExecutionId, Identity, LanguageId, OwnerId, RefName, Revision, ScriptId, ScriptName, TenantId, VersionId,
};
pub use job::{Job, JobFile, LayerMount, RelPath, RuntimeSpec};
pub use language_settings::{LanguageSettings, ResourceLimits};
pub use limits::{LimitOverrides, Limits};
pub use network::{
    AddressClass, Connection, ConnectionEnd, ConnectionLog, Connections, EgressSettings, Host, HostPort, NetworkPolicy,
    Open,
};
pub use outcome::{BrokenLimit, CancelReason, Exit, ExitReport, Fault, Outcome, RetryAdvice, TimeoutCause, Usage};
pub use packages::{DependencyScope, ScriptDependency};
pub use prime::Prime;
pub use registry::StoreRegistry;
pub use request::{ExecutionRequest, OnOutputLimit, Priority, Stdin};
pub use script::{EntryPoint, ScriptDraft, ScriptVersion};
pub use secret::{Secret, SecretRef, SecretScope};
pub use selector::Selector;
pub use settings::Settings;
pub use target::Targets;
pub use timestamp::Timestamp;
pub use timings::{Stage, Stopwatch, Timings};
