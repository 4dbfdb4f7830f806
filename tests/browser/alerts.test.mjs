// The operator is told of signs of an attack: by a request to the address that configuration names.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { up } from './world.mjs';

test('who tries ten times to be somebody is told of', async () => {
  let heard;
  const alert = new Promise((resolve) => { heard = resolve; });
  const who = `@nobody-${Date.now()}:localhost`;
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (piece) => { text += piece; });
    request.on('end', () => {
      const body = JSON.parse(text);
      response.writeHead(204).end();
      // Other signs are of no interest.
      if (body.about === who) heard({ method: request.method, path: request.url, body });
    });
  });
  await new Promise((resolve) => { server.listen(Number(process.env.TMCP_ALERT_PORT), 'localhost', resolve); });
  try {
    for (let n = 0; n < 10; n += 1) {
      const answer = await fetch(`${up.base_url}/api/v1/auth/matrix`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ matrix_user_id: who, access_token: 'syt_wrong' }),
      });
      assert.equal(answer.status, 401);
    }
    const { method, path, body } = await alert;
    assert.deepEqual([method, path, body.sign, body.server], ['POST', '/hook?secret=1', 'many_failures', up.base_url]);
    assert.equal(body.detail.count, 10);
  } finally {
    server.close();
  }
});
