//! Restrictions: for each that is claimed, a script that breaks it is stopped, and one that keeps
//! within it is not.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use script_engine_core::{BrokenLimit, Enforced, Exit, Job, Limits, Restriction, Result};

use super::bench::Bench;
use crate::seen::Seen;
use crate::verdict::{Proof, Unproven, ensure, fail};

/// What the host has that a script must not reach.
struct Outside {
    listener: TcpListener,
    secret: PathBuf,
    namespaces: [String; 3],
}

const SECRET: &str = "canary of the host";

impl Outside {
    fn new(marker: &str) -> Result<Self, Unproven> {
        let set_up = |error: std::io::Error| Unproven::Failed(format!("the set-up failed: {error}"));
        let secret = std::env::temp_dir().join(format!("{marker}.secret"));
        std::fs::write(&secret, SECRET).map_err(set_up)?;
        let listener = TcpListener::bind("127.0.0.1:0").map_err(set_up)?;
        listener.set_nonblocking(true).map_err(set_up)?;
        // Where there are none to read, the script's are others in any case.
        let namespace = |name: &str| {
            let link = std::fs::read_link(format!("/proc/self/ns/{name}"));
            link.map_or_else(|_| "none".to_owned(), |it| it.display().to_string())
        };
        Ok(Self { listener, secret, namespaces: ["pid", "mnt", "ipc"].map(namespace) })
    }

    /// The further arguments of every script: `$5` the port, `$6` the secret's path, `$7` to `$9` the
    /// namespaces.
    fn arguments(&self) -> Result<Vec<String>, Unproven> {
        let port = self.listener.local_addr().map_err(|error| Unproven::Failed(error.to_string()))?.port();
        let first = [port.to_string(), self.secret.display().to_string()];
        Ok(first.into_iter().chain(self.namespaces.iter().cloned()).collect())
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        // A file that the suite could not remove lies in the folder for such files.
        drop(std::fs::remove_file(&self.secret));
    }
}

pub(super) async fn ex_02(it: Arc<Bench>) -> Proof {
    let outside = Outside::new(&it.marker)?;
    let capability = it.executor.capability();
    let spawned = it.spawn(it.job("exit 0", "exit 0")?).await?;
    let report = spawned.enforcement.clone();
    spawned.script.finish().await?;
    for restriction in Restriction::ALL {
        let enforced: Vec<_> = report.enforced.iter().filter(|it| it.0 == restriction).collect();
        let waived = report.waived.iter().filter(|it| it.restriction == restriction).count();
        let once = enforced.len() + waived == 1;
        ensure!(once, "the report says {enforced:?} of {restriction}, and waives it {waived} times");
        match (capability.of(restriction), enforced.first()) {
            (Enforced::By(promised), Some((_, mechanism))) if promised == *mechanism => {}
            (Enforced::Not(_), None) => {}
            (promised, held) => fail!("{restriction} is promised as {promised:?} and reported as {held:?}"),
        }
    }
    let mut broken = Vec::new();
    for (restriction, mechanism) in &report.enforced {
        if let Err(Unproven::Failed(why)) = check(&it, &outside, *restriction).await {
            broken.push(format!("{restriction} ({}): {why}", mechanism.as_str()));
        }
    }
    ensure!(broken.is_empty(), "{}", broken.join("\n"));
    Ok(())
}

async fn check(it: &Bench, outside: &Outside, restriction: Restriction) -> Proof {
    let job = |name: &str, script: &str| -> Result<Job, Unproven> {
        let arguments = outside.arguments()?;
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut job = it.job_with(&format!("{name} {restriction}"), script, &arguments)?;
        job.limits = limits(restriction, job.limits);
        Ok(job)
    };
    let (breaks, keeps) = scripts(restriction);
    let seen = it.see(job("breaks", breaks)?).await?;
    ensure!(!seen.says("BREACHED"), "a script got through: {}", seen.text());
    ensure!(seen.exit.is_some(), "a script that tried did not end");
    let killed = seen.exit.filter(|it| it.exit == Exit::Signal(9));
    if restriction == Restriction::Memory && killed.is_some() {
        let told = killed.is_some_and(|it| it.broke == Some(BrokenLimit::Memory));
        ensure!(told, "a script that ran out of memory is not reported as that: {}", seen.text());
    }
    let kept = it.see(job("keeps", keeps)?).await?;
    let fine = kept.says("FINE") && kept.exit.is_some_and(|it| it.exit == Exit::Code(0) && it.broke.is_none());
    ensure!(fine, "a script that keeps within it was stopped: {}", kept.text());
    match restriction {
        Restriction::Cpu => share(&kept),
        Restriction::FileSystem => {
            // A script may well have a file of that name in a `/tmp` of its own.
            let unchanged = std::fs::read_to_string(&outside.secret).is_ok_and(|it| it == SECRET);
            ensure!(unchanged, "a file of the host was changed");
            Ok(())
        }
        Restriction::Network => {
            ensure!(outside.listener.accept().is_err(), "a connection reached the host");
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Limits so low that a script breaks them soon.
fn limits(restriction: Restriction, limits: Limits) -> Limits {
    match restriction {
        Restriction::Memory => Limits { memory_bytes: 64 << 20, ..limits },
        Restriction::Pids => Limits { pids: 16, ..limits },
        Restriction::Cpu => Limits { milli_cpus: 200, ..limits },
        Restriction::Scratch => Limits { work_bytes: 4 << 20, tmp_bytes: 4 << 20, files: 64, ..limits },
        Restriction::OpenFiles => Limits { open_files: 32, ..limits },
        _ => limits,
    }
}

/// A script that prints BREACHED if it gets through, and one that prints FINE if it is left alone.
fn scripts(restriction: Restriction) -> (&'static str, &'static str) {
    match restriction {
        Restriction::Namespaces => (
            r#"[ "$(readlink /proc/self/ns/pid)" = "$7" ] && echo BREACHED
               [ "$(readlink /proc/self/ns/mnt)" = "$8" ] && echo BREACHED
               [ "$(readlink /proc/self/ns/ipc)" = "$9" ] && echo BREACHED"#,
            "readlink /proc/self/ns/pid >/dev/null && echo FINE",
        ),
        Restriction::FileSystem => (
            r#"grep canary "$6" 2>/dev/null && echo BREACHED
               for it in "$2/new" "$2/main.sh" /etc/kit /usr/kit /kit; do
                   (echo x >> "$it") 2>/dev/null && echo "$it BREACHED"
               done
               (echo x >> "$6") 2>/dev/null
               rm -f "$2/main.sh" 2>/dev/null; [ -e "$2/main.sh" ] || echo BREACHED"#,
            r#"echo a > "$3/file" && echo b > "$4/file" && cat "$2/main.sh" "$3/file" "$4/file" >/dev/null && echo FINE"#,
        ),
        Restriction::Network => (
            r#"bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$0" && echo BREACHED' "$5" 2>/dev/null
               bash -c 'exec 3<>"/dev/udp/192.0.2.1/53" && echo x >&3 && echo BREACHED' 2>/dev/null; :"#,
            "command -v bash >/dev/null && echo FINE",
        ),
        Restriction::SystemCalls => (
            r#"grep -q '^Seccomp:[[:space:]]*2' /proc/self/status || echo BREACHED"#,
            "grep -q '^Seccomp:' /proc/self/status && echo FINE",
        ),
        Restriction::Privileges => (
            r#"for it in CapInh CapPrm CapEff CapAmb; do
                   grep -q "^$it:[[:space:]]*0*$" /proc/self/status || echo "$it BREACHED"
               done
               grep -q '^NoNewPrivs:[[:space:]]*1' /proc/self/status || echo "NoNewPrivs BREACHED""#,
            "id >/dev/null && echo FINE",
        ),
        Restriction::Memory => (
            "x=0123456789abcdef; i=0; while [ $i -lt 24 ]; do x=$x$x; i=$((i + 1)); done; echo BREACHED",
            "x=0123456789abcdef; i=0; while [ $i -lt 18 ]; do x=$x$x; i=$((i + 1)); done; echo FINE",
        ),
        Restriction::Pids => (
            "i=0; while [ $i -lt 40 ]; do sleep 1000 & i=$((i + 1)); done; [ $(jobs -p | wc -l) -ge 40 ] && echo BREACHED",
            "i=0; while [ $i -lt 4 ]; do sleep 0 & i=$((i + 1)); done; wait; echo FINE",
        ),
        Restriction::Cpu => (":", "echo begin; i=0; while [ $i -lt 400000 ]; do i=$((i + 1)); done; echo FINE"),
        Restriction::Scratch => (
            r#"(head -c 20000000 /dev/zero > "$3/large") 2>/dev/null && echo BREACHED
               rm -f "$3/large"
               (head -c 20000000 /dev/zero > "$4/large") 2>/dev/null && echo BREACHED
               rm -f "$4/large"
               (i=0; while [ $i -lt 300 ]; do echo > "$3/$i" || exit 1; i=$((i + 1)); done) 2>/dev/null && echo BREACHED; :"#,
            r#"head -c 1000000 /dev/zero > "$3/large" && head -c 1000000 /dev/zero > "$4/large" &&
               (i=0; while [ $i -lt 16 ]; do echo > "$3/$i" || exit 1; i=$((i + 1)); done) && echo FINE"#,
        ),
        Restriction::OpenFiles => (
            r#"[ "$(ulimit -Hn)" = 32 ] || echo BREACHED; (ulimit -n 64) 2>/dev/null && echo BREACHED; :"#,
            "exec 3</dev/null 4</dev/null 5</dev/null && echo FINE",
        ),
        // A restriction that this suite does not know yet has no script that breaks it.
        _ => ("echo BREACHED: the suite does not know this restriction", "echo FINE"),
    }
}

/// A fifth of a cpu: what was used is at most a third of the time that passed, and a start's worth.
fn share(seen: &Seen) -> Proof {
    let (Some(report), Some((begin, end))) = (seen.exit, seen.times) else { fail!("no times: {}", seen.text()) };
    let (used, passed) = (report.usage.cpu, end.since(begin));
    ensure!(!used.is_zero(), "no use of the cpu is reported");
    let most = passed / 3 + Duration::from_millis(100);
    ensure!(used <= most, "{used:?} of cpu were used in {passed:?}, a fifth was the limit");
    Ok(())
}
