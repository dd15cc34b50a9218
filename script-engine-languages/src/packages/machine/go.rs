//! The Go command's settings: what `go env -w` wrote, and the variables.

use super::{IndexSource, Machine, source_of};

const MORE: [&str; 6] = ["GOSUMDB", "GONOSUMDB", "GONOSUMCHECK", "GOPRIVATE", "GONOPROXY", "GOINSECURE"];

pub(super) fn read(machine: &dyn Machine) -> IndexSource {
    let file = machine.variable("GOENV").or_else(|| machine.at_home(".config/go/env"));
    let written = file.and_then(|it| machine.text(&it)).unwrap_or_default();
    let value = |name: &str| {
        let line = || written.lines().find_map(|it| it.trim().strip_prefix(name)?.strip_prefix('=').map(str::to_owned));
        machine.variable(name).or_else(line).filter(|it| !it.is_empty())
    };
    let more = MORE.iter().filter_map(|it| Some(((*it).to_owned(), value(it)?)));
    source_of(value("GOPROXY"), more.collect())
}
