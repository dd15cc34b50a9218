//! What a source consists of at its top level: `using`s, attributes of the assembly, statements, declarations of types.

use super::lexer::{Kind, Token};

/// What a part of a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// `extern alias` and `using` directives.
    Using,
    /// Attributes of the assembly or its module.
    Attribute,
    /// Statements and local functions.
    Statement,
    /// Namespaces and types.
    Declaration,
}

/// Neighbouring things of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) part: Part,
    /// The first token and the one after the last.
    pub(super) tokens: (usize, usize),
}

/// Words that may stand before a declaration of a type.
const MODIFIERS: [&str; 13] = [
    "public",
    "private",
    "protected",
    "internal",
    "static",
    "abstract",
    "sealed",
    "unsafe",
    "partial",
    "readonly",
    "ref",
    "new",
    "file",
];

/// Splits the tokens of `text` into units. The order is that of the source.
pub(super) fn split(text: &str, tokens: &[Token]) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    let cursor = Cursor { text, tokens };
    let mut at = 0;
    while at < tokens.len() {
        let part = cursor.part(at);
        let end = cursor.end(at, part).max(at + 1);
        match units.last_mut() {
            Some(last) if last.part == part => last.tokens.1 = end,
            _ => units.push(Unit { part, tokens: (at, end) }),
        }
        at = end;
    }
    units
}

/// The words before a statement that mean something in a class, and nothing among statements: `public`, `static`.
pub(super) fn member_modifiers(text: &str, tokens: &[Token], unit: Unit) -> Vec<Token> {
    const SUCH: [&str; 6] = ["public", "private", "protected", "internal", "static", "readonly"];
    let cursor = Cursor { text, tokens };
    let mut found = Vec::new();
    let mut at = unit.tokens.0;
    while at < unit.tokens.1 {
        let modifiers = (at..unit.tokens.1).take_while(|it| cursor.is_word(*it, &SUCH));
        found.extend(modifiers.filter_map(|it| tokens.get(it)));
        at = cursor.end(at, Part::Statement).max(at + 1);
    }
    found
}

struct Cursor<'a> {
    text: &'a str,
    tokens: &'a [Token],
}

impl Cursor<'_> {
    fn says(&self, at: usize) -> &str {
        self.tokens.get(at).and_then(|it| self.text.get(it.start..it.end)).unwrap_or_default()
    }

    fn kind(&self, at: usize) -> Option<Kind> {
        self.tokens.get(at).map(|it| it.kind)
    }

    fn is_word(&self, at: usize, words: &[&str]) -> bool {
        self.kind(at) == Some(Kind::Word) && words.contains(&self.says(at))
    }

    fn is_name(&self, at: usize) -> bool {
        self.kind(at) == Some(Kind::Word)
    }

    /// What begins at a token.
    fn part(&self, at: usize) -> Part {
        let mut at = at;
        while self.says(at) == "[" {
            if self.is_word(at + 1, &["assembly", "module"]) && self.says(at + 2) == ":" {
                return Part::Attribute;
            }
            at = self.after_bracket(at);
        }
        match self.says(at) {
            "extern" if self.says(at + 1) == "alias" => return Part::Using,
            "global" if self.says(at + 1) == "using" => return Part::Using,
            "using" if self.is_using_directive(at + 1) => return Part::Using,
            "namespace" => return Part::Declaration,
            _ => {}
        }
        while self.is_word(at, &MODIFIERS) {
            at += 1;
        }
        let declares = match self.says(at) {
            "class" | "struct" | "interface" | "enum" => true,
            "delegate" => self.is_name(at + 1),
            "record" => {
                let name = at + if self.is_word(at + 1, &["class", "struct"]) { 2 } else { 1 };
                self.is_name(name) && matches!(self.says(name + 1), "(" | "{" | ":" | "<" | ";")
            }
            _ => false,
        };
        if declares { Part::Declaration } else { Part::Statement }
    }

    /// Whether what follows `using` makes it a directive: not `using (x)` nor `using var x = y;`.
    fn is_using_directive(&self, at: usize) -> bool {
        if self.is_word(at, &["static", "unsafe"]) || (self.is_name(at) && self.says(at + 1) == "=") {
            return true;
        }
        let mut at = at;
        while self.is_name(at) && matches!(self.says(at + 1), "." | "::") {
            at += 2;
        }
        self.is_name(at) && self.says(at + 1) == ";"
    }

    /// The token after what begins at `at`.
    fn end(&self, at: usize, part: Part) -> usize {
        match part {
            Part::Attribute => self.after_bracket(at),
            Part::Using => self.after_end(at, false),
            Part::Statement | Part::Declaration => self.after_end(at, true),
        }
    }

    /// The token after the next `;`, or, if blocks end it, after the next block. A `;` after a block belongs to it.
    fn after_end(&self, at: usize, blocks: bool) -> usize {
        let mut at = at;
        while at < self.tokens.len() {
            match self.kind(at) {
                Some(Kind::Open) => {
                    let block = self.says(at) == "{";
                    at = self.after_bracket(at);
                    if block && blocks {
                        return if self.says(at) == ";" { at + 1 } else { at };
                    }
                }
                // One too many: the compiler will say so.
                Some(Kind::Close) => return at + 1,
                _ if self.says(at) == ";" => return at + 1,
                _ => at += 1,
            }
        }
        at
    }

    /// The token after the bracket that closes the one at `at`.
    fn after_bracket(&self, at: usize) -> usize {
        let mut depth = 0_usize;
        for (index, token) in self.tokens.iter().enumerate().skip(at) {
            match token.kind {
                Kind::Open => depth += 1,
                Kind::Close => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return index + 1;
            }
        }
        self.tokens.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::lexer::lex;
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &[(Part, &str)]) {
        let tokens = lex(text).unwrap().tokens;
        let found = split(text, &tokens);
        let said: Vec<(Part, &str)> =
            found.iter().map(|it| (it.part, &text[tokens[it.tokens.0].start..tokens[it.tokens.1 - 1].end])).collect();
        assert_eq!(said, expect, "{text}");
    }

    #[test]
    fn using_has_three_meanings() {
        use Part::{Statement, Using};
        check(
            "extern alias A; using System; using X = A::B<int>; global using static C.D;",
            &[(Using, "extern alias A; using System; using X = A::B<int>; global using static C.D;")],
        );
        check(
            "using System.IO; using (var a = b) { } using var c = d; using E f = g;",
            &[(Using, "using System.IO;"), (Statement, "using (var a = b) { } using var c = d; using E f = g;")],
        );
        check("await using var c = d;", &[(Statement, "await using var c = d;")]);
    }

    #[test]
    fn declarations_are_told_from_statements() {
        use Part::{Attribute, Declaration, Statement};
        for text in [
            "class A { void F() { } }",
            "public static partial class A<T> : B where T : new() { }",
            "[A(new[] { 1 })] [B] internal sealed class C { };",
            "readonly ref struct A { }",
            "enum E { A, B }",
            "delegate int D(int x);",
            "public delegate void D();",
            "record R(int A, int B);",
            "record struct R { }",
            "record R<T>(T A) : B(A) { }",
            "namespace A.B { class C { } }",
            "namespace A; class C { }",
            "interface I { }",
        ] {
            check(text, &[(Declaration, text)]);
        }
        for text in [
            "Console.WriteLine(1);",
            "static int F() { return 1; }",
            "ref int x = ref y;",
            "var x = new A { B = 1 }.C;",
            "if (a) { } else { }",
            "Action a = delegate { };",
            "record = 5;",
            "var record = 1; record.ToString();",
            "unsafe { }",
            "x switch { 1 => 2, _ => 3 };",
            "[Obsolete] void F() { }",
            "label: goto label;",
            "string s = \"class A { }\"; /* class B { } */",
            "foreach (var c in @\"class\") { }",
            "int @class = 1;",
            "return $\"{new { A = 1 }}\".Length;",
        ] {
            check(text, &[(Statement, text.split(" /*").next().unwrap())]);
        }
        check(
            "[assembly: A(1)] [module: B] F(); class C { } G();",
            &[
                (Attribute, "[assembly: A(1)] [module: B]"),
                (Statement, "F();"),
                (Declaration, "class C { }"),
                (Statement, "G();"),
            ],
        );
    }

    #[test]
    fn what_is_broken_is_split_somehow() {
        for text in ["}", ")))", "class", "{ {", "using", "[", "[[[", "record", "} class A { }", ";;;"] {
            let tokens = lex(text).unwrap().tokens;
            let units = split(text, &tokens);
            assert_eq!(units.first().map(|it| it.tokens.0), Some(0), "{text}");
            assert_eq!(units.last().map(|it| it.tokens.1), Some(tokens.len()), "{text}");
        }
    }
}
