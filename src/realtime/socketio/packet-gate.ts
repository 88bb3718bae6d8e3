import { outlineJson } from "../../base/json-text.ts";
import { MAX_JSON_DEPTH } from "../../http/input.ts";
import type { CloseReason } from "../close-codes.ts";

/** What a client may say in one packet, and the server tells it in the handshake. */
export const MAX_PACKET_BYTES = 65_536;
/**
 * Engine.IO: close, ping (the probe of an upgrade), pong, upgrade, noop; Socket.IO in a message: connect, disconnect, event, acknowledgement. Left out
 * are binary packets of both, for nothing here takes any: the parser would hold a half one until the rest comes.
 */
const PACKET = /^(?:[12356]|4[0-3])/;

/** Looks at a packet before engine.io does. @returns why the session is to be ended, null for one that may pass. */
export function reasonAgainst(packet: string, bytes: number): CloseReason | null {
  if (bytes > MAX_PACKET_BYTES) return "tooBig";
  if (!PACKET.test(packet)) return "malformed";
  return outlineJson(packet, MAX_JSON_DEPTH).depth > MAX_JSON_DEPTH ? "malformed" : null;
}
