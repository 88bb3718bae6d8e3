import type { IncomingMessage, ServerResponse } from "node:http";
import type { Forwarder, WholeRequest } from "./forward.ts";

/* A node without a leader answers from a copy of its own database, by a process beside it
 * (app/without-leader.ts), so that people are still paged. */

/** Where requests go while no node leads. */
export interface DegradedServer {
  readonly url: string;
  readonly spool: { readonly isFull: boolean; add(request: WholeRequest): Promise<void> };
}

const MAX_BODY_BYTES = 8_388_608;

/** What alarms, and what ends an alarm: it is kept for the next leader. */
const KEPT = [
  /^POST \/api\/v1\/(events|alerts)$/,
  /^POST \/api\/v1\/alerts\/[^/]+\/resolve$/,
  /^POST \/api\/v1\/incidents\/(acknowledge|resolve|[^/]+\/(acknowledge|resolve|escalate))$/,
  /^PUT \/api\/v1\/notifications\/[^/]+\/acknowledge$/,
  /^POST \/api\/v1\/push\/acknowledge$/,
  /^POST \/account\/acknowledge$/,
  /^POST \/alertmanager\/([^/]+\/)?api\/v2\/alerts$/,
  /^POST \/v2\/enqueue$/,
  /^POST \/generic\/2010-04-15\/create_event\.json$/,
  /^POST \/v2\/alerts(\/[^/]+\/(close|acknowledge))?$/,
  /^(POST|PUT) \/in\/[^/]+(\/[^/]+)?$/,
  /^POST \/hooks\/channels\//,
  /^[A-Z]+ \/ping\//,
  /^[A-Z]+ \/api\/push\//,
  /^(GET|POST) \/integrations\/v1\/[^/]+\/[^/]+\/heartbeat\/?$/,
  /^POST \/api\/v2\/heartbeat\//,
  /^[A-Z]+ \/v2\/heartbeats\/[^/]+\/ping$/,
];

/** People read what is open; what a sign-in changes is lost with the copy. */
const ANSWERED = /^(GET|HEAD|OPTIONS) |^POST \/api\/v1\/auth\/login(\/second-factor)?$/;

/** `kept`: answered from the copy, and sent to the next leader; `answered`: only the first. */
export type Treatment = "kept" | "answered" | "refused";

/** What a node does with a request while no node leads. */
export function treatmentOf(method: string, path: string): Treatment {
  const line = `${method} ${path}`;
  if (KEPT.some((pattern) => pattern.test(line))) return "kept";
  return ANSWERED.test(line) ? "answered" : "refused";
}

/**
 * Answers from the copy. A request that is accepted there is on disk for the next leader before it
 * is answered, with `Prism-Spooled: 1`. @throws NotKept, errors of the copy and of the disk
 */
export async function answerAndKeep(
  { url, spool }: DegradedServer,
  forwarder: Forwarder,
  req: IncomingMessage,
  res: ServerResponse,
  headers: NodeJS.Dict<string | string[]>,
): Promise<void> {
  if (spool.isFull) throw new NotKept("the spool is full: nothing more is accepted without a leader");
  const body = await bodyOf(req);
  const { "transfer-encoding": _, ...others } = headers;
  const spooled = { method: req.method ?? "POST", path: req.url ?? "/", headers: others, body };
  const reply = await forwarder.exchange(url, spooled);
  const isKept = reply.status < 300;
  if (isKept) await spool.add(spooled);
  res.writeHead(reply.status, isKept ? { ...reply.headers, "prism-spooled": "1" } : reply.headers);
  res.end(reply.body);
}

/** A request cannot be kept for the next leader. */
class NotKept extends Error {
  constructor(message: string) {
    super(message);
    this.name = "NotKept";
  }
}

/** @throws NotKept for a body that is too large */
async function bodyOf(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) throw new NotKept(`a body has over ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
