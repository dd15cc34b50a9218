"""Tells a Slack channel of a deployment.

Takes a bot token (`chat:write`) or the URL of an incoming webhook; with both, the token. Neither is ever printed.
Asks again when Slack says that it gets too many messages, once, after as long as Slack says."""
# /// script
# requires-python = ">=3.9"
# dependencies = ["slack-sdk==3.23.0"]
# ///
import http.client
import json
import os
import sys
import time

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.webhook import WebhookClient

ICONS = {"started": ":rocket:", "succeeded": ":white_check_mark:", "failed": ":x:", "rolled_back": ":rewind:"}
# How long Slack may ask to wait.
MOST_PATIENCE_SECONDS = 60


def arguments():
    path = os.environ.get("SCRIPT_ARGS_FILE", "/scripts/args.json")
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def finish(passed, message, **details):
    """Says how it went: a line for people, a structured record, a JSON result, an exit code."""
    result = {"check": "slack-notification", "passed": passed, "message": message, **details}
    print(message)
    print("@@" + json.dumps(result))
    path = os.environ.get("SCRIPT_RESULT")
    if path:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(result, file)
    sys.exit(0 if passed else 1)


def escaped(text):
    """Takes the meaning from the three characters that have one in a message, so that no text can call @channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def compose(args):
    """The text for notifications, and the blocks of the message."""
    status = args.get("status", "succeeded")
    service = escaped(args.get("service", "my-service"))
    version = escaped(args.get("version", "1.0.0"))
    environment = escaped(args.get("environment", "production"))
    text = f"Deployment of {service} {version} to {environment} {status.replace('_', ' ')}"
    fields = [("Service", service), ("Version", version), ("Environment", environment), ("Status", status)]
    if args.get("deployed_by"):
        fields.append(("By", escaped(args["deployed_by"])))
    blocks = [
        {"type": "section", "text": {"type": "mrkdwn", "text": f"{ICONS.get(status, '')} *{text}*"}},
        {"type": "section", "fields": [{"type": "mrkdwn", "text": f"*{name}*\n{value}"} for name, value in fields]},
    ]
    if args.get("details"):
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": escaped(args["details"])[:2900]}})
    return text, blocks


def with_patience(send):
    """Sends, and sends once more when Slack says when to. `send` gives the status and the headers."""
    answer = send()
    status, headers = answer[0], {name.lower(): value for name, value in answer[1].items()}
    if status != 429:
        return answer
    asked = headers.get("retry-after", "")
    wait = int(asked) if asked.isdigit() else 1
    if wait > MOST_PATIENCE_SECONDS:
        finish(False, f"slack gets too many messages and asks to wait {wait} s, which is too long")
    time.sleep(wait)
    return send()


def by_token(args, text, blocks, seconds):
    client = WebClient(token=args["token"], base_url=args.get("slack_api_url", "https://slack.com/api/"), timeout=seconds)

    def send():
        try:
            answer = client.chat_postMessage(channel=args.get("channel", "#deployments"), text=text, blocks=blocks)
            return answer.status_code, answer.headers, answer.data
        except SlackApiError as error:
            return error.response.status_code, error.response.headers, error.response.data

    status, _, data = with_patience(send)
    if isinstance(data, dict) and data.get("ok"):
        return {"channel": data.get("channel"), "timestamp": data.get("ts")}
    reason = data.get("error", "no reason given") if isinstance(data, dict) else "no reason given"
    finish(False, f"slack refuses the message: {reason} (status {status})", reason=reason)


def by_webhook(args, text, blocks, seconds):
    client = WebhookClient(args["webhook_url"], timeout=seconds)

    def send():
        answer = client.send(text=text, blocks=blocks)
        return answer.status_code, answer.headers, answer.body

    status, _, body = with_patience(send)
    if status == 200:
        return {"channel": None, "timestamp": None}
    reason = str(body)[:200]
    finish(False, f"slack refuses the message: {reason} (status {status})", reason=reason)


def main():
    args = arguments()
    seconds = int(args.get("timeout_seconds", 30))
    if not args.get("token") and not args.get("webhook_url"):
        finish(False, "there is no way to Slack: give `token` or `webhook_url`")
    text, blocks = compose(args)
    way = by_token if args.get("token") else by_webhook
    try:
        sent = way(args, text, blocks, seconds)
    except TimeoutError:
        finish(False, f"slack did not answer within {seconds} s")
    except (OSError, http.client.HTTPException, SlackClientError, ValueError) as error:
        # The text of an error may hold the webhook's URL, which is a secret. Its kind and number do not.
        reason = getattr(error, "reason", error)
        number = f": {reason.strerror or os.strerror(reason.errno)}" if getattr(reason, "errno", None) else ""
        finish(False, f"slack can't be reached: {type(reason).__name__}{number}")
    finish(True, f"sent to Slack: {text}", text=text, **sent)


if __name__ == "__main__":
    main()
