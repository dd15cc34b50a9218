//! What a job uses: looked at, told, and held against what no cgroup bounds.

use super::{
    Config, Containment, FromAgent, Job, Purpose, Sample, Stores, Surroundings, WATCH_MS, process, signal, time,
};
use crate::usage;

impl Job {
    pub(super) fn sample(&mut self, config: &Config) -> Sample {
        let root = if config.containment == Containment::Nested { self.pid } else { process::id() };
        // Elsewhere they hold what is not the script's.
        let own: [&[u8]; 3] = [&config.work_dir, &config.tmp_dir, b"/dev/shm"];
        let stores = Stores { folders: if config.private { &own } else { &[] }, ipc: config.private };
        let limit = if self.limits.memory > 0 { self.limits.memory } else { u64::MAX };
        let mut sample = usage::sample(root, stores, limit);
        sample.cpu_us += self.used.user_us + self.used.system_us;
        self.peak = self.peak.max(sample.memory);
        self.last = sample;
        sample
    }

    pub(super) fn watch(&mut self, now: u64, config: &Config) {
        let sample = self.sample(config);
        let after = time::monotonic_ms();
        // Of very many processes a look takes long; most of the time is still theirs.
        self.next_watch = after + WATCH_MS.max(4 * (after - now));
        self.out_of_memory |= self.limits.memory > 0 && sample.memory > self.limits.memory;
        self.too_many_processes |= self.limits.processes > 0 && sample.processes > self.limits.processes;
        if self.out_of_memory || self.too_many_processes {
            self.signal(signal::SIGKILL);
        }
    }

    pub(super) fn beat(&mut self, now: u64, around: &mut Surroundings<'_>) {
        self.next_beat = now + around.beat_ms;
        let sample = if self.is_watched() { self.last } else { self.sample(around.config) };
        // Who does not read learns nothing from more of them.
        if matches!(self.purpose, Purpose::Script) && !around.link.is_full() {
            let Sample { cpu_us, memory, processes } = sample;
            around.link.send(self.execution, &FromAgent::Beat { cpu_us, memory, processes });
        }
    }
}
