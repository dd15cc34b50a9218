//! `samples`: what is listed and shown, and what a copy is and does.

use serde_json::Value;

use crate::stage::Stage;

#[test]
fn samples_are_listed_by_language_and_tag() {
    let stage = Stage::new(&[]);
    let all = stage.run(&["samples", "list"]);
    assert_eq!((all.code, String::from_utf8_lossy(&all.stdout).lines().count()), (Some(0), 18));
    stage.run(&["samples", "list", "--language", "go"]).check(
        0,
        "container-inspect  go  Container Inspector: validates running containers' configuration\n\
         tcp-port-check     go  TCP Port Check\n",
        "",
    );
    stage.run(&["samples", "list", "--tag", "hello", "--json"]).check(
        0,
        "[{\"id\":\"hello-world\",\"title\":\"Greets a target; structured record and JSON result\",\
         \"language\":\"python\",\"entry_point\":\"hello.py\",\"tags\":[\"demo\",\"hello\"],\"packages\":[]}]\n",
        "",
    );
    stage.run(&["samples", "list", "--tag", "none"]).check(0, "", "");
}

#[test]
fn one_is_shown_with_its_parameters() {
    let stage = Stage::new(&[]);
    stage.run(&["samples", "show", "health-check-http"]).check(
        0,
        "HTTP Health Check: configurable endpoint and expected status\n\
         \n\
         Asks an HTTP endpoint how it is and compares the status of the answer with the expected one.\n\
         Redirects are not followed. What a JSON answer says in its field `status` is reported.\n\
         \n\
         id        health-check-http\n\
         language  csharp\n\
         file      health-check.csx\n\
         tags      health-check, http\n\
         packages  nuget System.Net.Http.Json 8.0.0\n\
         network   by endpoint; localhost:8080 by default\n\
         \n\
         parameters\n\
         \x20 endpoint = \"http://localhost:8080/health\"\n\
         \x20     The URL to ask with GET.\n\
         \x20 expected_status = 200\n\
         \x20     The status that the answer must have. Redirects are not followed.\n\
         \x20 timeout_seconds = 30\n\
         \x20     How long the answer may take, in seconds.\n",
        "",
    );
    let secret = stage.run(&["samples", "show", "jdbc-health-check"]);
    assert!(String::from_utf8_lossy(&secret.stdout).contains("  password = \"\", secret\n"), "{secret:?}");
    let json = stage.run(&["samples", "show", "hello-world", "--json"]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["parameter_schema"]["properties"]["target"]["default"], "world");
    let source = stage.run(&["samples", "show", "hello-world", "--source"]);
    assert_eq!(json["source"], String::from_utf8(source.stdout).unwrap());
}

#[test]
fn a_copy_runs() {
    let stage = Stage::new(&[]);
    stage.run(&["samples", "clone", "hello-world", "my own"]).check(
        0,
        "my own/hello.py\nmy own/parameters.json\n\
         run it with: script-engine run 'my own/hello.py' --schema 'my own/parameters.json'\n",
        "",
    );
    let (record, ended) =
        stage.record(&["my own/hello.py", "--schema", "my own/parameters.json", "--param", "target=you"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(record["result"]["message"], "Hello, you!");
    assert_eq!(record["structured"][0]["passed"], true);
}

#[test]
fn nothing_is_written_over() {
    let stage = Stage::new(&[]);
    assert_eq!(stage.run(&["samples", "clone", "hello-world"]).code, Some(0));
    stage.write("hello-world/hello.py", b"mine");
    stage.run(&["samples", "clone", "hello-world"]).check(
        125,
        "",
        "script-engine: hello-world/hello.py, hello-world/parameters.json: there already; name another folder, or move what \
         is there\n",
    );
    stage.run(&["samples", "show", "hello"]).check(
        125,
        "",
        "script-engine: there is no sample `hello`; did you mean hello-world?\n",
    );
    stage.write("file", b"");
    let ended = stage.run(&["samples", "clone", "hello-world", "file/inside"]);
    assert_eq!((ended.code, &ended.stdout[..]), (Some(125), &b""[..]));
    assert!(ended.stderr.starts_with("script-engine: cannot make the folder file/inside: "), "{}", ended.stderr);
}
