#!/usr/bin/busybox sh
# Process 1 of the emulated machine: lays out the system as a container host has it, runs the tests, tells how they
# ended, and powers off.
export PATH=/usr/bin HOME=/root TMPDIR=/tmp RUST_BACKTRACE=1

# A sandbox pivots its root, which the kernel refuses from the initial root file system: move to one that is mounted.
if [ -d /new ]; then
    busybox mount -t tmpfs -o mode=755 root /new
    busybox cp -a /usr /bin /sbin /lib /lib64 /etc /root /test /init /new/
    busybox mkdir /new/proc /new/sys /new/dev /new/tmp /new/run
    busybox mount -t devtmpfs dev /new/dev
    exec busybox switch_root -c /dev/console /new /init
fi

mount -t proc proc /proc
mount -t sysfs sys /sys
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts pts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t mqueue mqueue /dev/mqueue
mount -t tmpfs -o mode=1777 tmp /tmp
mount -t tmpfs -o mode=755 run /run
mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup
echo '+memory +pids +cpu' >/sys/fs/cgroup/cgroup.subtree_control
ip link set lo up

/test/cgroup2 --include-ignored --test-threads=1 </dev/null 2>&1
echo "init: tests ended with $?"
poweroff -f
