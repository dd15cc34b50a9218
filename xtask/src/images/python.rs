//! Python: Debian's, with pip and venv.

use std::path::Path;

use crate::Outcome;

pub(super) fn gather(_folder: &Path) -> Outcome<String> {
    Ok("\
ENV PIP_BREAK_SYSTEM_PACKAGES=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN set -e; apt-get update -qq; apt-get install -y -qq --no-install-recommends python3 python3-pip python3-venv; \\
    ln -sf python3 /usr/bin/python; rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
"
    .to_owned())
}
