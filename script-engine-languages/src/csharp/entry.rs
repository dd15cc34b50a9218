//! What a `Main` round the statements of a script has to be like: whether they wait for something, and whether they
//! return an exit code.

use super::lexer::{Kind, Token};

/// What the statements do themselves, not the functions among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// They use `await`.
    pub(super) awaits: bool,
    /// They use `return` with a value.
    pub(super) returns: bool,
}

/// Looks through the tokens of statements. Where it can't be sure, an `await` counts: a `Main` that may wait and does not
/// is none the worse.
pub(super) fn examine(text: &str, tokens: &[Token]) -> Entry {
    let mut entry = Entry::default();
    let mut open: Vec<(usize, bool)> = Vec::new();
    // The bracket that opened what the last token closed.
    let mut closed = None;
    let mut functions = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        let says = |at: usize| said(text, tokens, at);
        match token.kind {
            Kind::Open => {
                let function = says(at) == "{" && begins_function(text, tokens, at, closed);
                functions += usize::from(function);
                open.push((at, function));
            }
            Kind::Word if functions == 0 => match says(at) {
                "await" => entry.awaits = true,
                "return" if says(at + 1) != ";" => entry.returns = true,
                _ => {}
            },
            _ => {}
        }
        closed = None;
        if token.kind == Kind::Close
            && let Some((start, function)) = open.pop()
        {
            functions -= usize::from(function);
            closed = Some(start);
        }
    }
    entry
}

fn said<'a>(text: &'a str, tokens: &[Token], at: usize) -> &'a str {
    tokens.get(at).and_then(|it| text.get(it.start..it.end)).unwrap_or_default()
}

/// Whether the `{` at `at` begins the body of a lambda, an anonymous method or a local function. `closed` is the bracket
/// that opened what was closed just before it.
fn begins_function(text: &str, tokens: &[Token], at: usize, closed: Option<usize>) -> bool {
    let says = |at: usize| said(text, tokens, at);
    let Some(before) = at.checked_sub(1) else { return false };
    match says(before) {
        "=>" | "delegate" => return true,
        ")" => {}
        // The end of `where T : …`, of all that can stand here.
        _ => return has_constraint(text, tokens, before),
    }
    let Some(name) = closed.and_then(|it| it.checked_sub(1)) else { return false };
    match says(name) {
        "if" | "for" | "foreach" | "while" | "switch" | "using" | "lock" | "fixed" | "catch" | "when" => false,
        "delegate" => true,
        "new" => has_constraint(text, tokens, before),
        _ => match before_type(text, tokens, name) {
            Some(first) => !matches!(says(first), "new" | "is" | "case" | "and" | "or" | "not" | "," | "(" | "="),
            None => false,
        },
    }
}

/// The token before the name of a function or type that ends at `at`, type arguments included; for a function that is
/// the end of the type it returns.
fn before_type(text: &str, tokens: &[Token], at: usize) -> Option<usize> {
    let mut at = at;
    loop {
        if said(text, tokens, at) == ">" {
            at = before_type_arguments(text, tokens, at)?;
        }
        if tokens.get(at)?.kind != Kind::Word {
            return None;
        }
        at = at.checked_sub(1)?;
        match said(text, tokens, at) {
            "." | "::" => at = at.checked_sub(1)?,
            _ => return Some(at),
        }
    }
}

fn before_type_arguments(text: &str, tokens: &[Token], at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    // Type arguments are short.
    for index in (at.saturating_sub(200)..=at).rev() {
        match said(text, tokens, index) {
            ">" => depth += 1,
            "<" => depth -= 1,
            ";" | "{" | "}" => return None,
            _ => {}
        }
        if depth == 0 {
            return index.checked_sub(1);
        }
    }
    None
}

/// Whether the statement that `at` belongs to has a `where T :` of a generic function.
fn has_constraint(text: &str, tokens: &[Token], at: usize) -> bool {
    const FAR: usize = 200;
    let says = |at: usize| said(text, tokens, at);
    let statement = (at.saturating_sub(FAR)..=at).rev().take_while(|it| !matches!(says(*it), ";" | "{" | "}" | "="));
    statement.into_iter().any(|it| says(it) == "where" && says(it + 2) == ":")
}

#[cfg(test)]
mod tests {
    use super::super::lexer::lex;
    use super::*;

    #[track_caller]
    fn check(text: &str, awaits: bool, returns: bool) {
        let tokens = lex(text).unwrap().tokens;
        assert_eq!(examine(text, &tokens), Entry { awaits, returns }, "{text}");
    }

    #[test]
    fn what_statements_do_themselves_counts() {
        check("Console.WriteLine(1);", false, false);
        check("return;", false, false);
        check("return 1;", false, true);
        check("if (x) { return 1; } return 0;", false, true);
        check("foreach (var a in b) { switch (a) { case 1: return 2; } }", false, true);
        check("try { return 1; } catch (E e) when (e.X) { return 2; } finally { }", false, true);
        check("do { lock (x) { return 1; } } while (true);", false, true);
        check("await F();", true, false);
        check("var x = new A { B = await F() };", true, false);
        check("Console.WriteLine($\"{await F()}\");", true, false);
        check("string s = \"await\"; // await\n", false, false);
        check("var x = y switch { 1 => await F(), _ => 0 };", true, false);
        check("using (var x = new X(1)) { return 3; }", false, true);
        check("if (a is P(1)) { return 3; }", false, true);
        check("await foreach (var x in y) { }", true, false);
    }

    #[test]
    fn what_functions_among_them_do_does_not() {
        check("int F() { return 1; }", false, false);
        check("async Task<List<int>> F<T, U>(int a, List<T> b) { await G(); return null; }", false, false);
        check("T F<T>() where T : class { return null; }", false, false);
        check("T F<T>(T a) where T : new() { return a; }", false, false);
        check("Func<int> f = () => { return 1; };", false, false);
        check("Func<int> f = delegate { return 1; };", false, false);
        check("Func<int, int> f = delegate (int x) { return 1; };", false, false);
        check("x.Select(async y => { await F(); return y; });", false, false);
        check("void F() { if (a) { return; } G(() => { return 1; }); }", false, false);
        check("int[] F() { return x; } (int, int) G() { return y; } A.B? H() { return z; }", false, false);
        check("static int F() { return 1; } return 2;", false, true);
        check("{ int F() { return 1; } }", false, false);
    }

    #[test]
    fn what_is_broken_is_read_somehow() {
        for text in ["{", "}", ") {", "> {", "() {", "<>() {", "a<<<>() { return 1;", "where {", "return"] {
            let tokens = lex(text).unwrap().tokens;
            examine(text, &tokens);
        }
    }
}
