import { createHash, createHmac } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { TestContext } from "node:test";
import { listening } from "../../../helpers/listening.ts";
import type { Answer, Peer } from "./sender-contract.ts";

export const APP = { appId: "42", key: "278d425bdf160c739803", secret: "7ad3773142a6692b25b8" } as const;

export interface PusherEvent {
  readonly channel: string;
  readonly name: string;
  readonly data: string;
}

export interface PusherPeer extends Peer {
  /** The batches that were accepted. */
  readonly batches: readonly (readonly PusherEvent[])[];
  readonly port: number;
  /** Redirects the next request instead of answering it. */
  redirect(url: string): void;
}

const STATUS = { later: 429, refuse: 400, deny: 401 } as const;

/**
 * Pusher's REST API (pusher.com/docs/channels/library_auth_reference/rest-api): whatever is not
 * signed as it says is answered 401.
 */
export async function pusherPeer(t: TestContext): Promise<PusherPeer> {
  const answers: Answer[] = [];
  const seen: string[] = [];
  const accepted: string[] = [];
  const batches: PusherEvent[][] = [];
  const waiting: (() => void)[] = [];
  let redirectTo: string | undefined;

  const receive = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await bodyOf(request);
    const end = (status: number, text = "{}"): void => void response.writeHead(status).end(text);
    const url = new URL(request.url ?? "/", "http://peer");
    if (redirectTo !== undefined) {
      response.writeHead(307, { Location: redirectTo }).end();
      redirectTo = undefined;
      return;
    }
    if (!isSigned(request.method ?? "", url, body)) return end(401, "Invalid signature");
    if (url.pathname === `/apps/${APP.appId}/channels`) return end(200, '{"channels":{}}');
    if (url.pathname !== `/apps/${APP.appId}/batch_events`) return end(404);
    const { batch } = JSON.parse(body) as { batch: PusherEvent[] };
    seen.push(...batch.map(({ data }) => (JSON.parse(data) as { deliveryId?: string }).deliveryId ?? ""));
    const accept = (): void => {
      accepted.push(...batch.map(({ data }) => data));
      batches.push(batch);
      end(200);
    };
    const answer = answers.shift() ?? "accept";
    if (answer === "drop") request.socket.destroy();
    else if (answer === "slow") waiting.push(accept);
    else if (answer === "later" || answer === "refuse" || answer === "deny") end(STATUS[answer]);
    else accept();
  };

  const server = createServer((request, response) => void receive(request, response));
  const port = await listening(t, server);
  return {
    seen,
    accepted,
    batches,
    port,
    answer: (...next) => answers.push(...next),
    goOn() {
      for (const accept of waiting.splice(0)) accept();
    },
    redirect(to) {
      redirectTo = to;
    },
    settings: {
      "pusher.mode": "remote",
      "pusher.appId": APP.appId,
      "pusher.key": APP.key,
      "pusher.secret": APP.secret,
      "pusher.endpoint": `http://127.0.0.1:${port}`,
      "webhooks.allowPrivateCidrs": "127.0.0.0/8",
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

function isSigned(method: string, url: URL, body: string): boolean {
  const { auth_signature: signature, ...signed } = Object.fromEntries(url.searchParams);
  if (signed["auth_key"] !== APP.key || signed["auth_version"] !== "1.0") return false;
  if (Math.abs(Date.now() / 1000 - Number(signed["auth_timestamp"])) > 600) return false;
  if (body !== "" && signed["body_md5"] !== createHash("md5").update(body).digest("hex")) return false;
  const query = Object.keys(signed)
    .sort()
    .map((name) => `${name}=${signed[name]}`)
    .join("&");
  const text = `${method}\n${url.pathname}\n${query}`;
  return signature === createHmac("sha256", APP.secret).update(text).digest("hex");
}
