# Fetches the packages of a lock by uv or pip, compiles them for a quicker start, and leaves one archive of the tree.
import compileall, os, py_compile, shutil, sys, sysconfig, tarfile

import with_uv
from tool import HERE, INPUT, WORK, answer, facts, failed, only_wheels, pip

TREE = os.path.join(WORK, "tree")
PLATFORM = sysconfig.get_config_var("SOABI") or sysconfig.get_platform()


def own_modules():
    """The names of Python's own modules, as far as this version can tell."""
    return getattr(sys, "stdlib_module_names", None) or frozenset(sys.builtin_module_names)


def without_own_modules():
    """Takes out modules named like Python's own. In a site folder those would never be imported; on PYTHONPATH they
    would be, in place of Python's."""
    for name in os.listdir(TREE):
        if name.split(".")[0] in own_modules() and (name.endswith((".py", ".so")) or "." not in name):
            path = os.path.join(TREE, name)
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)


def apart():
    """Keeps the machine's own packages from a script that says which it needs. What packages want to have done at each start
    is done, as in a site folder. A package that has the module has its way."""
    path = os.path.join(TREE, "sitecustomize.py")
    if os.path.exists(path):
        return
    starts = "import site\n\nsite.addsitedir('/packages')\n" if any(it.endswith(".pth") for it in os.listdir(TREE)) else ""
    with open(path, "w", encoding="utf-8") as file:
        file.write(
            "# Packages of the machine are not those that were locked.\nimport sys\n\n"
            "sys.path[:] = [it for it in sys.path if not it.endswith(('/dist-packages', '/site-packages'))]\n" + starts
        )


def entry(info):
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    info.mode = 0o755 if info.isdir() or info.mode & 0o100 else 0o644
    return info


def pack():
    """Archives the tree, and removes each file that is in, so that it takes its space once."""
    with tarfile.open(os.path.join(WORK, "layer.tar"), "w", format=tarfile.GNU_FORMAT) as tar:
        for folder, folders, files in os.walk(TREE):
            folders.sort()
            for name in sorted(folders + files):
                path = os.path.join(folder, name)
                tar.add(path, os.path.relpath(path, TREE), recursive=False, filter=entry)
                if not os.path.isdir(path) or os.path.islink(path):
                    os.remove(path)


if PLATFORM != INPUT["platform"]:
    answer({"failed": {"text": "platform", "platform": PLATFORM}})
if with_uv.UV:
    with_uv.install(TREE)
else:
    code, text = pip(
        ["install", "--no-deps", "--require-hashes", "--no-compile", "--progress-bar", "off", "--no-warn-script-location"]
        + ["--target", TREE, "--requirement", os.path.join(HERE, "requirements.txt")] + only_wheels()
    )
    if code != 0:
        failed(text, **facts(text))
without_own_modules()
apart()
compileall.compile_dir(
    TREE, quiet=2, stripdir=TREE, prependdir="/packages", invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
)
pack()
answer({"installed": True})
