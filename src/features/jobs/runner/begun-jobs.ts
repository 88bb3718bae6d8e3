import { closeSync, openSync, readFileSync, writeSync } from "node:fs";

const SLOT_BYTES = 16;

/** A claimed job as a note names it. */
export interface ClaimedKey {
  readonly seq: number;
  readonly fence: number;
}

/** A job whose handler may begin. */
export interface BegunNote {
  /** To be called before code runs that could end the process. */
  begin(): void;
  /** The handler has ended, however it did. */
  end(): void;
}

/**
 * Notes which jobs have begun, so that after a crash only their attempts count. A claim is in the database, but a note for each job there would be
 * a commit each. The notes are a file that is written without a sync: a process that dies leaves it to the next one. After a power cut it may be
 * out of date, and then an attempt is not counted. A note is overwritten by the next one in its slot.
 */
export class BegunJobs {
  readonly #file: number;
  /** Those that had begun when the last process ended. */
  readonly #before: ReadonlySet<string>;
  readonly #free: number[] = [];
  #slots = 0;
  #isClosed = false;

  /** @throws what the file system says when the file cannot be opened */
  constructor(path: string) {
    this.#before = readNotes(path);
    this.#file = openSync(path, "w", 0o600);
  }

  /** Whether the attempt of a process that is gone had begun. */
  hadBegun({ seq, fence }: ClaimedKey): boolean {
    return this.#before.has(keyOf(seq, fence));
  }

  noteOf(job: ClaimedKey): BegunNote {
    let slot: number | undefined;
    return {
      begin: () => {
        if (slot !== undefined) return;
        slot = this.#free.pop() ?? this.#slots++;
        this.#write(slot, job);
      },
      end: () => {
        if (slot !== undefined) this.#free.push(slot);
        slot = undefined;
      },
    };
  }

  /** Nothing is noted any more. Running again changes nothing. */
  close(): void {
    if (!this.#isClosed) closeSync(this.#file);
    this.#isClosed = true;
  }

  #write(slot: number, { seq, fence }: ClaimedKey): void {
    if (this.#isClosed) return;
    const note = Buffer.alloc(SLOT_BYTES);
    note.writeDoubleLE(seq, 0);
    note.writeDoubleLE(fence, 8);
    try {
      writeSync(this.#file, note, 0, SLOT_BYTES, slot * SLOT_BYTES);
    } catch {
      // On a full disk the attempt is not counted; the job must still run.
    }
  }
}

function keyOf(seq: number, fence: number): string {
  return `${seq} ${fence}`;
}

function readNotes(path: string): Set<string> {
  const notes = new Set<string>();
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch {
    return notes;
  }
  for (let at = 0; at + SLOT_BYTES <= bytes.length; at += SLOT_BYTES)
    notes.add(keyOf(bytes.readDoubleLE(at), bytes.readDoubleLE(at + 8)));
  return notes;
}
