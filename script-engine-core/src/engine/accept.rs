//! First stage: everything that can be wrong with a request is found here, all of it at once, before
//! anything is taken or recorded.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::admit::Ticket;
use super::components::Components;
use super::course::{Course, Ended, fault};
use super::live::Live;
use super::route;
use super::schedule::Waiting;
use crate::contract::Action;
use crate::parameters::{Bound, Delivery};
use crate::{
    CancelReason, EngineEvent, Error, ErrorKind, ExecutionId, ExecutionRecord, ExecutionRequest, ExecutionState, Fault,
    Limits, NetworkPolicy, NewExecution, Outcome, Problem, Result, RetryAdvice, ScriptVersion, SecretScope, Stdin,
    Stopwatch, Transition,
};

/// An execution that is recorded and has a place in the queue.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) course: Course,
    pub(super) ticket: Ticket,
}

/// An execution whose turn has come.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) course: Course,
    pub(super) permit: super::admit::Permit,
}

/// What came of a submit.
pub(super) enum Submission {
    /// A new execution.
    New(Box<Accepted>),
    /// The one that an earlier submit with the same idempotency key made.
    Existing(ExecutionId),
}

impl Components {
    /// Checks a request and records it. On `Err` nothing was recorded and nothing is held.
    pub(super) async fn accept(&self, request: ExecutionRequest) -> Result<Submission> {
        let stopwatch = Stopwatch::start();
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Closed, "the engine is shutting down; build a new one"));
        }
        let version = self.registry.resolve(&request.identity, &request.script, &request.selector).await?;
        self.access.check(&request.identity, &version.tenant, Action::Execute(&version.name)).await?;
        let checked = self.check_request(&request, &version).await?;
        let waiting = Waiting {
            tenant: request.identity.tenant.clone(),
            priority: request.priority,
            key: request.concurrency_key.clone(),
        };
        let ticket = self.admission.enqueue(waiting)?;
        let id = ExecutionId::from_bits(self.ids.fresh());
        let record = self.executions.create(self.new_execution(id, &request, &version, &checked)).await?;
        if record.id() != id {
            return Ok(Submission::Existing(record.id()));
        }
        let live = Arc::new(Live::new(request.stdin == Stdin::Open));
        self.live.insert(id, Arc::clone(&live));
        self.tell_state(&record);
        let executor = Arc::clone(&self.executors[checked.executor]);
        let parameter_secrets = checked.bound.secret_values();
        let delivery = checked.delivery;
        let course = Course { record, version, request, delivery, parameter_secrets, executor, live, stopwatch };
        Ok(Submission::New(Box::new(Accepted { course, ticket })))
    }

    async fn check_request(&self, request: &ExecutionRequest, version: &ScriptVersion) -> Result<Checked> {
        let language = self.language(&version.manifest.language)?;
        let limits = language.info().limits.with(&version.manifest.limits).with(&request.limits);
        let mut problems = request.problems();
        problems.extend(limits.problems());
        problems.extend(self.code_variables(request));
        let mut take = |found: Vec<Problem>| problems.extend(found);
        let bound = self.bind(version, request.parameters.clone()).map_err(&mut take).ok();
        let network = request.network.as_ref().unwrap_or(&version.manifest.network).canonical();
        take(network.problems(&self.settings.egress));
        let infos: Vec<_> = self.executors.iter().map(|it| (it.info(), it.capability())).collect();
        take(self.settings.targets.problems(request.target.as_ref()));
        let wanted = route::Wanted {
            needs: &request.needs,
            network: &network,
            target: request.target.as_ref(),
            named: request.backend.as_deref(),
        };
        let route = route::choose(&wanted, &infos);
        if let Err(error) = &route {
            take(error.problems().to_vec());
        }
        match (bound, problems.is_empty()) {
            (Some((bound, delivery)), true) => {
                // Resolved once to see that they are there; the values are fetched when they are needed.
                let scope = SecretScope { tenant: request.identity.tenant.clone() };
                self.secrets.resolve(&request.secrets, &scope).await?;
                Ok(Checked { limits, network, bound, delivery, executor: route? })
            }
            _ => Err(Error::invalid_all(problems)),
        }
    }

    /// Names each variable by which a program of any language would carry out other code than the version's. Who may
    /// run a version may not by that change what it does.
    fn code_variables(&self, request: &ExecutionRequest) -> Vec<Problem> {
        let problem = |(field, name): (&str, &str)| {
            let language = self.languages.iter().find(|it| it.info().is_code_variable(name))?;
            let title = &language.info().title;
            let message = format!(
                "makes programs of {title} carry out other code than the script; choose another name, or let the script set it"
            );
            Some(Problem { field: format!("{field}.{name}"), message })
        };
        request.variables().filter_map(problem).collect()
    }

    fn new_execution(
        &self,
        id: ExecutionId,
        request: &ExecutionRequest,
        version: &ScriptVersion,
        checked: &Checked,
    ) -> NewExecution {
        NewExecution {
            id,
            owner: self.owner,
            script: version.script,
            script_name: version.name.clone(),
            version: version.id,
            version_number: version.number.clone(),
            sha256: version.manifest.sha256(),
            language: version.manifest.language.clone(),
            parameters: checked.bound.masked(),
            identity: request.identity.clone(),
            priority: request.priority,
            limits: checked.limits.clone(),
            network: checked.network.clone(),
            executor: self.executors[checked.executor].info().name,
            target: request.target.clone(),
            idempotency_key: request.idempotency_key.clone(),
            created_at: self.now(),
            labels: BTreeMap::new(),
        }
    }

    /// Second stage: waits for the turn, at most the queue timeout.
    pub(super) async fn admit(&self, accepted: Accepted) -> Result<Admitted, Box<Ended>> {
        let Accepted { mut course, ticket } = accepted;
        let patience = course.request.queue_timeout.unwrap_or(self.settings.queue_timeout);
        let live = Arc::clone(&course.live);
        let permit = tokio::select! {
            biased;
            reason = live.cancelled() => return Err(cancelled(course, reason)),
            turn = tokio::time::timeout(patience, ticket.turn()) => match turn {
                Ok(permit) => permit,
                Err(_) => {
                    let fault = fault(
                        ErrorKind::Overloaded,
                        format!("its turn did not come within the queue timeout of {patience:?}; submit it again later"),
                        RetryAdvice::Safe,
                    );
                    return Err(Box::new(Ended::early(course, None, fault)));
                }
            },
        };
        match self.advance(&mut course.record, Transition::Provision).await {
            Ok(()) => Ok(Admitted { course, permit }),
            Err(error) => {
                let fault = fault(error.kind(), error.to_string(), RetryAdvice::Safe);
                Err(Box::new(Ended::early(course, Some(permit), fault)))
            }
        }
    }

    /// Tells that an execution is in the state its record shows.
    pub(super) fn tell_state(&self, record: &ExecutionRecord) {
        self.emit(&EngineEvent::State {
            execution: record.id(),
            tenant: record.begun.identity.tenant.clone(),
            state: record.state,
            outcome: record.outcome().map(Outcome::class),
            at: self.now(),
        });
        if record.state == ExecutionState::Queued {
            metrics::counter!("script_engine_submitted_total").increment(1);
        }
    }
}

fn cancelled(course: Course, reason: CancelReason) -> Box<Ended> {
    Box::new(Ended::early(course, None, Outcome::Cancelled(reason)))
}

/// What `check_request` found out.
struct Checked {
    limits: Limits,
    network: NetworkPolicy,
    bound: Bound,
    delivery: Delivery,
    executor: usize,
}

impl From<Fault> for Outcome {
    fn from(fault: Fault) -> Self {
        Self::EngineFault(fault)
    }
}
