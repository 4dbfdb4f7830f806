// A second provider beside Keycloak: oidc-provider as it comes, with its own pages, where any name and password are right.

import { generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';
import { up } from './world.mjs';

const port = Number(process.env.TMCP_PROVIDER_PORT);
const secret = 'secret-of-the-second-provider';

export async function startProvider() {
  const origin = `http://localhost:${port}`;
  const client = (id, more = []) => ({
    client_id: id, client_secret: secret, redirect_uris: [`${up.base_url}/sign-in/callback/${id}`, ...more],
    grant_types: ['authorization_code'], response_types: ['code'],
  });
  const key = (alg, type, options) => ({ ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: alg });
  const provider = new Provider(origin, {
    jwks: { keys: [key('RS256', 'rsa', { modulusLength: 2048 }), key('ES256', 'ec', { namedCurve: 'P-256' })] },
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256'] },
    // Keycloak signs with RS256; this one, where it is an OpenID provider, with ES256.
    clients: [{ ...client('second', ['http://127.0.0.1:1/native']), id_token_signed_response_alg: 'ES256' }, client('plain')],
    claims: { openid: ['sub'], profile: ['name', 'nickname', 'preferred_username'], email: ['email', 'email_verified'] },
    // What userinfo says; the id token has `sub` alone, as OpenID Connect has it with a code.
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, name: `${sub} by name`, nickname: sub, email: `${sub}@example.org`, email_verified: false }) }),
    conformIdTokenClaims: false,
  });
  const server = await new Promise((resolve) => { const listening = provider.listen(port, '127.0.0.1', () => resolve(listening)); });
  return { origin, secret, close: () => server.close() };
}

/** Signs in at it, with any password. Who agreed before is not asked again. */
export async function signInThere(page, who, { agreed = false } = {}) {
  await page.getByPlaceholder('Enter any login').fill(who);
  await page.getByPlaceholder('and password').fill('any');
  await page.getByRole('button', { name: 'Sign-in' }).click();
  if (!agreed) await page.getByRole('button', { name: 'Continue' }).click();
}
