import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type {
  ReceiverRequest as LoggedRequest,
  IssuedReceiver as Made,
  Event as StoredEvent,
} from "../../../../src/client/api-types.gen.ts";
import { type PrismOptions, startPrism, type TestPrism } from "../../../helpers/prism.ts";

export type {
  Event as StoredEvent,
  IssuedReceiver as Made,
  ReceiverRequest as LoggedRequest,
} from "../../../../src/client/api-types.gen.ts";

interface Sent {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  /** After the URL. */
  readonly suffix?: string;
}

/** A server with receivers, and what they have stored. */
export class ReceiverTest {
  readonly prism: TestPrism;

  constructor(prism: TestPrism) {
    this.prism = prism;
  }

  static async start(t: TestContext, options: PrismOptions = {}): Promise<ReceiverTest> {
    return new ReceiverTest(await startPrism(t, options));
  }

  async make(body: Record<string, unknown>): Promise<Made> {
    const reply = await this.prism.post<Made>("/api/v1/receivers", { name: "Test", preset: "generic", ...body });
    assert.equal(reply.status, 201, reply.text);
    // The public URL has no path here.
    const path = new URL(reply.body.url).pathname;
    return { ...reply.body, url: `${this.prism.url}${path}` };
  }

  async send({ url }: Pick<Made, "url">, body: unknown, { method = "POST", headers = {}, suffix = "" }: Sent = {}) {
    const isRaw = typeof body === "string" || body instanceof Uint8Array;
    const type = isRaw ? {} : { "Content-Type": "application/json" };
    const given = body === undefined ? {} : { body: isRaw ? body : JSON.stringify(body) };
    const reply = await fetch(`${url}${suffix}`, { method, headers: { ...type, ...headers }, ...given });
    return { status: reply.status, headers: reply.headers, text: await reply.text() };
  }

  /** Events, oldest first. */
  async events(type?: string): Promise<StoredEvent[]> {
    const query = type === undefined ? "" : `&type=${type}`;
    const { body } = await this.prism.get<{ data: StoredEvent[] }>(`/api/v1/events?limit=100${query}`);
    return body.data.reverse();
  }

  /** Firing alerts, or those in another state. */
  async alerts(state = "firing") {
    interface Alert {
      readonly key: string;
      readonly labels: Record<string, string>;
      readonly annotations: Record<string, string>;
      readonly severity: string | null;
      readonly source: string;
      readonly generatorUrl: string | null;
    }
    const { body } = await this.prism.get<{ data: Alert[] }>(`/api/v1/alerts?state=${state}&limit=100`);
    return body.data;
  }

  /** The log of a receiver, newest first. */
  async requests({ id }: Pick<Made, "id">, limit = 100): Promise<LoggedRequest[]> {
    const path = `/api/v1/receivers/${id}/requests?limit=${limit}`;
    const { body } = await this.prism.get<{ data: LoggedRequest[] }>(path);
    return body.data;
  }
}
