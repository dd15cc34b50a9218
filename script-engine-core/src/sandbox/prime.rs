//! Priming over the agent's protocol, and which start is offered to the program that waits.

use std::time::Duration;

use super::inbox::Reply;
use super::{AgentSandbox, millis};
use crate::wire::{Place, ToAgent, feature};
use crate::{Error, ErrorKind, Job, Prime, Result};

/// How long a program may take to come to its gate, and to take its job there; less than the agent has to answer.
const WITHIN: Duration = Duration::from_secs(10);

/// What the program that waits was primed with.
#[derive(Debug)]
pub(super) struct Primed {
    prime: Prime,
    like: Job,
}

impl Primed {
    /// How many of a job's arguments the program was started with; 0 if it can't serve the job.
    pub(super) fn arguments_for(&self, job: &Job) -> u32 {
        if !self.prime.can_serve(&self.like, job) {
            return 0;
        }
        u32::try_from(self.prime.serves.len()).unwrap_or(0)
    }
}

impl AgentSandbox {
    pub(super) async fn start_waiting(&mut self, prime: &Prime, like: &Job) -> Result<()> {
        if self.features & feature::PRIME == 0 {
            return Err(Error::new(ErrorKind::Unsupported, "the agent can't prime; use the one of this version"));
        }
        if prime.files.iter().any(|it| it.path.as_str().contains('/')) {
            return Err(Error::invalid("prime.files", "lie in a folder; give them plain names"));
        }
        self.execution += 1;
        self.owed = None;
        self.primed = None;
        self.inbox.begin(self.execution, None);
        self.put_at(Place::Gate, &prime.files).await?;
        let fixed = prime.fixed_of(like).into_iter().map(|(name, value)| (name.to_owned(), value.to_vec()));
        let own = prime.env.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes()));
        // What the job has beyond that is nobody's business before its start.
        let env: Vec<_> = fixed.filter(|(name, _)| !prime.env.iter().any(|it| it.0 == *name)).chain(own).collect();
        self.send_environment(&env, &like.given).await?;
        let mut start = self.start_message(like);
        start.argv = prime.argv.iter().map(|it| self.relocated(it.as_bytes())).collect();
        let limit_ms = millis(WITHIN.min(self.settings.answer / 2));
        self.send(&ToAgent::Prime { start: Box::new(start), limit_ms }).await?;
        match self.reply("prime").await? {
            Reply::Primed => {
                let like = Job { files: Vec::new(), ..like.clone() };
                self.primed = Some(Primed { prime: prime.clone(), like });
                Ok(())
            }
            other => Err(other.unexpected("prime")),
        }
    }
}
