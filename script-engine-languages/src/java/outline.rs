//! What can be seen of a Java source without its compiler: the package, the types at top level and where `main` is. A parser
//! for declarations alone; bodies are gone over by their brackets.

use super::lexer::{Kind, Lexer, Token};

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outline {
    /// The package, or nothing.
    pub(super) package: Option<String>,
    /// The types at top level, in their order.
    pub(super) types: Vec<Type>,
    /// The `main` outside of any type, which belongs to a class that is named after the file.
    pub(super) loose_main: bool,
    /// The version after `//JAVA`, and where it is.
    pub(super) wanted: Option<(String, usize)>,
}

/// A type at top level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Type {
    pub(super) name: String,
    /// Where the name is.
    pub(super) at: usize,
    pub(super) public: bool,
    /// Whether something else may have a `main` for it.
    pub(super) extends: bool,
    pub(super) main: Main,
}

/// How a type can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Main {
    /// Not at all.
    None,
    /// By a `main` that only newer versions of Java start: not static, or without arguments.
    Lenient,
    /// By `static void main(String[])`.
    Classic,
}

impl Outline {
    /// Reads `text`, which need not be sound.
    pub(super) fn read(text: &str) -> Self {
        let mut parser = Parser { lexer: Lexer::new(text), outline: Self::default() };
        while parser.declaration().is_some() {}
        parser.outline
    }

    /// The type that the file must be named after, if one asks for that.
    pub(super) fn public(&self) -> Option<&Type> {
        self.types.iter().find(|it| it.public)
    }

    /// The type that is started: the public one if it can be, else the first that can be in the way all versions know, else
    /// the first that can be in any way, else one that may inherit its `main`.
    pub(super) fn started(&self) -> Option<&Type> {
        let first = |has: &dyn Fn(&Type) -> bool| self.types.iter().find(|it| has(it));
        first(&|it| it.public && it.main != Main::None)
            .or_else(|| first(&|it| it.main == Main::Classic))
            .or_else(|| first(&|it| it.main == Main::Lenient))
            .or_else(|| first(&|it| it.public && it.extends))
            .or_else(|| first(&|it| it.extends))
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    outline: Outline,
}

impl<'a> Parser<'a> {
    /// The next token that is no comment.
    fn token(&mut self) -> Option<Token<'a>> {
        loop {
            let token = self.lexer.next()?;
            let Kind::LineComment(text) = token.kind else { return Some(token) };
            let wanted = text.strip_prefix("//JAVA").filter(|it| it.starts_with([' ', '\t']));
            if let (Some(version), None) = (wanted, &self.outline.wanted) {
                self.outline.wanted = Some((version.trim().to_owned(), token.at));
            }
        }
    }

    /// Reads one declaration at top level. `None` at the end of the text.
    fn declaration(&mut self) -> Option<()> {
        let mut words: Vec<&str> = Vec::new();
        let mut member = Member::default();
        loop {
            let token = self.token()?;
            match token.kind {
                Kind::Sign(';') => return Some(()),
                Kind::Sign('@') => {
                    let word = self.token()?;
                    if word.kind == Kind::Word("interface") {
                        return self.named(words.contains(&"public"));
                    }
                }
                Kind::Sign('.') => {
                    self.token()?;
                }
                // The arguments of an annotation, or the parameters of a method that is in no type.
                Kind::Sign('(') => {
                    let parameters = self.parameters()?;
                    if member.is_main() {
                        self.outline.loose_main |= parameters != Parameters::Other;
                    }
                }
                Kind::Sign('{') => return self.skip(),
                Kind::Sign('[') => self.skip()?,
                Kind::Sign(_) | Kind::LineComment(_) => {}
                Kind::Word("package") if words.is_empty() => return self.package(),
                Kind::Word("import") if words.is_empty() => return self.past_semicolon(),
                Kind::Word("class" | "interface" | "enum") => {
                    return self.named(words.contains(&"public"));
                }
                Kind::Word(word) => {
                    // `record` is a word like any other, but for where it stands.
                    if words.last() == Some(&"record") {
                        let public = words.contains(&"public");
                        return self.record(word, token.at, public);
                    }
                    words.push(word);
                    member.word(word);
                }
            }
        }
    }

    fn package(&mut self) -> Option<()> {
        let mut name = String::new();
        loop {
            match self.token()?.kind {
                Kind::Word(word) => name.push_str(word),
                Kind::Sign('.') => name.push('.'),
                Kind::Sign(_) | Kind::LineComment(_) => break,
            }
        }
        self.outline.package = Some(name);
        Some(())
    }

    fn past_semicolon(&mut self) -> Option<()> {
        while self.token()?.kind != Kind::Sign(';') {}
        Some(())
    }

    /// After `record` and a name: a record if a header or type parameters follow, else a member that has the type `record`.
    fn record(&mut self, name: &str, at: usize, public: bool) -> Option<()> {
        match self.token()?.kind {
            Kind::Sign('(') => self.skip()?,
            Kind::Sign('<') => {}
            Kind::Sign(';') => return Some(()),
            _ => return self.past_semicolon(),
        }
        self.body(name.to_owned(), at, public)
    }

    /// After the word that says what type it is.
    fn named(&mut self, public: bool) -> Option<()> {
        let token = self.token()?;
        let Kind::Word(name) = token.kind else { return Some(()) };
        self.body(name.to_owned(), token.at, public)
    }

    /// The rest of a type's header, and its body.
    fn body(&mut self, name: String, at: usize, public: bool) -> Option<()> {
        let index = self.outline.types.len();
        self.outline.types.push(Type { name, at, public, extends: false, main: Main::None });
        loop {
            match self.token()?.kind {
                Kind::Word("extends" | "implements") => self.outline.types[index].extends = true,
                Kind::Sign('(') => self.skip()?,
                Kind::Sign('{') => break,
                Kind::Word(_) | Kind::Sign(_) | Kind::LineComment(_) => {}
            }
        }
        let mut member = Member::default();
        loop {
            match self.token()?.kind {
                Kind::Sign('}') => return Some(()),
                Kind::Sign(';') => member = Member::default(),
                Kind::Sign('{') => {
                    self.skip()?;
                    member = Member::default();
                }
                Kind::Sign('(') => {
                    let parameters = self.parameters()?;
                    if member.is_main() {
                        let main = match parameters {
                            Parameters::Strings if member.is_static => Main::Classic,
                            Parameters::Strings | Parameters::None => Main::Lenient,
                            Parameters::Other => Main::None,
                        };
                        let known = &mut self.outline.types[index].main;
                        *known = main.max(*known);
                    }
                    member.last = ["", ""];
                }
                Kind::Sign(_) => member.last = ["", ""],
                Kind::Word(word) => member.word(word),
                Kind::LineComment(_) => {}
            }
        }
    }

    /// What is between the bracket that was just read and its counterpart.
    fn parameters(&mut self) -> Option<Parameters> {
        let mut found = Parameters::None;
        let mut depth = 1u32;
        while depth > 0 {
            match self.token()?.kind {
                Kind::Sign('(') => depth += 1,
                Kind::Sign(')') => depth -= 1,
                Kind::Sign(',') => found = Parameters::Other,
                Kind::Word("String") if found == Parameters::None => found = Parameters::Strings,
                Kind::Word("final" | "java" | "lang") => {}
                Kind::Word(_) if found == Parameters::None => found = Parameters::Other,
                Kind::Word(_) | Kind::Sign(_) | Kind::LineComment(_) => {}
            }
        }
        Some(found)
    }

    /// Goes to the counterpart of the bracket that was just read. Brackets of other kinds count as well: one that is not
    /// closed makes the source unsound, which the compiler says better.
    fn skip(&mut self) -> Option<()> {
        let mut depth = 1u32;
        while depth > 0 {
            match self.token()?.kind {
                Kind::Sign('(' | '[' | '{') => depth += 1,
                Kind::Sign(')' | ']' | '}') => depth -= 1,
                Kind::Sign(_) | Kind::Word(_) | Kind::LineComment(_) => {}
            }
        }
        Some(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parameters {
    None,
    /// One, which is an array of strings in any honest source.
    Strings,
    Other,
}

/// What was read of a member so far.
#[derive(Default)]
struct Member<'a> {
    is_static: bool,
    last: [&'a str; 2],
}

impl<'a> Member<'a> {
    fn word(&mut self, word: &'a str) {
        self.is_static |= word == "static";
        self.last = [self.last[1], word];
    }

    fn is_main(&self) -> bool {
        self.last == ["void", "main"]
    }
}

#[cfg(test)]
#[path = "outline_tests.rs"]
mod tests;
