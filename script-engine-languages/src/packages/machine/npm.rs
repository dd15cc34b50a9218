//! npm's settings: those of the machine, of the user, and its variables.

use std::collections::BTreeMap;

use super::{IndexSource, Machine, source_of};

/// Settings by npm's names.
pub(super) struct Settings(BTreeMap<String, String>);

impl Settings {
    pub(super) fn read(machine: &dyn Machine) -> Self {
        let mut settings = BTreeMap::new();
        let user = machine.variable("NPM_CONFIG_USERCONFIG").or_else(|| machine.at_home(".npmrc"));
        let all = ["/usr/etc/npmrc", "/usr/local/etc/npmrc", "/etc/npmrc"].map(str::to_owned);
        for path in all.into_iter().chain(user) {
            for line in machine.text(&path).unwrap_or_default().lines().map(str::trim) {
                if line.starts_with(['#', ';', '[']) {
                    continue;
                }
                if let Some((name, value)) = line.split_once('=') {
                    let value = expanded(value.trim().trim_matches('"'), machine);
                    settings.insert(name.trim().to_owned(), value);
                }
            }
        }
        for name in ["registry", "cafile", "proxy", "https-proxy", "noproxy"] {
            let variable = format!("npm_config_{}", name.replace('-', "_"));
            let value = machine.variable(&variable).or_else(|| machine.variable(&variable.to_uppercase()));
            settings.extend(value.map(|it| (name.to_owned(), it)));
        }
        Self(settings)
    }

    /// The registry, and what is said of others: those of scopes, and how to log in to each.
    pub(super) fn source(&self) -> IndexSource {
        let kept = |name: &str| name.starts_with("//") || (name.starts_with('@') && name.ends_with(":registry"));
        let more = self.0.iter().filter(|(name, _)| kept(name)).map(|(name, value)| (name.clone(), value.clone()));
        source_of(self.0.get("registry").cloned(), more.collect())
    }

    pub(super) fn proxy(&self) -> Option<String> {
        self.0.get("https-proxy").or_else(|| self.0.get("proxy")).filter(|it| *it != "null").cloned()
    }

    pub(super) fn certificates(&self) -> Option<String> {
        self.0.get("cafile").cloned()
    }
}

/// A value with variables such as `${TOKEN}` in it replaced, as npm does.
fn expanded(value: &str, machine: &dyn Machine) -> String {
    let mut out = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, behind)) = after.split_once('}') else { break };
        out.push_str(before);
        out.push_str(&machine.variable(name).unwrap_or_default());
        rest = behind;
    }
    out.push_str(rest);
    out
}
