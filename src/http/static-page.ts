import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { Exchange } from "./exchange.ts";
import { acceptsGzip, isAmongTags, weakTagOf } from "./negotiation.ts";
import { ANSWERS_LATER } from "./route.ts";

const compress = promisify(gzip);

/** A text that the server returns unchanged. */
export interface Page {
  readonly contentType: string;
  readonly fixedHeaders: string;
  /** Default: `no-cache`, which asks again with the ETag. */
  readonly cacheControl?: string;
  read(): Buffer;
  /** The state that the text depends on: a change rebuilds it. Undefined: it never changes. */
  stateOf?(): unknown;
}

/**
 * Serves a page, compressed if the client accepts it, with an ETag. Built and compressed on first
 * request, and again after a change.
 */
export function pageHandler(page: Page): (exchange: Exchange) => Promise<typeof ANSWERS_LATER> {
  let plain: Buffer | undefined;
  let tag = "";
  let compressed: Promise<Buffer> | undefined;
  let state: unknown;
  return async (exchange) => {
    const now = page.stateOf?.();
    if (now !== state) plain = compressed = undefined;
    state = now;
    const { contentType, fixedHeaders, cacheControl = "no-cache" } = page;
    if (!plain) {
      plain = page.read();
      tag = weakTagOf(plain);
    }
    const cached = { ETag: tag, "Cache-Control": cacheControl, Vary: "Accept-Encoding" };
    if (isAmongTags(tag, exchange.header("if-none-match"))) {
      exchange.send(304, null, cached, { fixedHeaders });
      return ANSWERS_LATER;
    }
    const headers = { "Content-Type": contentType, ...cached };
    if (acceptsGzip(exchange.header("accept-encoding"))) {
      compressed ??= compress(plain);
      exchange.send(200, await compressed, { ...headers, "Content-Encoding": "gzip" }, { fixedHeaders });
    } else exchange.send(200, plain, headers, { fixedHeaders });
    return ANSWERS_LATER;
  };
}
