import { writeSync } from "node:fs";

/** Lines that wait for a reader of the log that is late; what comes beyond is lost. */
const MAX_WAITING_BYTES = 262_144;
const RETRY_MS = 50;

/**
 * Writes the log's lines at once and in order, so that the last line before a crash is there. A pipe that is not read must not stop the
 * process: what does not fit waits, and beyond a limit is lost and counted. The first line that is written afterwards says how many.
 */
export class LineWriter {
  readonly #fd: number;
  readonly #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #lost = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(fd: number) {
    this.#fd = fd;
    // Node opens stdout on first use; of pipes and sockets the descriptor does not block from then on.
    if (fd === 1) void process.stdout.writable;
    process.on("exit", () => this.#flush());
  }

  write(line: string): void {
    if (this.#waiting.length > 0) return this.#wait(Buffer.from(line));
    const rest = this.#tryWrite(Buffer.from(line));
    if (rest.length > 0) this.#wait(rest, true);
  }

  /** @param isBegun part of the line is written: it must not be lost. */
  #wait(bytes: Buffer, isBegun = false): void {
    if (!isBegun && this.#waitingBytes + bytes.length > MAX_WAITING_BYTES) {
      this.#lost++;
      return;
    }
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#timer ??= setInterval(() => this.#flush(), RETRY_MS).unref();
  }

  #flush(): void {
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      const rest = this.#tryWrite(next);
      this.#waitingBytes -= next.length - rest.length;
      if (rest.length > 0) {
        this.#waiting[0] = rest;
        return;
      }
      this.#waiting.shift();
    }
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
    this.#reportLost();
  }

  #reportLost(): void {
    if (this.#lost === 0) return;
    const fields = { level: "warn", time: new Date().toISOString(), ns: "prism:log", lines: this.#lost };
    this.#lost = 0;
    this.write(`${JSON.stringify({ ...fields, msg: "lines of the log were lost: its reader was late" })}\n`);
  }

  /** @returns what the descriptor did not take. A reader that is gone takes everything. */
  #tryWrite(bytes: Buffer): Buffer {
    let rest = bytes;
    try {
      while (rest.length > 0) rest = rest.subarray(writeSync(this.#fd, rest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") return rest;
    }
    return rest.subarray(rest.length);
  }
}
