// A person takes their data along, leaves, changes their mind, and leaves for good. The server of these tests waits twenty seconds for
// them to think it over, and calls its maintenance every five.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { faults, launch, picture, up } from './world.mjs';
import { signInThere, startProvider } from './provider.mjs';

let browser;
let second;
before(async () => { [browser, second] = [await launch(), await startProvider()]; });
after(async () => { await browser?.close(); second?.close(); });

const main = (page) => page.getByRole('main').innerText();

async function signIn(page, first = false) {
  await page.goto(`${up.base_url}/account`);
  await page.getByRole('link', { name: 'Sign in with Plain' }).click();
  if (first) await signInThere(page, 'judy');
  await page.waitForURL((to) => to.href.startsWith(`${up.base_url}/account`));
}

/** The document, by the button of the account's page. */
async function exported(page) {
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Download everything that is held about you' }).click();
  const file = await download;
  assert.equal(file.suggestedFilename(), 'tmcp-account.json');
  return JSON.parse(await readFile(await file.path(), 'utf8'));
}

async function leave(page) {
  await page.getByRole('link', { name: 'Erase your account' }).click();
  await page.getByRole('heading', { name: 'Erase your account?' }).waitFor();
  assert.deepEqual(await faults(page), []);
  await picture(page, 'leave');
  await page.getByRole('button', { name: 'Erase my account' }).click();
  await page.getByRole('heading', { name: 'Your account is going to be erased' }).waitFor();
  assert.deepEqual(await faults(page), []);
}

test('a person takes everything along, leaves, stays after all, and leaves for good', async () => {
  const context = await browser.newContext({ acceptDownloads: true });
  try {
    const page = await context.newPage();
    await signIn(page, true);
    assert.deepEqual(await faults(page), []);
    // What they are called and say of themselves, with whatever letters that takes.
    await page.getByLabel('Name').fill('Judy <b> & "co"');
    await page.getByLabel('About you').fill('One line\nand another');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('heading', { name: 'Your account' }).waitFor();
    assert.equal(await page.getByLabel('Name').inputValue(), 'Judy <b> & "co"');
    assert.equal(await page.getByLabel('About you').inputValue(), 'One line\nand another');
    assert.deepEqual(await faults(page), []);
    await picture(page, 'account-data');
    const before = await exported(page);
    assert.ok(before.person.some(({ what, username }) => what === 'identity' && username === 'judy'), JSON.stringify(before));
    assert.deepEqual([before.browsers.length, before.storage.length], [1, 0]);
    assert.equal(before.person.find(({ what }) => what === 'profile').profile.bio, 'One line\nand another');

    await leave(page);
    await picture(page, 'left');
    await page.goto(`${up.base_url}/account`);
    assert.match(await main(page), /does not know you/);
    await signIn(page);
    await page.getByRole('heading', { name: 'Do you stay?' }).waitFor();
    assert.deepEqual(await faults(page), []);
    await picture(page, 'stay');
    await page.getByRole('button', { name: 'Keep my account' }).click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await signIn(page);
    assert.match(await main(page), /signed in as judy/);
    assert.equal((await exported(page)).user_id, before.user_id);

    await leave(page);
    // Erased once the time is over: whoever comes then is somebody new.
    const end = Date.now() + 60_000;
    await page.waitForTimeout(20_000);
    for (;;) {
      await signIn(page);
      if (/signed in as judy/.test(await main(page))) break;
      assert.ok(Date.now() < end, 'nobody erased them');
      await page.waitForTimeout(2_000);
    }
    const now = await exported(page);
    assert.notEqual(now.user_id, before.user_id);
    assert.ok(!JSON.stringify(now).includes(before.user_id));
  } finally {
    await context.close();
  }
});
