//! pip's settings: its files, of which later ones win, and then its variables.

use std::collections::BTreeMap;

use super::{IndexSource, Machine, source_of};

/// Settings by pip's names.
pub(super) struct Settings(BTreeMap<String, String>);

/// Those that are passed on as they are.
const MORE: [&str; 4] = ["extra-index-url", "trusted-host", "timeout", "find-links"];

impl Settings {
    pub(super) fn read(machine: &dyn Machine) -> Self {
        let mut settings = BTreeMap::new();
        let own = machine.variable("PIP_CONFIG_FILE");
        let home = [".pip/pip.conf", ".config/pip/pip.conf"].into_iter().filter_map(|it| machine.at_home(it));
        for path in std::iter::once("/etc/pip.conf".to_owned()).chain(home).chain(own) {
            read_file(&machine.text(&path).unwrap_or_default(), &mut settings);
        }
        for name in ["index-url", "cert", "proxy"].iter().chain(&MORE) {
            let variable = format!("PIP_{}", name.to_uppercase().replace('-', "_"));
            let also = (*name == "timeout").then(|| machine.variable("PIP_DEFAULT_TIMEOUT")).flatten();
            if let Some(value) = machine.variable(&variable).or(also) {
                settings.insert((*name).to_owned(), value);
            }
        }
        Self(settings)
    }

    pub(super) fn source(&self) -> IndexSource {
        let mut more = Vec::new();
        for name in MORE {
            // Folders of the host are in no sandbox.
            let words = self
                .0
                .get(name)
                .map(|it| it.split_whitespace().filter(|it| name != "find-links" || it.contains("://")));
            let value = words.map(|it| it.collect::<Vec<_>>().join("\n")).filter(|it| !it.is_empty());
            more.extend(value.map(|it| (name.to_owned(), it)));
        }
        source_of(self.0.get("index-url").cloned(), more)
    }

    pub(super) fn proxy(&self) -> Option<String> {
        self.0.get("proxy").cloned()
    }

    pub(super) fn certificates(&self) -> Option<String> {
        self.0.get("cert").cloned()
    }
}

/// Reads the sections for all commands and for installing.
fn read_file(text: &str, settings: &mut BTreeMap<String, String>) {
    let (mut read, mut last) = (false, None::<String>);
    for line in text.lines() {
        let said = line.trim();
        if said.is_empty() || said.starts_with(['#', ';']) {
            continue;
        }
        if let Some(section) = said.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
            (read, last) = (matches!(section, "global" | "install"), None);
        } else if line.starts_with([' ', '\t']) {
            // A line that goes on with the value above.
            if let Some(value) = last.as_ref().and_then(|it| settings.get_mut(it)) {
                value.push('\n');
                value.push_str(said);
            }
        } else if let Some((name, value)) = said.split_once(['=', ':']).filter(|_| read) {
            let name = name.trim().to_lowercase().replace('_', "-");
            settings.insert(name.clone(), value.trim().to_owned());
            last = Some(name);
        } else {
            last = None;
        }
    }
}
