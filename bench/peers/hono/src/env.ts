// Bindings and configuration. Settings are read once per isolate.

import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
import { parseLimits, type Limits } from './limits'
import type { RateLimiter } from './rate-limiter'

export interface Env {
  DB: D1Database
  KV: KVNamespace
  LIMITER: DurableObjectNamespace<RateLimiter>
  ISSUER: string
  JWKS: string
  LIMITS?: string
  STORAGE_KEYS: string
  SERVICE_KEY?: string
  INLINE_BYTES?: string
  QUOTA_BYTES?: string
  QUOTA_KEYS?: string
}

export interface Settings {
  issuer: string
  jwks: JWTVerifyGetKey
  limits: Limits
  /** Id of the master key that seals. */
  currentKey: string
  /** Every master key, to derive from. */
  masterKeys: Map<string, CryptoKey>
  /** Values of up to so many bytes lie in their row. */
  inlineBytes: number
  quotaBytes: number
  quotaKeys: number
}

/** A value of the configuration is missing or malformed. The message names it and shows nothing of it. */
export class InvalidSetting extends Error {}

let settings: Promise<Settings> | undefined

export function settingsOf(env: Env): Promise<Settings> {
  settings ??= readSettings(env).catch((error: unknown) => {
    settings = undefined
    throw error
  })
  return settings
}

async function readSettings(env: Env): Promise<Settings> {
  const issuer = env.ISSUER
  if (!issuer) throw new InvalidSetting('ISSUER is not set')
  const { current, keys } = await setting('STORAGE_KEYS', () => readMasterKeys(env.STORAGE_KEYS))
  return {
    issuer,
    jwks: await setting('JWKS', () => createLocalJWKSet(JSON.parse(env.JWKS) as JSONWebKeySet)),
    limits: await setting('LIMITS', () => parseLimits(env.LIMITS ?? '{}')),
    currentKey: current,
    masterKeys: keys,
    inlineBytes: wholeNumber('INLINE_BYTES', env.INLINE_BYTES, 1024, 8192),
    quotaBytes: wholeNumber('QUOTA_BYTES', env.QUOTA_BYTES, 10_485_760, 2 ** 40),
    quotaKeys: wholeNumber('QUOTA_KEYS', env.QUOTA_KEYS, 1000, 1_000_000),
  }
}

async function setting<T>(name: string, read: () => T | Promise<T>): Promise<T> {
  try {
    return await read()
  } catch {
    throw new InvalidSetting(`${name} is missing or malformed`)
  }
}

async function readMasterKeys(json: string): Promise<{ current: string; keys: Map<string, CryptoKey> }> {
  const document = JSON.parse(json) as { current: string; keys: Record<string, string> }
  const keys = new Map<string, CryptoKey>()
  for (const [id, base64] of Object.entries(document.keys)) {
    const bytes = Uint8Array.fromBase64(base64)
    if (bytes.length !== 32) throw new Error('not 32 bytes')
    keys.set(id, await crypto.subtle.importKey('raw', bytes, 'HKDF', false, ['deriveKey']))
  }
  if (!keys.has(document.current)) throw new Error('no current key')
  return { current: document.current, keys }
}

function wholeNumber(name: string, text: string | undefined, otherwise: number, max: number): number {
  if (text === undefined) return otherwise
  const number = Number(text)
  if (!/^\d+$/.test(text) || number > max) throw new InvalidSetting(`${name} must be a whole number up to ${max}`)
  return number
}
