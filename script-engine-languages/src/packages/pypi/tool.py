# What the steps for Python's packages share: their input, pip with its settings, the index, and the answer.
import configparser, importlib.util, json, os, ssl, subprocess, sys, urllib.error, urllib.parse, urllib.request

WORK = sys.argv[1]
HERE = os.path.dirname(os.path.abspath(__file__))
BUNDLES = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"]

with open(os.path.join(HERE, "input.json"), encoding="utf-8") as file:
    INPUT = json.load(file)
SOURCE = INPUT["source"]


def answer(value):
    """Leaves the answer where the engine fetches it, and ends."""
    with open(os.path.join(WORK, "answer.json"), "w", encoding="utf-8") as file:
        json.dump(value, file)
    sys.exit(0)


def failed(text, **facts):
    answer({"failed": dict(facts, text=text[-30000:])})


def certificates():
    """One file with the runtime's certificates and those of the settings, for pip, or None for its own."""
    own = next((it for it in BUNDLES if os.path.exists(it)), None)
    if not SOURCE["ca_certificates"]:
        return own
    if own is None and HAS_PIP:
        from pip._vendor import certifi

        own = certifi.where()
    path = os.path.join(WORK, "certificates.pem")
    text = ""
    if own:
        with open(own, encoding="utf-8") as file:
            text = file.read()
    if SOURCE["ca_certificates"].strip() in text:
        return own
    with open(path, "w", encoding="utf-8") as file:
        file.write(text + "\n" + SOURCE["ca_certificates"])
    return path


def with_credentials(url):
    if not SOURCE["credentials"]:
        return url
    user, password = (urllib.parse.quote(it, safe="") for it in SOURCE["credentials"])
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(parts._replace(netloc=user + ":" + password + "@" + parts.netloc.rpartition("@")[2]))


def environment():
    """The environment of pip. What is secret is in a file of settings, not in arguments."""
    settings = dict(SOURCE["more"])
    settings.update({"disable-pip-version-check": "true", "no-input": "true", "no-cache-dir": "true"})
    settings.setdefault("retries", "2")
    settings.setdefault("timeout", "30")
    if SOURCE["url"]:
        settings["index-url"] = with_credentials(SOURCE["url"])
    if SOURCE["http_proxy"]:
        settings["proxy"] = SOURCE["http_proxy"]
    if CERTIFICATES:
        settings["cert"] = CERTIFICATES
    config = configparser.RawConfigParser()
    config["global"] = {name: value.replace("\n", "\n  ") for name, value in settings.items()}
    path = os.path.join(WORK, "pip.conf")
    with open(path, "w", encoding="utf-8") as file:
        config.write(file)
    scratch = os.path.join(WORK, "scratch")
    os.makedirs(scratch, exist_ok=True)
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "HOME", "PYTHONHASHSEED") if name in os.environ}
    return dict(kept, PIP_CONFIG_FILE=path, TMPDIR=scratch, PYTHONUTF8="1")


def pip(arguments):
    """Runs pip and gives its exit code and what it said."""
    if not HAS_PIP:
        failed("no pip")
    done = subprocess.run(
        [sys.executable, "-s", "-m", "pip"] + arguments,
        env=environment(), cwd=WORK, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    return done.returncode, done.stdout.decode("utf-8", "replace")


def index_address():
    if SOURCE["url"]:
        return SOURCE["url"]
    try:
        from pip._internal.models.index import PyPI

        return PyPI.simple_url
    except ImportError:
        return None


def page(name):
    """What the index says of a package: its status, and its page as data where it speaks JSON."""
    address = index_address()
    if address is None:
        return {"status": None, "text": "no index is known"}
    request = urllib.request.Request(address.rstrip("/") + "/" + name + "/")
    request.add_header("Accept", "application/vnd.pypi.simple.v1+json, text/html;q=0.1")
    if SOURCE["credentials"]:
        import base64

        plain = ":".join(SOURCE["credentials"]).encode("utf-8")
        request.add_header("Authorization", "Basic " + base64.b64encode(plain).decode("ascii"))
    if SOURCE["http_proxy"]:
        for scheme in ("http", "https"):
            request.set_proxy(urllib.parse.urlsplit(SOURCE["http_proxy"]).netloc, scheme)
    try:
        context = ssl.create_default_context(cafile=CERTIFICATES)
        with urllib.request.urlopen(request, timeout=float(SOURCE["more"].get("timeout", 30)), context=context) as reply:
            body = reply.read(64 << 20)
            kind = reply.headers.get("Content-Type", "")
            return {"status": reply.status, "data": json.loads(body) if "json" in kind else None}
    except urllib.error.HTTPError as error:
        return {"status": error.code}
    except (OSError, ValueError) as error:
        return {"status": None, "text": str(getattr(error, "reason", error))}


def facts(text):
    """What the index says of the package that pip could not get, for the reason that pip leaves out."""
    marker = "satisfies the requirement "
    if marker not in text:
        return {}
    wanted = text.split(marker)[1].split(" (")[0].split(";")[0]
    name = wanted
    for end in "[<>=!~ (":
        name = name.split(end)[0]
    found = page(name.strip().lower().replace("_", "-").replace(".", "-"))
    files = (found.get("data") or {}).get("files") or []
    return {
        "status": found["status"],
        "unreachable": found.get("text"),
        "wheels": sum(1 for it in files if it["filename"].endswith(".whl")),
        "files": len(files),
    }


def only_wheels():
    return [] if INPUT["scripts"] else ["--only-binary", ":all:"]


HAS_PIP = importlib.util.find_spec("pip") is not None
CERTIFICATES = certificates()
