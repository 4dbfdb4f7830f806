// npm oidc-provider with one confidential client: the benchmark's peer of refresh and token exchange. `node start.mjs --help`.

import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'
import { Provider } from 'oidc-provider'
import { MemoryAdapter } from './memory-adapter.mjs'

const HELP = `node start.mjs [--port N]

Serves on 127.0.0.1 and prints one line of JSON when it is ready:
  {"issuer", "token_endpoint", "families_endpoint", "client_id", "client_secret", "version", "node"}
SIGTERM or SIGINT ends it.

POST families_endpoint?count=N   makes N refresh token families, each of a user of its own, and as many tokens to exchange:
                                 {"refresh_tokens": [N texts], "subject_tokens": [N texts]}
POST token_endpoint              a form of grant_type=refresh_token, refresh_token, client_id, client_secret; the answer's
                                 refresh_token is the family's next one, and the one that was sent is used up; or of
                                 grant_type=…:token-exchange, subject_token, subject_token_type
`
const RESOURCE = 'https://storage.example'
const SCOPE = 'storage:read storage:write'
const CLIENT_ID = 'bench'
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'
const MAX_FAMILIES = 100_000

const { version } = createRequire(import.meta.url)('oidc-provider/package.json')

function settings() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const resourceServer = {
    scope: SCOPE,
    audience: RESOURCE,
    accessTokenTTL: 3600,
    accessTokenFormat: 'jwt',
    jwt: { sign: { alg: 'RS256' } },
  }
  const client = {
    client_id: CLIENT_ID,
    client_secret: randomBytes(32).toString('base64url'),
    token_endpoint_auth_method: 'client_secret_post',
    grant_types: ['authorization_code', 'refresh_token', EXCHANGE],
    redirect_uris: ['https://client.example/callback'],
  }
  return {
    client,
    resourceServer,
    configuration: {
      adapter: MemoryAdapter,
      clients: [client],
      cookies: { keys: [randomBytes(32).toString('base64url')] },
      jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'k1', use: 'sig', alg: 'RS256' }] },
      scopes: ['openid', 'offline_access', ...SCOPE.split(' ')],
      rotateRefreshToken: true,
      ttl: { AccessToken: 3600, Grant: 90 * 86_400, RefreshToken: 90 * 86_400 },
      findAccount: (_ctx, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
      features: {
        devInteractions: { enabled: false },
        resourceIndicators: {
          enabled: true,
          defaultResource: () => RESOURCE,
          useGrantedResource: () => true,
          getResourceServerInfo: () => resourceServer,
        },
      },
    },
  }
}

/** What the authorization code grant leaves behind, without the browser: a grant and the first refresh token of a family. */
async function family(provider, client, n) {
  const accountId = `user-${n}`
  const grant = new provider.Grant({ accountId, clientId: CLIENT_ID })
  grant.addResourceScope(RESOURCE, SCOPE)
  const grantId = await grant.save()
  const token = new provider.RefreshToken({
    accountId,
    client,
    grantId,
    gty: 'authorization_code',
    resource: RESOURCE,
    rotations: 0,
    // No `openid`: an ID token would be a second signature.
    scope: SCOPE,
    expiresWithSession: false,
  })
  return token.save()
}

/** A token that says who somebody is, to be exchanged: opaque, so that it is looked up as a session of ours is. */
async function subject(provider, client, n) {
  const accountId = `user-${n}`
  const grant = new provider.Grant({ accountId, clientId: CLIENT_ID })
  grant.addResourceScope(RESOURCE, SCOPE)
  const grantId = await grant.save()
  const token = new provider.AccessToken({ accountId, client, grantId, gty: 'authorization_code', expiresWithSession: false })
  return token.save()
}

/** Token exchange, which the library leaves to those who use it: an access token for the resource, and a refresh token. */
function exchange(provider, resourceServer) {
  const handler = async (ctx) => {
    const { client, params } = ctx.oidc
    const found = params.subject_token_type === ACCESS_TOKEN && (await provider.AccessToken.find(params.subject_token))
    if (!found || found.clientId !== client.clientId) {
      ctx.status = 400
      ctx.body = { error: 'invalid_grant' }
      return
    }
    const common = { accountId: found.accountId, client, grantId: found.grantId, gty: 'token_exchange', scope: SCOPE, expiresWithSession: false }
    const access = new provider.AccessToken(common)
    access.resourceServer = new provider.ResourceServer(RESOURCE, resourceServer)
    const access_token = await access.save()
    const refresh_token = await new provider.RefreshToken({ ...common, resource: RESOURCE, rotations: 0 }).save()
    ctx.body = { access_token, refresh_token, issued_token_type: ACCESS_TOKEN, token_type: 'Bearer', expires_in: access.expiration, scope: SCOPE }
  }
  provider.registerGrantType(EXCHANGE, handler, ['subject_token', 'subject_token_type'])
}

function familiesEndpoint(provider) {
  let made = 0
  return async (ctx, next) => {
    if (ctx.path !== '/bench/families' || ctx.method !== 'POST') return next()
    const count = Number(ctx.query.count ?? 1)
    if (!Number.isInteger(count) || count < 1 || count > MAX_FAMILIES) {
      ctx.status = 400
      ctx.body = { error: 'invalid_request', error_description: `count must be a whole number from 1 to ${MAX_FAMILIES}` }
      return
    }
    const client = await provider.Client.find(CLIENT_ID)
    const [refresh_tokens, subject_tokens] = [[], []]
    for (let n = 0; n < count; n++) {
      refresh_tokens.push(await family(provider, client, made))
      subject_tokens.push(await subject(provider, client, made++))
    }
    ctx.body = { refresh_tokens, subject_tokens }
  }
}

async function main() {
  const { values } = parseArgs({ options: { port: { type: 'string', default: '0' }, help: { type: 'boolean' } } })
  if (values.help) return console.log(HELP.trimEnd())
  const port = Number(values.port)
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Error('--port wants a number from 0 to 65535')

  const { client, resourceServer, configuration } = settings()
  // The issuer names the port, which is known only when something listens on it.
  let handle = (_request, response) => response.writeHead(503).end()
  const server = createServer((request, response) => handle(request, response))
  await new Promise((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${server.address().port}`
  const provider = new Provider(issuer, configuration)
  provider.use(familiesEndpoint(provider))
  exchange(provider, resourceServer)
  provider.on('server_error', (_ctx, error) => console.error(error))
  handle = provider.callback()

  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0))
  console.log(
    JSON.stringify({
      issuer,
      token_endpoint: `${issuer}/token`,
      families_endpoint: `${issuer}/bench/families`,
      client_id: client.client_id,
      client_secret: client.client_secret,
      version,
      node: process.version,
    }),
  )
}

main().catch((error) => {
  console.error(`error: ${error.code === 'EADDRINUSE' ? 'the port is taken' : error.message}`)
  process.exit(1)
})
