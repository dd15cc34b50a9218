//! Restrictions: how badly each is needed, what a backend can enforce, and what really held.

use std::collections::BTreeMap;
use std::fmt;

use crate::NetworkPolicy;
use crate::contract::Target;

/// One thing a script is kept from.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Restriction {
    /// It sees no processes, mounts, names or ipc objects but its own.
    Namespaces,
    /// It reads only what its runtime gives and writes only its scratch space.
    FileSystem,
    /// It reaches no network but its own loopback, and by it what its network policy allows.
    Network,
    /// It can make only the system calls of the profile.
    SystemCalls,
    /// It has an unprivileged identity and no way to gain rights.
    Privileges,
    /// Its memory is bounded.
    Memory,
    /// Its processes and threads are bounded.
    Pids,
    /// Its share of the cpus is bounded.
    Cpu,
    /// Its scratch space is bounded, in bytes and in files.
    Scratch,
    /// Its open descriptors are bounded.
    OpenFiles,
}

impl Restriction {
    /// All restrictions, in the order of reports.
    pub const ALL: [Self; 10] = [
        Self::Namespaces,
        Self::FileSystem,
        Self::Network,
        Self::SystemCalls,
        Self::Privileges,
        Self::Memory,
        Self::Pids,
        Self::Cpu,
        Self::Scratch,
        Self::OpenFiles,
    ];

    /// The restriction in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::FileSystem => "file_system",
            Self::Network => "network",
            Self::SystemCalls => "system_calls",
            Self::Privileges => "privileges",
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
            Self::Scratch => "scratch",
            Self::OpenFiles => "open_files",
        }
    }

    /// Whether this is isolation, which by default the kernel must enforce, and not a resource limit.
    #[must_use]
    pub fn is_isolation(self) -> bool {
        match self {
            Self::Namespaces | Self::FileSystem | Self::Network | Self::SystemCalls | Self::Privileges => true,
            Self::Memory | Self::Pids | Self::Cpu | Self::Scratch | Self::OpenFiles => false,
        }
    }
}

impl fmt::Display for Restriction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who enforces a restriction. The order is strength: the kernel is the stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mechanism {
    /// The agent watches and kills.
    Supervised,
    /// The kernel refuses.
    Kernel,
}

impl Mechanism {
    /// The mechanism in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Supervised => "supervised",
            Self::Kernel => "kernel",
        }
    }
}

/// How badly the host needs one restriction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Refuse the request unless it is enforced by this mechanism or a stronger one.
    Required(Mechanism),
    /// Enforce it where possible and say in the report where not.
    BestEffort,
}

/// What the host demands of each restriction. The default is strict: isolation of the kernel,
/// resource limits in either form, except for the cpu share, which is best effort because an
/// ordinary user without a delegated cgroup can't have it in any form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs(BTreeMap<Restriction, Need>);

impl Default for Needs {
    fn default() -> Self {
        let need = |it: Restriction| match it {
            Restriction::Cpu => Need::BestEffort,
            it if it.is_isolation() => Need::Required(Mechanism::Kernel),
            _ => Need::Required(Mechanism::Supervised),
        };
        Self(Restriction::ALL.into_iter().map(|it| (it, need(it))).collect())
    }
}

impl Needs {
    /// Demands everything of the kernel.
    #[must_use]
    pub fn kernel_for_all() -> Self {
        Self(Restriction::ALL.into_iter().map(|it| (it, Need::Required(Mechanism::Kernel))).collect())
    }

    /// Demands what can hold in a machine of somebody else's, whose isolation is its owner's: memory, processes and
    /// open descriptors are bounded, all else is best effort.
    #[must_use]
    pub fn in_target() -> Self {
        let needed = [Restriction::Memory, Restriction::Pids, Restriction::OpenFiles];
        let rest = Restriction::ALL.into_iter().filter(|it| !needed.contains(it));
        rest.fold(Self::default(), |it, restriction| it.with(restriction, Need::BestEffort))
    }

    /// Changes the need of one restriction.
    #[must_use]
    pub fn with(mut self, restriction: Restriction, need: Need) -> Self {
        self.0.insert(restriction, need);
        self
    }

    /// The need of one restriction.
    #[must_use]
    pub fn of(&self, restriction: Restriction) -> Need {
        self.0.get(&restriction).copied().unwrap_or(Need::Required(Mechanism::Kernel))
    }

    /// Names each restriction that `capability` does not satisfy, and why.
    #[must_use]
    pub fn unmet(&self, capability: &Capability) -> Vec<Waiver> {
        Restriction::ALL
            .into_iter()
            .filter_map(|restriction| match (self.of(restriction), capability.of(restriction)) {
                (Need::BestEffort, _) => None,
                (Need::Required(least), Enforced::By(mechanism)) if mechanism >= least => None,
                (Need::Required(_), Enforced::By(mechanism)) => {
                    Some(Waiver { restriction, why: format!("is only {}, the kernel is required", mechanism.as_str()) })
                }
                (Need::Required(_), Enforced::Not(why)) => Some(Waiver { restriction, why: why.to_owned() }),
            })
            .collect()
    }
}

/// A restriction that does not hold, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    /// The restriction.
    pub restriction: Restriction,
    /// Why it does not hold and what would change that.
    pub why: String,
}

/// How one restriction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforced<'a> {
    /// It is enforced by this mechanism.
    By(Mechanism),
    /// It is not, for this reason.
    Not(&'a str),
}

/// How much of an allow-list a backend can open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Egress {
    /// Nothing.
    #[default]
    Nothing,
    /// Entries by name, and those on the loopback addresses.
    Names,
    /// Entries by name and by address.
    Addresses,
}

impl Egress {
    /// What a policy takes.
    #[must_use]
    pub fn for_policy(policy: &NetworkPolicy) -> Self {
        match (policy.is_off(), policy.names_addresses()) {
            (true, _) => Self::Nothing,
            (false, false) => Self::Names,
            (false, true) => Self::Addresses,
        }
    }
}

/// What a backend can enforce, proved by a sandbox that it really booted. What is not named is
/// not enforced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capability {
    enforced: BTreeMap<Restriction, Mechanism>,
    missing: BTreeMap<Restriction, String>,
    egress: Egress,
    host_network: bool,
    guests: Option<Box<Self>>,
}

impl Capability {
    /// Says that `restriction` is enforced by `mechanism`.
    #[must_use]
    pub fn with(mut self, restriction: Restriction, mechanism: Mechanism) -> Self {
        self.missing.remove(&restriction);
        self.enforced.insert(restriction, mechanism);
        self
    }

    /// Says that `restriction` is not enforced, why, and what would change that.
    #[must_use]
    pub fn without(mut self, restriction: Restriction, why: impl Into<String>) -> Self {
        self.enforced.remove(&restriction);
        self.missing.insert(restriction, why.into());
        self
    }

    /// Says how much of an allow-list it can open.
    #[must_use]
    pub fn with_egress(mut self, egress: Egress) -> Self {
        self.egress = egress;
        self
    }

    /// Says that it opens the host's network to scripts whose request asks for it.
    #[must_use]
    pub fn with_host_network(mut self) -> Self {
        self.host_network = true;
        self
    }

    /// Says that it gets into machines of others, and what holds for scripts in there.
    #[must_use]
    pub fn with_guests(mut self, guests: Self) -> Self {
        self.guests = Some(Box::new(guests));
        self
    }

    /// What holds for a script in a sandbox, or in a machine of somebody else's if it is to run in one. `None` if it
    /// gets into none.
    #[must_use]
    pub fn within(&self, target: Option<&Target>) -> Option<&Self> {
        match target {
            None => Some(self),
            Some(_) => self.guests.as_deref(),
        }
    }

    /// How much of an allow-list it can open.
    #[must_use]
    pub fn egress(&self) -> Egress {
        self.egress
    }

    /// Why it can't open what `policy` lists, if it can't.
    #[must_use]
    pub fn refuses(&self, policy: &NetworkPolicy) -> Option<&'static str> {
        if *policy == NetworkPolicy::Host {
            const CLOSED: &str = "does not open the host's network: its settings don't allow it, or it can't";
            return (!self.host_network).then_some(CLOSED);
        }
        match (Egress::for_policy(policy), self.egress) {
            (wanted, has) if has >= wanted => None,
            (_, Egress::Nothing) => Some("can't open an allow-list: the network is off or the host's own"),
            (_, Egress::Names | Egress::Addresses) => {
                Some("can't open entries by address, for which it may not configure the network; name the hosts")
            }
        }
    }

    /// Everything, by the kernel: what fakes and the strictest backends claim.
    #[must_use]
    pub fn all(mechanism: Mechanism) -> Self {
        Restriction::ALL.into_iter().fold(Self::default(), |it, restriction| it.with(restriction, mechanism))
    }

    /// How `restriction` stands.
    #[must_use]
    pub fn of(&self, restriction: Restriction) -> Enforced<'_> {
        match self.enforced.get(&restriction) {
            Some(mechanism) => Enforced::By(*mechanism),
            None => {
                Enforced::Not(self.missing.get(&restriction).map_or("is not enforced by this backend", String::as_str))
            }
        }
    }

    /// The report of a sandbox in which all this holds.
    #[must_use]
    pub fn report(&self) -> EnforcementReport {
        let mut report = EnforcementReport::default();
        for restriction in Restriction::ALL {
            match self.of(restriction) {
                Enforced::By(mechanism) => report.enforced.push((restriction, mechanism)),
                Enforced::Not(why) => report.waived.push(Waiver { restriction, why: why.to_owned() }),
            }
        }
        report
    }
}

/// What really held for one execution. Stored with it and shown to the user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnforcementReport {
    /// What was enforced, and by whom.
    pub enforced: Vec<(Restriction, Mechanism)>,
    /// What was not, and why.
    pub waived: Vec<Waiver>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(needs: &Needs, capability: &Capability, unmet: &[Restriction]) {
        let found: Vec<Restriction> = needs.unmet(capability).into_iter().map(|it| it.restriction).collect();
        assert_eq!(found, unmet);
    }

    #[test]
    fn needs_are_held_against_capability() {
        let strict = Needs::default();
        let kernel = Capability::all(Mechanism::Kernel);
        check(&strict, &kernel, &[]);
        check(&strict, &kernel.clone().without(Restriction::Cpu, "no cgroup"), &[]);
        check(&strict, &kernel.clone().with(Restriction::Memory, Mechanism::Supervised), &[]);
        check(&strict, &kernel.clone().with(Restriction::Network, Mechanism::Supervised), &[Restriction::Network]);
        check(&strict, &kernel.clone().without(Restriction::Memory, "no cgroup"), &[Restriction::Memory]);
        let all = Needs::kernel_for_all();
        check(&all, &kernel.clone().with(Restriction::Memory, Mechanism::Supervised), &[Restriction::Memory]);
        check(&all, &kernel.clone().without(Restriction::Cpu, "no cgroup"), &[Restriction::Cpu]);
        assert!(kernel.refuses(&NetworkPolicy::Host).is_some());
        assert_eq!(kernel.with_host_network().refuses(&NetworkPolicy::Host), None);
        assert_eq!(strict.unmet(&Capability::default()).len(), 9);
    }
}
