// Decides by npm which versions a script gets, without installing anything; or looks packages up.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { answer, failed, input, must, npm, platform, project } = require('./tool.cjs');

/** Packages by words where the registry offers a search, else the one of this name. */
function search() {
  const found = npm(['search', '--searchlimit=' + input.limit, '--', input.search]);
  if (found.code === 0 && Array.isArray(found.said)) {
    return found.said;
  }
  const code = found.said && found.said.error && found.said.error.code;
  if (code !== 'E404' && code !== 'E405') {
    const error = (found.said && found.said.error) || {};
    failed(error.summary || found.text, { code, detail: error.detail });
  }
  if (!input.name) {
    failed('no search');
  }
  const one = npm(['view', input.search, 'name', 'version', 'description']);
  if (one.code === 0) {
    return one.said && one.said.name ? [one.said] : [];
  }
  const error = (one.said && one.said.error) || {};
  return error.code === 'E404' ? [] : failed(error.summary || one.text, { code: error.code, detail: error.detail });
}

if (input.search) {
  answer({ found: search().map((it) => ({ name: it.name, version: it.version, description: it.description })) });
}
fs.writeFileSync(path.join(project, 'package.json'), input.manifest);
const options = ['--package-lock-only', '--omit-lockfile-registry-resolved=false', '--lockfile-version=3'];
options.push(input.scripts ? '--no-ignore-scripts' : '--ignore-scripts');
if (input.before) {
  options.push('--before=' + input.before);
}
must(['install', ...options]);
answer({ platform: platform(), lock: fs.readFileSync(path.join(project, 'package-lock.json'), 'utf8') });
