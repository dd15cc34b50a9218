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
    while piece := os.read(4, 65536):
        job += piece
    if not job:
        os._exit(0)
    count, *fields = bytes(job).split(b"\0")[:-1]
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
