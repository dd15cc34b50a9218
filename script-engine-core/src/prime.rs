//! Starting an interpreter ahead of its script: what that takes, and which jobs it can serve then.

use crate::wire::gate;
use crate::{Job, JobFile};

/// How a language starts a program that waits for its job. Its hook speaks with the agent as
/// [`wire::message`](crate::wire::message) says, and then goes on as if it had found its job at its start.
///
/// What a script can still tell is what the kernel and the interpreter keep of the start: `/proc/self/environ` and
/// `/proc/self/cmdline` are those of the priming, the clock of the process began then, and Python's
/// `gc.get_freeze_count()` is not 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prime {
    /// What the start needs, by plain names below [`FOLDER`](Self::FOLDER), which is gone before there is a script.
    pub files: Vec<JobFile>,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Environment variables of the start, on top of the job's `fixed` ones.
    pub env: Vec<(String, String)>,
    /// What the arguments of a job must begin with; the program is handed those beyond.
    pub serves: Vec<String>,
    /// The variables that the program reads when it starts: a job must have them with the values with which it
    /// was primed. A name that ends in `*` stands for all that begin so.
    pub fixed: Vec<String>,
}

impl Prime {
    /// Where its files are while it starts.
    pub const FOLDER: &str = "/scripts/.prime";

    /// Whether a program that was primed for a job like `like` can serve `job`: everything that it took in at its
    /// start, or is held to, would be the same.
    #[must_use]
    pub fn can_serve(&self, like: &Job, job: &Job) -> bool {
        let bounds = |it: &Job| {
            let limits = &it.limits;
            let scratch = (limits.work_bytes, limits.tmp_bytes, limits.files);
            (limits.memory_bytes, limits.milli_cpus, limits.pids, limits.open_files, scratch)
        };
        !self.serves.is_empty()
            && job.argv.starts_with(&self.serves)
            && job.stdin == like.stdin
            && job.runtime == like.runtime
            && bounds(job) == bounds(like)
            && self.fixed_of(job) == self.fixed_of(like)
    }

    /// The variables of a job that the program reads when it starts, in order.
    pub(crate) fn fixed_of<'a>(&self, job: &'a Job) -> Vec<(&'a str, &'a [u8])> {
        let is_fixed = |name: &str| {
            self.fixed.iter().any(|it| match it.strip_suffix('*') {
                Some(begin) => name.starts_with(begin),
                None => name == it,
            })
        };
        let all = job.env.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        let mut found: Vec<_> = all.filter(|(name, _)| is_fixed(name)).collect();
        found.sort_unstable();
        found
    }
}

const _: () = assert!(gate::FOLDER.len() + "/scripts/".len() == Prime::FOLDER.len());

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EgressSettings, Limits, NetworkPolicy, RuntimeSpec};

    fn job() -> Job {
        Job {
            runtime: RuntimeSpec { language: "python".into(), image: String::new(), layer: None },
            files: Vec::new(),
            argv: vec!["python3".into(), "/scripts/main.py".into()],
            env: vec![("PATH".into(), b"/bin".to_vec()), ("A".into(), b"1".to_vec())],
            stdin: false,
            limits: Limits::default(),
            network: NetworkPolicy::Off,
            target: None,
            tenant: None,
            given: Vec::new(),
            egress: EgressSettings::default(),
        }
    }

    #[track_caller]
    fn check(expect: bool, change: impl FnOnce(&mut Job)) {
        let prime = Prime {
            files: Vec::new(),
            argv: vec!["python3".into()],
            env: Vec::new(),
            serves: job().argv,
            fixed: vec!["PATH".into(), "PYTHON*".into()],
        };
        let mut changed = job();
        change(&mut changed);
        assert_eq!(prime.can_serve(&job(), &changed), expect);
    }

    #[test]
    fn only_what_would_start_alike_is_served() {
        check(true, |_| {});
        check(true, |it| it.argv.push("more".into()));
        check(true, |it| it.env.push(("B".into(), b"2".to_vec())));
        check(true, |it| it.env.reverse());
        check(true, |it| it.limits.timeout *= 2);
        check(false, |it| it.argv[1] = "/scripts/other.py".into());
        check(false, |it| it.argv.truncate(1));
        check(false, |it| it.env.push(("PYTHONPATH".into(), b"/x".to_vec())));
        check(false, |it| it.env[0].1 = b"/usr/bin".to_vec());
        check(false, |it| drop(it.env.remove(0)));
        check(false, |it| it.stdin = true);
        check(false, |it| it.limits.memory_bytes += 1);
        check(false, |it| it.limits.open_files += 1);
        check(false, |it| it.runtime.image = "other".into());
    }
}
