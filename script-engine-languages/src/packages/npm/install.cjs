// Fetches the packages of a lock by npm, compares their hashes, and leaves one archive of `node_modules`.
'use strict';
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { answer, failed, input, must, platform, project, work } = require('./tool.cjs');

if (platform() !== input.platform) {
  failed('platform', { platform: platform() });
}
for (const name of ['package.json', 'package-lock.json']) {
  fs.copyFileSync(path.join(__dirname, name), path.join(project, name));
}
must(['ci', input.scripts ? '--no-ignore-scripts' : '--ignore-scripts', ...(input.build ? [] : ['--omit=dev'])]);
const tree = path.join(project, 'node_modules');
fs.mkdirSync(tree, { recursive: true });
fs.rmSync(path.join(work, 'cache'), { recursive: true, force: true });
const done = spawnSync('tar', ['-cf', path.join(work, 'layer.tar'), '-C', tree, '.'], { encoding: 'utf8' });
if (done.status !== 0) {
  failed((done.error && done.error.message) || done.stderr);
}
answer({ installed: true });
