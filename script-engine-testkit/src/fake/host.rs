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
    targets: BTreeMap<String, Target>,
    alive: BTreeSet<OwnerId>,
}

#[derive(Debug)]
struct Sandbox {
    owner: OwnerId,
    processes: Vec<String>,
    reaped: Arc<dyn Reaped>,
    /// The target it is a guest of.
    guest_of: Option<String>,
}

/// A machine of somebody else's.
#[derive(Debug)]
struct Target {
    runs: bool,
    /// What guests have left in it.
    left: Vec<String>,
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

    /// Puts a machine of somebody else's on this one and gives its name. One that does not run takes no guests.
    pub(super) fn add_target(&self, runs: bool) -> String {
        let mut things = self.things();
        things.made += 1;
        let name = format!("target-{}", things.made);
        things.targets.insert(name.clone(), Target { runs, left: Vec::new() });
        name
    }

    /// Whether there is a target of that name, and if so whether it runs.
    pub(super) fn target_runs(&self, name: &str) -> Option<bool> {
        self.things().targets.get(name).map(|it| it.runs)
    }

    /// Names what is in a target.
    pub(super) fn inside(&self, name: &str) -> Vec<String> {
        let things = self.things();
        let Some(target) = things.targets.get(name) else { return vec!["it is gone".into()] };
        let guests = things.sandboxes.iter().filter(|(_, it)| it.guest_of.as_deref() == Some(name));
        let runs = if target.runs { "it runs" } else { "it does not run" };
        let left = target.left.iter().cloned();
        [runs.to_owned()].into_iter().chain(left).chain(guests.map(|(id, _)| format!("guest {id}"))).collect()
    }

    /// Leaves something in a target.
    pub(crate) fn soil(&self, name: &str, what: &str) {
        if let Some(target) = self.things().targets.get_mut(name) {
            target.left.push(what.to_owned());
        }
    }

    pub(crate) fn remove_target(&self, name: &str) {
        let mut things = self.things();
        things.targets.remove(name);
        things.sandboxes.retain(|_, it| it.guest_of.as_deref() != Some(name));
    }

    /// Makes a sandbox the guest of a target.
    pub(super) fn settle_in(&self, sandbox: u64, target: &str) {
        if let Some(it) = self.things().sandboxes.get_mut(&sandbox) {
            it.guest_of = Some(target.to_owned());
        }
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
        things.sandboxes.insert(id, Sandbox { owner, processes: Vec::new(), reaped, guest_of: None });
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
