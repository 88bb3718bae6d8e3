import { uuidv7 } from "../../../../src/core/ids.ts";
import type { Random } from "../../../helpers/chance.ts";

interface LoadTarget {
  readonly url: string;
  readonly token: string;
}

const MAX_PER_REQUEST = 3;
const PAUSE_MS = 15;
const TRY_AGAIN_MS = 20;
const REQUEST_LIMIT_MS = 5000;

/**
 * Writes events and tasks numbered 1, 2, 3 …, one request after the other. What was not answered is
 * sent again until it is: ids of events and keys of tasks make that harmless.
 */
export class NumberedLoad {
  readonly #target: LoadTarget;
  readonly #random: Random;
  #isOn = true;
  #ends: Promise<unknown>;
  events = 0;
  tasks = 0;
  /** Requests that had to be sent again. */
  repeated = 0;

  /** @param target owner of the tasks, and credential for events of `projectId` */
  constructor(target: LoadTarget, projectId: string, random: Random) {
    this.#target = target;
    this.#random = random;
    this.#ends = Promise.all([this.#writeEvents(projectId), this.#writeTasks()]);
  }

  /** When what is under way has been answered. */
  async stop(): Promise<void> {
    this.#isOn = false;
    await this.#ends;
  }

  async #writeEvents(projectId: string): Promise<void> {
    for (; this.#isOn; await pause(PAUSE_MS)) {
      const batch = Array.from({ length: this.#random.integer(1, MAX_PER_REQUEST) }, () => {
        return { id: uuidv7(), projectId, type: "tick", payload: { n: ++this.events } };
      });
      await this.#post("/api/v1/events", batch);
    }
  }

  async #writeTasks(): Promise<void> {
    for (; this.#isOn; await pause(PAUSE_MS)) {
      await this.#post("/api/v1/tasks", { title: String(++this.tasks) }, { "Idempotency-Key": uuidv7() });
    }
  }

  async #post(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<void> {
    const { url, token } = this.#target;
    const init: RequestInit = {
      method: "POST",
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json", ...headers },
      body: JSON.stringify(body),
    };
    for (;;) {
      const reply = await fetch(url + path, { ...init, signal: AbortSignal.timeout(REQUEST_LIMIT_MS) }).catch(
        () => null,
      );
      const text = await reply?.text().catch(() => null);
      if (reply?.ok && typeof text === "string") return;
      // Refused for its content: a retry would never succeed.
      if (reply && reply.status < 500 && reply.status !== 409) throw new Error(`${path}: ${reply.status} ${text}`);
      this.repeated++;
      await pause(TRY_AGAIN_MS);
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
