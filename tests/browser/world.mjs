// The server under test, as up.json says, people on it, and a Chromium.

import { chromium } from 'playwright-core';
import * as oauth from 'openid-client';
import { readFileSync, mkdirSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';

export const up = JSON.parse(readFileSync(process.env.TMCP_UP, 'utf8'));
const shots = path.join(path.dirname(process.env.TMCP_UP), 'screenshots');
mkdirSync(shots, { recursive: true });
const axe = readFileSync(new URL(import.meta.resolve('axe-core/axe.min.js')), 'utf8');

/** A request to the server; fails where it is refused. */
export async function ask(method, path, { token, json } = {}) {
  const headers = { ...(token && { authorization: `Bearer ${token}` }), ...(json && { 'content-type': 'application/json' }) };
  const answer = await fetch(up.base_url + path, { method, headers, body: json && JSON.stringify(json) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${text}`);
  return text ? JSON.parse(text) : null;
}

/** A platform token of one of the seeded people. */
export async function signIn(who) {
  const { user_id, access_token } = up.users[who];
  return (await ask('POST', '/api/v1/auth/matrix', { json: { matrix_user_id: user_id, access_token } })).access_token;
}

/** An app of its own for a test, with a page that codes come back to. */
export async function app(name, { scopes, ...more } = {}) {
  const server = http.createServer((request, answer) => {
    answer.setHeader('content-type', 'text/html');
    answer.end(`<!doctype html><title>app</title><h1>The app</h1>`);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const back = `http://127.0.0.1:${server.address().port}/back`;
  const id = `ma_${name}${Date.now().toString(36)}${Math.floor(Math.random() * 1e9).toString(36)}`;
  const kind = more.kind ?? 'public';
  const json = {
    client_id: id, app_id: id, name: `The ${name} app`, kind, redirect_uris: [back],
    scopes: scopes ?? ['user:read', 'storage:read', 'storage:write', 'wallet:balance', 'wallet:pay'], ...more,
  };
  const registered = await ask('POST', '/ops/clients', { token: up.operator_token, json });
  const authentication = registered.client_secret ? oauth.ClientSecretBasic(registered.client_secret) : oauth.None();
  const config = await oauth.discovery(new URL(up.base_url), id, undefined, authentication, {
    execute: [oauth.allowInsecureRequests],
    algorithm: 'oauth2',
  });
  return { id, back, config, secret: registered.client_secret, close: () => server.close() };
}

/** What an app does before it sends a person to us. */
export async function begin({ config, back }, scope) {
  const verifier = oauth.randomPKCECodeVerifier();
  const state = oauth.randomState();
  const challenge = await oauth.calculatePKCECodeChallenge(verifier);
  const url = oauth.buildAuthorizationUrl(config, {
    redirect_uri: back, scope, state, code_challenge: challenge, code_challenge_method: 'S256',
  });
  return { url, checks: { pkceCodeVerifier: verifier, expectedState: state } };
}

/** Goes on in a browser as the person of a platform token, to a path of ours. */
export async function handOver(page, token, to = '/account') {
  const { url } = await ask('POST', '/api/v1/auth/browser', { token, json: { continue: to } });
  await page.goto(url);
  await page.getByRole('button', { name: /^Go on as/ }).click();
  // The page after it goes on by itself.
  await page.waitForURL((at) => at.pathname !== '/account/continue');
}

/** A Chromium for all tests of a file. */
export async function launch() {
  const args = ['--no-sandbox', '--disable-gpu', '--disable-background-networking'];
  return chromium.launch({ executablePath: process.env.TMCP_CHROMIUM, args });
}

/** A picture to be looked at. */
export async function picture(page, name) {
  await page.screenshot({ path: path.join(shots, `${name}.png`), fullPage: true });
}

/** What axe-core finds wrong with a page, from moderate on. It is run by the debugger, since our pages let nothing run. */
export async function faults(page) {
  const { violations } = await page.evaluate(`${axe};axe.run()`);
  return violations.filter(({ impact }) => impact !== 'minor').map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`);
}

export { oauth };
