//! How programs are found in a tree that packages of the system were unpacked into.

use script_engine_core::packages::DependencyLock;

/// Where a sandbox has the tree.
pub(crate) const PACKAGES: &str = "/packages";

/// The environment variables by which programs and libraries of the tree are found before those of the system.
pub(crate) fn environment(lock: &DependencyLock) -> Vec<(String, String)> {
    let mut libraries = Vec::new();
    let triplet = lock.platform.rsplit('-').next().and_then(triplet);
    for folder in ["usr/lib", "lib"] {
        libraries.extend(triplet.map(|it| format!("{PACKAGES}/{folder}/{it}")));
        libraries.push(format!("{PACKAGES}/{folder}"));
    }
    let own = ["usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin"].map(|it| format!("{PACKAGES}/{it}"));
    let path = format!("{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", own.join(":"));
    vec![("PATH".to_owned(), path), ("LD_LIBRARY_PATH".to_owned(), libraries.join(":"))]
}

/// The folder that Debian has libraries of an architecture in.
fn triplet(architecture: &str) -> Option<&'static str> {
    Some(match architecture {
        "amd64" => "x86_64-linux-gnu",
        "arm64" => "aarch64-linux-gnu",
        "armhf" => "arm-linux-gnueabihf",
        "i386" => "i386-linux-gnu",
        "ppc64el" => "powerpc64le-linux-gnu",
        "riscv64" => "riscv64-linux-gnu",
        "s390x" => "s390x-linux-gnu",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use script_engine_core::LanguageId;

    use super::*;

    #[test]
    fn libraries_are_found_where_the_system_has_them() {
        for (platform, expect) in [
            (
                "debian-12-amd64",
                "/packages/usr/lib/x86_64-linux-gnu:/packages/usr/lib:/packages/lib/x86_64-linux-gnu:/packages/lib",
            ),
            ("alpine-3.19.1-x86_64", "/packages/usr/lib:/packages/lib"),
        ] {
            let language = LanguageId::parse("bash").unwrap();
            let lock = DependencyLock::new(language, platform.into(), Vec::new(), Vec::new()).unwrap();
            let env = environment(&lock);
            assert_eq!(env[1], ("LD_LIBRARY_PATH".to_owned(), expect.to_owned()));
            assert!(env[0].1.starts_with("/packages/usr/local/bin:"), "{env:?}");
        }
    }
}
