// Encryption at rest: AES-256-GCM under a key per user, derived from a master key. The place of a value is associated data, so that
// bytes moved to another row, or an older value of the same row, do not decrypt.

import type { Settings } from './env'

const IV_BYTES = 12
const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export interface Place {
  uid: string
  app: string
  key: string
  valueId: string
  keyId: string
}

function userKey(settings: Settings, keyId: string, uid: string): Promise<CryptoKey> {
  const master = settings.masterKeys.get(keyId)
  if (!master) throw new Error(`master key ${keyId} is not configured`)
  const info = encoder.encode(`storage value:${uid}`)
  const hkdf = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info }
  return crypto.subtle.deriveKey(hkdf, master, { name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt'])
}

const associated = ({ keyId, uid, app, key, valueId }: Place) => encoder.encode(JSON.stringify([keyId, uid, app, key, valueId]))

export async function seal(settings: Settings, place: Place, value: Uint8Array): Promise<Uint8Array> {
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES))
  const key = await userKey(settings, place.keyId, place.uid)
  const sealed = await crypto.subtle.encrypt({ name: 'AES-GCM', iv, additionalData: associated(place) }, key, value)
  const bytes = new Uint8Array(IV_BYTES + sealed.byteLength)
  bytes.set(iv)
  bytes.set(new Uint8Array(sealed), IV_BYTES)
  return bytes
}

export async function open(settings: Settings, place: Place, bytes: Uint8Array): Promise<string> {
  const key = await userKey(settings, place.keyId, place.uid)
  const algorithm = { name: 'AES-GCM', iv: bytes.subarray(0, IV_BYTES), additionalData: associated(place) }
  return decoder.decode(await crypto.subtle.decrypt(algorithm, key, bytes.subarray(IV_BYTES)))
}
