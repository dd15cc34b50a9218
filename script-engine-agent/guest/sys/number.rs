//! System call numbers (`arch/x86/entry/syscalls/syscall_64.tbl`, `include/uapi/asm-generic/unistd.h`).

use std::ffi::c_long;

macro_rules! numbers {
    ($($name:ident $x86_64:literal $aarch64:literal;)*) => {
        $(
            #[cfg(target_arch = "x86_64")]
            pub const $name: c_long = $x86_64;
            #[cfg(target_arch = "aarch64")]
            pub const $name: c_long = $aarch64;
        )*
    };
}

numbers! {
    READ 0 63;
    WRITE 1 64;
    CLOSE 3 57;
    FSTAT 5 80;
    LSEEK 8 62;
    RT_SIGACTION 13 134;
    RT_SIGPROCMASK 14 135;
    IOCTL 16 29;
    SHMCTL 31 195;
    GETPID 39 172;
    SOCKET 41 198;
    SETSOCKOPT 54 208;
    CLONE 56 220;
    EXECVE 59 221;
    EXIT_GROUP 231 94;
    WAIT4 61 260;
    KILL 62 129;
    SEMCTL 66 191;
    MSGCTL 71 187;
    FCNTL 72 25;
    CHDIR 80 49;
    FCHMOD 91 52;
    UMASK 95 166;
    GETUID 102 174;
    GETGID 104 176;
    GETPPID 110 173;
    SETSID 112 157;
    GETGROUPS 115 158;
    SETGROUPS 116 159;
    SETRESUID 117 147;
    SETRESGID 119 149;
    GETRESUID 118 148;
    GETRESGID 120 150;
    SETFSUID 122 151;
    SETFSGID 123 152;
    CAPGET 125 90;
    CAPSET 126 91;
    STATFS 137 43;
    PIVOT_ROOT 155 41;
    PRCTL 157 167;
    MOUNT 165 40;
    UMOUNT2 166 39;
    SETHOSTNAME 170 161;
    GETDENTS64 217 61;
    CLOCK_GETTIME 228 113;
    MQ_OPEN 240 180;
    OPENAT 257 56;
    MKDIRAT 258 34;
    MKNODAT 259 33;
    UNLINKAT 263 35;
    RENAMEAT2 316 276;
    READLINKAT 267 78;
    FCHMODAT 268 53;
    PPOLL 271 73;
    SIGNALFD4 289 74;
    DUP3 292 24;
    PIPE2 293 59;
    PRLIMIT64 302 261;
    SECCOMP 317 277;
    PIDFD_SEND_SIGNAL 424 424;
    PIDFD_OPEN 434 434;
    CLOSE_RANGE 436 436;
    OPEN_TREE 428 428;
    MOVE_MOUNT 429 429;
    CLONE3 435 435;
    OPENAT2 437 437;
    MOUNT_SETATTR 442 442;
    LANDLOCK_CREATE_RULESET 444 444;
    LANDLOCK_ADD_RULE 445 445;
    LANDLOCK_RESTRICT_SELF 446 446;
    FLISTXATTR 196 13;
    FREMOVEXATTR 199 16;
}
