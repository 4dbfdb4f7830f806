// Signing in by SAML: at Keycloak, in plain and encrypted, and at pysaml2, which signs whatever it is told to.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { app, ask, begin, faults, launch, picture, up } from './world.mjs';

const port = Number(process.env.TMCP_SAML_PORT);
let browser;
let provider;
before(async () => {
  browser = await launch();
  provider = spawn(process.env.TMCP_SAML_PYTHON, [new URL('saml_provider.py', import.meta.url).pathname], {
    env: { ...process.env, TMCP_BASE_URL: up.base_url }, stdio: ['pipe', 'pipe', 'inherit'],
  });
  await new Promise((resolve, reject) => {
    provider.stdout.once('data', resolve);
    provider.once('exit', (code) => reject(new Error(`pysaml2 ended: ${code}`)));
  });
});
after(async () => {
  await browser?.close();
  provider?.stdin.end();
});

async function inBrowser(work) {
  const context = await browser.newContext();
  try {
    await work(await context.newPage(), context);
  } finally {
    await context.close();
  }
}

const main = (page) => page.getByRole('main').innerText();
const sessions = async (context) => (await context.cookies(up.base_url)).filter(({ name }) => name.endsWith('tmcp_session'));

/** At pysaml2: who signs in, and how it is answered. Stops before the browser goes on. */
async function atPython(page, who, how) {
  await page.getByPlaceholder('who').fill(who);
  if (how) await page.getByPlaceholder('how').fill(how);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('button', { name: 'Go on' }).waitFor();
}
const goOn = (page) => page.getByRole('button', { name: 'Go on' }).click();

async function keycloak(page, who) {
  await page.locator('#username').fill(who);
  await page.locator('#password').fill(up.keycloak_password);
  await page.locator('#kc-login').click();
}

for (const name of ['SAML', 'Sealed SAML']) {
  test(`by Keycloak: ${name}`, () => inBrowser(async (page, context) => {
    await page.goto(`${up.base_url}/account`);
    await page.getByRole('link', { name: `Sign in with ${name}`, exact: true }).click();
    await keycloak(page, 'carol');
    await page.getByRole('heading', { name: 'Your account' }).waitFor();
    assert.match(await main(page), /signed in as carol/);
    assert.equal((await sessions(context)).length, 1);
    assert.deepEqual(await faults(page), []);
    await picture(page, `saml-${name.split(' ')[0].toLowerCase()}`);
  }));
}

for (const how of ['assertion', 'response', 'both', 'sha512']) {
  test(`by pysaml2, signed: ${how}`, () => inBrowser(async (page) => {
    await page.goto(`${up.base_url}/account`);
    await page.getByRole('link', { name: 'Sign in with Python SAML' }).click();
    await atPython(page, 'judy', how);
    await goOn(page);
    await page.getByRole('heading', { name: 'Your account' }).waitFor();
    assert.match(await main(page), /signed in as judy by name/);
  }));
}

for (const how of ['unsigned', 'sha1', 'cbc', 'transient', 'unasked', 'recipient', 'comment', 'changed']) {
  test(`pysaml2's answer is refused: ${how}`, () => inBrowser(async (page, context) => {
    await page.goto(`${up.base_url}/account`);
    await page.getByRole('link', { name: 'Sign in with Python SAML' }).click();
    await atPython(page, 'mallory', how);
    await goOn(page);
    await page.getByRole('heading', { name: 'That did not work' }).waitFor();
    assert.match(await main(page), /does not prove who you are/);
    assert.deepEqual(await sessions(context), []);
    if (how === 'unsigned') {
      assert.deepEqual(await faults(page), []);
      await picture(page, 'saml-refused');
    }
  }));
}

test('whoever changes their mind is where they were', () => inBrowser(async (page) => {
  await page.goto(`${up.base_url}/oauth2/device?user_code=BCDF-GHJK`);
  await page.getByRole('link', { name: 'Sign in with Python SAML' }).click();
  await atPython(page, 'kim', 'denied');
  await goOn(page);
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  assert.equal(page.url(), `${up.base_url}/oauth2/device?user_code=BCDF-GHJK`);
}));

test('a response counts once, and in the browser that asked', () => inBrowser(async (page, context) => {
  await page.goto(`${up.base_url}/account`);
  await page.getByRole('link', { name: 'Sign in with Python SAML' }).click();
  await atPython(page, 'laura');
  const form = await page.locator('form').evaluate((form) => [form.action, Object.fromEntries(new FormData(form))]);
  assert.equal(form[0], `${up.base_url}/saml/acs/python`);
  // Somebody else's browser is handed the response: nobody is signed in there, and nobody any more.
  await inBrowser(async (other, theirs) => {
    await other.goto(`http://localhost:${port}/`);
    await other.evaluate(([action, fields]) => {
      const form = Object.assign(document.createElement('form'), { method: 'post', action });
      for (const [name, value] of Object.entries(fields)) form.append(Object.assign(document.createElement('input'), { name, value }));
      document.body.append(form);
      form.submit();
    }, form);
    await other.getByRole('heading', { name: 'That did not work' }).waitFor();
    assert.match(await main(other), /began in another browser/);
    assert.deepEqual(await sessions(theirs), []);
  });
  await goOn(page);
  await page.getByRole('heading', { name: 'That did not work' }).waitFor();
  assert.match(await main(page), /does not prove who you are/);
  assert.deepEqual(await sessions(context), []);
}));

test('an app gets in by it, once the person has a Matrix identity; until then it says what is missing', () => inBrowser(async (page) => {
  const own = await app('Saml');
  try {
    const { url } = await begin(own, 'storage:read');
    await page.goto(url.href);
    await page.getByRole('link', { name: 'Sign in with Python SAML' }).click();
    await atPython(page, 'mike');
    await goOn(page);
    // A form of the provider's led here: the way on to the app is none that its policy could hold.
    await page.getByRole('heading', { name: 'needs a Matrix identity' }).waitFor();
    assert.match(await main(page), /mike by name \(Python SAML\)/);
  } finally {
    own.close();
  }
}));

test('somebody who is signed in links it, and signs in anew there', () => inBrowser(async (page) => {
  await page.goto(`${up.base_url}/account`);
  await page.getByRole('link', { name: 'Sign in with SAML', exact: true }).click();
  await keycloak(page, 'dave');
  await page.getByRole('heading', { name: 'Your account' }).waitFor();
  await page.getByRole('button', { name: 'Link Python SAML' }).click();
  await atPython(page, 'nina');
  await goOn(page);
  await page.getByRole('heading', { name: 'Is this yours?' }).waitFor();
  await page.getByRole('button', { name: 'Link it' }).click();
  await page.getByRole('heading', { name: 'nina by name (Python SAML)' }).waitFor();
}));

test('what is wrong with a response is in the audit log, and nothing else of it', async () => {
  await ask('POST', '/ops/maintenance', { token: up.operator_token });
  const rows = [];
  for (let more = true; more;) {
    const portion = await ask('GET', `/ops/audit?after=${rows.at(-1)?.seq ?? 0}`, { token: up.operator_token });
    rows.push(...portion.rows);
    more = portion.rows.length > 0;
  }
  const refused = rows.filter(({ action, outcome }) => action === 'sign_in.saml' && outcome === 'refused');
  const reasons = new Set(refused.map(({ detail }) => detail && JSON.parse(detail).reason));
  for (const reason of [
    'nothing is signed', 'a digest algorithm that is not taken', 'another destination', 'a content encryption that is not taken', 'a name that is not persistent',
    'no answer to our request', 'a document type, a comment or a CDATA section', 'it was changed after it was signed', 'assertion used before',
  ]) assert.ok(reasons.has(reason), `${reason}: ${[...reasons]}`);
  assert.ok(!JSON.stringify(refused).includes('mallory'));
});
