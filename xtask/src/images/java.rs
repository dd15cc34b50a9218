//! Java: Debian's development kit without a screen, with its archive of shared classes.

use std::path::Path;

use crate::Outcome;

pub(super) fn gather(_folder: &Path) -> Outcome<String> {
    Ok("\
RUN set -e; apt-get update -qq; mkdir -p /usr/share/man/man1; \\
    apt-get install -y -qq --no-install-recommends openjdk-21-jdk-headless; \\
    rm -rf /usr/lib/jvm/*/jmods /usr/lib/jvm/*/man /var/lib/apt/lists/* /var/cache/apt/* /var/log/*; \\
    ln -s java-21-openjdk-$(dpkg --print-architecture) /usr/lib/jvm/default; java -Xshare:dump >/dev/null
ENV JAVA_HOME=/usr/lib/jvm/default
"
    .to_owned())
}
