//! What pip 23 really prints (hosts put in its place), and what is made of it.

use super::*;

const RETRYING: &str = "WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection broken by 'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection object at 0x7fae18a0f350>: Failed to establish a new connection: [Errno -2] Name or service not known')': /simple/requests/\n";
const NONE: &str = "ERROR: Could not find a version that satisfies the requirement requests (from versions: none)\nERROR: No matching distribution found for requests\n";

fn facts(status: u16, wheels: u64, files: u64) -> Facts {
    Facts { status: Some(status), wheels, files, ..Facts::default() }
}

#[track_caller]
fn check(text: &str, facts: Facts, young: bool, kind: ErrorKind, expect: &str) {
    let error = read(&Failure { text: text.to_owned(), facts }, young);
    assert_eq!((error.kind(), error.to_string().as_str()), (kind, expect));
}

#[track_caller]
fn invalid_is(text: &str, facts: Facts, expect: &str) {
    check(text, facts, false, ErrorKind::InvalidRequest, &format!("dependencies: {expect}"));
}

#[test]
fn missing_packages_and_versions_are_told_apart() {
    invalid_is(NONE, facts(404, 0, 0), "requests: the index has no package of this name");
    invalid_is(
        "ERROR: Could not find a version that satisfies the requirement odfpy>=1.4.1; extra == \"excel\" (from pandas[excel]) (from versions: none)\nERROR: No matching distribution found for odfpy>=1.4.1; extra == \"excel\"\n",
        facts(200, 0, 15),
        "odfpy, which pandas[excel] needs: the index has it as source only, and building it would run code of its own; name another package, or let the policy allow install scripts",
    );
    invalid_is(NONE, facts(200, 3, 3), "requests: the index has no file of it for this Python and platform");
    invalid_is(
        "ERROR: Could not find a version that satisfies the requirement Requests==99.9 (from versions: 2.33.1, 2.34.0.dev1, 2.34.0, 2.34.1, 2.34.2)\nERROR: No matching distribution found for requests==99.9\n",
        facts(200, 83, 244),
        "requests: no version meets `Requests==99.9` for this Python and platform; the newest are 2.34.2, 2.34.1, 2.34.0",
    );
    check(
        "ERROR: Could not find a version that satisfies the requirement idna==3.9 (from requests->x) (from versions: 3.7)\n",
        facts(200, 1, 1),
        true,
        ErrorKind::InvalidRequest,
        "dependencies: idna, which requests needs: no version that is old enough meets `idna==3.9` for this Python and platform; the newest are 3.7",
    );
}

#[test]
fn an_index_that_does_not_answer_is_no_fault_of_the_script() {
    let unavailable = |facts, expect: &str| check(NONE, facts, false, ErrorKind::Unavailable, expect);
    unavailable(facts(503, 0, 0), "the index fails to give requests (status 503); try again later");
    unavailable(
        facts(429, 0, 0),
        "the index has had too many requests (status 429) and gives no requests now; try again later",
    );
    unavailable(
        facts(401, 0, 0),
        "the index refuses to give requests (status 401); set its credentials in `pypi_source`",
    );
    let unreachable = Facts { unreachable: Some("[Errno -2] Name or service not known".into()), ..Facts::default() };
    let text = format!("Looking in indexes: https://index.test/simple\n{RETRYING}{NONE}");
    let expect = "the index can't be reached for requests: [Errno -2] Name or service not known";
    check(&text, unreachable, false, ErrorKind::Unavailable, expect);
    check(
        "ERROR: HTTP error 503 while getting https://index.test/packages/a/requests-2.34.2-py3-none-any.whl#sha256=2a (from https://index.test/simple/requests/)\nERROR: Could not install requirement requests from https://index.test/packages/a/requests-2.34.2-py3-none-any.whl#sha256=2a because of HTTP error 503 Server Error: Service Unavailable for url: https://index.test/\n",
        Facts::default(),
        false,
        ErrorKind::Unavailable,
        "the index fails to give requests-2.34.2-py3-none-any.whl (status 503); try again later",
    );
}

#[test]
fn conflicts_say_who_wants_what() {
    let text = "Collecting idna<4,>=2.5\nERROR: Cannot install requests==2.31.0 and urllib3<1.21 because these package versions have conflicting dependencies.\n\nThe conflict is caused by:\n    The user requested urllib3<1.21\n    requests 2.31.0 depends on urllib3<3 and >=1.21.1\n\nTo fix this you could try to:\n1. loosen the range\n\nERROR: ResolutionImpossible: for help visit https://pip.test/\n";
    invalid_is(
        text,
        Facts::default(),
        "are in conflict: the script asks for urllib3<1.21; requests 2.31.0 depends on urllib3<3 and >=1.21.1",
    );
    let short = "ERROR: Cannot install requests==2.31.0 and urllib3<1.21 because these package versions have conflicting dependencies.\n";
    invalid_is(short, Facts::default(), "are in conflict: requests==2.31.0 and urllib3<1.21");
    let young = "ERROR: Cannot install requests==2.32.3 because these package versions have conflicting dependencies.\n\nThe conflict is caused by:\n    The user requested requests==2.32.3\n    The user requested (constraint) requests!=2.32.0,!=2.32.3\n\nTo fix\n";
    let expect = "dependencies: no version of requests==2.32.3 is old enough for the policy's minimum age";
    check(young, Facts::default(), true, ErrorKind::InvalidRequest, expect);
}

#[test]
fn yanked_and_changed_files_are_named() {
    invalid_is(
        "WARNING: The candidate selected for download or install is a yanked version: 'requests' candidate (version 2.32.0 at https://index.test/requests-2.32.0-py3-none-any.whl (from https://index.test/simple/requests/) (requires-python:>=3.8))\nReason for being yanked: Yanked due to conflicts with CVE-2024-35195 mitigation\nWould install requests-2.32.0\n",
        Facts::default(),
        "requests 2.32.0 was yanked from the index: Yanked due to conflicts with CVE-2024-35195 mitigation; name another version",
    );
    invalid_is(
        "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated the package versions, please update the hashes. Otherwise, examine the package contents carefully; someone may have tampered with them.\n    idna==3.6 from https://index.test/idna-3.6-py3-none-any.whl (from -r /scripts/requirements.txt (line 1)):\n        Expected sha256 00\n             Got        c0\n\n",
        Facts::default(),
        "idna==3.6 is not the file that was locked: its hash differs; save the script again if that is meant",
    );
}

#[test]
fn what_the_driver_says_itself() {
    let none = Facts::default;
    invalid_is("no end", none(), "no set of versions that are old enough was found; name older versions");
    let extra = Facts { package: Some("requests".into()), extra: Some("nope".into()), ..none() };
    invalid_is("no extra", extra, "requests has no extra `nope`; leave it out");
    let platform = Facts { platform: Some("cpython-311-x86_64-linux-gnu".into()), ..none() };
    invalid_is(
        "platform",
        platform,
        "the lock is for another Python or platform than this runtime's cpython-311-x86_64-linux-gnu; save the script again",
    );
    let silent = Facts { package: Some("a".into()), status: Some(200), ..none() };
    let expect = "the index does not say when a was uploaded, so no minimum age of packages can be kept";
    check("no upload time", silent, true, ErrorKind::Unsupported, expect);
    let error = read(&Failure { text: "no pip".into(), facts: none() }, false);
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn what_is_new_is_cut_to_its_last_error() {
    invalid_is(
        "Collecting a\n  ERROR: Something\u{1b}[0m else\nmore\n",
        Facts::default(),
        "pip refuses: Something [0m else",
    );
    invalid_is("", Facts::default(), "pip refuses: it says nothing");
    invalid_is(
        "OSError: [Errno 28] No space left on device",
        Facts::default(),
        "take more space than there is to install packages in",
    );
}
