"""Reads an application's log and looks for too many errors and for moments with unusually many of them.

Understands lines that begin with a time (ISO 8601, with or without a zone) and name a level somewhere, and lines
of JSON with the usual field names. A line that begins with neither belongs to the entry before it, as a stack
trace does. The log comes from an HTTP(S) URL, from a file that the script can see, or from standard input (`-`)."""
# /// script
# # This pandas was made for numpy 1, and for no Python after 3.11.
# requires-python = ">=3.9,<3.12"
# dependencies = ["requests==2.31.0", "pandas==2.1.0", "numpy<2"]
# ///
import json
import os
import re
import sys

import pandas
import requests

TIME = re.compile(r"^\W?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?(?:Z|[+-]\d\d:?\d\d))?)")
LEVEL = re.compile(r"\b(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|SEVERE|CRITICAL|FATAL)\b", re.IGNORECASE)
LEVELS = {"NOTICE": "INFO", "WARN": "WARNING", "SEVERE": "ERROR", "CRITICAL": "FATAL"}
BAD = ("ERROR", "FATAL")
# What makes two messages the same although they are of different requests: numbers and ids are left out.
VARIABLE = re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|\b0x[0-9a-fA-F]+\b|\d+")
MOST_SHOWN = 10


def arguments():
    path = os.environ.get("SCRIPT_ARGS_FILE", "/scripts/args.json")
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def finish(passed, message, **details):
    """Says how it went: a line for people, a structured record, a JSON result, an exit code."""
    result = {"check": "log-analyzer", "passed": passed, "message": message, **details}
    print(message)
    print("@@" + json.dumps(result))
    path = os.environ.get("SCRIPT_RESULT")
    if path:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(result, file)
    sys.exit(0 if passed else 1)


def cause(error):
    """What lies at the bottom of a network error, without the layers above it."""
    while error.__context__ is not None:
        error = error.__context__
    return getattr(error, "strerror", None) or str(error)


def lines_of(source, seconds):
    """The log's lines, one at a time, so that a large one needs no memory."""
    if source == "-":
        yield from sys.stdin
    elif re.match(r"https?://", source):
        with requests.get(source, timeout=seconds, stream=True) as answer:
            answer.raise_for_status()
            answer.encoding = answer.encoding or "utf-8"
            yield from answer.iter_lines(decode_unicode=True)
    else:
        with open(source, encoding="utf-8", errors="replace") as file:
            yield from file


def first(fields, *names):
    """The first of these fields that is there."""
    return next((str(fields[name]) for name in names if name in fields), "")


def entry(line):
    """The time, level and message of a line that begins an entry, else nothing."""
    if line.startswith("{"):
        try:
            fields = json.loads(line)
        except ValueError:
            return None
        time = first(fields, "time", "timestamp", "ts", "@timestamp")
        level = first(fields, "level", "severity", "lvl")
        message = first(fields, "message", "msg")
    else:
        match = TIME.match(line)
        if not match:
            return None
        time, rest = match.group(1), line[match.end():]
        found = LEVEL.search(rest)
        level = found.group(1) if found else "INFO"
        message = rest[found.end():] if found else rest
    level = level.upper()
    return time.replace(",", "."), LEVELS.get(level, level or "INFO"), message.strip(" \t\r\n-:|[]")


def read(source, seconds, most):
    entries, lines = [], 0
    for line in lines_of(source, seconds):
        lines += 1
        if lines > most:
            finish(False, f"the log has more than {most} lines; raise `max_lines` or analyse a part of it")
        found = entry(line)
        if found:
            entries.append(found)
    return pandas.DataFrame(entries, columns=["time", "level", "message"]), lines


def spikes_of(errors, log, minutes, factor):
    """Stretches of time with more errors than `factor` standard deviations above the usual."""
    span = f"{minutes}min"
    buckets = errors.set_index("time").resample(span).size()
    if len(log):
        whole = pandas.date_range(log["time"].min().floor(span), log["time"].max().floor(span), freq=span)
        buckets = buckets.reindex(whole, fill_value=0)
    limit = buckets.mean() + factor * buckets.std(ddof=0)
    # Two errors are no spike, however quiet the rest is.
    unusual = buckets[(buckets > limit) & (buckets >= 3)]
    return [{"from": time.isoformat(), "errors": int(count)} for time, count in unusual.items()]


def main():
    args = arguments()
    source = args.get("source", "http://localhost:8080/logs/app.log")
    name = "standard input" if source == "-" else source
    seconds = float(args.get("timeout_seconds", 30))
    max_rate = float(args.get("max_error_percent", 5))
    minutes = int(args.get("window_minutes", 5))
    factor = float(args.get("spike_factor", 3))
    fail_on_spikes = bool(args.get("fail_on_spikes", True))

    try:
        log, lines = read(source, seconds, int(args.get("max_lines", 2_000_000)))
    except requests.exceptions.Timeout:
        finish(False, f"{source} did not answer within {seconds:g} s")
    except requests.exceptions.HTTPError as error:
        finish(False, f"{source} answers with status {error.response.status_code}")
    except requests.exceptions.RequestException as error:
        finish(False, f"{source} can't be reached: {cause(error)}")
    except OSError as error:
        finish(False, f"{source} can't be read: {error.strerror}")
    if log.empty:
        finish(False, f"{name} has no log entries that could be understood, in {lines} lines", lines=lines)

    bad = log[log["level"].isin(BAD)]
    rate = round(100 * len(bad) / len(log), 2)
    same = bad["message"].str.replace(VARIABLE, "#", regex=True).str.slice(0, 200)
    top = [{"message": text, "count": int(count)} for text, count in same.value_counts().head(MOST_SHOWN).items()]
    # A time that can't be read takes no part in the search for spikes, but counts as an entry.
    log["time"] = pandas.to_datetime(log["time"], errors="coerce", utc=True, format="ISO8601")
    timed = log.dropna(subset=["time"])
    spikes = spikes_of(timed[timed["level"].isin(BAD)], timed, minutes, factor)

    problems = []
    if rate > max_rate:
        problems.append(f"{rate:g} % of the entries are errors, above {max_rate:g} %")
    if spikes and fail_on_spikes:
        most = max(spikes, key=lambda one: one["errors"])
        problems.append(f"spikes: {len(spikes)}, the highest with {most['errors']} errors from {most['from']} on")
    details = {
        "lines": lines,
        "entries": len(log),
        "levels": {level: int(count) for level, count in log["level"].value_counts().head(MOST_SHOWN).items()},
        "errors": len(bad),
        "error_percent": rate,
        "top_errors": top,
        "spikes": spikes[:MOST_SHOWN],
        "problems": problems,
    }
    if problems:
        finish(False, "log is not sound: " + "; ".join(problems), **details)
    finish(True, f"log is sound: {len(bad)} errors in {len(log)} entries ({rate:g} %)", **details)


if __name__ == "__main__":
    main()
