//! Scripts that take all memory, all space, all files, all descriptors.

use std::time::Duration;

use script_engine_core::{BrokenLimit, Enforced, Exit, LimitOverrides, Outcome, Restriction};

use crate::bench::{Bench, ends, limits, prints, stdout, story};
use crate::case::{Hostile, cases};

pub(crate) fn cases() -> Vec<Hostile> {
    cases![
        memory_hog,
        memory_hog_of_children,
        memory_asked_for_but_not_touched,
        one_giant_allocation,
        scratch_space_as_memory,
        two_gigabyte_file,
        sparse_and_preallocated_files,
        million_empty_files,
        deep_folders,
        folders_without_rights,
        descriptors_used_up,
        work_folder_taken_away,
    ]
}

const MIB: u64 = 1 << 20;

fn small() -> LimitOverrides {
    LimitOverrides {
        memory_bytes: Some(64 * MIB),
        work_bytes: Some(16 * MIB),
        tmp_bytes: Some(8 * MIB),
        timeout: Some(Duration::from_secs(60)),
        ..LimitOverrides::default()
    }
}

async fn memory_hog(bench: &Bench) {
    let source = "
kept = []
for _ in range(2048):
    kept.append(b'x' * (1 << 20))
";
    let record = bench.run("python", source, limits(small())).await;
    ends(&record, &Outcome::LimitExceeded(BrokenLimit::Memory));
    let said = record.outcome().and_then(Outcome::explain).unwrap();
    assert!(said.contains("ran out of memory"), "{said}");
    // What the limit is for has not been exceeded by much, and the report says who saw to it.
    let peak = record.ending.as_ref().unwrap().usage.peak_memory;
    assert!((32 * MIB..512 * MIB).contains(&peak), "{peak}");
    let report = &record.started.as_ref().unwrap().enforcement;
    let by = report.enforced.iter().find(|it| it.0 == Restriction::Memory).map(|it| it.1);
    let Enforced::By(promised) = bench.capability.of(Restriction::Memory) else { panic!("memory is not enforced") };
    assert_eq!(by, Some(promised));
}

/// None of them takes much, all of them do. That the script itself then ends well does not hide it.
async fn memory_hog_of_children(bench: &Bench) {
    let source = "
import os, signal
for _ in range(30):
    if os.fork() == 0:
        kept = b'x' * (8 << 20)
        signal.pause()
os.wait()
";
    let record = bench.run("python", source, limits(small())).await;
    ends(&record, &Outcome::LimitExceeded(BrokenLimit::Memory));
}

async fn memory_asked_for_but_not_touched(bench: &Bench) {
    let record = bench.run("python", "import mmap; mmap.mmap(-1, 8 << 30); print('fine')", limits(small())).await;
    prints(&record, "fine\n");
}

async fn one_giant_allocation(bench: &Bench) {
    let record = bench.run("python", "'x' * 10**15", limits(small())).await;
    ends(&record, &Outcome::Failed(Exit::Code(1)));
    let record = bench.run("python", "'x' * (2 << 30)", limits(small())).await;
    ends(&record, &Outcome::LimitExceeded(BrokenLimit::Memory));
}

/// Files in memory have bounds of their own, besides that of the script's memory.
async fn scratch_space_as_memory(bench: &Bench) {
    let source = "
import errno, os
for folder in ('/work', '/tmp', '/dev/shm'):
    written = 0
    try:
        with open(folder + '/f', 'wb', 0) as file:
            while True:
                written += file.write(b'x' * 65536)
    except OSError as error:
        print(folder, written, errno.errorcode[error.errno])
";
    let record = bench.run("python", source, limits(small())).await;
    prints(&record, "/work 16777216 ENOSPC\n/tmp 8388608 ENOSPC\n/dev/shm 8388608 ENOSPC\n");
}

async fn two_gigabyte_file(bench: &Bench) {
    let source = "
import errno
for folder in ('/work', '/tmp'):
    try:
        with open(folder + '/f', 'wb', 0) as file:
            for _ in range(2048):
                file.write(b'x' * (1 << 20))
        print('written')
    except OSError as error:
        print(errno.errorcode[error.errno])
";
    // With the usual limits, /work holds as much as the longest file may have.
    let record = bench.python(source).await;
    ends(&record, &Outcome::Succeeded);
    let text = stdout(&record);
    let errors: Vec<&str> = text.lines().collect();
    assert!(errors.iter().all(|it| ["ENOSPC", "EFBIG"].contains(it)) && errors.len() == 2, "{}", story(&record));
    let record = bench.bash("head -c 2G /dev/zero >/work/f; echo $?; head -c 2G /dev/zero >/tmp/f; echo $?").await;
    ends(&record, &Outcome::Succeeded);
    assert!(stdout(&record).lines().all(|it| it != "0"), "{}", story(&record));
}

async fn sparse_and_preallocated_files(bench: &Bench) {
    let source = "
import errno, os
for folder in ('/work', '/tmp'):
    file = os.open(folder + '/f', os.O_RDWR | os.O_CREAT)
    for act in (lambda: os.ftruncate(file, 1 << 40), lambda: os.posix_fallocate(file, 0, 2 << 30)):
        try:
            act()
            print('done')
        except OSError as error:
            print(errno.errorcode[error.errno])
";
    let record = bench.python(source).await;
    ends(&record, &Outcome::Succeeded);
    let text = stdout(&record);
    assert!(text.lines().all(|it| ["ENOSPC", "EFBIG"].contains(&it)) && text.lines().count() == 4, "{text}");
}

async fn million_empty_files(bench: &Bench) {
    let source = "
import errno, os
for folder in ('/work', '/tmp'):
    made = 0
    try:
        for made in range(1_000_000):
            os.close(os.open(f'{folder}/{made}', os.O_CREAT | os.O_WRONLY))
        print('made')
    except OSError as error:
        print(60_000 < made <= 65_536, errno.errorcode[error.errno])
";
    let record = bench.python(source).await;
    prints(&record, "True ENOSPC\nTrue ENOSPC\n");
}

async fn deep_folders(bench: &Bench) {
    let source = "
import os
for folder in ('/work', '/tmp'):
    os.chdir(folder)
    os.mkdir('d')
    open('d/f', 'w').close()
    # From the bottom up: each call at the end of a long path takes time by its length.
    for _ in range(10_000):
        os.mkdir('n')
        os.rename('d', 'n/' + 'd' * 200)
        os.rename('n', 'd')
print('deep')
";
    prints(&bench.python(source).await, "deep\n");
}

async fn folders_without_rights(bench: &Bench) {
    let source = "
import os
for folder in ('/work', '/tmp', '/dev/shm'):
    os.makedirs(folder + '/a/b/c')
    open(folder + '/a/b/c/f', 'w').close()
    os.chmod(folder + '/a/b/c', 0)
    os.chmod(folder + '/a/b', 0)
    os.chmod(folder + '/a', 0)
    os.chmod(folder, 0)
print('locked')
";
    prints(&bench.python(source).await, "locked\n");
}

async fn descriptors_used_up(bench: &Bench) {
    let source = "
import errno, os
kept = []
try:
    while True:
        kept.append(os.open('/dev/null', os.O_RDONLY))
except OSError as error:
    print(len(kept) < 64, errno.errorcode[error.errno])
import resource
try:
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
except (OSError, ValueError):
    print('stays')
";
    let overrides = LimitOverrides { open_files: Some(64), ..LimitOverrides::default() };
    let source = source.replacen("import errno, os", "import errno, os, resource", 1);
    prints(&bench.run("python", &source, limits(overrides)).await, "True EMFILE\nstays\n");
}

async fn work_folder_taken_away(bench: &Bench) {
    let record =
        bench.bash("rmdir /work /tmp 2>/dev/null; rm -rf /work /tmp /scripts 2>/dev/null; mv /work /w; echo end").await;
    ends(&record, &Outcome::Succeeded);
    let record = bench.bash("chmod 0 /work /tmp; cd /work && echo in; chmod 0 . ; echo end").await;
    ends(&record, &Outcome::Succeeded);
}
