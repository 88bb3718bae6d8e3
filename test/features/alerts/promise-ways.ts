import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { TestContext } from "node:test";
import { listening } from "../../helpers/listening.ts";
import { httpServer } from "../channels/presets/http.ts";

const RECOVERY_MS = 30_000;
/** After `Retry-After` a channel sends one message, then others at its rate. */
const FLOW_MS = 61_000;

/** A receiver of pages that works, answers 503, asks once to wait, or does not answer. */
export class Way {
  /** Ids of the pages that it has accepted. */
  readonly accepted = new Set<string>();
  mode: "well" | "down" | "hanging" = "well";
  url = "";
  /** All times are elapsed milliseconds. */
  readonly #elapsed: () => number;
  #wellSince: number;
  #notBefore = 0;
  #retryAfterS: number | null = null;
  #held: ServerResponse[] = [];

  private constructor(elapsed: () => number) {
    this.#elapsed = elapsed;
    this.#wellSince = elapsed() - RECOVERY_MS;
  }

  static async start(t: TestContext, elapsed: () => number): Promise<Way> {
    const way = new Way(elapsed);
    const server = createServer((request, response) => {
      request.resume().on("end", () => way.#answer(request.headers, response));
    });
    const port = await listening(t, server);
    way.url = `http://127.0.0.1:${port}`;
    return way;
  }

  /** Of a channel of the preset `http`. */
  get fields(): Record<string, string> {
    return httpServer().fields(this.url);
  }

  set(mode: Way["mode"]): void {
    if (mode === "well" && this.mode !== "well") this.#wellSince = this.#elapsed();
    this.mode = mode;
    this.#retryAfterS = null;
    if (mode !== "hanging") this.release();
  }

  /** It answers one request with 429. */
  askToWait(seconds: number): void {
    this.#retryAfterS = seconds;
  }

  /** Answers 503 to what hangs. */
  release(): void {
    for (const response of this.#held.splice(0)) response.writeHead(503).end();
  }

  get holds(): boolean {
    return this.#held.length > 0;
  }

  /** Since when it works, for pages that it has not accepted; null: it does not. */
  get worksSince(): number | null {
    return this.mode === "well" ? Math.max(this.#wellSince, this.#notBefore) : null;
  }

  /** Everything that waits for it is to be sent by now. */
  get isDue(): boolean {
    const now = this.#elapsed();
    return this.mode === "well" && now >= this.#wellSince + RECOVERY_MS && now >= this.#notBefore;
  }

  #answer(headers: IncomingHttpHeaders, response: ServerResponse): void {
    if (this.mode === "hanging") this.#held.push(response);
    else if (this.mode === "down") response.writeHead(503).end();
    else if (this.#retryAfterS !== null) {
      const seconds = this.#retryAfterS;
      this.#retryAfterS = null;
      this.#wellSince = this.#elapsed();
      this.#notBefore = this.#wellSince + seconds * 1000 + FLOW_MS;
      response.writeHead(429, { "Retry-After": String(seconds) }).end();
    } else {
      this.accepted.add(String(headers["webhook-id"] ?? headers["idempotency-key"]));
      response.writeHead(204).end();
    }
  }
}
