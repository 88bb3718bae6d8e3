import type { BodyReader } from "./body.ts";
import type { Exchange } from "./exchange.ts";
import { writeSized } from "./file-reply.ts";
import { JSON_TYPE } from "./headers.ts";

/** Longer answers are given to the library bit by bit, as the client takes them, and count with the bytes that their caller has at hand. */
export const LARGE_REPLY_LENGTH = 65_536;

/**
 * Answers with long JSON text. A client that does not read holds its own share of the budget, not the memory of all.
 * @throws OVERLOADED when the caller has too many bytes at hand already
 */
export async function largeReply(
  exchange: Exchange,
  { status, json, headers }: { status: number; json: string; headers: Readonly<Record<string, string>> },
  bodies: Pick<BodyReader, "hold">,
): Promise<void> {
  const bytes = Buffer.from(json);
  const release = bodies.hold(exchange, bytes.length);
  try {
    exchange.startStream(status, { "Content-Type": JSON_TYPE, ...headers });
    if (await writeSized(exchange, bytes, bytes.length)) exchange.streamEnded(status);
  } finally {
    release();
  }
}
