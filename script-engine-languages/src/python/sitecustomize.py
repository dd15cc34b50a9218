# Waits for a job while the interpreter starts, and then lets it go on to the script, which it opens itself: what
# the script finds, and what is said of its faults, is what it would be without this.


def wait():
    import os
    import sys

    had_gc = "gc" in sys.modules
    import gc

    # What is there now lives until the end: nothing of it needs to be looked at or freed again.
    gc.collect()
    gc.freeze()
    if not had_gc:
        del sys.modules["gc"]
    os.write(5, b"R")
    job = bytearray()
    total = -1
    while total < 0 or job.count(b"\0") <= total:
        piece = os.read(4, 65536)
        if not piece:
            os._exit(0)
        job += piece
        if total < 0 and b"\0" in job:
            total = int(job[: job.index(b"\0")])
    _, count, *fields = bytes(job).split(b"\0")[:-1]
    count = int(count)
    os.environ.clear()
    for variable in fields[:count]:
        name, _, value = variable.partition(b"=")
        os.environb[name] = value
    arguments = [os.fsdecode(it) for it in fields[count:]]
    sys.argv += arguments
    sys.orig_argv += arguments
    folder = os.path.dirname(__file__)
    at = sys.path.index(folder)
    packages = os.environ.get("PYTHONPATH")
    sys.path[at : at + 1] = [os.path.abspath(it) for it in packages.split(os.pathsep)] if packages else []
    sys.path_importer_cache.pop(folder, None)
    del sys.modules["sitecustomize"]
    os.write(5, b"T")
    if os.read(4, 1) != b"G":
        os._exit(0)
    os.close(4)
    os.close(5)


wait()
del wait
try:
    # The one that would have been found.
    import sitecustomize
except ImportError as error:
    if error.name != "sitecustomize":
        raise
    # As if there were none.
    raise ImportError("there is none", name="sitecustomize") from None
