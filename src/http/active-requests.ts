/** The requests that a server is at work on, and those that come while it drains. */
export class ActiveRequests {
  #count = 0;
  #upgraded = 0;
  #lastAt = 0;
  #isDraining = false;
  #whenIdle: (() => void) | null = null;

  get count(): number {
    return this.#count;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** When the last request came, as performance.now() has it; only kept while draining. */
  get lastAt(): number {
    return this.#lastAt;
  }

  /** Connections that became WebSockets since the start: the library reports their beginning, but not their end. */
  get upgraded(): number {
    return this.#upgraded;
  }

  began(): void {
    this.#count++;
    if (this.#isDraining) this.#lastAt = performance.now();
  }

  ended(status: number): void {
    this.#count--;
    if (status === 101) this.#upgraded++;
    if (this.#count === 0) this.#whenIdle?.();
  }

  /** From now on the server drains. Resolves when the requests under way are answered. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    if (this.#count === 0) return;
    await new Promise<void>((resolve) => {
      this.#whenIdle = resolve;
    });
  }
}
