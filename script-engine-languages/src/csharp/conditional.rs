//! `#if` and what belongs to it: which lines of a source are switched off.

/// Symbols that one source may define, and `#if`s that may be open.
const MOST: usize = 256;

/// The conditions that are open at a line.
#[derive(Debug)]
pub(super) struct Conditions {
    symbols: Vec<String>,
    open: Vec<Branch>,
}

#[derive(Clone, Copy, Debug)]
struct Branch {
    /// Whether this branch is read.
    active: bool,
    /// Whether an earlier branch was, or none may be.
    taken: bool,
}

/// What is defined without saying so, and is for the compiler too.
pub(super) const DEFINED: [&str; 4] = ["TRACE", "RELEASE", "NET", "NETCOREAPP"];

impl Default for Conditions {
    fn default() -> Self {
        Self { symbols: DEFINED.map(str::to_owned).to_vec(), open: Vec::new() }
    }
}

impl Conditions {
    /// Whether lines are read here.
    pub(super) fn active(&self) -> bool {
        self.open.last().is_none_or(|it| it.active)
    }

    /// Reads a `#` line; says whether it is one of these.
    pub(super) fn read(&mut self, line: &str) -> bool {
        let line = line.strip_prefix('#').unwrap_or(line).trim_start();
        let line = line.split("//").next().unwrap_or_default();
        let (word, rest) = line.split_at(line.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(line.len()));
        match word {
            "define" | "undef" => {
                self.symbols.retain(|it| it != rest.trim());
                if word == "define" && self.active() && self.symbols.len() < MOST {
                    self.symbols.push(rest.trim().to_owned());
                }
                // The compiler's own conditions are gone, so it needs the symbols no more, but for `[Conditional]`.
                false
            }
            "if" if self.open.len() < MOST => {
                let (outer, holds) = (self.active(), holds(rest, &self.symbols));
                self.open.push(Branch { active: outer && holds, taken: !outer || holds });
                true
            }
            "elif" | "else" => {
                let holds = word == "else" || holds(rest, &self.symbols);
                if let Some(branch) = self.open.last_mut() {
                    branch.active = holds && !branch.taken;
                    branch.taken |= holds;
                }
                true
            }
            "endif" => {
                self.open.pop();
                true
            }
            _ => false,
        }
    }
}

/// Whether a condition holds; one that can't be read does not.
fn holds(condition: &str, symbols: &[String]) -> bool {
    let mut reader = Reader { rest: condition, depth: 0, symbols };
    reader.either().unwrap_or(false)
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
    symbols: &'a [String],
}

impl Reader<'_> {
    fn takes(&mut self, text: &str) -> bool {
        let found = self.rest.trim_start().strip_prefix(text);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn either(&mut self) -> Option<bool> {
        let mut value = self.both()?;
        while self.takes("||") {
            value |= self.both()?;
        }
        Some(value)
    }

    fn both(&mut self) -> Option<bool> {
        let mut value = self.equal()?;
        while self.takes("&&") {
            value &= self.equal()?;
        }
        Some(value)
    }

    fn equal(&mut self) -> Option<bool> {
        let mut value = self.one()?;
        loop {
            if self.takes("==") {
                value = value == self.one()?;
            } else if self.takes("!=") {
                value = value != self.one()?;
            } else {
                return Some(value);
            }
        }
    }

    fn one(&mut self) -> Option<bool> {
        self.depth += 1;
        if self.depth > MOST {
            return None;
        }
        if self.takes("!") {
            return self.one().map(|it| !it);
        }
        if self.takes("(") {
            let value = self.either()?;
            return self.takes(")").then_some(value);
        }
        let rest = self.rest.trim_start();
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (word, rest) = rest.split_at(end);
        self.rest = rest;
        match word {
            "" => None,
            "true" => Some(true),
            "false" => Some(false),
            word => Some(self.symbols.iter().any(|it| it == word)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_worked_out() {
        let symbols = ["A".to_owned(), "B".to_owned()];
        for (condition, expect) in [
            ("A", true),
            ("C", false),
            ("!C && (A || C)", true),
            ("A == B", true),
            ("A != true", false),
            ("!(A && B)", false),
            ("", false),
            ("(A", false),
            ("A &&", false),
        ] {
            assert_eq!(holds(condition, &symbols), expect, "{condition}");
        }
        assert!(!holds(&"(".repeat(100_000), &symbols));
        assert!(!holds(&"!".repeat(100_000), &symbols));
    }
}
