//! Maven's settings: a mirror that stands for the central repository, how to log in to it, and a proxy.

use super::{IndexSource, Machine, xml};

/// The source and the proxy.
pub(super) fn read(machine: &dyn Machine) -> (IndexSource, Option<String>) {
    let user = machine.at_home(".m2/settings.xml");
    let all = ["/etc/maven/settings.xml", "/usr/share/maven/conf/settings.xml"].map(str::to_owned);
    let texts = user.into_iter().chain(all).filter_map(|it| machine.text(&it));
    let texts: Vec<String> = texts.map(|it| xml::without_comments(&it)).collect();
    let mirror = texts.iter().flat_map(|it| xml::elements(it, "mirror")).find(|it| stands_for_central(it));
    let mut source = IndexSource { url: mirror.and_then(|it| xml::text(it, "url")), ..IndexSource::default() };
    if let Some(id) = mirror.and_then(|it| xml::text(it, "id")) {
        let server = texts
            .iter()
            .flat_map(|it| xml::elements(it, "server"))
            .find(|it| xml::text(it, "id").as_ref() == Some(&id));
        source.credentials = server.and_then(|it| {
            let password = xml::text(it, "password")?;
            // What Maven has encrypted only Maven can read.
            let encrypted = password.starts_with('{') && password.ends_with('}');
            (!encrypted).then_some((xml::text(it, "username")?, password))
        });
    }
    let active = |it: &&str| xml::text(it, "active").as_deref() != Some("false");
    let proxy = texts.iter().flat_map(|it| xml::elements(it, "proxy")).find(active).and_then(|it| {
        let port = xml::text(it, "port").unwrap_or_else(|| "8080".to_owned());
        Some(format!("http://{}:{port}", xml::text(it, "host")?))
    });
    (source, proxy)
}

fn stands_for_central(mirror: &str) -> bool {
    let of = xml::text(mirror, "mirrorOf").unwrap_or_default();
    let mut names = of.split(',').map(str::trim);
    let reachable = xml::text(mirror, "url").is_some_and(|it| !it.contains("0.0.0.0"));
    reachable && names.any(|it| matches!(it, "*" | "central" | "external:*"))
}
