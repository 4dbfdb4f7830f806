// A further Synapse, beside the one that the server was started with.

import assert from 'node:assert/strict';
import { spawn, execFileSync } from 'node:child_process';
import { mkdirSync, openSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Starts one in a folder of its own, with what is particular to it. */
export async function startSynapse(name, port, more) {
  const folder = path.join(path.dirname(process.env.TMCP_UP), name);
  const url = `http://localhost:${port}`;
  mkdirSync(folder, { recursive: true });
  const file = (of) => path.join(folder, of);
  // JSON is YAML.
  writeFileSync(file('homeserver.yaml'), JSON.stringify({
    report_stats: false, pid_file: file('synapse.pid'), signing_key_path: file('signing.key'), media_store_path: file('media'),
    trusted_key_servers: [], federation_domain_whitelist: [], bcrypt_rounds: 4,
    database: { name: 'sqlite3', args: { database: file('homeserver.db') } },
    listeners: [{ port, type: 'http', bind_addresses: ['127.0.0.1'], resources: [{ names: ['client', 'openid'] }] }], ...more,
  }));
  const args = ['-m', 'synapse.app.homeserver', '-c', file('homeserver.yaml')];
  const python = process.env.TMCP_SYNAPSE_PYTHON;
  execFileSync(python, [...args, '--generate-keys'], { cwd: folder, stdio: 'ignore' });
  const log = openSync(file('synapse.log'), 'a');
  const process_ = spawn(python, args, { cwd: folder, stdio: ['ignore', log, log] });
  const end = Date.now() + 60_000;
  while (!(await fetch(`${url}/_matrix/client/versions`).catch(() => null))?.ok) {
    assert.ok(Date.now() < end && process_.exitCode === null, `${name} did not start: ${file('synapse.log')}`);
    await new Promise((resolve) => { setTimeout(resolve, 200); });
  }
  return { url, folder, end: () => { process_.kill(); } };
}
