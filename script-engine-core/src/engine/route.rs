//! Chooses the executor. Pure: what is needed against what each can enforce.

use crate::contract::{ExecutorInfo, Target};
use crate::{Capability, Error, ErrorKind, Needs, NetworkPolicy, Result};

/// What a request wants of an executor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) needs: &'a Needs,
    pub(super) network: &'a NetworkPolicy,
    pub(super) target: Option<&'a Target>,
    /// The executor's name, if it is said.
    pub(super) named: Option<&'a str>,
}

/// Gives the index of the first executor that satisfies what is wanted, or of the named one if it does. Fails with
/// `Unsupported` that says, for each executor looked at, what it lacks.
pub(super) fn choose(wanted: &Wanted<'_>, executors: &[(ExecutorInfo, Capability)]) -> Result<usize> {
    let named = wanted.named;
    if let Some(name) = named
        && !executors.iter().any(|(info, _)| info.name == name)
    {
        let names: Vec<&str> = executors.iter().map(|(info, _)| info.name.as_str()).collect();
        return Err(Error::invalid("backend", format!("there is no backend {name:?}; there are {}", names.join(", "))));
    }
    let mut reasons = Vec::new();
    for (index, (info, capability)) in executors.iter().enumerate() {
        if named.is_some_and(|it| it != info.name) {
            continue;
        }
        let lacks = lacks(wanted, capability);
        if lacks.is_empty() {
            return Ok(index);
        }
        reasons.push(format!("{}: {}", info.name, lacks.join(", ")));
    }
    Err(Error::new(
        ErrorKind::Unsupported,
        format!("no backend enforces all that is required ({}); require less or choose another", reasons.join("; ")),
    ))
}

fn lacks(wanted: &Wanted<'_>, capability: &Capability) -> Vec<String> {
    let Some(capability) = capability.within(wanted.target) else {
        return vec!["gets into no machine of somebody else's".to_owned()];
    };
    let unmet = wanted.needs.unmet(capability).into_iter().map(|it| format!("{} {}", it.restriction, it.why));
    unmet.chain(capability.refuses(wanted.network).map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Isolation;
    use crate::{Egress, Mechanism, Restriction};

    #[track_caller]
    fn check(named: Option<&str>, needs: &Needs, expect: Result<usize, &str>) {
        check_network(named, needs, &NetworkPolicy::Off, expect);
    }

    #[track_caller]
    fn check_network(named: Option<&str>, needs: &Needs, network: &NetworkPolicy, expect: Result<usize, &str>) {
        check_all(&Wanted { needs, network, target: None, named }, expect);
    }

    #[track_caller]
    fn check_all(wanted: &Wanted<'_>, expect: Result<usize, &str>) {
        let info = |name: &str| ExecutorInfo { name: name.into(), isolation: Isolation::None };
        let weak = Capability::all(Mechanism::Supervised);
        let strong = Capability::all(Mechanism::Kernel).without(Restriction::Cpu, "no cgroup");
        let supervised = |it: Capability, restriction| it.with(restriction, Mechanism::Supervised);
        let guests = [Restriction::Memory, Restriction::Pids, Restriction::OpenFiles];
        let guests = guests.into_iter().fold(Capability::default(), supervised);
        let open = |it: Egress| Capability::all(Mechanism::Kernel).with_egress(it);
        let executors = [
            (info("weak"), weak),
            (info("strong"), strong),
            (info("names"), open(Egress::Names)),
            (info("addresses"), open(Egress::Addresses)),
            (info("visits"), Capability::default().with_guests(guests)),
        ];
        match (choose(wanted, &executors), expect) {
            (Ok(found), Ok(expect)) => assert_eq!(found, expect),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expect) => panic!("{found:?}, expected {expect:?}"),
        }
    }

    #[test]
    fn the_first_that_enforces_everything_is_chosen() {
        check(None, &Needs::default(), Ok(1));
        check(Some("strong"), &Needs::default(), Ok(1));
        check(Some("weak"), &Needs::default(), Err("weak: namespaces is only supervised"));
        check(Some("docker"), &Needs::default(), Err("there are weak, strong"));
        check(Some("strong"), &Needs::kernel_for_all(), Err("strong: cpu no cgroup"));
        check(None, &Needs::kernel_for_all(), Ok(2));
    }

    #[test]
    fn an_allow_list_goes_to_who_can_open_it() {
        let allow = |entry: &str| NetworkPolicy::allow([entry]).unwrap();
        let needs = Needs::default();
        check_network(None, &needs, &allow("a.example:80"), Ok(2));
        check_network(None, &needs, &allow("127.0.0.1:80"), Ok(2));
        check_network(None, &needs, &allow("192.0.2.1:80"), Ok(3));
        check_network(None, &needs, &NetworkPolicy::Public { ports: vec![80], entries: Vec::new() }, Ok(2));
        check_network(Some("strong"), &needs, &allow("a.example:80"), Err("strong: can't open an allow-list"));
        check_network(Some("names"), &needs, &allow("192.0.2.1:80"), Err("names: can't open entries by address"));
    }

    #[test]
    fn a_machine_of_somebody_elses_is_entered_by_who_can_and_not_taken_for_a_sandbox() {
        let target = Target { name: "app".into(), user: None };
        let (needs, strict, off) = (Needs::in_target(), Needs::default(), NetworkPolicy::Off);
        let wanted = Wanted { needs: &needs, network: &off, target: Some(&target), named: None };
        check_all(&wanted, Ok(4));
        check_all(&Wanted { named: Some("strong"), ..wanted }, Err("strong: gets into no machine of somebody else's"));
        check_all(&Wanted { needs: &strict, ..wanted }, Err("visits: namespaces is not enforced"));
        let open = NetworkPolicy::allow(["a.example:80"]).unwrap();
        check_all(&Wanted { network: &open, ..wanted }, Err("visits: can't open an allow-list"));
    }
}
