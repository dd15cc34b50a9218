//! Makes of a script what a compiler takes: directives of scripts out, statements where the language wants them, and
//! `#line`s so that every position is the user's.

use std::ops::Range;

use super::directive::{self, Directive};
use super::entry::{self, Entry};
use super::lexer::{self, Kind, Lexed, Token};
use super::units::{self, Part, Unit};
use crate::source_text;
use script_engine_core::contract::Diagnostic;

/// What a .NET project has in scope without saying so.
const USUAL: &str = "using System; using System.Collections.Generic; using System.IO; using System.Linq; \
                     using System.Net.Http; using System.Threading; using System.Threading.Tasks;";

/// Changes between statements and types in one source.
const MOST_UNITS: usize = 10_000;
/// How far in a line columns are kept.
const LONGEST_LINE: usize = 1000;

/// What is not the user's is in a file of its own. (A line that is hidden counts on from the one before it.)
const MADE: &str = "\n#line 1 \"made\"\n";

/// A script as compilers take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arranged {
    /// For C# 9 and newer.
    pub(super) modern: String,
    /// For compilers that know no statements outside of a method, and the type they are then in; the
    /// same for both without one.
    pub(super) classic: Option<(String, String)>,
    /// The packages it declares, and which versions will do.
    pub(super) packages: Vec<(String, String)>,
    /// What only a .NET 10 SDK can do for it, each as it stands after `#:`.
    pub(super) build: Vec<String>,
}

/// Arranges `text`, which is known as `path`. `script` says that it is a script file (`.csx`), in which statements have
/// modifiers and stand anywhere. Fails with what is wrong with its directives.
pub(super) fn arrange(text: &str, path: &str, script: bool) -> Result<Arranged, Vec<Diagnostic>> {
    let Some(lexed) = lexer::lex(text) else {
        let message = "strings in strings are nested too deeply to be read; take them apart".to_owned();
        return Err(vec![Diagnostic { line: 1, column: 1, message }]);
    };
    if let Some((at, what)) = lexed.endless {
        // It would swallow what is put behind it.
        let (line, column) = source_text::position(text.as_bytes(), at);
        return Err(vec![Diagnostic { line, column, message: format!("a {what} begins here and never ends") }]);
    }
    let mut blanks = lexed.inactive.clone();
    let mut made = Arranged { modern: String::new(), classic: None, packages: Vec::new(), build: Vec::new() };
    read_directives(text, &lexed, &mut blanks, &mut made)?;
    let units = units::split(text, &lexed.tokens);
    let statements: Vec<&Unit> = units.iter().filter(|it| it.part == Part::Statement).collect();
    if script {
        let modifiers = statements.iter().flat_map(|it| units::member_modifiers(text, &lexed.tokens, **it));
        blanks.extend(modifiers.map(|it| (it.start, it.end)));
    }
    if units.len() > MOST_UNITS {
        let message = "statements and types alternate too often; put the types at the end".to_owned();
        return Err(vec![Diagnostic { line: 1, column: 1, message }]);
    }
    let text = blanked(text, &blanks);
    let mut source = Source { text: &text, path, tokens: &lexed.tokens, lines: lines(&text), out: String::new() };
    let arguments = script && source.has_word("Args");
    // It must come first.
    let usual = if source.word(0) == "extern" { "" } else { USUAL };
    if statements.is_empty() {
        source.out = format!("{usual}\n");
        source.all();
        made.modern = source.out;
        return Ok(made);
    }
    let inside: Vec<Token> = statements.iter().flat_map(|it| source.of(it)).copied().collect();
    let entry = entry::examine(&text, &inside);
    let type_name = source.free_name();
    for classic in [false, true] {
        source.out = format!("{usual}\n");
        source.parts(&units, Part::Using);
        source.parts(&units, Part::Attribute);
        source.begin(classic.then_some((type_name.as_str(), entry)), arguments);
        source.parts(&units, Part::Statement);
        source.end(classic.then_some(entry), script);
        source.parts(&units, Part::Declaration);
        let out = std::mem::take(&mut source.out);
        if classic {
            made.classic = Some((out, type_name.clone()));
        } else {
            made.modern = out;
        }
    }
    Ok(made)
}

fn read_directives(
    text: &str,
    lexed: &Lexed,
    blanks: &mut Vec<(usize, usize)>,
    made: &mut Arranged,
) -> Result<(), Vec<Diagnostic>> {
    let mut problems = Vec::new();
    for (start, end) in &lexed.directives {
        let line = text.get(*start..*end).unwrap_or_default();
        match directive::read(line, *start == 0) {
            Ok(Directive::Compiler) => continue,
            Ok(Directive::Nothing) => {}
            Ok(Directive::Package { name, requirement }) => made.packages.push((name, requirement)),
            Ok(Directive::Build(setting)) => made.build.push(setting),
            Err(message) => {
                let (line, column) = source_text::position(text.as_bytes(), *start);
                problems.push(Diagnostic { line, column, message });
            }
        }
        blanks.push((*start, *end));
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// `text` with spaces in place of all but the line ends of `blanks`; every byte stays where it is.
fn blanked(text: &str, blanks: &[(usize, usize)]) -> String {
    let mut blanks = blanks.to_vec();
    blanks.sort_unstable();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (start, end) in blanks {
        let start = start.max(at);
        out.push_str(text.get(at..start).unwrap_or_default());
        for c in text.get(start..end).unwrap_or_default().chars() {
            if lexer::is_line_end(c) {
                out.push(c);
            } else {
                out.extend(std::iter::repeat_n(' ', c.len_utf8()));
            }
        }
        at = at.max(end);
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// Where each line begins.
fn lines(text: &str) -> Vec<usize> {
    let mut starts = vec![0];
    let mut all = text.char_indices().peekable();
    while let Some((at, c)) = all.next() {
        let half = c == '\r' && all.peek().is_some_and(|it| it.1 == '\n');
        if lexer::is_line_end(c) && !half {
            starts.push(at + c.len_utf8());
        }
    }
    starts
}

/// A source that is taken apart, and what is made of it.
struct Source<'a> {
    text: &'a str,
    path: &'a str,
    tokens: &'a [Token],
    lines: Vec<usize>,
    out: String,
}

impl Source<'_> {
    fn word(&self, at: usize) -> &str {
        self.tokens.get(at).and_then(|it| self.text.get(it.start..it.end)).unwrap_or_default()
    }

    fn of(&self, unit: &Unit) -> &[Token] {
        self.tokens.get(unit.tokens.0..unit.tokens.1).unwrap_or_default()
    }

    /// All of it.
    fn all(&mut self) {
        self.copy(0..self.text.len());
    }

    /// The units of one kind, each with the comments and directives before it.
    fn parts(&mut self, units: &[Unit], part: Part) {
        for (index, unit) in units.iter().enumerate().filter(|it| it.1.part == part) {
            let start = if index == 0 { 0 } else { self.before(unit) };
            let last = index + 1 == units.len();
            let end = if last { self.text.len() } else { self.of(unit).last().map_or(start, |it| it.end) };
            self.copy(start..end);
        }
    }

    /// Where the unit before this one ended.
    fn before(&self, unit: &Unit) -> usize {
        unit.tokens.0.checked_sub(1).and_then(|it| self.tokens.get(it)).map_or(0, |it| it.end)
    }

    /// Copies a piece to where it stood in its line, and says which line that was.
    fn copy(&mut self, range: Range<usize>) {
        let line = self.lines.partition_point(|it| *it <= range.start).max(1);
        let line_start = self.lines.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(line_start..range.start).unwrap_or_default();
        // In lines that nobody reads columns need not be right.
        let readable = before.len() <= LONGEST_LINE;
        let column = if readable { before.encode_utf16().count() } else { 0 };
        self.out.push_str(&format!("#line {line} \"{}\"\n{}", self.path, " ".repeat(column)));
        self.out.push_str(self.text.get(range).unwrap_or_default());
        // A comment or a directive may be the last thing in it.
        self.out.push_str(MADE);
    }

    /// What stands before the statements: a `Main`, where the compiler does not make it.
    fn begin(&mut self, main: Option<(&str, Entry)>, arguments: bool) {
        self.out.push_str(MADE);
        if let Some((type_name, entry)) = main {
            let returns = match (entry.awaits, entry.returns) {
                (false, false) => "void",
                (false, true) => "int",
                (true, false) => "async System.Threading.Tasks.Task",
                (true, true) => "async System.Threading.Tasks.Task<int>",
            };
            self.out.push_str(&format!("partial class {type_name} {{ static {returns} Main(string[] args) {{\n"));
        }
        if arguments {
            self.out.push_str("System.Collections.Generic.IList<string> Args = args;\n");
        }
    }

    /// What stands after them. In a script file the last of them may lack its semicolon.
    fn end(&mut self, main: Option<Entry>, script: bool) {
        if script {
            self.out.push_str(";\n");
        }
        if let Some(entry) = main {
            self.out.push_str(if entry.returns { "return 0;}}\n" } else { "}}\n" });
        }
    }

    fn has_word(&self, word: &str) -> bool {
        (0..self.tokens.len()).any(|it| self.word(it) == word)
    }

    /// A name for the type that `Main` is in, which the source does not have; `Program`, if the source says that it has
    /// a part of that.
    fn free_name(&self) -> String {
        let is_partial = |at: usize| self.word(at) == "partial" && self.word(at + 2) == "Program";
        if !self.has_word("Program") || (0..self.tokens.len()).any(is_partial) {
            return "Program".to_owned();
        }
        let longest = self.tokens.iter().filter(|it| it.kind == Kind::Word).map(|it| it.end - it.start).max();
        // No name that long is in it.
        format!("Script{}", "_".repeat(longest.unwrap_or(0).min(500)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the compiler's positions mean: the user's line and column of each word that stands in a `#line`.
    fn positions(made: &str) -> Vec<(String, usize, usize)> {
        let mut found = Vec::new();
        let mut line = None;
        for text in made.lines() {
            if let Some(rest) = text.strip_prefix("#line ") {
                let number = rest.split(' ').next().and_then(|it| it.parse::<usize>().ok());
                line = number.filter(|_| rest.contains("/scripts/x"));
                continue;
            }
            let Some(number) = line else { continue };
            line = Some(number + 1);
            for (at, _) in
                text.char_indices().filter(|(at, c)| !c.is_whitespace() && (*at == 0 || text[..*at].ends_with(' ')))
            {
                let word: String = text[at..].chars().take_while(|c| !c.is_whitespace()).collect();
                found.push((word, number, text[..at].encode_utf16().count() + 1));
            }
        }
        found
    }

    #[track_caller]
    fn check(text: &str, script: bool, expect: &str) -> Arranged {
        let made = arrange(text, "/scripts/x", script).unwrap();
        let plain = |made: &str| -> String {
            let lines = made.lines().skip(1).filter(|it| !it.starts_with("#line"));
            lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(plain(made.classic.as_ref().map_or(&made.modern, |it| &it.0)), expect, "{text}");
        let every = [Some(&made.modern), made.classic.as_ref().map(|it| &it.0)];
        for (word, line, column) in every.into_iter().flatten().flat_map(|it| positions(it)) {
            let there: String = text.lines().nth(line - 1).unwrap_or_default().chars().skip(column - 1).collect();
            assert!(there.starts_with(&word), "{text:?}: {word} at {line}, {column}");
        }
        made
    }

    #[test]
    fn a_program_stays_as_it_is() {
        let made = check(
            "using System;\nclass A { static void Main() { } }\n",
            false,
            "using System; class A { static void Main() { } }",
        );
        assert!(made.classic.is_none());
        assert!(made.modern.starts_with(USUAL));
        let made = check("extern alias X; class A { }", false, "extern alias X; class A { }");
        assert!(!made.modern.contains("System"));
    }

    #[test]
    fn statements_get_a_main_where_it_takes_one() {
        check("F(1);", false, "partial class Program { static void Main(string[] args) { F(1); }}");
        check("return 1;", false, "partial class Program { static int Main(string[] args) { return 1; return 0;}}");
        check(
            "using A; // b\nawait F(); class C { } // d",
            false,
            "using A; partial class Program { static async System.Threading.Tasks.Task Main(string[] args) { \
             // b await F(); }} class C { } // d",
        );
        check(
            "class C { }\n  F(); enum E { A }\nreturn await G();\n",
            true,
            "partial class Program { static async System.Threading.Tasks.Task<int> Main(string[] args) { \
             F(); return await G(); ; return 0;}} class C { } enum E { A }",
        );
        let made = check(
            "public static int x = 1; private void F() { } Args.Count()",
            true,
            "partial class Program { static void Main(string[] args) { \
             System.Collections.Generic.IList<string> Args = args; int x = 1; void F() { } Args.Count() ; }}",
        );
        assert_eq!(made.classic.unwrap().1, "Program");
        let made = arrange("F(); class Program { }", "/scripts/x", false).unwrap();
        assert_eq!(made.classic.unwrap().1, "Script_______");
        let made = arrange("F(); partial class Program { }", "/scripts/x", false).unwrap();
        assert_eq!(made.classic.unwrap().1, "Program");
    }

    #[test]
    fn directives_of_scripts_are_taken_out_where_they_stand() {
        let made = check(
            "#!/usr/bin/env dotnet-script\n#r \"nuget: A, 1.0\"\n#:package B@2\n#region x\nF(); // #r\n#endregion\n#if X\nG();\n#else\nH();\n#endif\n#pragma warning disable\n",
            true,
            "partial class Program { static void Main(string[] args) { F(); // #r H(); #pragma warning disable ; }}",
        );
        let package = |name: &str, version: &str| (name.to_owned(), version.to_owned());
        assert_eq!(made.packages, [package("A", "1.0"), package("B", "2")]);
        let made = arrange("#:property A=b\nF();", "/scripts/x", false).unwrap();
        assert_eq!(made.build, ["property A=b"]);
        let problems = arrange("F();\n  #load \"x\"\n#:sdk Y\n", "/scripts/x", true).unwrap_err();
        let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(shown.len(), 2, "{shown:?}");
        assert!(shown[0].starts_with("line 2, column 3: `#load`"), "{shown:?}");
    }

    #[test]
    fn strange_lines_are_counted_as_the_compiler_does() {
        let made = arrange("\r\n\r\u{2028}class A { }\r\n\u{e4}(\"\u{1F600}\"); F();", "/scripts/x", false).unwrap();
        let text = made.classic.unwrap().0;
        assert!(text.contains("#line 4 \"/scripts/x\"\n           \r\n\u{e4}("), "{text:?}");
    }

    #[test]
    fn what_is_made_of_it_is_bounded() {
        let text = "class A { } F(); ".repeat(4000);
        let made = arrange(&text, "/scripts/x", true).unwrap();
        assert!(made.modern.len() < 12 << 20);
        assert!(arrange(&text.repeat(2), "/scripts/x", true).is_err());
    }
}
