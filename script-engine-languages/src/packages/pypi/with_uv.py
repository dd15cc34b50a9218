# Python's packages by uv, where the runtime has it: the same lock and the same tree as by pip, sooner.
import os, shutil, subprocess, sys

from tool import CERTIFICATES, HERE, INPUT, SOURCE, WORK, failed, with_credentials

UV = shutil.which("uv")


def environment():
    """The environment of uv, secrets included; nothing of it is an argument."""
    more = SOURCE["more"]
    env = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    env.update(
        HOME=WORK, TMPDIR=WORK, NO_COLOR="1", UV_NO_CONFIG="1", UV_NO_PROGRESS="1", UV_PYTHON_DOWNLOADS="never",
        UV_CACHE_DIR=os.path.join(WORK, "uv"), UV_LINK_MODE="copy", UV_HTTP_RETRIES=more.get("retries", "2"),
        UV_HTTP_TIMEOUT=more.get("timeout", "30"),
    )
    if SOURCE["url"]:
        env["UV_DEFAULT_INDEX"] = with_credentials(SOURCE["url"])
    for name, variable in (("extra-index-url", "UV_INDEX"), ("find-links", "UV_FIND_LINKS"), ("trusted-host", "UV_INSECURE_HOST")):
        if more.get(name):
            env[variable] = " ".join(more[name].split())
    if SOURCE["http_proxy"]:
        env["HTTP_PROXY"] = env["HTTPS_PROXY"] = SOURCE["http_proxy"]
    if CERTIFICATES:
        env["SSL_CERT_FILE"] = CERTIFICATES
    return env


def uv(arguments):
    """Runs uv and gives its exit code and what it said."""
    done = subprocess.run(
        [UV, "pip"] + arguments + ["--python", sys.executable],
        env=environment(), cwd=WORK, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode != 0 or " is yanked" in text or "does not have an extra named" in text:
        failed(text, tool="uv")
    return text


def only_wheels():
    return [] if INPUT["scripts"] else ["--only-binary", ":all:"]


def load(path):
    try:
        import tomllib
    except ImportError:
        from pip._vendor import tomli as tomllib
    with open(path, "rb") as file:
        return tomllib.load(file)


def best(package):
    """The file that fits this Python best, as pip chooses it; without a wheel it is the source."""
    wheels = package.get("wheels") or []
    try:
        from pip._vendor.packaging.tags import sys_tags
        from pip._vendor.packaging.utils import parse_wheel_filename
    except ImportError:
        return wheels[0] if wheels else package["sdist"]
    order = {tag: number for number, tag in enumerate(sys_tags())}

    def rank(wheel):
        tags = parse_wheel_filename(wheel.get("name") or wheel["url"].rsplit("/")[-1])[3]
        return min(order.get(tag, len(order)) for tag in tags)

    return min(wheels, key=rank) if wheels else package["sdist"]


def edges(path):
    """Which package needs which, of lines such as `idna==3.6   # via requests`."""
    needs = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            name, _, by = line.partition("# via ")
            name = name.split("==")[0].strip()
            for other in by.split(","):
                other = other.strip().split("[")[0]
                if name and other and not other.startswith("-"):
                    needs.setdefault(other, set()).add(name.split("[")[0])
    return needs


def resolve():
    """The packages of a lock."""
    wanted, lock, lines = (os.path.join(WORK, it) for it in ("wanted.in", "pylock.toml", "lines.txt"))
    with open(wanted, "w", encoding="utf-8") as file:
        file.writelines(it + "\n" for it in INPUT["wanted"])
    common = ["compile", wanted, "--no-header"] + only_wheels()
    if INPUT["before"]:
        common += ["--exclude-newer", INPUT["before"]]
    uv(common + ["--format", "pylock.toml", "--output-file", lock])
    uv(common + ["--annotation-style", "line", "--output-file", lines])
    needs = edges(lines)
    packages = []
    for package in load(lock)["packages"]:
        file = best(package)
        packages.append({
            "name": package["name"], "version": package["version"], "url": file["url"],
            "hashes": sorted("%s:%s" % it for it in file["hashes"].items()),
            "requires": sorted(needs.get(package["name"], ())),
        })
    return packages


def install(tree):
    lines = os.path.join(HERE, "requirements.txt")
    uv(["install", "--no-deps", "--require-hashes", "--target", tree, "--requirement", lines] + only_wheels())
