import { toRfc3339, toRfc3339OrNull } from "../../../core/time/clock.ts";
import type { Uses } from "../../../module/feature.ts";
import { AliveFile } from "./alive-file.ts";
import { type DownTime, type DownTimesParts, downText, readDownTime, reportDownTime } from "./down-time.ts";
import { OutgoingWatch, type OutgoingWatchParts } from "./outgoing.ts";

export type ServerWatchParts = DownTimesParts & OutgoingWatchParts & Uses<"config">;

/** How the server itself is watched: its down times, and the calls of `watch.url`. */
export class ServerWatch {
  readonly #parts: ServerWatchParts;
  readonly #alive: AliveFile;
  readonly outgoing: OutgoingWatch;
  #lastDown: DownTime | null = null;

  constructor(parts: ServerWatchParts) {
    this.#parts = parts;
    this.#alive = new AliveFile(parts.config.dataDir, parts.clock, parts.log);
    this.outgoing = new OutgoingWatch(parts);
  }

  /** Reads what is late. Before the server does it. */
  async begin(): Promise<void> {
    const lastAlive = this.#alive.read();
    this.#alive.start();
    this.#lastDown = await readDownTime(this.#parts, lastAlive).catch(this.#notRead);
  }

  /** Once the server works. */
  async start(): Promise<void> {
    this.outgoing.start();
    if (!this.#lastDown) return;
    await reportDownTime(this.#parts, this.#lastDown).catch(this.#notRead);
  }

  reload(): void {
    this.outgoing.start();
  }

  async stop(): Promise<void> {
    await this.outgoing.stop();
    this.#alive.stop();
  }

  /** For `GET /api/v1/status`. */
  view() {
    const { emergency } = this.#parts;
    const { isConfigured, calledAt, problem } = this.outgoing;
    const down = this.#lastDown;
    return {
      url: isConfigured
        ? { calledAt: toRfc3339OrNull(calledAt), problem: problem && { ...problem, since: toRfc3339(problem.since) } }
        : null,
      lastDown: down && { from: toRfc3339(down.from), to: toRfc3339(down.to), text: downText(down) },
      emergency: {
        isConfigured: emergency.isConfigured,
        raised: [...emergency.raised].map(([reason, { since, text }]) => ({ reason, since: toRfc3339(since), text })),
      },
    };
  }

  readonly #notRead = (err: unknown): null => {
    this.#parts.log.warn({ err }, "cannot report downtime of the server");
    return null;
  };
}
