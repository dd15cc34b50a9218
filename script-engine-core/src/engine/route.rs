//! Chooses the executor. Pure: what is needed against what each can enforce.

use crate::contract::ExecutorInfo;
use crate::{Capability, Error, ErrorKind, Needs, NetworkPolicy, Result};

/// Gives the index of the first executor that satisfies `needs` and can open `network`, or of the named one if it
/// does. Fails with `Unsupported` that says, for each executor looked at, what it lacks.
pub(super) fn choose(
    needs: &Needs,
    network: &NetworkPolicy,
    named: Option<&str>,
    executors: &[(ExecutorInfo, Capability)],
) -> Result<usize> {
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
        let unmet = needs.unmet(capability).into_iter().map(|it| format!("{} {}", it.restriction, it.why));
        let lacks: Vec<String> = unmet.chain(capability.refuses(network).map(str::to_owned)).collect();
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
        let info = |name: &str| ExecutorInfo { name: name.into(), isolation: Isolation::None };
        let weak = Capability::all(Mechanism::Supervised);
        let strong = Capability::all(Mechanism::Kernel).without(Restriction::Cpu, "no cgroup");
        let open = |it: Egress| Capability::all(Mechanism::Kernel).with_egress(it);
        let executors = [
            (info("weak"), weak),
            (info("strong"), strong),
            (info("names"), open(Egress::Names)),
            (info("addresses"), open(Egress::Addresses)),
        ];
        match (choose(needs, network, named, &executors), expect) {
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
}
