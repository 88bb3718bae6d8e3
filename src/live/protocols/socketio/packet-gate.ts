import { outlineJson } from "../../../core/json-text.ts";
import { MAX_JSON_DEPTH } from "../../../http/input.ts";
import type { CloseReason } from "../../close-codes.ts";

/** What a client may say in one packet with its attachments, and the server tells it in the handshake. */
export const MAX_PACKET_BYTES = 65_536;
/** An attachment in the body of a poll begins with this, and goes on in Base64. */
const ATTACHMENT = "b";
const HAS_ATTACHMENTS = /^4[56]/;
/**
 * Engine.IO: close, ping (the probe of an upgrade), pong, upgrade, noop, attachment; Socket.IO in a message: connect, disconnect, event, acknowledgement,
 * and the last two with attachments. Names of namespaces hold nothing that JSON is outlined by.
 */
const PACKET = /^(?:[12356]|b|4(?:[0-3]|[56]\d{1,2}-)(?:\/[^",[\]{}\\]*(?:,|$))?(?!\/))/;

/** Looks at the packets of a session before engine.io does. */
export class PacketGate {
  /** Of the last packet with attachments, as far as it has come. The parser keeps the parts until the last one is there. */
  #keptBytes = 0;

  /** @returns why the session is to be ended, null for a packet that may pass. */
  reasonAgainst(packet: string | Buffer, bytes: number, limitBytes: number): CloseReason | null {
    const isText = typeof packet === "string";
    if (isText && !PACKET.test(packet)) return bytes > limitBytes ? "tooBig" : "malformed";
    const isAttachment = !isText || packet.startsWith(ATTACHMENT);
    if (isAttachment) this.#keptBytes += bytes;
    else if (HAS_ATTACHMENTS.test(packet)) this.#keptBytes = bytes;
    if ((isAttachment ? this.#keptBytes : bytes) > limitBytes) return "tooBig";
    if (isAttachment) return null;
    return outlineJson(packet, MAX_JSON_DEPTH).depth > MAX_JSON_DEPTH ? "malformed" : null;
  }
}
