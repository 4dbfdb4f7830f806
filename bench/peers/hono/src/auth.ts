// Who calls: the bearer token, verified with jose against the platform's keys; then the rate limit, then the scope.

import { createMiddleware } from 'hono/factory'
import { jwtVerify } from 'jose'
import * as v from 'valibot'
import type { AppEnv } from './app'
import { settingsOf, type Settings } from './env'
import { ApiError, badToken, tooManyRequests } from './errors'
import type { LimitClass } from './limits'

export type Scope = 'storage:read' | 'storage:write'

/** Every scope of the protocol: a token with another one is not the platform's. */
const SCOPES = new Set(
  (
    'user:read user:read:extended user:read:contacts wallet:balance wallet:pay wallet:history wallet:request messaging:send ' +
    'messaging:read storage:read storage:write webhook:send room:create room:invite system:notifications wallet:admin ' +
    'messaging:broadcast analytics:detailed'
  ).split(' '),
)

const CLOCK_SKEW_S = 5

const times = { exp: v.number(), nbf: v.number(), iat: v.number() }
const session = { jti: v.string(), session_id: v.string(), wallet_id: v.string(), gen: v.pipe(v.number(), v.integer()) }
const matrixUser = v.pipe(v.string(), v.regex(/^@[\x21-\x7e]+:[^\s:]+(:\d+)?$/))
const ulid = v.pipe(v.string(), v.regex(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/))

const tepClaims = v.object({
  ...times,
  ...session,
  sub: matrixUser,
  uid: ulid,
  aud: v.pipe(v.string(), v.regex(/^ma_[A-Za-z0-9_-]+$/)),
  azp: v.string(),
  client_id: v.string(),
  token_type: v.literal('tep_access_token'),
  scope: v.pipe(
    v.string(),
    v.transform((list) => list.split(' ').filter(Boolean)),
    v.check((scopes) => scopes.every((scope) => SCOPES.has(scope)), 'an unknown scope'),
  ),
})

const platformClaims = v.object({
  ...times,
  ...session,
  sub: ulid,
  aud: v.string(),
  matrix_user_id: matrixUser,
  token_type: v.literal('platform_access_token'),
})

export interface Caller {
  uid: string
  app: string
  scopes: string[]
}

/** The user and app of a TEP; `null` for a platform token, which is good but takes no part in storage. */
async function verify(token: string, { jwks, issuer }: Settings): Promise<Caller | null> {
  const isTep = token.startsWith('tep.')
  const jwt = isTep ? token.slice(4) : token
  if (jwt.length > 8192) throw new Error('too long')
  const { payload, protectedHeader } = await jwtVerify(jwt, jwks, {
    algorithms: ['RS256'],
    typ: isTep ? 'JWT' : 'platform+jwt',
    issuer,
    clockTolerance: CLOCK_SKEW_S,
    requiredClaims: ['exp', 'nbf', 'iat'],
  })
  if (!protectedHeader.kid) throw new Error('no key id')
  const { exp, iat, ...claims } = isTep ? v.parse(tepClaims, payload) : v.parse(platformClaims, payload)
  const now = Date.now() / 1000
  if (now >= exp || iat > now + CLOCK_SKEW_S) throw new Error('outside of its time')
  if (claims.token_type === 'platform_access_token') {
    if (claims.aud !== issuer) throw new Error('another audience')
    return null
  }
  if (claims.azp !== claims.aud) throw new Error('another audience')
  return { uid: claims.uid, app: claims.aud, scopes: claims.scope }
}

function bearer(header: string | undefined): string {
  const token = /^bearer +(\S+)\s*$/i.exec(header ?? '')?.[1]
  if (!token) throw badToken('no token')
  return token
}

/** Lets a TEP with one of the scopes through, as long as its bucket holds. */
export const allow = (limitClass: LimitClass, ...scopes: Scope[]) =>
  createMiddleware<AppEnv>(async (c, next) => {
    const settings = await settingsOf(c.env)
    const token = bearer(c.req.header('Authorization'))
    const caller = await verify(token, settings).catch((error: unknown) => {
      throw badToken(error instanceof Error ? error.message : 'not a token')
    })
    if (!caller) throw new ApiError('INSUFFICIENT_PERMISSIONS', 'this route takes a token of another kind')
    c.set('caller', caller)

    const limiter = c.env.LIMITER.getByName(`${caller.uid}:${caller.app}`)
    const admission = await limiter.draw(limitClass, settings.limits[limitClass])
    c.set('admission', admission)
    if (!admission.allowed) throw tooManyRequests(admission)

    if (!scopes.some((scope) => caller.scopes.includes(scope))) {
      throw new ApiError('INSUFFICIENT_PERMISSIONS', 'the token lacks the scope for this', { details: { required_scopes: scopes } })
    }
    await next()
  })
