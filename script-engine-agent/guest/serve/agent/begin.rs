//! What the engine wants begun: a job, a program that is to wait for one, a way out, a look at itself.

use super::{Agent, Egress, Errno, Failure, Job, Listen, MAX_ENVIRONMENT, Purpose, Start, fault, primed, start};
use super::{FromAgent, Waiting};

/// A start that is under way, as it was told.
#[derive(Debug)]
pub(super) struct Pending {
    execution: u32,
    wanted: Start,
    environment: Vec<Vec<u8>>,
}

impl Agent {
    pub(super) fn take_environment(&mut self, vars: Vec<Vec<u8>>) {
        let length: usize = self.environment.iter().chain(&vars).map(|it| it.len() + 1).sum();
        if length > MAX_ENVIRONMENT {
            let text = format!("an environment of {length} bytes, at most {MAX_ENVIRONMENT}");
            self.incomplete.get_or_insert(Failure::new("env", text, Errno::E2BIG));
        } else {
            self.environment.extend(vars);
        }
    }

    pub(super) fn start(&mut self, execution: u32, wanted: Start) {
        let environment = std::mem::take(&mut self.environment);
        let incomplete = std::mem::take(&mut self.incomplete);
        if self.is_busy() {
            let text = "the sandbox is not done with what it was told before";
            self.link.send(execution, &fault(Failure::new("start", text.to_owned(), Errno::EBUSY)));
        } else if let Some(failure) = incomplete {
            self.link.send(execution, &fault(failure));
        } else {
            if let Some(primed) = &mut self.job {
                primed.hand_over(execution, &wanted, &environment);
            }
            self.pending = Some(Pending { execution, wanted, environment });
            self.start_pending();
        }
    }

    /// Starts what waits for its start, unless a primed program has taken it or is not gone.
    pub(super) fn start_pending(&mut self) {
        match &self.job {
            Some(job) if job.is_primed() => return,
            Some(_) => {
                // A primed program has taken it.
                if let Some(pending) = self.pending.take() {
                    self.last_start = pending.wanted;
                }
                return;
            }
            None => {}
        }
        let Some(Pending { execution, wanted, environment }) = self.pending.take() else { return };
        match start::start(&self.config, &self.filter, &wanted, &environment) {
            Ok(launched) => {
                self.job = Some(Job::new(execution, launched, &wanted, Purpose::Script, self.beat_ms));
                self.last_start = wanted;
            }
            Err(failure) => {
                self.egress = None;
                self.link.send(execution, &fault(failure));
            }
        }
    }

    pub(super) fn listen(&mut self, execution: u32, listen: &Listen) {
        self.egress = None;
        let opened = if self.is_busy() {
            Err(Failure::new("listen", "the sandbox is not done with its job".to_owned(), Errno::EBUSY))
        } else {
            Egress::open(execution, listen)
        };
        match opened {
            Ok(egress) => {
                self.egress = Some(egress);
                self.link.send(execution, &FromAgent::Listening);
            }
            Err(failure) => self.link.send(execution, &fault(failure)),
        }
    }

    pub(super) fn prime(&mut self, execution: u32, wanted: &Start, limit_ms: u32) {
        let environment = std::mem::take(&mut self.environment);
        let incomplete = std::mem::take(&mut self.incomplete);
        let launched = if self.is_busy() || self.job.is_some() {
            Err(Failure::new("prime", "the sandbox is not done with what it was told before".to_owned(), Errno::EBUSY))
        } else if let Some(failure) = incomplete {
            Err(failure)
        } else {
            start::prime(&self.config, &self.filter, wanted, &environment)
        };
        let primed = launched.map(|mut launched| {
            let gate = launched.gate.take().map(|it| Waiting::new(it, wanted, execution, u64::from(limit_ms)));
            gate.map(|it| Job::new(execution, launched, wanted, Purpose::Primed(it), self.beat_ms))
        });
        match primed {
            Ok(job) => self.job = job,
            Err(failure) => {
                primed::remove_gate(&self.config);
                self.link.send(execution, &fault(failure));
            }
        }
    }

    pub(super) fn posture(&mut self, execution: u32) {
        let launched = if self.is_busy() || self.job.is_some() {
            Err(Failure::new("posture", "a script is under way".to_owned(), Errno::EBUSY))
        } else {
            start::start_posture(&self.config, &self.filter, &self.last_start)
        };
        match launched {
            Ok(launched) => {
                let purpose = Purpose::Posture(Vec::new());
                self.job = Some(Job::new(execution, launched, &self.last_start, purpose, self.beat_ms));
            }
            Err(failure) => self.link.send(execution, &fault(failure)),
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        let job = self.job.as_ref().is_some_and(|it| !it.is_primed());
        job || self.pending.is_some() || self.reset.is_some() || self.reset_wanted.is_some()
    }
}
