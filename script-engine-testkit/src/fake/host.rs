//! The machine that fake sandboxes are on: what is there, and whose it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use script_engine_core::OwnerId;
use script_engine_core::contract::OwnerStatus;

/// A fake machine. Clones are the same machine, so that several owners can share one.
#[derive(Clone, Debug, Default)]
pub struct FakeHost(Arc<Mutex<Things>>);

#[derive(Debug, Default)]
struct Things {
    made: u64,
    sandboxes: BTreeMap<u64, Sandbox>,
    alive: BTreeSet<OwnerId>,
}

#[derive(Debug)]
struct Sandbox {
    owner: OwnerId,
    processes: Vec<String>,
    reaped: Arc<dyn Reaped>,
}

/// Hears that its sandbox was taken away.
pub(super) trait Reaped: std::fmt::Debug + Send + Sync {
    /// The sandbox is gone.
    fn reaped(&self);
}

impl FakeHost {
    /// Makes a machine with nothing on it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Names what `owner` has left or holds on the machine.
    #[must_use]
    pub fn leftovers(&self, owner: OwnerId) -> Vec<String> {
        let things = self.things();
        let own = things.sandboxes.iter().filter(|(_, it)| it.owner == owner);
        own.map(|(id, it)| format!("sandbox {id} with {} processes", it.processes.len())).collect()
    }

    /// Names the processes, of whatever owner, whose name holds `marker`.
    #[must_use]
    pub fn processes(&self, marker: &str) -> Vec<String> {
        let things = self.things();
        let all = things.sandboxes.values().flat_map(|it| &it.processes);
        all.filter(|it| it.contains(marker)).cloned().collect()
    }

    /// Puts something on the machine that belongs to `owner` and that no script will ever remove.
    pub fn litter(&self, owner: OwnerId, process: impl Into<String>) {
        let id = self.add(owner, Arc::new(Nobody));
        self.start(id, process.into());
    }

    /// Lists the owners that have something here or live.
    #[must_use]
    pub fn owners(&self) -> Vec<OwnerStatus> {
        let things = self.things();
        let mut owners = things.alive.clone();
        owners.extend(things.sandboxes.values().map(|it| it.owner));
        owners.into_iter().map(|owner| OwnerStatus { owner, alive: things.alive.contains(&owner) }).collect()
    }

    /// Removes all that `owner` has, and says what that was.
    pub fn reap(&self, owner: OwnerId) -> Vec<String> {
        let mut things = self.things();
        let own: Vec<u64> = things.sandboxes.iter().filter(|(_, it)| it.owner == owner).map(|(id, _)| *id).collect();
        own.into_iter()
            .filter_map(|id| {
                let sandbox = things.sandboxes.remove(&id)?;
                sandbox.reaped.reaped();
                Some(format!("sandbox {id}"))
            })
            .collect()
    }

    pub(super) fn enter(&self, owner: OwnerId) {
        self.things().alive.insert(owner);
    }

    pub(super) fn leave(&self, owner: OwnerId) {
        self.things().alive.remove(&owner);
    }

    /// Puts a sandbox on the machine and gives its number.
    pub(super) fn add(&self, owner: OwnerId, reaped: Arc<dyn Reaped>) -> u64 {
        let mut things = self.things();
        things.made += 1;
        let id = things.made;
        things.sandboxes.insert(id, Sandbox { owner, processes: Vec::new(), reaped });
        id
    }

    /// Adds a process to a sandbox.
    pub(super) fn start(&self, sandbox: u64, process: String) {
        if let Some(it) = self.things().sandboxes.get_mut(&sandbox) {
            it.processes.push(process);
        }
    }

    /// Ends all processes of a sandbox and says how many there were.
    pub(super) fn stop(&self, sandbox: u64) -> u32 {
        let mut things = self.things();
        let processes = things.sandboxes.get_mut(&sandbox).map(|it| std::mem::take(&mut it.processes));
        u32::try_from(processes.unwrap_or_default().len()).unwrap_or(u32::MAX)
    }

    pub(super) fn has(&self, sandbox: u64) -> bool {
        self.things().sandboxes.contains_key(&sandbox)
    }

    pub(super) fn remove(&self, sandbox: u64) {
        self.things().sandboxes.remove(&sandbox);
    }

    fn things(&self) -> MutexGuard<'_, Things> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Nobody;

impl Reaped for Nobody {
    fn reaped(&self) {}
}
