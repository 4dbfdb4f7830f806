// Signing in at real providers, with their own pages: Keycloak, a homeserver that takes Keycloak, and oidc-provider, as an OpenID
// provider and as one that speaks OAuth alone. They are on `localhost`, we on `127.0.0.1`: two sites.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { app, ask, begin, faults, launch, oauth, picture, up } from './world.mjs';
import { signInThere, startProvider } from './provider.mjs';

let browser;
let second;
before(async () => { [browser, second] = [await launch(), await startProvider()]; });
after(async () => { await browser?.close(); second?.close(); });

async function inBrowser(options, work) {
  const context = await browser.newContext(options);
  try {
    await work(await context.newPage(), context);
  } finally {
    await context.close();
  }
}

/** Keycloak's own form. */
async function keycloak(page, who, password = up.keycloak_password) {
  await page.locator('#username').fill(who);
  await page.locator('#password').fill(password);
  await page.locator('#kc-login').click();
}

const main = (page) => page.getByRole('main').innerText();

test('by Keycloak: a person without a Matrix id has an account, and no app gets in', () => inBrowser({}, async (page, context) => {
  const own = await app('Keycloak');
  try {
    const { url } = await begin(own, 'storage:read');
    await page.goto(url.href);
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    assert.deepEqual(await faults(page), []);
    await picture(page, 'providers');
    await page.getByRole('link', { name: 'Sign in with Keycloak' }).click();
    await keycloak(page, 'carol', 'wrong');
    await page.getByText('Invalid username or password').waitFor();
    await keycloak(page, 'carol');
    await page.getByRole('heading', { name: 'needs a Matrix identity' }).waitFor();
    assert.match(await main(page), /carol \(Keycloak\)/);
    assert.deepEqual(await faults(page), []);
    await picture(page, 'matrix-identity-required');
    await page.getByRole('link', { name: /^Go back to/ }).click();
    await page.waitForURL((to) => to.href.startsWith(own.back));
    assert.equal(new URL(page.url()).searchParams.get('error'), 'access_denied');
    await page.goto(url.href);
    await page.getByRole('button', { name: 'Sign in as somebody else' }).click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    assert.equal(page.url(), url.href);
    await page.getByRole('link', { name: 'Sign in with Keycloak' }).click();
    await page.getByRole('heading', { name: 'needs a Matrix identity' }).waitFor();
    await page.goto(`${up.base_url}/account`);
    assert.match(await main(page), /signed in as carol/);
    const cookies = await context.cookies(up.base_url);
    for (const cookie of cookies) assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, 'Lax'], cookie.name);
    // Signed out here, and still signed in there: the next time is one click, with a new session.
    const before = cookies.find(({ name }) => name.endsWith('tmcp_session')).value;
    await page.getByRole('button', { name: 'Sign out of this browser' }).click();
    await page.getByRole('link', { name: 'Sign in with Keycloak' }).click();
    await page.getByRole('heading', { name: 'Your account' }).waitFor();
    const now = (await context.cookies(up.base_url)).find(({ name }) => name.endsWith('tmcp_session')).value;
    assert.notEqual(now, before);
  } finally {
    own.close();
  }
}));

test('by the homeserver, which takes Keycloak: an app gets in', () => inBrowser({ javaScriptEnabled: true }, async (page) => {
  const own = await app('Homeserver');
  try {
    const { url, checks } = await begin(own, 'storage:read');
    await page.goto(url.href);
    await page.getByRole('link', { name: 'Sign in with Matrix' }).click();
    await keycloak(page, 'dave');
    await page.getByRole('link', { name: 'Continue' }).click();
    await page.waitForURL((to) => to.href.startsWith(own.back));
    const tokens = await oauth.authorizationCodeGrant(own.config, new URL(page.url()), checks);
    assert.equal(tokens.user_id, '@dave:localhost');
    assert.ok(await ask('GET', '/api/v1/storage-info', { token: tokens.access_token }));
  } finally {
    own.close();
  }
}));

test('by a second OpenID provider, without scripts of ours, on a phone', () => inBrowser({ viewport: { width: 360, height: 640 } }, async (page) => {
  await page.goto(`${up.base_url}/account`);
  assert.deepEqual(await faults(page), []);
  await picture(page, 'providers-phone');
  await page.getByRole('link', { name: 'Sign in with Second' }).click();
  await signInThere(page, 'erin');
  await page.getByRole('heading', { name: 'Your account' }).waitFor();
  assert.match(await main(page), /signed in as erin/);
}));

test('a provider that speaks OAuth alone names people by what never changes', () => inBrowser({}, async (page) => {
  await page.goto(`${up.base_url}/account`);
  await page.getByRole('link', { name: 'Sign in with Plain' }).click();
  await signInThere(page, 'frank');
  await page.getByRole('heading', { name: 'Your account' }).waitFor();
  assert.match(await main(page), /signed in as frank/);
}));

test('whoever changes their mind is where they were', () => inBrowser({}, async (page) => {
  await page.goto(`${up.base_url}/oauth2/device?user_code=BCDF-GHJK`);
  await page.getByRole('link', { name: 'Sign in with Second' }).click();
  await page.getByRole('link', { name: 'Cancel' }).click();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  assert.equal(page.url(), `${up.base_url}/oauth2/device?user_code=BCDF-GHJK`);
}));

test('an answer of a provider counts in the browser that asked, and once', () => inBrowser({}, async (page, context) => {
  await page.goto(`${up.base_url}/account`);
  await page.getByRole('link', { name: 'Sign in with Second' }).click();
  // The browser forgets that it asked, and remembers later.
  const cookies = await context.cookies(up.base_url);
  await context.clearCookies({ name: /tmcp_sign_in$/ });
  await signInThere(page, 'grace');
  const refused = async (where) => {
    await where.getByRole('heading', { name: 'That did not work' }).waitFor();
    assert.deepEqual((await where.context().cookies(up.base_url)).filter(({ name }) => name.endsWith('tmcp_session')), []);
  };
  await refused(page);
  const answer = page.url();
  assert.match(answer, /sign-in\/callback\/second\?code=/);
  await inBrowser({}, async (other) => {
    await other.goto(`${up.base_url}/account`);
    await other.getByRole('link', { name: 'Sign in with Second' }).click();
    await other.goto(answer);
    await refused(other);
    assert.deepEqual(await faults(other), []);
  });
  await context.addCookies(cookies);
  await page.goto(answer);
  await page.getByRole('heading', { name: 'Your account' }).waitFor();
  await page.goto(answer);
  await page.getByRole('heading', { name: 'That did not work' }).waitFor();
}));

test('a person links another way to sign in, and is the same by both', () => inBrowser({}, async (page) => {
  await page.goto(`${up.base_url}/account`);
  await page.getByRole('link', { name: 'Sign in with Second' }).click();
  await signInThere(page, 'ivan');
  await page.getByRole('heading', { name: 'Your account' }).waitFor();
  assert.deepEqual(await faults(page), []);
  // The provider did not say when they signed in there: it has to ask them once more.
  assert.equal(await page.getByRole('button', { name: 'Link Plain' }).count(), 0);
  await page.getByRole('button', { name: 'Sign in with Second' }).click();
  await signInThere(page, 'ivan', { agreed: true });
  await page.getByRole('button', { name: 'Link Plain' }).waitFor();
  // Another person is to sign in at the other one.
  await page.context().clearCookies({ domain: 'localhost' });
  await page.getByRole('button', { name: 'Link Plain' }).click();
  await signInThere(page, 'ivan-too');
  await page.getByRole('heading', { name: 'Is this yours?' }).waitFor();
  assert.match(await main(page), /ivan-too \(Plain\).*ivan.*\(Second\)/s);
  assert.deepEqual(await faults(page), []);
  await picture(page, 'link');
  await page.getByRole('button', { name: 'Link it' }).click();
  await page.getByRole('heading', { name: 'ivan-too (Plain)' }).waitFor();
  assert.deepEqual(await faults(page), []);
  await picture(page, 'account-linked');
  // Somebody else's stays theirs, though they prove that they are there; Keycloak asks anew.
  await inBrowser({}, async (other) => {
    await other.goto(`${up.base_url}/account`);
    await other.getByRole('link', { name: 'Sign in with Keycloak' }).click();
    await keycloak(other, 'dave');
    await other.getByRole('heading', { name: 'Your account' }).waitFor();
  });
  await page.getByRole('button', { name: 'Link Keycloak' }).click();
  await keycloak(page, 'dave');
  await page.getByRole('button', { name: 'Link it' }).click();
  await page.getByText('belongs to another account').waitFor();
  await page.goto(`${up.base_url}/account`);
  await page.getByRole('button', { name: 'Sign out of this browser' }).click();
  await page.getByRole('link', { name: 'Sign in with Plain' }).click();
  await page.getByRole('heading', { name: 'Your account' }).waitFor();
  const text = await main(page);
  assert.ok(text.includes('(Second)') && text.includes('ivan-too (Plain)'), text);
  await page.getByRole('button', { name: /^Unlink .*\(Second\)/ }).click();
  await page.getByRole('heading', { name: 'Your account' }).waitFor();
  assert.ok(!(await main(page)).includes('(Second)'));
}));

test('a native app brings a code of its own', () => inBrowser({}, async (page) => {
  const native = 'http://127.0.0.1:1/native';
  const config = await oauth.discovery(new URL(second.origin), 'second', undefined, oauth.None(), { execute: [oauth.allowInsecureRequests] });
  const [verifier, nonce, state] = [oauth.randomPKCECodeVerifier(), oauth.randomNonce(), oauth.randomState()];
  const url = oauth.buildAuthorizationUrl(config, {
    redirect_uri: native, scope: 'openid profile', state, nonce, code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
  });
  await page.goto(url.href);
  // Nothing listens at the app's address: what counts is the request.
  const [request] = await Promise.all([page.waitForRequest((one) => one.url().startsWith(native)), signInThere(page, 'heidi')]);
  const back = new URL(request.url());
  const body = { provider: 'second', code: back.searchParams.get('code'), code_verifier: verifier, redirect_uri: native, nonce, iss: back.searchParams.get('iss') };
  assert.equal(body.iss, second.origin);
  const signedIn = await ask('POST', '/api/v1/auth/oauth', { json: body });
  assert.deepEqual([signedIn.user.matrix_user_id, signedIn.user.matrix_username], [null, 'heidi by name']);
  assert.ok((await ask('POST', '/api/v1/auth/browser', { token: signedIn.access_token, json: {} })).url);
  await assert.rejects(ask('POST', '/api/v1/auth/oauth', { json: body }), /401.*INVALID_CREDENTIALS/);
}));
