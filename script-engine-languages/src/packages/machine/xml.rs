//! As much of XML as the settings of Maven and NuGet have: elements by name, their text and their attributes.

/// The text without comments.
pub(super) fn without_comments(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<!--") {
        out.push_str(before);
        rest = after.split_once("-->").map_or("", |(_, behind)| behind);
    }
    out.push_str(rest);
    out
}

/// What is inside each element of this name.
pub(super) fn elements<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    text.split(&open).skip(1).filter_map(|it| it.split_once(&close).map(|(inner, _)| inner)).collect()
}

/// The text of the first element of this name.
pub(super) fn text(inside: &str, name: &str) -> Option<String> {
    elements(inside, name).first().map(|it| unescaped(it.trim())).filter(|it| !it.is_empty())
}

/// Name and value of each `<add key="…" value="…"/>`.
pub(super) fn additions(inside: &str) -> Vec<(String, String)> {
    let found = inside.split("<add ").skip(1).filter_map(|it| it.split_once('>').map(|(inner, _)| inner));
    found.filter_map(|it| Some((attribute(it, "key")?, attribute(it, "value")?))).collect()
}

fn attribute(text: &str, name: &str) -> Option<String> {
    let after = text.split_once(&format!("{name}=\""))?.1;
    after.split_once('"').map(|(value, _)| unescaped(value))
}

fn unescaped(text: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    pairs.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}
