import { once } from "node:events";
import { get, type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";
import type { TestContext } from "node:test";
import { eventually } from "../../helpers/eventually.ts";
import type { Target } from "./live-client.ts";

export interface RawStreamOptions {
  /** Default: that of the project's events. */
  readonly path?: string;
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An event stream as its text came over HTTP, before any EventSource takes it apart. */
export class RawStream {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  text = "";
  /** Resolves when the server has ended the stream; `true` when it was broken off instead. */
  readonly isCut: Promise<boolean>;

  private constructor(response: IncomingMessage) {
    this.status = response.statusCode ?? 0;
    this.headers = response.headers;
    response.setEncoding("utf8");
    response.on("data", (part: string) => {
      this.text += part;
    });
    response.on("error", () => undefined);
    this.isCut = new Promise((resolve) => response.on("close", () => resolve(!response.complete)));
  }

  /** `GET /realtime/:projectId/sse` with the target's token. */
  static async open(t: TestContext, target: Target, options: RawStreamOptions = {}) {
    const { path = `/realtime/${target.projectId}/sse`, query = "", headers = {} } = options;
    const sent = get(`${target.url}${path}${query}`, {
      headers: { Authorization: `Bearer ${target.token}`, ...headers },
      agent: false,
    });
    sent.on("error", () => undefined);
    t.after(() => sent.destroy());
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    return new RawStream(response);
  }

  /** The head that `HEAD` gets, with whatever body came although none may. */
  static async head(target: Target): Promise<{ status: number; headers: IncomingHttpHeaders; body: string }> {
    const sent = request(`${target.url}/realtime/${target.projectId}/sse`, {
      method: "HEAD",
      headers: { Authorization: `Bearer ${target.token}` },
      agent: false,
    });
    sent.end();
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    let body = "";
    for await (const part of response) body += String(part);
    return { status: response.statusCode ?? 0, headers: response.headers, body };
  }

  /** Waits until exactly this has come. */
  async expect(text: string): Promise<void> {
    await eventually(
      `${JSON.stringify(text)}, not ${JSON.stringify(this.text)}`,
      () => this.text.length >= text.length,
    );
    if (this.text !== text) throw new Error(`came: ${JSON.stringify(this.text)}\nnot: ${JSON.stringify(text)}`);
  }
}
