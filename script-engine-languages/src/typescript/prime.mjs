// Waits for a job while Node starts, and then lets it go on to the script, which it loads itself.
import { isUtf8 } from 'node:buffer';
import { closeSync, readSync, writeSync } from 'node:fs';
import 'node:url';

// Made when they are first used, which takes its time.
void process.stdout;
void process.stderr;
writeSync(5, 'R');
const pieces = [];
let ends = 0;
let total = Infinity;
while (ends <= total) {
  const piece = Buffer.allocUnsafe(65536);
  const count = readSync(4, piece);
  // Without a job there is nothing to go on to.
  if (count === 0) process.exit(0);
  pieces.push(piece.subarray(0, count));
  for (const byte of piece.subarray(0, count)) if (byte === 0) ends += 1;
  if (total === Infinity && ends > 0) total = Number(Buffer.concat(pieces).toString().split('\0', 1)[0]);
}
const job = Buffer.concat(pieces);
// With bytes that no string holds another program can be started.
if (!isUtf8(job)) process.exit(0);
const [, count, ...fields] = job.toString().split('\0').slice(0, -1);
for (const name of Object.keys(process.env)) delete process.env[name];
for (const variable of fields.slice(0, Number(count))) {
  const at = variable.indexOf('=');
  process.env[variable.slice(0, at)] = variable.slice(at + 1);
}
process.argv.push(...fields.slice(Number(count)));
// This file is not the script's business.
process.execArgv.splice(0, 2);
writeSync(5, 'T');
if (readSync(4, Buffer.alloc(1)) === 0) process.exit(0);
closeSync(4);
closeSync(5);
