import { Program } from "./program.ts";

const DEFAULT_LIMIT_BYTES = 67_108_864;

/** A program in the pool. */
export interface PooledProgram {
  readonly source: string;
  /** Null once it was dropped to make room. */
  program: Program | null;
  /** What is counted for it. */
  bytes: number;
  wasUsed: boolean;
}

/**
 * Compiled patterns. Equal patterns are one program; a program is made when it is first needed and dropped when others need its
 * memory, however many rules there are.
 */
export class PatternPool {
  #limitBytes: number;
  #usedBytes = 0;
  /** In the order in which they are looked at when there is no room. */
  readonly #pooled = new Map<string, PooledProgram>();

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Memory that all programs may take together, estimated. The one in use is kept in any case. */
  set limitBytes(bytes: number) {
    this.#limitBytes = bytes;
    this.#makeRoom(null);
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  find(source: string): PooledProgram | undefined {
    return this.#pooled.get(source);
  }

  /** Compiles a pattern that {@link find} does not find. @throws Refusal LIMIT, RE2JSException */
  compile(source: string): PooledProgram {
    const program = new Program(source);
    const pooled = { source, program, bytes: program.ownBytes, wasUsed: true };
    this.#pooled.set(source, pooled);
    this.#usedBytes += pooled.bytes;
    this.#makeRoom(pooled);
    return pooled;
  }

  /** Counts what a program in the pool takes by now. */
  recount(pooled: PooledProgram): void {
    if (pooled.program === null) return;
    const bytes = pooled.program.ownBytes + pooled.program.automatonBytes;
    if (bytes === pooled.bytes) return;
    this.#usedBytes += bytes - pooled.bytes;
    pooled.bytes = bytes;
    this.#makeRoom(pooled);
  }

  /** Drops programs that have not been used since they were last looked at. */
  #makeRoom(kept: PooledProgram | null): void {
    let turns = 2 * this.#pooled.size;
    for (const pooled of this.#pooled.values()) {
      if (this.#usedBytes <= this.#limitBytes || turns-- === 0) return;
      this.#pooled.delete(pooled.source);
      if (pooled.wasUsed || pooled === kept) {
        pooled.wasUsed = false;
        this.#pooled.set(pooled.source, pooled);
      } else {
        this.#usedBytes -= pooled.bytes;
        pooled.program = null;
      }
    }
  }
}

/** Of this thread. */
export const patternPool = new PatternPool(DEFAULT_LIMIT_BYTES);
