// The authorization code grant as an unmodified client library drives it, and a person in a real browser.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { app, ask, begin, faults, handOver, launch, oauth, picture, signIn, up } from './world.mjs';

let browser;
before(async () => { browser = await launch(); });
after(async () => { await browser?.close(); });

// With and without scripts, in light and dark, on a desk and on a phone.
const readers = [
  ['desk', { viewport: { width: 1000, height: 700 }, javaScriptEnabled: false }],
  ['phone', { viewport: { width: 360, height: 640 }, colorScheme: 'dark' }],
];

for (const [reader, options] of readers) {
  test(`a person lets an app in and takes it back (${reader})`, async () => {
    const [own, token] = [await app('Notes', { developer: 'Note & Co' }), await signIn('alice')];
    const context = await browser.newContext(options);
    const page = await context.newPage();
    const complaints = [];
    page.on('console', (message) => complaints.push(message.text()));
    const look = async (name) => {
      await picture(page, `${reader}-${name}`);
      if (options.javaScriptEnabled !== false) assert.deepEqual(await faults(page), [], name);
    };
    try {
      const { url, checks } = await begin(own, 'user:read storage:read wallet:pay');
      await page.goto(url.href);
      await page.getByRole('heading', { name: 'Sign in' }).waitFor();
      await look('sign-in');
      const { url: handed } = await ask('POST', '/api/v1/auth/browser', { token, json: { continue: url.pathname + url.search } });
      await page.goto(handed);
      await look('go-on');
      await page.getByRole('button', { name: `Go on as ${up.users.alice.user_id}` }).click();
      await page.getByRole('heading', { name: 'The Notes app asks for your consent' }).waitFor();
      const text = await page.getByRole('main').innerText();
      for (const shown of ['Note & Co', up.users.alice.user_id, 'Ask you to pay', 'confirm each payment']) assert.ok(text.includes(shown), shown);
      await look('consent');
      // By keyboard alone: the first stop is the button that agrees.
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
      await page.waitForURL((to) => to.href.startsWith(own.back));
      const tokens = await oauth.authorizationCodeGrant(own.config, new URL(page.url()), checks);
      assert.deepEqual([tokens.token_type, tokens.scope, tokens.expires_in], ['bearer', 'user:read wallet:pay storage:read', 3600]);
      assert.ok(await ask('GET', '/api/v1/storage-info', { token: tokens.access_token }));
      const person = await oauth.fetchUserInfo(own.config, tokens.access_token, up.users.alice.user_id);
      assert.equal(person.preferred_username, 'alice');
      const next = await oauth.refreshTokenGrant(own.config, tokens.refresh_token);
      // The second time nobody is asked.
      const again = await begin(own, 'wallet:pay');
      await page.goto(again.url.href);
      await page.waitForURL((to) => to.href.startsWith(own.back));
      await oauth.authorizationCodeGrant(own.config, new URL(page.url()), again.checks);
      const cookie = (await context.cookies(up.base_url)).find(({ name }) => name.endsWith('tmcp_session'));
      assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.path], [true, 'Lax', '/']);
      await page.goto(`${up.base_url}/account`);
      await look('account');
      await page.getByRole('button', { name: 'Take it back from The Notes app' }).click();
      await page.getByRole('heading', { name: 'Your account' }).waitFor();
      assert.equal(await page.getByRole('button', { name: 'Take it back from The Notes app' }).count(), 0);
      await assert.rejects(oauth.refreshTokenGrant(own.config, next.refresh_token), { error: 'invalid_grant' });
      await assert.rejects(ask('GET', '/api/v1/storage-info', { token: next.access_token }), /401/);
      await page.getByRole('button', { name: 'Sign out of this browser' }).click();
      await page.getByRole('heading', { name: 'Sign in' }).waitFor();
      assert.deepEqual(complaints.filter((text) => !text.includes('favicon')), []);
    } finally {
      await context.close();
      own.close();
    }
  });
}

test('a person refuses, and the library hears of it', async () => {
  const [own, token] = [await app('Refused'), await signIn('bob')];
  const context = await browser.newContext();
  const page = await context.newPage();
  try {
    await handOver(page, token);
    const { url, checks } = await begin(own, 'wallet:balance');
    await page.goto(url.href);
    await page.getByRole('button', { name: 'Refuse' }).click();
    await page.waitForURL((to) => to.href.startsWith(own.back));
    await assert.rejects(oauth.authorizationCodeGrant(own.config, new URL(page.url()), checks), { error: 'access_denied' });
  } finally {
    await context.close();
    own.close();
  }
});

test('a confidential client proves itself and asks about its tokens', async () => {
  const [own, token] = [await app('Backend', { kind: 'confidential' }), await signIn('bob')];
  const context = await browser.newContext();
  const page = await context.newPage();
  try {
    const { url, checks } = await begin(own, 'storage:read');
    await handOver(page, token, url.pathname + url.search);
    await page.waitForURL((to) => to.href.startsWith(own.back));
    const tokens = await oauth.authorizationCodeGrant(own.config, new URL(page.url()), checks);
    const told = await oauth.tokenIntrospection(own.config, tokens.access_token);
    assert.deepEqual([told.active, told.sub, told.client_id], [true, up.users.bob.user_id, own.id]);
    await oauth.tokenRevocation(own.config, tokens.refresh_token);
    assert.equal((await oauth.tokenIntrospection(own.config, tokens.access_token)).active, false);
  } finally {
    await context.close();
    own.close();
  }
});

test('a device is let in by hand', async () => {
  const [own, token] = [await app('Tv'), await signIn('bob')];
  const context = await browser.newContext({ viewport: { width: 360, height: 640 } });
  const page = await context.newPage();
  try {
    const device = await oauth.initiateDeviceAuthorization(own.config, { scope: 'storage:read user:read' });
    const granted = oauth.pollDeviceAuthorizationGrant(own.config, device);
    const complete = new URL(device.verification_uri_complete);
    await handOver(page, token, complete.pathname + complete.search);
    await page.getByRole('heading', { name: 'Let a device in' }).waitFor();
    assert.deepEqual(await faults(page), []);
    await picture(page, 'device-code');
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('heading', { name: 'The Tv app asks for your consent on a device' }).waitFor();
    assert.ok((await page.getByRole('main').innerText()).includes(device.user_code));
    assert.deepEqual(await faults(page), []);
    await picture(page, 'device');
    await page.getByRole('button', { name: 'The code is right: agree' }).click();
    await page.getByRole('heading', { name: 'Agreed' }).waitFor();
    const tokens = await granted;
    assert.equal(tokens.scope, 'user:read storage:read');
    const person = await oauth.fetchUserInfo(own.config, tokens.access_token, up.users.bob.user_id);
    assert.equal(person.sub, up.users.bob.user_id);
  } finally {
    await context.close();
    own.close();
  }
});

test('the client credentials grant by the library', async () => {
  const own = await app('Service', { kind: 'confidential' });
  try {
    const tokens = await oauth.clientCredentialsGrant(own.config);
    const told = await oauth.tokenIntrospection(own.config, tokens.access_token);
    assert.deepEqual([told.active, told.sub, tokens.refresh_token], [true, own.id, undefined]);
  } finally {
    own.close();
  }
});

test('a token exchange and its refresh by the library', async () => {
  const [own, token] = [await app('Exchange'), await signIn('alice')];
  try {
    const tokens = await oauth.genericGrantRequest(own.config, 'urn:ietf:params:oauth:grant-type:token-exchange', {
      subject_token: token, subject_token_type: 'urn:ietf:params:oauth:token-type:access_token', scope: 'storage:read',
    });
    assert.equal(tokens.scope, 'storage:read');
    assert.ok((await oauth.refreshTokenGrant(own.config, tokens.refresh_token)).access_token);
  } finally {
    own.close();
  }
});

test('a page of somebody else cannot frame ours, nor post to it', async () => {
  const [own, token] = [await app('Framing'), await signIn('alice')];
  const context = await browser.newContext();
  const page = await context.newPage();
  try {
    await handOver(page, token);
    const framing = await context.newPage();
    await framing.goto(own.back);
    await framing.setContent(`<iframe src="${up.base_url}/account"></iframe>`);
    await framing.waitForTimeout(500);
    assert.ok(!(await framing.frames()[1].content()).includes('Your account'));
    // Another site: localhost is none of ours, whose origin is 127.0.0.1. A Lax cookie does not come along.
    await framing.goto(own.back.replace('127.0.0.1', 'localhost')).catch(() => framing.goto(own.back));
    await framing.setContent(`<form method="post" action="${up.base_url}/account/end"><input name="token" value="x"><button>go</button></form>`);
    await framing.getByRole('button', { name: 'go' }).click();
    await framing.getByRole('heading', { name: 'That did not work' }).waitFor();
    // Nor can it sign somebody in as somebody else, by a hand-over of its own.
    const { url } = await ask('POST', '/api/v1/auth/browser', { token: await signIn('bob'), json: {} });
    const handle = new URL(url).searchParams.get('handle');
    await framing.goto(own.back);
    await framing.setContent(`<form method="post" action="${up.base_url}/account/continue"><input name="handle" value="${handle}"><button>go</button></form>`);
    await framing.getByRole('button', { name: 'go' }).click();
    await framing.getByRole('heading', { name: 'That did not work' }).waitFor();
    await page.goto(`${up.base_url}/account`);
    assert.ok((await page.getByRole('main').innerText()).includes(up.users.alice.user_id));
  } finally {
    await context.close();
    own.close();
  }
});
