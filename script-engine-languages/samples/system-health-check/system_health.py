"""Measures load, memory, swap and disk space of the machine it runs on, and compares them with limits.

Reads /proc and nothing else, so it needs no packages. In a container or a sandbox the figures are those that the
kernel shows there: load and memory are the host's unless the container has its own view of them."""
# /// script
# requires-python = ">=3.9"
# dependencies = []
# ///
import json
import os
import shutil
import sys
import time


def arguments():
    path = os.environ.get("SCRIPT_ARGS_FILE", "/scripts/args.json")
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def finish(passed, message, **details):
    """Says how it went: a line for people, a structured record, a JSON result, an exit code."""
    result = {"check": "system-health-check", "passed": passed, "message": message, **details}
    print(message)
    print("@@" + json.dumps(result))
    path = os.environ.get("SCRIPT_RESULT")
    if path:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(result, file)
    sys.exit(0 if passed else 1)


def percent(part, whole):
    return round(100.0 * part / whole, 1) if whole else 0.0


def load_per_cpu():
    """The load averages of 1, 5 and 15 minutes, divided by the number of cpus."""
    cpus = os.cpu_count() or 1
    return [round(load / cpus, 2) for load in os.getloadavg()]


def memory():
    """Used memory and swap in percent."""
    kilobytes = {}
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            name, _, rest = line.partition(":")
            kilobytes[name] = int(rest.split()[0])
    total, swap = kilobytes["MemTotal"], kilobytes.get("SwapTotal", 0)
    # Kernels before 3.14 don't say what is available.
    available = kilobytes.get("MemAvailable", kilobytes["MemFree"])
    return percent(total - available, total), percent(swap - kilobytes.get("SwapFree", 0), swap)


def uptime_seconds():
    with open("/proc/uptime", encoding="ascii") as file:
        return float(file.read().split()[0])


def main():
    args = arguments()
    max_load = args.get("max_load_per_cpu", 4.0)
    max_memory = args.get("max_memory_percent", 95.0)
    max_swap = args.get("max_swap_percent", 80.0)
    max_disk = args.get("max_disk_percent", 90.0)
    problems, disks = [], {}

    def compare(name, value, limit):
        if value > limit:
            problems.append(f"{name} is {value}, above {limit}")

    try:
        load = load_per_cpu()
        used_memory, used_swap = memory()
        uptime = uptime_seconds()
    except (OSError, KeyError, ValueError) as error:
        finish(False, f"system health: this system doesn't show its figures below /proc: {error}")
    # One busy minute is nothing unusual; five are.
    compare("load per cpu over five minutes", load[1], max_load)
    compare("memory in use (percent)", used_memory, max_memory)
    compare("swap in use (percent)", used_swap, max_swap)
    for place in args.get("mount_points", ["/"]):
        try:
            usage = shutil.disk_usage(place)
        except OSError as error:
            problems.append(f"{place} can't be looked at: {error.strerror}")
            continue
        disks[place] = percent(usage.used, usage.used + usage.free)
        compare(f"{place} in use (percent)", disks[place], max_disk)

    metrics = {
        "load_per_cpu": {"1m": load[0], "5m": load[1], "15m": load[2]},
        "memory_percent": used_memory,
        "swap_percent": used_swap,
        "disk_percent": disks,
        "uptime_seconds": uptime,
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    if problems:
        finish(False, "system is not healthy: " + "; ".join(problems), metrics=metrics, problems=problems)
    message = f"system is healthy: load per cpu {load[1]}, memory {used_memory} %, swap {used_swap} %"
    message += "".join(f", {place} {used} %" for place, used in disks.items())
    finish(True, message, metrics=metrics, problems=[])


if __name__ == "__main__":
    main()
