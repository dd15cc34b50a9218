// Sends a webhook and makes sure that it arrived: asks again after network errors and after answers that may pass (408,
// 425, 429, 5xx), waits longer each time or as long as the receiver asks for, and stops at an answer that will not change.
//
// Each attempt carries the same `X-Delivery-Id`, by which a receiver tells a repetition from a new event, and, if there
// is a signing secret, `X-Signature-256: sha256=<HMAC of the body>`. The secret is never printed.
//
// npm: axios@1.6.0
import { createHmac, randomUUID } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import axios from "axios";

interface Arguments {
    webhook_url: string;
    event: string;
    payload: unknown;
    signing_secret: string;
    headers: Record<string, string>;
    max_attempts: number;
    backoff_milliseconds: number;
    timeout_seconds: number;
    confirm_field: string;
}

interface Attempt {
    status: number | null;
    milliseconds: number;
    problem: string | null;
}

const DEFAULTS: Arguments = {
    webhook_url: "http://localhost:8080/webhook",
    event: "deployment.finished",
    payload: {},
    signing_secret: "",
    headers: {},
    max_attempts: 4,
    backoff_milliseconds: 500,
    timeout_seconds: 10,
    confirm_field: "",
};
/** Answers that may be others the next time. */
const PASSING = new Set([408, 425, 429, 500, 502, 503, 504]);
const LONGEST_WAIT = 30_000;

function finish(passed: boolean, message: string, details: object = {}): never {
    const result = { check: "webhook-sender", passed, message, ...details };
    console.log(message);
    console.log(`@@${JSON.stringify(result)}`);
    if (process.env.SCRIPT_RESULT) writeFileSync(process.env.SCRIPT_RESULT, JSON.stringify(result));
    process.exit(passed ? 0 : 1);
}

function argumentsOf(path: string): Arguments {
    const given = existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : {};
    return { ...DEFAULTS, ...given };
}

/** How long to wait before the attempt after this one: what the receiver asks for, else twice as long each time. */
function pause(attempt: number, first: number, retryAfter: unknown): number {
    const asked = Number(retryAfter) * 1000;
    const own = first * 2 ** (attempt - 1);
    // Many senders that failed at the same moment must not come back at the same moment.
    const spread = own * (0.5 + Math.random() / 2);
    return Math.min(asked > 0 ? asked : spread, LONGEST_WAIT);
}

/** What the receiver says it got, if it was asked to say so. */
function confirmation(data: unknown, field: string): unknown {
    return typeof data === "object" && data !== null ? (data as Record<string, unknown>)[field] : undefined;
}

function reason(error: unknown, seconds: number): string {
    if (axios.isCancel(error) || (axios.isAxiosError(error) && error.code === "ECONNABORTED")) {
        return `no answer within ${seconds} s`;
    }
    if (axios.isAxiosError(error)) return error.code ?? error.message;
    return error instanceof Error ? error.message : String(error);
}

const args = argumentsOf(process.env.SCRIPT_ARGS_FILE ?? "/scripts/args.json");
const delivery = randomUUID();
const body = JSON.stringify({ id: delivery, event: args.event, sent_at: new Date().toISOString(), data: args.payload });
const headers: Record<string, string> = {
    ...args.headers,
    "Content-Type": "application/json",
    "X-Delivery-Id": delivery,
    "X-Event": args.event,
};
if (args.signing_secret !== "") {
    headers["X-Signature-256"] = `sha256=${createHmac("sha256", args.signing_secret).update(body).digest("hex")}`;
}

const attempts: Attempt[] = [];
for (let attempt = 1; ; attempt++) {
    const began = performance.now();
    let retryAfter: unknown;
    let final = false;
    const took: Attempt = { status: null, milliseconds: 0, problem: null };
    try {
        const answer = await axios.post(args.webhook_url, body, {
            headers,
            // `timeout` alone does not end the wait for a connection.
            timeout: args.timeout_seconds * 1000,
            signal: AbortSignal.timeout(args.timeout_seconds * 1000),
            maxRedirects: 0,
            maxContentLength: 1024 * 1024,
            validateStatus: () => true,
        });
        took.status = answer.status;
        retryAfter = answer.headers["retry-after"];
        const confirmed = confirmation(answer.data, args.confirm_field);
        if (answer.status < 200 || answer.status > 299) {
            took.problem = `status ${answer.status}`;
            final = !PASSING.has(answer.status);
        } else if (args.confirm_field !== "" && confirmed === undefined) {
            // It was taken: sending it again would only repeat it.
            took.problem = `the answer has no \`${args.confirm_field}\` that confirms it`;
            final = true;
        } else {
            took.milliseconds = Math.round(performance.now() - began);
            attempts.push(took);
            finish(true, `delivered ${args.event} in attempt ${attempt}, status ${answer.status}`, {
                delivery_id: delivery,
                confirmation: confirmed ?? null,
                attempts,
            });
        }
    } catch (error) {
        took.problem = reason(error, args.timeout_seconds);
    }
    took.milliseconds = Math.round(performance.now() - began);
    attempts.push(took);
    console.log(`attempt ${attempt} of ${args.max_attempts}: ${took.problem}`);
    if (final || attempt >= args.max_attempts) {
        const message = `${args.event} was not delivered in ${attempt} attempts: ${took.problem}`;
        finish(false, message, { delivery_id: delivery, confirmation: null, attempts });
    }
    await sleep(pause(attempt, args.backoff_milliseconds, retryAfter));
}
