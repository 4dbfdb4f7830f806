// Signing in by a code that is sent to an e-mail address, with a server of our own in the place of whoever sends mail.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { faults, launch, picture, up } from './world.mjs';

let browser;
let server;
const mails = [];
before(async () => {
  browser = await launch();
  server = createServer((request, response) => {
    let text = '';
    request.on('data', (piece) => { text += piece; });
    request.on('end', () => {
      if (request.url === '/mail') mails.push({ token: request.headers.authorization, ...JSON.parse(text) });
      response.writeHead(202).end();
    });
  });
  await new Promise((resolve) => { server.listen(Number(process.env.TMCP_MAIL_PORT), 'localhost', resolve); });
});
after(async () => { await browser?.close(); server?.close(); });

const main = (page) => page.getByRole('main').innerText();

test('by a code or a link in a mail, in the browser that asked for it', async () => {
  const context = await browser.newContext({ viewport: { width: 360, height: 640 } });
  try {
    const page = await context.newPage();
    const ask = async () => {
      await page.goto(`${up.base_url}/account`);
      await page.getByRole('link', { name: 'Sign in with E-mail' }).click();
      await page.getByLabel('E-mail address').fill('Mallory@Example.org');
      assert.deepEqual(await faults(page), []);
      await picture(page, 'email');
      await page.getByRole('button', { name: 'Send the code' }).click();
      await page.getByRole('heading', { name: 'Enter the code' }).waitFor();
      assert.match(await main(page), /mallory@example\.org/);
      return mails.at(-1);
    };
    const mail = await ask();
    assert.deepEqual([mail.to, mail.from, mail.token], ['mallory@example.org', 'us@tmcp.example', 'Bearer secret-of-the-mail']);
    const code = mail.subject.split(' ')[0];
    await page.getByLabel('Code').fill(code === '00000000' ? '1' : '00000000');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').waitFor();
    assert.match(await main(page), /not the code/);
    assert.deepEqual(await faults(page), []);
    await picture(page, 'email-code');
    await page.getByLabel('Code').fill(` ${code} `);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'Your account' }).waitFor();
    assert.match(await main(page), /signed in as mallory@example\.org \(E-mail\)/);
    // The link in a mail does the same; where nobody began, it does nothing.
    await page.getByRole('button', { name: 'Sign out of this browser' }).click();
    const [link] = /http\S+code=\d+/.exec((await ask()).text);
    const elsewhere = await browser.newContext();
    const stranger = await elsewhere.newPage();
    await stranger.goto(link);
    await stranger.getByRole('heading', { name: 'That did not work' }).waitFor();
    await elsewhere.close();
    await page.goto(link);
    await page.getByRole('heading', { name: 'Your account' }).waitFor();
    assert.match(await main(page), /signed in as mallory@example\.org \(E-mail\)/);
  } finally {
    await context.close();
  }
});
