// Validates JSON documents against a JSON Schema, and says of each problem where it is, what is there, and what
// should be.
//
// npm: ajv@8.12.0
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import Ajv, { type ErrorObject, type ValidateFunction } from "ajv";
import Ajv2020 from "ajv/dist/2020.js";

type Draft = "2020-12" | "draft-07";

interface Arguments {
    schema: object | boolean;
    documents: unknown[];
    draft: Draft;
    max_errors: number;
}

interface Problem {
    document: number;
    /** A JSON pointer into the document; the empty one is the whole. */
    path: string;
    keyword: string;
    message: string;
    value: string;
}

const DEFAULTS: Arguments = {
    schema: { type: "object", properties: { name: { type: "string" } }, required: ["name"] },
    documents: [{ name: "example" }],
    draft: "2020-12",
    max_errors: 50,
};

function finish(passed: boolean, message: string, details: object = {}): never {
    const result = { check: "json-schema-validator", passed, message, ...details };
    console.log(message);
    console.log(`@@${JSON.stringify(result)}`);
    if (process.env.SCRIPT_RESULT) writeFileSync(process.env.SCRIPT_RESULT, JSON.stringify(result));
    process.exit(passed ? 0 : 1);
}

function argumentsOf(path: string): Arguments {
    const given = existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : {};
    return { ...DEFAULTS, ...given };
}

/** Modules of this age come as themselves or as the `default` of themselves. */
function constructorOf<T>(module: T | { default: T }): T {
    return typeof module === "function" ? module : (module as { default: T }).default;
}

function compile(schema: object | boolean, draft: Draft): ValidateFunction {
    const options = {
        allErrors: true,
        verbose: true,
        // Keywords it doesn't know are annotations, as the specification says; so are formats.
        strict: false,
        validateFormats: false,
        logger: false as const,
    };
    const Validator = draft === "draft-07" ? constructorOf(Ajv) : constructorOf(Ajv2020);
    return new Validator(options).compile(schema);
}

/** What an error is about, in words. */
function told(error: ErrorObject): string {
    switch (error.keyword) {
        case "additionalProperties":
        case "unevaluatedProperties": {
            const name = error.params.additionalProperty ?? error.params.unevaluatedProperty;
            return `has the property \`${name}\`, which is not allowed`;
        }
        case "required":
            return `lacks the property \`${error.params.missingProperty}\``;
        case "enum":
            return `must be one of ${shown(error.params.allowedValues)}`;
        case "const":
            return `must be ${shown(error.params.allowedValue)}`;
        default:
            return error.message ?? `does not satisfy \`${error.keyword}\``;
    }
}

function shown(value: unknown): string {
    const text = JSON.stringify(value) ?? "nothing";
    return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

const args = argumentsOf(process.env.SCRIPT_ARGS_FILE ?? "/scripts/args.json");
let validate: ValidateFunction;
try {
    validate = compile(args.schema, args.draft);
} catch (error) {
    finish(false, `the schema can't be used: ${error instanceof Error ? error.message : String(error)}`);
}

const problems: Problem[] = [];
let invalid = 0;
for (const [document, value] of args.documents.entries()) {
    if (validate(value)) continue;
    invalid += 1;
    for (const error of validate.errors ?? []) {
        problems.push({
            document,
            path: error.instancePath,
            keyword: error.keyword,
            message: told(error),
            value: shown(error.data),
        });
    }
}
const details = { documents: args.documents.length, invalid, problems: problems.slice(0, args.max_errors) };
for (const problem of details.problems) {
    console.log(`document ${problem.document}, ${problem.path || "the whole"}: ${problem.message}; it is ${problem.value}`);
}
if (problems.length > args.max_errors) console.log(`and ${problems.length - args.max_errors} more problems`);
if (invalid > 0) {
    finish(false, `${invalid} of ${args.documents.length} documents are invalid, with ${problems.length} problems`, details);
}
finish(true, `all ${args.documents.length} documents are valid`, details);
