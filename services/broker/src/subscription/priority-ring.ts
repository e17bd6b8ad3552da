import type { Member } from './member.ts'

/** Consumers by priority level (0 first), each level in its own rotation. */
export class PriorityRing {
  #levels: { readonly priority: number; readonly members: Member[]; next: number }[] = []

  add(member: Member): void {
    const priority = member.options.priorityLevel
    let level = this.#levels.find(other => other.priority === priority)
    if (level === undefined) {
      level = { priority, members: [], next: 0 }
      this.#levels.push(level)
      this.#levels.sort((a, b) => a.priority - b.priority)
    }
    level.members.push(member)
  }

  remove(member: Member): void {
    for (const level of this.#levels) {
      const index = level.members.indexOf(member)
      if (index < 0) continue
      level.members.splice(index, 1)
      if (index < level.next) level.next--
    }
    this.#levels = this.#levels.filter(level => level.members.length > 0)
  }

  /** The next consumer that can take a message, of the highest priority that has one. */
  next(): Member | undefined {
    for (const level of this.#levels) {
      const { members } = level
      for (let turn = 0; turn < members.length; turn++) {
        const index = (level.next + turn) % members.length
        const member = members[index] as Member
        if (!member.canTake) continue
        level.next = index + 1
        return member
      }
    }
    return undefined
  }
}
