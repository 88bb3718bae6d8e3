import type { Work } from "../../../core/caller.ts";
import { membersAtMost } from "../../../core/text/json-text.ts";
import type { WorkAccount, WorkBudget } from "../../../http/limits/work-budget.ts";
import { type Preparation, type Prepared, prepare, TooManySteps } from "./prepare.ts";
import { PrepareThread, type ThreadJob } from "./prepare-thread.ts";
import { TooManyMembers } from "./read-request.ts";
import type { Receiver } from "./receivers.ts";

/** Limits of requests on the main thread; larger ones go to a thread. About 4 ms each. */
export const ON_LOOP = { bytes: 262_144, members: 2000, steps: 262_144, elements: 100 } as const;

interface Options {
  readonly payer: WorkAccount | null;
  /** How a sender is verified whose proof is over a large body: in the thread, too. */
  readonly proof?: ThreadJob["proof"];
}

/** Reads, masks and maps requests on the main thread or beside it, and charges the work. */
export class Preparing {
  readonly #work: WorkBudget;
  readonly #thread = new PrepareThread();
  /** Rows of receivers whose mapping takes too long for the main thread. */
  readonly #costly = new WeakSet<Receiver["row"]>();

  constructor(work: WorkBudget) {
    this.#work = work;
  }

  /** Whether a thread is there, or not yet needed. */
  get usesThread(): boolean {
    return this.#thread.isRunning;
  }

  stop(): Promise<void> {
    return this.#thread.stop();
  }

  /** @throws what {@link prepare} and {@link PrepareThread.run} throw */
  async prepare(receiver: Receiver, given: Preparation, { payer, proof = null }: Options): Promise<Prepared> {
    const { bytes } = given.request;
    const isSmall = proof === null && bytes.length <= ON_LOOP.bytes && !this.#costly.has(receiver.row);
    const members = isSmall ? membersAtMost(bytes, ON_LOOP.members) : 0;
    if (isSmall && members <= ON_LOOP.members) {
      const prepared = await this.#onLoop(receiver, given, members, payer);
      if (prepared) return prepared;
    }
    this.#work.charge(payer, { bytes: bytes.length }, true);
    const prepared = await this.#thread.run({
      preparation: withoutCode(given),
      mapping: receiver.source,
      shapes: receiver.shapes,
      replayId: receiver.preset.replayId ?? null,
      proof,
      spent: (work) => this.#work.charge(payer, work, true),
    });
    return this.#charged(prepared, payer, true);
  }

  /** @returns null if it takes too much */
  async #onLoop(receiver: Receiver, given: Preparation, members: number, payer: WorkAccount | null) {
    this.#work.charge(payer, { bytes: given.request.bytes.length, members });
    try {
      const { projectId } = receiver.row;
      return await this.#work.turns.run(projectId, () =>
        this.#charged(prepare(given, receiver, ON_LOOP), payer, false),
      );
    } catch (error) {
      if (!(error instanceof TooManyMembers) && !(error instanceof TooManySteps)) throw error;
      if (error instanceof TooManySteps) {
        this.#costly.add(receiver.row);
        this.#work.charge(payer, { steps: ON_LOOP.steps });
      }
      return null;
    }
  }

  #charged(prepared: Prepared, payer: WorkAccount | null, isElsewhere: boolean): Prepared {
    const { plan, steps } = prepared;
    // Alerts are charged when they are stored.
    const acknowledged = plan.alerts.filter(({ status }) => status === "acknowledged");
    const rows = 1 + plan.events.length + acknowledged.length;
    this.#work.charge(payer, { steps, rows } satisfies Work, isElsewhere);
    return prepared;
  }
}

/** Data only: rows and presets have members that cannot, or must not, leave this thread. */
function withoutCode({ row, preset, ...given }: Preparation): Preparation {
  const { id, projectId, name, labels, notifies } = row;
  const { name: presetName, hook, redact } = preset;
  return {
    ...given,
    row: { id, projectId, name, labels, notifies },
    preset: { name: presetName, hook, redact },
  };
}
