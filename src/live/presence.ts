/**
 * The users who have a connection. A user stays present for a moment after the last connection
 * closes: a page may be reloading.
 */
export class Presence {
  static readonly GRACE_MS = 5000;
  readonly #connections = new Map<string, number>();
  readonly #leaving = new Map<string, NodeJS.Timeout>();

  joined(userId: string): void {
    const timer = this.#leaving.get(userId);
    if (timer) clearTimeout(timer);
    this.#leaving.delete(userId);
    this.#connections.set(userId, (this.#connections.get(userId) ?? 0) + 1);
  }

  left(userId: string): void {
    const count = (this.#connections.get(userId) ?? 1) - 1;
    if (count > 0) {
      this.#connections.set(userId, count);
      return;
    }
    this.#connections.delete(userId);
    const timer = setTimeout(() => this.#leaving.delete(userId), Presence.GRACE_MS);
    timer.unref();
    this.#leaving.set(userId, timer);
  }

  isLive(userId: string): boolean {
    return this.#connections.has(userId) || this.#leaving.has(userId);
  }

  close(): void {
    for (const timer of this.#leaving.values()) clearTimeout(timer);
    this.#leaving.clear();
  }
}
