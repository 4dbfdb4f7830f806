// Every grant by Authlib, a client library of another language, unmodified; the person is in a real browser.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { app, handOver, launch, signIn, up } from './world.mjs';

let browser;
before(async () => { browser = await launch(); });
after(async () => { await browser?.close(); });

/** The Python process: `ask(name, ...arguments)` gives its answer, or fails as the library does. */
function authlib(own) {
  const script = new URL('authlib_client.py', import.meta.url).pathname;
  const python = spawn(process.env.TMCP_PYTHON, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: python.stdout })[Symbol.asyncIterator]();
  const send = (value) => python.stdin.write(`${JSON.stringify(value)}\n`);
  send({ base: up.base_url, client_id: own.id, secret: own.secret, back: own.back });
  return {
    async ask(...command) {
      send(command);
      const { value, done } = await lines.next();
      assert.ok(!done, 'the Python process ended');
      const { ok, error } = JSON.parse(value);
      if (error) throw new Error(error);
      return ok;
    },
    close: () => python.stdin.end(),
  };
}

test('code, refresh, userinfo and revocation by Authlib', async () => {
  const [own, token] = [await app('Python'), await signIn('alice')];
  const client = authlib(own);
  const context = await browser.newContext();
  const page = await context.newPage();
  try {
    await handOver(page, token);
    const { url, state } = await client.ask('begin', 'user:read storage:read');
    await page.goto(url);
    await page.getByRole('button', { name: 'Agree' }).click();
    await page.waitForURL((to) => to.href.startsWith(own.back));
    const tokens = await client.ask('code', page.url(), state);
    assert.equal(tokens.scope, 'user:read storage:read');
    assert.equal((await client.ask('userinfo')).sub, up.users.alice.user_id);
    const next = await client.ask('refresh');
    assert.notEqual(next.refresh_token, tokens.refresh_token);
    assert.equal(await client.ask('revoke', next.refresh_token), 200);
    await assert.rejects(client.ask('refresh'), /invalid_grant/);
    // A code is used once.
    await assert.rejects(client.ask('code', page.url(), state), /invalid_grant/);
  } finally {
    await context.close();
    client.close();
    own.close();
  }
});

test('token exchange, client credentials and introspection by Authlib', async () => {
  const [own, token] = [await app('PyBackend', { kind: 'confidential' }), await signIn('bob')];
  const client = authlib(own);
  try {
    const exchanged = await client.ask('exchange', token);
    assert.equal((await client.ask('introspect', exchanged.access_token)).sub, up.users.bob.user_id);
    const service = await client.ask('client');
    assert.deepEqual([(await client.ask('introspect', service.access_token)).sub, service.refresh_token], [own.id, undefined]);
    await assert.rejects(client.ask('exchange', 'nonsense'), /invalid_grant/);
  } finally {
    client.close();
    own.close();
  }
});

test('the device grant by Authlib', async () => {
  const [own, token] = [await app('PyTv'), await signIn('bob')];
  const client = authlib(own);
  const context = await browser.newContext();
  const page = await context.newPage();
  try {
    const body = new URLSearchParams({ client_id: own.id, scope: 'storage:read' });
    const device = await (await fetch(`${up.base_url}/oauth2/device/authorization`, { method: 'POST', body })).json();
    await new Promise((resolve) => setTimeout(resolve, device.interval * 1000 + 200));
    await assert.rejects(client.ask('device', device.device_code), /authorization_pending/);
    await handOver(page, token, '/oauth2/device');
    await page.getByLabel('Code').fill(device.user_code.toLowerCase());
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'The code is right: agree' }).click();
    await page.getByRole('heading', { name: 'Agreed' }).waitFor();
    await new Promise((resolve) => setTimeout(resolve, device.interval * 1000 + 200));
    assert.equal((await client.ask('device', device.device_code)).scope, 'storage:read');
    assert.ok((await client.ask('refresh')).access_token);
  } finally {
    await context.close();
    client.close();
    own.close();
  }
});
