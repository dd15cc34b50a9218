//! The same attacks in all six languages: a program of each tries them one after the other and says which succeeded.

use std::time::Duration;

use script_engine_core::{BrokenLimit, ExecutionRequest, LimitOverrides, OnOutputLimit, Outcome, TimeoutCause};

use crate::bench::{Bench, ends, limits, prints, story};
use crate::case::{Hostile, cases};

pub(crate) fn cases() -> Vec<Hostile> {
    cases![attacks_of_bash, attacks_of_python, attacks_of_typescript, attacks_of_go, attacks_of_java, attacks_of_csharp,]
}

/// One language's programs.
struct Attacks {
    language: &'static str,
    /// Tries to read files of the host, to write beside its scratch space, to reach the network, to become root, to end
    /// process 1 and everybody; prints `did ...` for what succeeds, then `end`.
    reach: &'static str,
    /// Starts programs without end, and prints `end` if it can't.
    fork: &'static str,
    /// Takes memory without end.
    memory: &'static str,
    /// Prints without end.
    flood: &'static str,
}

/// Carries them out, each in bounds.
async fn carry_out(bench: &Bench, attacks: &Attacks) {
    let Attacks { language, reach, fork, memory, flood } = attacks;
    prints(&bench.run(language, reach, |request| request).await, "end\n");
    let few = LimitOverrides { pids: Some(64), timeout: Some(Duration::from_secs(15)), ..LimitOverrides::default() };
    let record = bench.run(language, fork, limits(few)).await;
    // It could not start more, or tried to for all its time; whatever it was, all are gone, which `run` has seen.
    let ended = matches!(
        record.outcome(),
        Some(
            Outcome::Succeeded
                | Outcome::Failed(_)
                | Outcome::LimitExceeded(BrokenLimit::Pids | BrokenLimit::Memory)
                | Outcome::TimedOut(TimeoutCause::Limit)
        )
    );
    assert!(ended, "{}", story(&record));
    let small = LimitOverrides {
        memory_bytes: Some(128 << 20),
        work_bytes: Some(16 << 20),
        tmp_bytes: Some(16 << 20),
        timeout: Some(Duration::from_secs(60)),
        ..LimitOverrides::default()
    };
    let record = bench.run(language, memory, limits(small)).await;
    // A virtual machine that is told its limit refuses more by itself.
    let ended = matches!(record.outcome(), Some(Outcome::LimitExceeded(BrokenLimit::Memory) | Outcome::Failed(_)));
    assert!(ended, "{}", story(&record));
    let short = LimitOverrides { output_bytes: Some(1 << 20), ..LimitOverrides::default() };
    let stop = |request: ExecutionRequest| {
        let mut request = limits(short)(request);
        request.on_output_limit = OnOutputLimit::Stop;
        request
    };
    let record = bench.run(language, flood, stop).await;
    ends(&record, &Outcome::LimitExceeded(BrokenLimit::Output));
}

async fn attacks_of_bash(bench: &Bench) {
    let attacks = Attacks {
        language: "bash",
        reach: r#"
for path in /etc/shadow /proc/1/environ /proc/1/mem /proc/kcore /var/run/docker.sock; do
    { head -c 1 "$path" >/dev/null; } 2>/dev/null && echo "did read $path"
done
for path in /x /usr/x /etc/x /scripts/x; do { echo x >"$path"; } 2>/dev/null && echo "did write $path"; done
{ exec 3<>/dev/tcp/1.1.1.1/53; } 2>/dev/null && echo "did connect"
{ exec 3<>/dev/tcp/169.254.169.254/80; } 2>/dev/null && echo "did connect to metadata"
mount -t tmpfs x /work 2>/dev/null && echo "did mount"
unshare -U true 2>/dev/null && echo "did unshare"
kill -9 1 2>/dev/null && echo "did kill 1"
chown 0 /work 2>/dev/null && echo "did chown"
echo end
"#,
        fork: "f() { f | f & }; f; for i in $(seq 200); do sleep 1000 & done; echo end",
        memory: "a=x; while :; do a=$a$a; done",
        flood: "while :; do echo 0123456789012345678901234567890123456789; done",
    };
    carry_out(bench, &attacks).await;
}

async fn attacks_of_python(bench: &Bench) {
    let attacks = Attacks {
        language: "python",
        reach: r#"
import ctypes, os, signal, socket
def attempt(what, act):
    try:
        act()
        print('did', what)
    except (OSError, ValueError):
        pass
for path in ('/etc/shadow', '/proc/1/environ', '/proc/1/mem', '/proc/kcore', '/var/run/docker.sock'):
    attempt('read ' + path, lambda: open(path, 'rb').read(1))
for path in ('/x', '/usr/x', '/etc/x', '/scripts/x'):
    attempt('write ' + path, lambda: open(path, 'w'))
for place in (('1.1.1.1', 53), ('169.254.169.254', 80)):
    attempt(f'connect {place}', lambda: socket.create_connection(place, 5))
attempt('raw socket', lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
attempt('setuid', lambda: os.setuid(0))
attempt('chown', lambda: os.chown('/work', 0, 0))
attempt('kill 1', lambda: os.kill(1, signal.SIGKILL))
libc = ctypes.CDLL(None, use_errno=True)
for name, call in (('ptrace', lambda: libc.ptrace(16, 1, 0, 0)), ('unshare', lambda: libc.unshare(0x10000000)),
                   ('mount', lambda: libc.mount(b'x', b'/work', b'tmpfs', 0, None))):
    if call() == 0:
        print('did', name)
print('end')
"#,
        fork: "import os\ntry:\n    while True:\n        os.fork()\nexcept OSError:\n    print('end')\n",
        memory: "kept = []\nwhile True:\n    kept.append(b'x' * (1 << 20))\n",
        flood: "while True:\n    print('0123456789' * 10)\n",
    };
    carry_out(bench, &attacks).await;
}

async fn attacks_of_typescript(bench: &Bench) {
    let attacks = Attacks {
        language: "typescript",
        reach: r#"
import fs from "node:fs";
import net from "node:net";
import { spawnSync } from "node:child_process";
function attempt(what: string, act: () => void): void {
    try { act(); console.log("did", what); } catch {}
}
for (const path of ["/etc/shadow", "/proc/1/environ", "/proc/1/mem", "/proc/kcore", "/var/run/docker.sock"])
    attempt("read " + path, () => fs.readSync(fs.openSync(path, "r"), Buffer.alloc(1)));
for (const path of ["/x", "/usr/x", "/etc/x", "/scripts/x"]) attempt("write " + path, () => fs.writeFileSync(path, "x"));
attempt("setuid", () => process.setuid!(0));
attempt("chown", () => fs.chownSync("/work", 0, 0));
attempt("kill 1", () => process.kill(1, "SIGKILL"));
for (const argv of [["mount", "-t", "tmpfs", "x", "/work"], ["unshare", "-U", "true"]])
    if (spawnSync(argv[0], argv.slice(1)).status === 0) console.log("did", argv[0]);
const connect = (host: string, port: number) => new Promise<void>((ended) => {
    const socket = net.connect(port, host);
    socket.on("connect", () => { console.log("did connect", host); ended(); });
    socket.on("error", () => ended());
});
await connect("1.1.1.1", 53);
await connect("169.254.169.254", 80);
console.log("end");
"#,
        fork: r#"
import { spawn } from "node:child_process";
for (let i = 0; i < 200; i++) spawn("sleep", ["1000"], { detached: true, stdio: "ignore" }).on("error", () => {}).unref();
setTimeout(() => { console.log("end"); process.exit(0); }, 500);
"#,
        memory: "const kept: Buffer[] = []; while (true) kept.push(Buffer.alloc(1 << 20, 1));",
        flood: "import fs from 'node:fs'; while (true) fs.writeSync(1, '0123456789'.repeat(10) + '\\n');",
    };
    carry_out(bench, &attacks).await;
}

async fn attacks_of_go(bench: &Bench) {
    let attacks = Attacks {
        language: "go",
        reach: r#"package main

import (
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
)

func attempt(what string, err error) {
	if err == nil {
		fmt.Println("did", what)
	}
}

func main() {
	for _, path := range []string{"/etc/shadow", "/proc/1/environ", "/proc/1/mem", "/proc/kcore", "/var/run/docker.sock"} {
		file, err := os.Open(path)
		if err == nil {
			_, err = file.Read(make([]byte, 1))
		}
		attempt("read "+path, err)
	}
	for _, path := range []string{"/x", "/usr/x", "/etc/x", "/scripts/x"} {
		attempt("write "+path, os.WriteFile(path, []byte("x"), 0o644))
	}
	for _, place := range []string{"1.1.1.1:53", "169.254.169.254:80"} {
		_, err := net.DialTimeout("tcp", place, 5*time.Second)
		attempt("connect "+place, err)
	}
	attempt("setuid", syscall.Setuid(0))
	attempt("chown", os.Chown("/work", 0, 0))
	attempt("kill 1", syscall.Kill(1, syscall.SIGKILL))
	attempt("mount", syscall.Mount("x", "/work", "tmpfs", 0, ""))
	attempt("unshare", syscall.Unshare(syscall.CLONE_NEWUSER))
	attempt("ptrace", syscall.PtraceAttach(1))
	fmt.Println("end")
}
"#,
        fork: r#"package main

import (
	"fmt"
	"os/exec"
)

func main() {
	for i := 0; i < 200; i++ {
		if err := exec.Command("sleep", "1000").Start(); err != nil {
			break
		}
	}
	fmt.Println("end")
}
"#,
        memory: r#"package main

func main() {
	var kept [][]byte
	for {
		piece := make([]byte, 1<<20)
		for i := range piece {
			piece[i] = 1
		}
		kept = append(kept, piece)
	}
}
"#,
        flood: "package main\n\nimport \"fmt\"\n\nfunc main() {\n\tfor {\n\t\tfmt.Println(\"0123456789012345678901234567890123456789\")\n\t}\n}\n",
    };
    carry_out(bench, &attacks).await;
}

async fn attacks_of_java(bench: &Bench) {
    let attacks = Attacks {
        language: "java",
        reach: r#"
import java.io.*;
import java.net.*;
import java.nio.file.*;

public class Main {
    interface Act { void run() throws Exception; }
    static void attempt(String what, Act act) {
        try { act.run(); System.out.println("did " + what); } catch (Exception | Error e) { }
    }
    static void command(String... argv) throws Exception {
        var started = new ProcessBuilder(argv).redirectErrorStream(true).start();
        started.getInputStream().readAllBytes();
        if (started.waitFor() != 0) throw new IOException();
    }
    public static void main(String[] args) {
        for (String path : new String[] {"/etc/shadow", "/proc/1/environ", "/proc/1/mem", "/proc/kcore", "/var/run/docker.sock"})
            attempt("read " + path, () -> { try (var it = new FileInputStream(path)) { it.read(); } });
        for (String path : new String[] {"/x", "/usr/x", "/etc/x", "/scripts/x"})
            attempt("write " + path, () -> Files.writeString(Path.of(path), "x"));
        for (String host : new String[] {"1.1.1.1", "169.254.169.254"})
            attempt("connect " + host, () -> { try (var it = new Socket()) { it.connect(new InetSocketAddress(host, 80), 5000); } });
        attempt("chown", () -> Files.setAttribute(Path.of("/work"), "unix:uid", 0));
        attempt("mount", () -> command("mount", "-t", "tmpfs", "x", "/work"));
        attempt("unshare", () -> command("unshare", "-U", "true"));
        attempt("kill 1", () -> command("sh", "-c", "kill -9 1"));
        System.out.println("end");
    }
}
"#,
        fork: r#"
public class Main {
    public static void main(String[] args) {
        try {
            for (int i = 0; i < 200; i++) new ProcessBuilder("sleep", "1000").start();
        } catch (java.io.IOException | Error e) { }
        System.out.println("end");
    }
}
"#,
        memory: r#"
public class Main {
    public static void main(String[] args) {
        var kept = new java.util.ArrayList<byte[]>();
        while (true) { var piece = new byte[1 << 20]; java.util.Arrays.fill(piece, (byte) 1); kept.add(piece); }
    }
}
"#,
        flood: "public class Main { public static void main(String[] args) { while (true) System.out.println(\"0123456789012345678901234567890123456789\"); } }",
    };
    carry_out(bench, &attacks).await;
}

async fn attacks_of_csharp(bench: &Bench) {
    let attacks = Attacks {
        language: "csharp",
        reach: r#"
using System;
using System.Diagnostics;
using System.IO;
using System.Net.Sockets;
using System.Runtime.InteropServices;

class Program {
    [DllImport("libc")] static extern int setuid(uint id);
    [DllImport("libc")] static extern int chown(string path, uint user, uint group);
    [DllImport("libc")] static extern int kill(int pid, int signal);
    [DllImport("libc")] static extern int unshare(int flags);
    [DllImport("libc")] static extern int mount(string source, string target, string type, ulong flags, IntPtr data);
    static void Attempt(string what, Action act) {
        try { act(); Console.WriteLine("did " + what); } catch (Exception) { }
    }
    static void Call(string what, int result) { if (result == 0) Console.WriteLine("did " + what); }
    static void Main() {
        foreach (var path in new[] { "/etc/shadow", "/proc/1/environ", "/proc/1/mem", "/proc/kcore", "/var/run/docker.sock" })
            Attempt("read " + path, () => { using (var it = File.OpenRead(path)) it.ReadByte(); });
        foreach (var path in new[] { "/x", "/usr/x", "/etc/x", "/scripts/x" })
            Attempt("write " + path, () => File.WriteAllText(path, "x"));
        foreach (var host in new[] { "1.1.1.1", "169.254.169.254" })
            Attempt("connect " + host, () => { using (var it = new TcpClient()) it.Connect(host, 80); });
        Call("setuid", setuid(0));
        Call("chown", chown("/work", 0, 0));
        Call("kill 1", kill(1, 9));
        Call("unshare", unshare(0x10000000));
        Call("mount", mount("x", "/work", "tmpfs", 0, IntPtr.Zero));
        Console.WriteLine("end");
    }
}
"#,
        fork: r#"
using System;
using System.Diagnostics;
class Program {
    static void Main() {
        try { for (int i = 0; i < 200; i++) Process.Start("sleep", "1000"); } catch (Exception) { }
        Console.WriteLine("end");
    }
}
"#,
        memory: r#"
using System;
using System.Collections.Generic;
class Program {
    static void Main() {
        var kept = new List<byte[]>();
        while (true) { var piece = new byte[1 << 20]; Array.Fill(piece, (byte)1); kept.Add(piece); }
    }
}
"#,
        flood: "using System; class Program { static void Main() { while (true) Console.WriteLine(\"0123456789012345678901234567890123456789\"); } }",
    };
    carry_out(bench, &attacks).await;
}
