import type { IncomingMessage, ServerResponse } from "node:http";
import { Shares } from "../../core/limits/slots.ts";
import { OWNER_HEADER } from "../../http/server/headers.ts";
import type { Forwarder } from "../follow/forward.ts";
import { isPing, NotKept, type Spool } from "../spool/spool.ts";

/* A node without a leader answers from a copy of its own database, by a process beside it
 * (app/without-leader.ts), so that people are still paged. */

/** Where requests go while no node leads. */
export interface DegradedServer {
  readonly url: string;
  readonly spool: Pick<Spool, "add" | "waiting">;
}

const MAX_BODY_BYTES = 8_388_608;
/** A ping is kept with the beginning of its body, as the server does (heartbeats/pings.ts). */
const PING_BODY_BYTES = 10_000;
const MAX_BODY_MS = 30_000;
/** Bytes of all bodies that are being read; nothing about them was checked yet. */
const MAX_IN_FLIGHT_BYTES = 67_108_864;
const CLIENT_SHARE = 1 / 4;

/** What alarms, and what ends an alarm: it is kept for the next leader. */
const KEPT = [
  /^POST \/api\/v1\/(events|ingest|alerts)$/,
  /^POST \/(events|ingest|api\/ingest)$/,
  /^POST \/api\/v1\/alerts\/[^/]+\/resolve$/,
  /^POST \/api\/v1\/incidents\/(acknowledge|resolve|[^/]+\/(acknowledge|resolve|escalate))$/,
  /^PUT \/api\/v1\/notifications\/[^/]+\/acknowledge$/,
  /^POST \/api\/v1\/push\/acknowledge$/,
  /^POST \/account\/acknowledge$/,
  /^POST \/alertmanager\/([^/]+\/)?api\/v2\/alerts$/,
  /^POST \/v2\/enqueue$/,
  /^POST \/generic\/2010-04-15\/create_event\.json$/,
  /^POST \/v2\/alerts(\/[^/]+\/(close|acknowledge))?$/,
  /^(GET|POST|PUT) \/in\/[^/]+(\/[^/]+)?$/,
  /^POST \/hooks\/channels\//,
  /^[A-Z]+ \/ping\//,
  /^[A-Z]+ \/api\/push\//,
  /^(GET|POST) \/integrations\/v1\/[^/]+\/[^/]+\/heartbeat\/?$/,
  /^POST \/api\/v2\/heartbeat\//,
  /^[A-Z]+ \/v2\/heartbeats\/[^/]+\/ping$/,
];

/** People read what is open; what a sign-in changes is lost with the copy. */
const ANSWERED = /^(GET|HEAD|OPTIONS) |^POST \/api\/v1\/auth\/login(\/second-factor)?$/;

/** A message of ntfy's API, also at the root of a host of its own: what the copy stores of it would be lost. */
const PUBLISHED = /^GET (\/ntfy)?\/(?!status\/)[^/]+\/(publish|send|trigger)$/;

/** `kept`: answered from the copy, and sent to the next leader; `answered`: only the first. */
export type Treatment = "kept" | "answered" | "refused";

/** What a node does with a request while no node leads. */
export function treatmentOf(method: string, path: string): Treatment {
  const line = `${method} ${path}`;
  // A preflight alarms nothing, and is answered without credentials.
  if (method !== "OPTIONS" && KEPT.some((pattern) => pattern.test(line))) return "kept";
  return ANSWERED.test(line) && !PUBLISHED.test(line) ? "answered" : "refused";
}

/**
 * Answers from the copy. A request that is accepted there is on disk for the next leader before it
 * is answered, with `Prism-Spooled: 1`. @param client whose share of the memory its body takes.
 * @throws NotKept, errors of the copy and of the disk
 */
export async function answerAndKeep(
  { url, spool }: DegradedServer,
  { forwarder, bodies }: { readonly forwarder: Forwarder; readonly bodies: BodiesInFlight },
  req: IncomingMessage,
  res: ServerResponse,
  { headers, client }: { readonly headers: NodeJS.Dict<string | string[]>; readonly client: string },
): Promise<void> {
  const path = req.url ?? "/";
  const most = isPing(path) ? PING_BODY_BYTES : MAX_BODY_BYTES;
  await bodies.with(req, { most, client }, async (body) => {
    const { "transfer-encoding": _, ...others } = headers;
    const spooled = { method: req.method ?? "POST", path, headers: others, body };
    // Also without room in the spool: people are paged, and the sender then sends it again.
    const reply = await forwarder.exchange(url, spooled);
    const { [OWNER_HEADER]: owner, ...answered } = reply.headers;
    const isKept = reply.status < 300;
    if (isKept) await spool.add(spooled, typeof owner === "string" ? owner : null);
    res.writeHead(reply.status, isKept ? { ...answered, "prism-spooled": "1" } : answered);
    res.end(reply.body);
  });
}

/** Bounds what bodies take in memory before the copy has checked who sends them, in all and by client. */
export class BodiesInFlight {
  readonly #shares = new Shares(MAX_IN_FLIGHT_BYTES, CLIENT_SHARE);

  /**
   * Reads a body, and counts it until `use` ends.
   * @param most the rest is not kept of a ping, and refused of others. @throws NotKept, errors of `use`
   */
  async with(
    req: IncomingMessage,
    { most, client }: { readonly most: number; readonly client: string },
    use: (body: Buffer) => Promise<void>,
  ): Promise<void> {
    const timer = setTimeout(() => req.destroy(new NotKept(`a body took over ${MAX_BODY_MS} ms`)), MAX_BODY_MS);
    const chunks: Buffer[] = [];
    let length = 0;
    try {
      for await (const chunk of req as AsyncIterable<Buffer>) {
        const part = chunk.subarray(0, most - length);
        if (part.length < chunk.length && most === MAX_BODY_BYTES) throw new NotKept(`a body has over ${most} bytes`);
        if (part.length === 0) continue;
        if (!this.#shares.take(client, part.length)) throw new NotKept("too many bodies arrive at once");
        length += part.length;
        chunks.push(part);
      }
      clearTimeout(timer);
      await use(Buffer.concat(chunks));
    } finally {
      clearTimeout(timer);
      this.#shares.add(client, -length);
    }
  }
}
