import { readFileSync } from "node:fs";

interface Arguments {
    words: string[];
}

const { words }: Arguments = JSON.parse(readFileSync(process.env.SCRIPT_ARGS_FILE!, "utf8"));
const counts = new Map<string, number>();
for (const word of words) {
    counts.set(word, (counts.get(word) ?? 0) + 1);
}
const order = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
const sorted = [...counts].sort(([a], [b]) => order(a, b));
console.log(JSON.stringify({ total: words.length, words: Object.fromEntries(sorted) }));
