import { createServer, type IncomingHttpHeaders } from "node:http";
import type { TestContext } from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { listening } from "../../../helpers/listening.ts";
import { answered, type TestPrism } from "../../../helpers/prism.ts";
import type { Made, ReceiverTest } from "./support.ts";

export interface Passed {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** The old system: what it got, and how it answers. */
export class OldSystem {
  readonly got: Passed[] = [];
  readonly #port: number;
  status = 202;
  retryAfter: string | null = null;
  /** Answers are held until it is called. */
  release: (() => void) | null = null;
  #held: Promise<void> = Promise.resolve();

  constructor(port: number) {
    this.#port = port;
  }

  static async start(t: TestContext): Promise<OldSystem> {
    const server = createServer(async (request, response) => {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      const { method = "", url = "", headers } = request;
      old.got.push({ method, url, headers, body: Buffer.concat(parts).toString() });
      await old.#held;
      response.statusCode = old.status;
      if (old.retryAfter !== null) response.setHeader("Retry-After", old.retryAfter);
      response.end("the answer's secret text");
    });
    const old: OldSystem = new OldSystem(await listening(t, server));
    return old;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  hold(): void {
    this.#held = new Promise((resolve) => {
      this.release = resolve;
    });
  }

  get bodies(): string[] {
    return this.got.map(({ body }) => body);
  }

  arrived(count: number): Promise<unknown> {
    return eventually(`${count} requests are passed on`, () => this.got.length >= count);
  }
}

export const LOCAL = { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } };
export const MIRROR = { from: "oncall" };

export async function setMirror(
  prism: TestPrism,
  mirror: object | null,
  projectId = prism.parts.offers.defaultProjectId,
): Promise<void> {
  const path = `/api/v1/projects/${projectId}`;
  const { body } = await prism.get<{ version: number }>(path);
  const headers = { "If-Match": `"${body.version}"` };
  await answered(200, prism.patch(`${path}?mayPage=true`, { settings: { mirror } }, { headers }));
}

export interface Result {
  readonly forward?: { readonly state: string; readonly status?: number; readonly reason?: string };
}

/** How each request was passed on, oldest first, once none waits. */
export function results(it: ReceiverTest, made: Made): Promise<Result["forward"][]> {
  return eventually("no request waits", async () => {
    const found = (await it.requests(made)).toReversed().map(({ outcome }) => (outcome as Result).forward);
    return found.some((each) => each?.state === "waiting") ? null : found;
  });
}
