// A homeserver that leaves sign-ins to an OAuth 2.0 server: a real Synapse, set up as with the Matrix Authentication Service, and
// oidc-provider in that one's place, which tells Synapse of people and devices as it does.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import { generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';
import { signInThere } from './provider.mjs';
import { startSynapse } from './synapse.mjs';
import { launch, picture, up } from './world.mjs';

const port = Number(process.env.TMCP_DELEGATED_PORT);
const origin = `http://localhost:${port}`;
const secret = 'secret-between-synapse-and-its-oauth-server';
const API = 'urn:matrix:org.matrix.msc2967.client:api:*';
const DEVICE = 'urn:matrix:org.matrix.msc2967.client:device:';
const scopes = new Set([API]);
const [introspected, taken] = [[], []];
let [synapse, server, browser] = [];

/** What the OAuth 2.0 server tells Synapse. */
async function tell(what, body) {
  const answer = await fetch(`${synapse.url}/_synapse/mas/${what}`, {
    method: 'POST', headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' }, body: JSON.stringify(body),
  });
  assert.ok(answer.ok, `${what}: ${answer.status} ${await answer.clone().text()}`);
}

const deviceOf = (token) => token.scope.split(' ').find((scope) => scope.startsWith(DEVICE)).slice(DEVICE.length);

function startServer() {
  const provider = new Provider(origin, {
    jwks: { keys: [{ ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig' }] },
    clients: [{
      client_id: 'tmcp', client_secret: 'secret-of-the-delegated-one', redirect_uris: [`${up.base_url}/sign-in/callback/delegated`],
      grant_types: ['authorization_code'], response_types: ['code'],
    }],
    discovery: { account_management_uri: `${origin}/account` },
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
    features: {
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true, defaultResource: () => 'urn:matrix', useGrantedResource: () => true,
        getResourceServerInfo: (context) => {
          for (const scope of (context.oidc.params?.scope ?? '').split(' ')) if (scope.startsWith(DEVICE)) scopes.add(scope);
          return { scope: [...scopes].join(' '), audience: 'urn:matrix', accessTokenFormat: 'opaque' };
        },
      },
    },
  });
  provider.on('access_token.destroyed', (token) => { taken.push(token); });
  const serve = provider.callback();
  const introspect = async (request, answer) => {
    let body = '';
    for await (const piece of request) body += piece;
    const asked = new URLSearchParams(body).get('token');
    const token = request.headers.authorization === `Bearer ${secret}` ? await provider.AccessToken.find(asked) : undefined;
    const told = token?.isValid ? { active: true, scope: token.scope, username: token.accountId, sub: token.accountId, expires_in: 300 } : { active: false };
    if (told.active) {
      await tell('provision_user', { localpart: token.accountId });
      await tell('upsert_device', { localpart: token.accountId, device_id: deviceOf(token) });
      introspected.push(asked);
    }
    answer.setHeader('content-type', 'application/json').end(JSON.stringify(told));
  };
  return new Promise((resolve) => {
    const listening = http.createServer((request, answer) => {
      if (request.url === '/oauth2/introspect') introspect(request, answer).catch((error) => { answer.statusCode = 500; answer.end(String(error)); });
      else serve(request, answer);
    }).listen(port, '127.0.0.1', () => resolve(listening));
  });
}

before(async () => {
  server = await startServer();
  synapse = await startSynapse('delegated-synapse', Number(process.env.TMCP_DELEGATED_MATRIX_PORT), {
    server_name: 'delegated.example', password_config: { enabled: false },
    matrix_authentication_service: { enabled: true, endpoint: `${origin}/`, secret },
  });
  browser = await launch();
});
after(async () => { await browser?.close(); synapse?.end(); server?.close(); server?.closeAllConnections(); });

test('a person signs in where their homeserver says, and our token is taken back', async () => {
  const metadata = await (await fetch(`${synapse.url}/_matrix/client/v1/auth_metadata`)).json();
  assert.equal(metadata.issuer, origin);
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  try {
    await page.goto(`${up.base_url}/account`);
    await page.getByRole('link', { name: 'Sign in with Delegated' }).click();
    await signInThere(page, 'erin');
    await page.getByRole('heading', { name: 'Your account' }).waitFor();
    assert.match(await page.getByRole('main').innerText(), /signed in as @erin:delegated\.example/);
    await picture(page, 'delegated');
    assert.equal(introspected.length, 1);
    assert.equal(taken.length, 1, 'our token was not taken back');
    // As the Matrix Authentication Service does, the session's device goes with it, and then nothing takes the token any more.
    await tell('delete_device', { localpart: 'erin', device_id: deviceOf(taken[0]) });
    const answer = await fetch(`${synapse.url}/_matrix/client/v3/account/whoami`, { headers: { authorization: `Bearer ${introspected[0]}` } });
    assert.equal(answer.status, 401);
  } finally {
    await context.close();
  }
});

test('whoever changes their mind there is where they were', async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  try {
    await page.goto(`${up.base_url}/account`);
    await page.getByRole('link', { name: 'Sign in with Delegated' }).click();
    await page.getByRole('link', { name: 'Cancel' }).click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  } finally {
    await context.close();
  }
});
