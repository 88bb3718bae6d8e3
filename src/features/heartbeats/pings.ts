import { isUtf8 } from "node:buffer";
import { charsetIn, decodeText, looksLikeText } from "../../core/text/decode-text.ts";
import { CHARGED_CHUNKS } from "../../http/body/body.ts";
import type { Exchange } from "../../http/server/exchange.ts";
import type { PingKind } from "../../store/schema.ts";
import { Heartbeat, type HeartbeatRow, type PingFilters } from "./heartbeat.ts";

/** Bytes of a ping's body that are kept; the rest is read and dropped. */
export const PING_BODY_BYTES = 10_000;
const MAX_USER_AGENT = 200;

/** The signal in a ping URL. */
export interface PingAction {
  readonly kind: Exclude<PingKind, "ignored">;
  readonly exitStatus: number | null;
}

/** The heartbeat addressed by a ping URL. */
export type PingTarget =
  /** Or a token, as `pingIdOf` gives it. */
  { readonly uuid: string } | { readonly pingKey: string; readonly slug: string; readonly creates: boolean };

/** A heartbeat that an alert feeds. */
export interface FedTarget {
  readonly fedId: string;
}

/** The scheme of pings by alerts that feed the heartbeat. */
export const ALERT_SCHEME = "alert";

/** A ping as it arrived. */
export interface Ping extends PingAction {
  readonly rid: string | null;
  readonly scheme: string;
  readonly method: string;
  readonly userAgent: string;
  readonly address: string | null;
  readonly body: Uint8Array | null;
  /** If the sender reports it. */
  readonly durationMs?: number;
}

/** @returns null for a suffix that is no whole number; `out-of-range` for one above 255 */
export function actionOf(suffix: string | undefined): PingAction | null | "out-of-range" {
  if (suffix === undefined || suffix === "") return { kind: "success", exitStatus: null };
  if (suffix === "fail" || suffix === "start" || suffix === "log") return { kind: suffix, exitStatus: null };
  if (!/^\d+$/.test(suffix)) return null;
  const exitStatus = Number(suffix);
  if (exitStatus > 255) return "out-of-range";
  return { kind: exitStatus === 0 ? "success" : "fail", exitStatus };
}

/** The meaning of a ping for a heartbeat: filters and a manual pause change that of the URL. */
export function kindOf(heartbeat: HeartbeatRow, { kind, method, scheme, body }: Ping): PingKind {
  if (heartbeat.status === "paused" && heartbeat.manualResume === 1) return "ignored";
  if (scheme === "email" || scheme === ALERT_SCHEME) return kind;
  if (heartbeat.methods !== "" && method !== heartbeat.methods) return "ignored";
  const filters = Heartbeat.value(heartbeat, "filters");
  // A sender that says that a run failed, or begins, means it: keywords overrule a success only.
  return filters.httpBody && kind === "success"
    ? kindByKeyword(filters, Buffer.from(body ?? []).toString("utf8"))
    : kind;
}

function kindByKeyword(filters: PingFilters, text: string): PingKind {
  const holds = (keywords = ""): boolean =>
    keywords.split(",").some((keyword) => keyword.trim() !== "" && text.includes(keyword.trim()));
  if (holds(filters.failureKeywords)) return "fail";
  if (holds(filters.successKeywords)) return "success";
  if (holds(filters.startKeywords)) return "start";
  return filters.defaultFail ? "fail" : "ignored";
}

export function userAgentOf(exchange: Exchange): string {
  return exchange.header("user-agent").slice(0, MAX_USER_AGENT);
}

/** More is a stream that does not end. */
const MAX_DROPPED_BYTES = 104_857_600;

/** Bytes of a body that are charged at a time. */
const CHARGED_BYTES = 65_536;

/** Charges a body that is dropped, while it arrives. */
class Toll {
  readonly #exchange: Exchange;
  #chunks = 0;
  #bytes = 0;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  /** @returns whether a part was charged: time to see whether the sender may go on */
  take(bytes: number): boolean {
    this.#chunks++;
    this.#bytes += bytes;
    if (this.#chunks < CHARGED_CHUNKS && this.#bytes < CHARGED_BYTES) return false;
    this.#exchange.work?.charge(this.#exchange, { chunks: this.#chunks, read: this.#bytes });
    this.#chunks = 0;
    this.#bytes = 0;
    return true;
  }
}

/**
 * Reads a body of any length and keeps its first bytes. Call it in the callback of the request. A
 * sender whose address is in debt is read no further: its ping counts, with the bytes that arrived.
 * @returns null when the client disconnected, or sends without end
 */
export function readStart(exchange: Exchange, keptBytes: number): Promise<Uint8Array | null> {
  return new Promise((resolve) => {
    // One buffer: an object for each chunk would cost a hundred times the bytes of small ones.
    let start = Buffer.alloc(0);
    let kept = 0;
    let total = 0;
    let isCut = false;
    const toll = new Toll(exchange);
    const end = (): void => {
      exchange.onAbort = null;
      resolve(start.subarray(0, kept));
    };
    exchange.onAbort = () => resolve(null);
    exchange.res.onData((chunk, isLast) => {
      const isCharged = toll.take(chunk.byteLength);
      if (isCut) {
        // More arrives before the answer could end the connection.
        if (isCharged && exchange.isChunked && !exchange.isOver) exchange.res.close();
        return;
      }
      total += chunk.byteLength;
      if (kept < keptBytes && chunk.byteLength > 0) {
        const needed = Math.min(kept + chunk.byteLength, keptBytes);
        if (needed > start.length) {
          const grown = Buffer.alloc(Math.min(Math.max(needed, 2 * start.length), keptBytes));
          start.copy(grown);
          start = grown;
        }
        start.set(new Uint8Array(chunk, 0, needed - kept), kept);
        kept = needed;
      }
      if (isLast) end();
      else if (isCharged && exchange.work?.isInDebt(exchange, kept < keptBytes)) {
        isCut = true;
        end();
      } else if (total > MAX_DROPPED_BYTES && !exchange.isOver) exchange.res.close();
    });
  });
}

/** The kept start of a body: text as UTF-8, files as they are. */
export function utf8Start(bytes: Uint8Array, exchange: Exchange): Uint8Array {
  const charset = charsetIn(exchange.header("content-type"));
  if ((charset === null || charset === "utf-8") && (isUtf8(bytes) || !looksLikeText(bytes))) return bytes;
  const { text, note } = decodeText(bytes, charset);
  exchange.textNote ??= note;
  return Buffer.from(text).subarray(0, PING_BODY_BYTES);
}

/** Pages of any origin may read the answer: it is the same for all, and no cookie is used. */
export function openToPages(exchange: Exchange): void {
  const others = exchange.extraHeaders.replace(/Access-Control-Allow-(?:Origin|Credentials): [^\r\n]*\r\n/g, "");
  exchange.extraHeaders = `${others}Access-Control-Allow-Origin: *\r\n`;
}
