// Where oidc-provider keeps its grants and tokens: in this process. Its own in-memory adapter keeps a thousand records and forgets the
// rest, fewer than a benchmark has families.

const records = new Map()
/** Names of the records that end with a grant. */
const members = new Map()

const now = () => Math.floor(Date.now() / 1000)

export class MemoryAdapter {
  constructor(model) {
    this.model = model
  }

  name(id) {
    return `${this.model}:${id}`
  }

  async upsert(id, payload, expiresIn) {
    const name = this.name(id)
    records.set(name, { payload, until: expiresIn ? now() + expiresIn : Infinity })
    if (payload.grantId) {
      const names = members.get(payload.grantId) ?? new Set()
      members.set(payload.grantId, names.add(name))
    }
  }

  async find(id) {
    const record = records.get(this.name(id))
    if (record && record.until <= now()) {
      await this.destroy(id)
      return undefined
    }
    return record?.payload
  }

  async findByUid(uid) {
    return this.search('uid', uid)
  }

  async findByUserCode(userCode) {
    return this.search('userCode', userCode)
  }

  search(member, value) {
    const found = [...records].find(([name, { payload }]) => name.startsWith(`${this.model}:`) && payload[member] === value)
    return found?.[1].payload
  }

  async consume(id) {
    const record = records.get(this.name(id))
    if (record) record.payload.consumed = now()
  }

  async destroy(id) {
    const name = this.name(id)
    const grantId = records.get(name)?.payload.grantId
    records.delete(name)
    if (grantId) members.get(grantId)?.delete(name)
  }

  async revokeByGrantId(grantId) {
    for (const name of members.get(grantId) ?? []) records.delete(name)
    members.delete(grantId)
  }
}
