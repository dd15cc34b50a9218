//! NuGet's settings: its first source, and how to log in to it.

use super::{IndexSource, Machine, xml};

pub(super) fn read(machine: &dyn Machine) -> IndexSource {
    let home =
        [".nuget/NuGet/NuGet.Config", ".config/NuGet/NuGet.Config"].into_iter().filter_map(|it| machine.at_home(it));
    let texts = home.filter_map(|it| machine.text(&it)).map(|it| xml::without_comments(&it));
    for text in texts {
        let sources = xml::elements(&text, "packageSources");
        let found = sources.iter().flat_map(|it| xml::additions(it)).find(|(_, value)| value.contains("://"));
        let Some((name, url)) = found else { continue };
        let all = xml::elements(&text, "packageSourceCredentials").concat();
        // A space in the name of an element is written so.
        let own = xml::elements(&all, &name.replace(' ', "_x0020_")).concat();
        let value =
            |key: &str| xml::additions(&own).into_iter().find(|it| it.0.eq_ignore_ascii_case(key)).map(|it| it.1);
        let credentials = value("Username").zip(value("ClearTextPassword"));
        return IndexSource { url: Some(url), credentials, more: Vec::new() };
    }
    IndexSource::default()
}
