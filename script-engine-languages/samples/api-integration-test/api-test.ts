// Calls the endpoints of an API one after the other and checks what they answer: the status, the time it took, and the
// body against a schema. All are called, whatever becomes of the first ones, so that one execution tells everything.
//
// npm: axios@1.6.0
// npm: zod@3.22.0
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import axios from "axios";
import { z } from "zod";

/** A body's shape: the name of a kind, a list with the shape of its items, or an object with the shapes of its fields. */
const Shape: z.ZodType<Shape> = z.lazy(() =>
    z.union([z.enum(KINDS), z.array(Shape).length(1), z.record(Shape)]),
);
type Shape = Kind | Shape[] | { [field: string]: Shape };
type Kind = (typeof KINDS)[number];
const KINDS = ["string", "number", "integer", "boolean", "null", "email", "url", "uuid", "datetime", "any"] as const;

const Endpoint = z.object({
    name: z.string().optional(),
    method: z.enum(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]).default("GET"),
    path: z.string(),
    headers: z.record(z.string()).default({}),
    body: z.unknown().optional(),
    expected_status: z.number().int().default(200),
    max_milliseconds: z.number().positive().optional(),
    schema: Shape.optional(),
});
type Endpoint = z.infer<typeof Endpoint>;

const Arguments = z.object({
    base_url: z.string().default("http://localhost:8080"),
    endpoints: z.array(Endpoint).min(1).default([{ path: "/health" }]),
    timeout_seconds: z.number().positive().default(30),
});

interface Outcome {
    name: string;
    passed: boolean;
    status: number | null;
    milliseconds: number;
    problems: string[];
}

function finish(passed: boolean, message: string, details: object = {}): never {
    const result = { check: "api-integration-test", passed, message, ...details };
    console.log(message);
    console.log(`@@${JSON.stringify(result)}`);
    if (process.env.SCRIPT_RESULT) writeFileSync(process.env.SCRIPT_RESULT, JSON.stringify(result));
    process.exit(passed ? 0 : 1);
}

function argumentsOf(path: string): z.infer<typeof Arguments> {
    const given = existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : {};
    const parsed = Arguments.safeParse(given);
    if (!parsed.success) finish(false, `the arguments are not usable: ${told(parsed.error).join("; ")}`);
    return parsed.data;
}

/** Makes what checks a body of a shape. Fields that the shape doesn't name are welcome: APIs grow. */
function validator(shape: Shape): z.ZodTypeAny {
    if (Array.isArray(shape)) return z.array(validator(shape[0]));
    if (typeof shape === "object") {
        // `field?` may be missing.
        const fields = Object.entries(shape).map(([name, inner]) =>
            name.endsWith("?") ? [name.slice(0, -1), validator(inner).optional()] : [name, validator(inner)],
        );
        return z.object(Object.fromEntries(fields));
    }
    switch (shape) {
        case "string": return z.string();
        case "number": return z.number();
        case "integer": return z.number().int();
        case "boolean": return z.boolean();
        case "null": return z.null();
        case "email": return z.string().email();
        case "url": return z.string().url();
        case "uuid": return z.string().uuid();
        case "datetime": return z.string().datetime({ offset: true });
        case "any": return z.any();
    }
}

/** What a check found, at most ten of it. */
function told(error: z.ZodError): string[] {
    const all = error.issues.map((issue) => `${issue.path.join(".") || "the body"}: ${issue.message}`);
    return all.length > 10 ? [...all.slice(0, 10), `and ${all.length - 10} more`] : all;
}

async function call(base: string, endpoint: Endpoint, seconds: number): Promise<Outcome> {
    const name = endpoint.name ?? `${endpoint.method} ${endpoint.path}`;
    const began = performance.now();
    const since = () => Math.round(performance.now() - began);
    try {
        const answer = await axios.request({
            url: base.replace(/\/+$/, "") + endpoint.path,
            method: endpoint.method,
            headers: endpoint.headers,
            data: endpoint.body,
            // `timeout` alone does not end the wait for a connection.
            timeout: seconds * 1000,
            signal: AbortSignal.timeout(seconds * 1000),
            maxRedirects: 0,
            maxContentLength: 16 * 1024 * 1024,
            validateStatus: () => true,
        });
        const milliseconds = since();
        const problems = judge(endpoint, answer.status, answer.data, milliseconds);
        return { name, passed: problems.length === 0, status: answer.status, milliseconds, problems };
    } catch (error) {
        return { name, passed: false, status: null, milliseconds: since(), problems: [unreachable(error, seconds)] };
    }
}

function judge(endpoint: Endpoint, status: number, body: unknown, milliseconds: number): string[] {
    const problems: string[] = [];
    if (status !== endpoint.expected_status) problems.push(`status ${status}, not ${endpoint.expected_status}`);
    if (endpoint.max_milliseconds !== undefined && milliseconds > endpoint.max_milliseconds) {
        problems.push(`took ${milliseconds} ms, more than ${endpoint.max_milliseconds} ms`);
    }
    if (endpoint.schema !== undefined) {
        const parsed = validator(endpoint.schema).safeParse(body);
        if (!parsed.success) problems.push(...told(parsed.error));
    }
    return problems;
}

function unreachable(error: unknown, seconds: number): string {
    if (axios.isCancel(error) || (axios.isAxiosError(error) && error.code === "ECONNABORTED")) {
        return `no answer within ${seconds} s`;
    }
    if (axios.isAxiosError(error)) return `no answer: ${error.code ?? error.message}`;
    return `no request could be made: ${error instanceof Error ? error.message : String(error)}`;
}

const args = argumentsOf(process.env.SCRIPT_ARGS_FILE ?? "/scripts/args.json");
const outcomes: Outcome[] = [];
for (const endpoint of args.endpoints) {
    const outcome = await call(args.base_url, endpoint, args.timeout_seconds);
    outcomes.push(outcome);
    console.log(`${outcome.passed ? "ok  " : "FAIL"} ${outcome.name} (${outcome.milliseconds} ms)`);
    for (const problem of outcome.problems) console.log(`     ${problem}`);
}
const failed = outcomes.filter((outcome) => !outcome.passed).length;
const summary = failed === 0
    ? `all ${outcomes.length} endpoints of ${args.base_url} answer as they should`
    : `${failed} of ${outcomes.length} endpoints of ${args.base_url} do not answer as they should`;
finish(failed === 0, summary, { base_url: args.base_url, failed, endpoints: outcomes });
