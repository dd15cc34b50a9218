"""Greets a target, and shows the three ways in which a script answers: a line for people, a structured
record, and a JSON result."""
# /// script
# requires-python = ">=3.9"
# dependencies = []
# ///
import json
import os
import sys


def arguments():
    path = os.environ.get("SCRIPT_ARGS_FILE", "/scripts/args.json")
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def finish(passed, message, **details):
    """Says how it went in all three ways, and ends."""
    result = {"check": "hello-world", "passed": passed, "message": message, **details}
    print(message)
    print("@@" + json.dumps(result))
    path = os.environ.get("SCRIPT_RESULT")
    if path:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(result, file)
    sys.exit(0 if passed else 1)


def main():
    args = arguments()
    target = args.get("target", "world").strip()
    greeting = args.get("greeting", "Hello")
    if not target:
        finish(False, "there is nobody to greet: `target` is blank")
    finish(True, f"{greeting}, {target}!", target=target)


if __name__ == "__main__":
    main()
