// What the steps for npm's packages share: their input, npm with its settings, and the answer.
'use strict';
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const input = JSON.parse(fs.readFileSync(path.join(__dirname, 'input.json'), 'utf8'));
const work = process.argv[2];
const project = path.join(work, 'project');
const source = input.source;
fs.mkdirSync(project, { recursive: true });

/** Leaves the answer where the engine fetches it, and ends. */
function answer(value) {
  fs.writeFileSync(path.join(work, 'answer.json'), JSON.stringify(value));
  process.exit(0);
}

function failed(text, facts) {
  answer({ failed: { ...facts, text: String(text).slice(-30000) } });
}

/** The part of an address that npm names credentials by. */
function place(url) {
  return url.replace(/^[a-z]+:/, '').replace(/\/*$/, '/');
}

/** Writes npm's settings. What is secret is in that file, not in arguments. */
function settings() {
  const usual = {
    'fetch-retries': 2, 'fetch-retry-mintimeout': 500, 'fetch-retry-maxtimeout': 4000, 'fetch-timeout': 60000,
  };
  const lines = Object.entries({ ...usual, ...source.more }).map(([name, value]) => name + ' = ' + value);
  if (source.url) {
    lines.push('registry = ' + source.url);
  }
  if (source.url && source.credentials) {
    const [user, password] = source.credentials;
    const auth = Buffer.from(user + ':' + password).toString('base64');
    lines.push(place(source.url) + (user ? ':_auth = ' + auth : ':_authToken = ' + password));
  }
  if (source.http_proxy) {
    lines.push('proxy = ' + source.http_proxy, 'https-proxy = ' + source.http_proxy);
  }
  const file = path.join(work, 'npmrc');
  fs.writeFileSync(file, lines.join('\n') + '\n', { mode: 0o600 });
  return file;
}

/** The certificates of the runtime and of the settings, for Node, which else knows only its own. */
function certificates() {
  const own = ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt', '/etc/ssl/cert.pem'].filter((it) => fs.existsSync(it));
  const texts = own.slice(0, 1).map((it) => fs.readFileSync(it, 'utf8'));
  const more = source.ca_certificates;
  if (more && !texts.some((it) => it.includes(more.trim()))) {
    texts.push(more);
  }
  const text = texts.join('\n');
  const file = path.join(work, 'certificates.pem');
  fs.writeFileSync(file, text);
  return file;
}

const config = settings();
const bundle = certificates();

/** Runs npm and gives what it printed as JSON. */
function npm(args) {
  const fixed = [
    '--json', '--no-audit', '--no-fund', '--no-update-notifier', '--no-progress',
    '--cache=' + path.join(work, 'cache'), '--userconfig=' + config, '--cafile=' + bundle,
  ];
  const done = spawnSync('npm', [...args.slice(0, 1), ...fixed, ...args.slice(1)], {
    cwd: project,
    env: { PATH: process.env.PATH, HOME: work, LANG: 'C.UTF-8', TMPDIR: work, NODE_EXTRA_CA_CERTS: bundle },
    encoding: 'utf8',
    maxBuffer: 64 << 20,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (done.error) {
    failed(done.error.code === 'ENOENT' ? 'no npm' : done.error.message);
  }
  let said;
  try {
    said = JSON.parse(done.stdout);
  } catch {
    said = null;
  }
  return { code: done.status, said, text: done.stderr };
}

/** Runs npm; if it refuses, the answer says why and this is the end. */
function must(args) {
  const done = npm(args);
  if (done.code !== 0) {
    const error = (done.said && done.said.error) || {};
    failed(error.summary || done.text, { code: error.code, detail: error.detail });
  }
  return done.said;
}

/** What native packages are made for. */
function platform() {
  const report = process.report && process.report.getReport ? process.report.getReport() : {};
  const gnu = report.header && report.header.glibcVersionRuntime;
  const builds = input.scripts ? '-abi' + process.versions.modules : '';
  return process.platform + '-' + process.arch + '-' + (gnu ? 'gnu' : 'musl') + builds;
}

module.exports = { answer, failed, input, must, npm, platform, project, work };
