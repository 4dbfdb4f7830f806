// People of several homeservers: two real Synapses side by side, one that may not come, one that nobody knows, and one whose
// certificate nobody vouches for.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { startSynapse } from './synapse.mjs';
import { ask, up } from './world.mjs';

const second = `http://localhost:${process.env.TMCP_SECOND_MATRIX_PORT}`;
const secret = 'registration-secret-of-the-second';
let synapse;

before(async () => {
  synapse = await startSynapse('second-synapse', Number(process.env.TMCP_SECOND_MATRIX_PORT), {
    server_name: 'second.example', registration_shared_secret: secret,
  });
});
after(() => { synapse?.end(); });

/** A new person of the second homeserver. */
async function register(username) {
  const url = `${second}/_synapse/admin/v1/register`;
  const { nonce } = await (await fetch(url)).json();
  const mac = createHmac('sha1', secret).update([nonce, username, 'pw', 'notadmin'].join('\0')).digest('hex');
  const answer = await fetch(url, { method: 'POST', body: JSON.stringify({ nonce, username, password: 'pw', admin: false, mac }) });
  return answer.json();
}

const signIn = (user_id, access_token) => fetch(`${up.base_url}/api/v1/auth/matrix`, {
  method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ matrix_user_id: user_id, access_token }),
});

async function exchanged(platform) {
  const form = new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', client_id: up.demo_app.client_id, subject_token: platform,
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token', scope: 'storage:read storage:write',
  });
  return (await (await fetch(`${up.base_url}/oauth2/token`, { method: 'POST', body: form })).json()).access_token;
}

test('people of two homeservers sign in side by side, and are nobody but themselves', async () => {
  const [here, there] = [up.users.alice, await register('alice')];
  assert.equal(there.user_id, '@alice:second.example');
  const people = await Promise.all([here, there].map(async ({ user_id, access_token }) => {
    const answer = await signIn(user_id, access_token);
    assert.equal(answer.status, 200, user_id);
    const { access_token: platform, user } = await answer.json();
    assert.equal(user.matrix_user_id, user_id);
    const token = await exchanged(platform);
    await ask('PUT', '/api/v1/storage/whose', { token, json: { value: user_id } });
    return { user_id, token, uid: user.id };
  }));
  assert.notEqual(people[0].uid, people[1].uid);
  for (const { user_id, token } of people) assert.equal((await ask('GET', '/api/v1/storage/whose', { token })).value, user_id);
  // A token of one proves nothing about the other, though they have one local part.
  assert.equal((await signIn(here.user_id, there.access_token)).status, 401);
  assert.equal((await signIn(there.user_id, here.access_token)).status, 401);
});

test('a homeserver that nobody configured is nobody\'s, and one that is denied stays out', async () => {
  const { access_token } = await register('bob');
  for (const server of ['nowhere.example', 'denied.example', 'SECOND.example', 'second.example:8448']) {
    const answer = await signIn(`@bob:${server}`, access_token);
    assert.equal(answer.status, 401, server);
    assert.equal((await answer.json()).error.code, 'invalid_matrix_credentials');
  }
  assert.equal((await signIn('@bob:second.example', access_token)).status, 200);
});

test('a certificate that nobody vouches for is refused before a token is sent', async () => {
  const file = (name) => path.join(synapse.folder, name);
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', file('key.pem'), '-out', file('cert.pem'), ...names], { stdio: 'ignore' });
  const [key, cert] = [readFileSync(file('key.pem')), readFileSync(file('cert.pem'))];
  let [connections, requests] = [0, 0];
  const server = https.createServer({ key, cert }, (_, answer) => {
    requests += 1;
    answer.setHeader('content-type', 'application/json').end(JSON.stringify({ user_id: '@eve:odd.example', device_id: 'D' }));
  });
  server.on('connection', () => { connections += 1; });
  const port = Number(process.env.TMCP_ODD_MATRIX_PORT);
  await new Promise((resolve) => { server.listen(port, '127.0.0.1', resolve); });
  try {
    const answer = await signIn('@eve:odd.example', 'syt_token_of_eve');
    assert.equal(answer.status, 503);
    assert.ok(connections > 0, 'nobody tried');
    assert.equal(requests, 0);
    // Whoever trusts the certificate is answered: it was the certificate alone.
    const trusted = await new Promise((resolve, reject) => {
      https.get({ host: 'localhost', port, path: '/_matrix/client/v3/account/whoami', ca: cert }, resolve).on('error', reject);
    });
    assert.equal(trusted.statusCode, 200);
  } finally {
    server.close();
    server.closeAllConnections();
  }
});
