import collections
import json
import os

with open(os.environ["SCRIPT_ARGS_FILE"], encoding="utf-8") as file:
    words = json.load(file)["words"]
counts = collections.Counter(words)
print(json.dumps({"total": len(words), "words": dict(sorted(counts.items()))}, ensure_ascii=False))
