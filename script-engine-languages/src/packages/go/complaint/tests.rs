//! What Go said, and what is told of it.

use bytes::Bytes;

use super::*;

fn output(stderr: &str) -> StepOutput {
    StepOutput { exit_code: Some(1), stdout: Bytes::new(), stderr: Bytes::from(stderr.to_owned()), files: Vec::new() }
}

#[track_caller]
fn check(stderr: &str, expect: &str) {
    let error = read(&output(stderr), ["github.com/mattn/go-sqlite3"].into_iter());
    assert_eq!(error.to_string(), expect, "{stderr}");
    let unreachable = expect.starts_with("the index");
    assert_eq!(error.kind(), if unreachable { ErrorKind::Unavailable } else { ErrorKind::InvalidRequest });
}

// What Go 1.26 said, with the index's name taken out.
#[test]
fn each_complaint_names_the_module_and_the_reason() {
    check(
        "go: finding module for package github.com/google/no-such\ngo: script imports\n\tgithub.com/google/no-such: module \
         github.com/google/no-such: reading https://index.test/github.com/google/no-such/@v/list: 403 Forbidden\n\tserver \
         response: This module version is not available.\n",
        "dependencies: github.com/google/no-such: no such module in the index",
    );
    check(
        "go: script imports\n\texample.invalid/foo: module example.invalid/foo: reading \
         https://index.test/example.invalid/foo/@v/list: 400 Bad Request\n",
        "dependencies: example.invalid/foo: no such module in the index",
    );
    check(
        "go: downloading github.com/google/uuid v1.6.0\ngo: script imports\n\tgithub.com/google/uuid/nosuch: module \
         github.com/google/uuid@latest found (v1.6.0), but does not contain package github.com/google/uuid/nosuch\n",
        "dependencies: github.com/google/uuid/nosuch: its module (v1.6.0) has no such package",
    );
    check(
        "go: github.com/google/uuid@v9.9.9: reading https://index.test/github.com/google/uuid/@v/v9.9.9.info: 404 Not \
         Found\n\tserver response: not found\n",
        "dependencies: github.com/google/uuid v9.9.9: no such version in the index",
    );
    check(
        "go: github.com/google/uuid@^1.2: invalid version: reading https://index.test/github.com/google/uuid/@v/%5E1.2.info: \
         403 Forbidden\n",
        "dependencies: github.com/google/uuid ^1.2: not a version of Go modules; give one such as v1.2.3, v1 or <v1.5.0",
    );
    check(
        "go: downloading gopkg.in/yaml.v3 v3.0.0\ngo: gopkg.in/yaml.v3@v3.0.0 conflicts with gopkg.in/yaml.v3@v3.0.1\n",
        "dependencies: go: gopkg.in/yaml.v3@v3.0.0 conflicts with gopkg.in/yaml.v3@v3.0.1",
    );
    check(
        "go: script imports\n\tgithub.com/pkg/errors: module github.com/pkg/errors: Get \
         \"http://127.0.0.1:9/github.com/pkg/errors/@v/list\": dial tcp 127.0.0.1:9: connect: connection refused\n",
        "the index of Go modules can't be reached: connection refused",
    );
    check(
        "go: script imports\n\tgithub.com/pkg/errors: module github.com/pkg/errors: Get \
         \"http://index.test/github.com/pkg/errors/@v/list\": dial tcp: lookup index.test on 127.0.0.1:53: no such host\n",
        "the index of Go modules can't be reached: no such host",
    );
    check(
        "go: script imports\n\tgithub.com/pkg/errors: cannot find module providing package github.com/pkg/errors: module \
         lookup disabled by GOPROXY=off\n",
        "dependencies: github.com/pkg/errors: the index of Go modules is off; set go_proxy",
    );
    check(
        "verifying github.com/google/uuid@v1.6.0: checksum mismatch\n\tdownloaded: h1:a\n\tgo.sum:     h1:b\n\nSECURITY \
         ERROR\nThis download does NOT match the one reported by the checksum server.\n",
        "dependencies: github.com/google/uuid v1.6.0: checksum mismatch: the index serves something else than before",
    );
    check(
        "imports.go:71:2: github.com/google/uuid@v1.6.0: missing go.sum entry for go.mod file; to add it:\n\tgo mod \
         download github.com/google/uuid\n",
        "dependencies: github.com/google/uuid v1.6.0: the lock has no checksum of it; lock the script again",
    );
    check(
        "# github.com/mattn/go-sqlite3\n/work/x.go:1:2: undefined: y\n",
        "dependencies: github.com/mattn/go-sqlite3 does not compile: github.com/mattn/go-sqlite3: /work/x.go:1:2: \
         undefined: y",
    );
    check("", "dependencies: the Go command failed and says nothing");
}

#[test]
fn versions_that_were_taken_back_are_named() {
    let stderr = "go: downloading a.test/b v2.0.3+incompatible\ngo: warning: a.test/b@v2.0.3+incompatible: retracted by \
                  module author: Accidental; no major changes or features.\ngo: to switch to the latest unretracted \
                  version, run:\n\tgo get a.test/b@latest\n";
    let error = retracted(&output(stderr)).unwrap().to_string();
    let expect = "dependencies: a.test/b v2.0.3+incompatible is retracted by its author: Accidental; no major changes or \
                  features.; take another version";
    assert_eq!(error, expect);
    assert!(retracted(&output("go: found a.test/b in a.test/b v1\n")).is_none());
}

#[test]
fn what_is_endless_is_cut() {
    let error = read(&output(&format!("go: {}\n{}", "x".repeat(100_000), "\ty\n".repeat(100_000))), std::iter::empty());
    assert!(error.to_string().len() < 500);
}
