//! Sources that attack what reads them, and hostile scripts in the languages that the other cases are not written in.

use std::time::{Duration, Instant};

use script_engine_core::{
    BrokenLimit, ErrorKind, Identity, LanguageId, LimitOverrides, Outcome, ScriptDraft, ScriptName,
};

use crate::bench::{Bench, Who, ends, limits, prints};
use crate::case::{Hostile, cases};

pub(crate) fn cases() -> Vec<Hostile> {
    cases![
        sources_that_choke_checkers,
        sources_that_run_when_checked,
        javascript_reaches_nothing,
        javascript_takes_all_memory
    ]
}

/// Deep, long and strange sources: each is accepted or refused, in time.
async fn sources_that_choke_checkers(bench: &Bench) {
    let deep = |open: &str, close: &str, count: usize| format!("{}{}", open.repeat(count), close.repeat(count));
    let sources = [
        ("python", deep("(", ")", 100_000)),
        ("python", format!("x = {}", deep("[", "]", 5000))),
        ("python", format!("x = {}1", "-".repeat(1_000_000))),
        ("python", format!("x = {}", "1+".repeat(200_000) + "1")),
        ("python", "x = 'a' * 10**9 * 10**9; y = 1 << (1 << 40)".to_owned()),
        (
            "python",
            "if 1:\n".to_owned() + &(0..500).map(|it| format!("{}if 1:\n", " ".repeat(it + 1))).collect::<String>(),
        ),
        ("python", format!("f'{}'", deep("{f\"", "\"}", 200))),
        ("bash", deep("$(", ")", 20_000)),
        ("bash", deep("{ ", "; }", 50_000)),
        ("bash", format!("cat {}", "<<A ".repeat(50_000))),
        ("typescript", deep("(", ")", 20_000)),
        ("typescript", format!("let x = {}", deep("[", "]", 20_000))),
        ("typescript", format!("type A = {}", deep("{a: ", "}", 20_000))),
        ("typescript", format!("x = {}1", "a ? b : ".repeat(20_000))),
        ("typescript", format!("`{}`", deep("${`", "`}", 5_000))),
    ];
    for (number, (language, source)) in sources.into_iter().enumerate() {
        let begin = Instant::now();
        let name = ScriptName::parse(&format!("choke-{number}")).unwrap();
        let start: String = source.chars().take(20).collect();
        let draft = ScriptDraft::new(name, source).with_language(LanguageId::parse(language).unwrap());
        if let Err(error) = bench.engine.save(&Identity::default(), draft).await {
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{language} {start}: {error}");
            assert!(error.to_string().len() < 4096, "{language} {start}: {} bytes of error", error.to_string().len());
        }
        assert!(begin.elapsed() < Duration::from_secs(40), "{language} {start}: {:?}", begin.elapsed());
    }
}

/// A check reads; nothing of the source is carried out, and nothing beside it is imported.
async fn sources_that_run_when_checked(bench: &Bench) {
    for (language, source) in [
        ("python", "# -*- coding: idna -*-\nimport os, sys\nos.abort()\n"),
        ("python", "import sys\nsys.exit(7)\n"),
        ("bash", "exit 7\n"),
        ("bash", "set -e; exec sleep 1000\n"),
        ("typescript", "process.exit(7)\n"),
    ] {
        let begin = Instant::now();
        bench.save(language, source).await;
        assert!(begin.elapsed() < Duration::from_secs(20), "{source}: {:?}", begin.elapsed());
    }
}

async fn javascript_reaches_nothing(bench: &Bench) {
    let source = r#"
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import { spawnSync } from "node:child_process";
for (const path of ["/etc/shadow", "/root", "/home", "/var/run/docker.sock", "/proc/1/environ", "/proc/1/mem"]) {
    try { fs.statSync(path).isDirectory() ? fs.readdirSync(path) : fs.readFileSync(path); console.log("read", path); } catch {}
}
for (const path of ["/x", "/usr/x", "/scripts/x", "/etc/passwd"]) {
    try { fs.writeFileSync(path, "x"); console.log("wrote", path); } catch {}
}
for (const call of [() => process.setuid(0), () => process.kill(1, "SIGKILL"), () => os.setPriority(1, -5), () => process.chdir("/root")]) {
    try { call(); console.log("did", String(call)); } catch {}
}
console.log(spawnSync("mount", ["-t", "tmpfs", "x", "/work"]).status !== 0, fs.readFileSync("/proc/net/dev", "utf8").match(/\w+:/g)!.join());
({}).__proto__.polluted = true;
const socket = net.connect(53, "1.1.1.1");
socket.on("connect", () => console.log("connected"));
socket.on("error", (error: any) => console.log(error.code));
"#;
    let record = bench.run("typescript", source, |request| request).await;
    // An image has a home of nobody's.
    let home = if bench.who == Who::Containers { "read /home\n" } else { "" };
    prints(&record, &format!("{home}true lo:\nENETUNREACH\n"));
}

async fn javascript_takes_all_memory(bench: &Bench) {
    let source = "const kept: Buffer[] = []; for (let i = 0; i < 2048; i++) kept.push(Buffer.alloc(1 << 20, 1));";
    let overrides =
        LimitOverrides { memory_bytes: Some(192 << 20), work_bytes: Some(1 << 20), ..LimitOverrides::default() };
    let record = bench.run("typescript", source, limits(overrides)).await;
    ends(&record, &Outcome::LimitExceeded(BrokenLimit::Memory));
}
