# Decides by uv, or by pip where there is none, which versions a script gets, without installing anything.
import json, os, sys, sysconfig

import with_uv
from tool import HAS_PIP, INPUT, WORK, answer, facts, failed, only_wheels, page, pip


def finish(packages):
    answer({
        "python": "%d.%d.%d" % sys.version_info[:3],
        "platform": sysconfig.get_config_var("SOABI") or sysconfig.get_platform(),
        "packages": packages,
    })


if with_uv.UV and not INPUT.get("search"):
    finish(with_uv.resolve())
if not HAS_PIP:
    failed("no pip")

from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename

ROUNDS = 40


def resolve(constraints, more=()):
    """What pip would install; if it would not, the answer says why and this is the end."""
    path = os.path.join(WORK, "report.json")
    lines = os.path.join(WORK, "constraints.txt")
    with open(lines, "w", encoding="utf-8") as file:
        file.writelines("%s%s\n" % it for it in sorted(constraints.items()))
    code, text = pip(
        ["install", "--dry-run", "--ignore-installed", "--progress-bar", "off", "--report", path, "--constraint", lines]
        + only_wheels() + list(more) + ["--"] + INPUT["wanted"]
    )
    if code != 0:
        failed(text, **facts(text))
    if "is a yanked version" in text:
        failed(text)
    with open(path, encoding="utf-8") as file:
        return json.load(file)["install"]


def version_of(filename):
    try:
        read = parse_wheel_filename if filename.endswith(".whl") else parse_sdist_filename
        return str(read(filename)[1])
    except Exception:  # A name that no tool made: such a file is never chosen either.
        return None


def too_new(name, file, before):
    """The versions of a package that are younger than allowed, or None if the chosen file is not."""
    found = page(name)
    files = (found.get("data") or {}).get("files") or []
    ages = {it["filename"]: it.get("upload-time") for it in files}
    if ages.get(file) is None:
        failed("no upload time", package=name, status=found["status"], unreachable=found.get("text"))
    if ages[file] < before:
        return None
    oldest = {}
    for filename, age in ages.items():
        version = version_of(filename)
        if version and age:
            oldest[version] = min(age, oldest.get(version, age))
    young = {version for version, age in oldest.items() if age >= before}
    return sorted(young | {version_of(file)})


def old_enough(before):
    """Resolves, leaves out what is too young, and resolves again until nothing is."""
    constraints, seen = {}, set()
    for _ in range(ROUNDS):
        items = resolve(constraints)
        young = False
        for item in items:
            name, file = canonicalize_name(item["metadata"]["name"]), item["download_info"]["url"].split("#")[0].rsplit("/")[-1]
            if before is None or (name, file) in seen:
                continue
            versions = too_new(name, file, before)
            if versions is None:
                seen.add((name, file))
            else:
                constraints[name] = ",".join("!=" + it for it in versions)
                young = True
        if not young:
            return items
    failed("no end", rounds=ROUNDS)


def requirements(item):
    return [Requirement(it) for it in item["metadata"].get("requires_dist") or []]


def graph(items):
    """Which package needs which: the requirements whose marker holds for the extras that are asked for."""
    by_name = {canonicalize_name(it["metadata"]["name"]): it for it in items}
    edges = {name: set() for name in by_name}
    todo, done = [], set()
    for it in INPUT["wanted"]:
        wanted = Requirement(it)
        todo.append((canonicalize_name(wanted.name), frozenset(wanted.extras)))
    while todo:
        at = todo.pop()
        name, extras = at
        if at in done or name not in by_name:
            continue
        done.add(at)
        for need in requirements(by_name[name]):
            holds = need.marker is None or any(need.marker.evaluate({"extra": it}) for it in sorted(extras) or [""])
            other = canonicalize_name(need.name)
            if holds and other in by_name:
                if other != name:
                    edges[name].add(other)
                todo.append((other, frozenset(need.extras)))
    return edges


def hashes(item):
    info = item["download_info"].get("archive_info") or {}
    known = info.get("hashes") or dict([(info.get("hash") or "=").split("=", 1)])
    return sorted(name + ":" + value for name, value in known.items() if value)


def check_extras(items):
    """pip only warns of an extra that a package does not have."""
    by_name = {canonicalize_name(it["metadata"]["name"]): it for it in items}
    for wanted in map(Requirement, INPUT["wanted"]):
        item = by_name.get(canonicalize_name(wanted.name))
        has = {canonicalize_name(it) for it in (item or {"metadata": {}})["metadata"].get("provides_extra") or []}
        for extra in sorted(wanted.extras):
            if item and canonicalize_name(extra) not in has:
                failed("no extra", package=wanted.name, extra=extra)


def search():
    """The package of this name, if the index has it."""
    name = canonicalize_name(Requirement(INPUT["wanted"][0]).name)
    found = page(name)
    if found["status"] == 404:
        return []
    if found["status"] != 200:
        failed("satisfies the requirement " + name, status=found["status"], unreachable=found.get("text"))
    if found.get("data") and not any(it["filename"].endswith(".whl") for it in found["data"]["files"]):
        versions = found["data"].get("versions") or [""]
        return [{"metadata": {"name": name, "version": versions[-1]}, "download_info": {"url": ""}}]
    return resolve({}, ["--no-deps"])


items = search() if INPUT.get("search") else old_enough(INPUT["before"])
check_extras(items)
edges = graph(items)
finish([
    {
        "name": canonicalize_name(it["metadata"]["name"]),
        "version": it["metadata"]["version"],
        "url": it["download_info"]["url"],
        "hashes": hashes(it),
        "requires": sorted(edges[canonicalize_name(it["metadata"]["name"])]),
        "summary": it["metadata"].get("summary"),
    }
    for it in items
])
