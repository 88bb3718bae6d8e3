import { createServer, type IncomingHttpHeaders } from "node:http";
import type { TestContext } from "node:test";
import { listening } from "../../../../helpers/listening.ts";

export type SideName = "alertmanager" | "prism";

export interface PostedAlert {
  readonly status: "firing" | "resolved";
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly startsAt: string;
  readonly endsAt: string;
  readonly generatorURL: string;
  readonly fingerprint: string;
}

/** A body of a webhook of Alertmanager. */
export interface Body {
  readonly receiver: string;
  readonly status: string;
  readonly alerts: readonly PostedAlert[];
  readonly notification_reason?: string;
  readonly groupLabels: object;
  readonly commonLabels: object;
  readonly commonAnnotations: object;
  readonly version: string;
  readonly groupKey: string;
  readonly truncatedAlerts: number;
}

/** An accepted webhook. */
export interface Post {
  readonly side: SideName;
  /** The path names the scenario and the webhook. */
  readonly path: string;
  readonly body: Body;
}

/** Takes the webhooks of both. */
export interface Recorder {
  readonly url: string;
  readonly posts: Post[];
  /** How many posts of each side to a path are answered with 500. */
  readonly refusals: Map<string, number>;
}

export async function startRecorder(t: TestContext): Promise<Recorder> {
  const posts: Post[] = [];
  const refusals = new Map<string, number>();
  const refused = new Map<string, number>();
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const path = request.url ?? "";
      const side = sideOf(request.headers);
      const so = refused.get(`${side} ${path}`) ?? 0;
      const isRefused = so < (refusals.get(path) ?? 0);
      if (isRefused) refused.set(`${side} ${path}`, so + 1);
      else posts.push({ side, path, body: JSON.parse(Buffer.concat(parts).toString()) as Body });
      response.writeHead(isRefused ? 500 : 200).end();
    });
  });
  const port = await listening(t, server);
  return { url: `http://127.0.0.1:${port}`, posts, refusals };
}

/** Only Prism has the header of Standard Webhooks. */
function sideOf(headers: IncomingHttpHeaders): SideName {
  return headers["webhook-id"] === undefined ? "alertmanager" : "prism";
}
