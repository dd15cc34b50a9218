"""Asks a Prometheus server for the value of a query and compares it with a threshold.

Passes if every series that the query gives satisfies the comparison, so write the query such that it yields what
must hold: one number, or one number for each thing that is watched. No data at all is a failure: a metric that
vanished is the commonest way for an alarm to fall silent."""
# /// script
# requires-python = ">=3.9"
# dependencies = ["prometheus-api-client==0.5.4"]
# ///
import json
import math
import os
import sys

import requests
from prometheus_api_client import PrometheusApiClientException, PrometheusConnect

COMPARISONS = {
    "gte": (">=", lambda value, threshold: value >= threshold),
    "lte": ("<=", lambda value, threshold: value <= threshold),
    "gt": (">", lambda value, threshold: value > threshold),
    "lt": ("<", lambda value, threshold: value < threshold),
    "eq": ("==", lambda value, threshold: math.isclose(value, threshold, rel_tol=1e-9, abs_tol=1e-12)),
}
# Series that are shown; all of them are compared.
MOST_SHOWN = 100


def arguments():
    path = os.environ.get("SCRIPT_ARGS_FILE", "/scripts/args.json")
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def finish(passed, message, **details):
    """Says how it went: a line for people, a structured record, a JSON result, an exit code."""
    result = {"check": "prometheus-query", "passed": passed, "message": message, **details}
    print(message)
    print("@@" + json.dumps(result))
    path = os.environ.get("SCRIPT_RESULT")
    if path:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(result, file)
    sys.exit(0 if passed else 1)


class WithTimeout(requests.adapters.HTTPAdapter):
    """Gives up on a server that accepts a connection and says nothing. The client has no setting for it."""

    def __init__(self, seconds):
        self.seconds = seconds
        super().__init__()

    def send(self, request, **options):
        options["timeout"] = self.seconds
        return super().send(request, **options)


def cause(error):
    """What lies at the bottom of a network error, without the layers above it."""
    while error.__context__ is not None:
        error = error.__context__
    return getattr(error, "strerror", None) or str(error)


def client(url, seconds):
    connection = PrometheusConnect(url=url)
    # Its own session asks three times, which would make the time-out three times as long.
    session = requests.Session()
    session.mount("http://", WithTimeout(seconds))
    session.mount("https://", WithTimeout(seconds))
    connection._session = session
    return connection


def series(answer):
    """The labels and the latest value of each series, whether the answer is a scalar or a vector."""
    if answer and not isinstance(answer[0], dict):
        return [({}, float(answer[1]))]
    return [(one["metric"], float(one["value"][1])) for one in answer]


def main():
    args = arguments()
    url = args.get("prometheus_url", "http://localhost:9090").rstrip("/")
    query = args.get("query", "avg(up)")
    threshold = float(args.get("threshold", 0.95))
    comparison = args.get("comparison", "gte")
    seconds = float(args.get("timeout_seconds", 30))
    if comparison not in COMPARISONS:
        finish(False, f"`comparison` is {comparison}; it must be one of {', '.join(COMPARISONS)}")
    sign, holds = COMPARISONS[comparison]
    asked = {"query": query, "threshold": threshold, "comparison": comparison}

    try:
        found = series(client(url, seconds).custom_query(query=query))
    except requests.exceptions.JSONDecodeError:
        finish(False, f"the answer of {url} is not that of a Prometheus server: it is no JSON", **asked)
    except requests.exceptions.Timeout:
        finish(False, f"prometheus at {url} did not answer within {seconds:g} s", **asked)
    except requests.exceptions.RequestException as error:
        finish(False, f"prometheus at {url} can't be reached: {cause(error)}", **asked)
    except PrometheusApiClientException as error:
        finish(False, f"prometheus refuses the query `{query}`: {error}", **asked)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        finish(False, f"the answer of {url} is not that of a Prometheus server: {error!r}", **asked)

    if not found:
        finish(False, f"`{query}` gives no data", **asked, series=[])
    shown = [
        {
            "labels": labels,
            # JSON has no NaN and no infinity.
            "value": value if math.isfinite(value) else str(value),
            "passed": holds(value, threshold),
        }
        for labels, value in found
    ]
    shown.sort(key=lambda one: one["passed"])
    failed = sum(not one["passed"] for one in shown)
    details = {**asked, "count": len(shown), "failed": failed, "series": shown[:MOST_SHOWN]}
    if failed:
        first = shown[0]
        message = f"`{query}` is {first['value']}, not {sign} {threshold:g}"
        if len(shown) > 1:
            message += f", for {first['labels']}; {failed} of {len(shown)} series fail"
        finish(False, message, **details)
    values = f"is {shown[0]['value']}" if len(shown) == 1 else f"holds for {len(shown)} series"
    finish(True, f"`{query}` {values}, {sign} {threshold:g}", **details)


if __name__ == "__main__":
    main()
