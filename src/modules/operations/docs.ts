import { gzipSync } from "node:zlib";
import { readAsset } from "../../base/runtime.ts";
import type { Exchange } from "../../http/exchange.ts";
import { DOCUMENT_HEADERS } from "../../http/headers.ts";
import { ANSWERS_LATER } from "../../http/route.ts";

interface Page {
  readonly contentType: string;
  readonly asset: string;
  readonly source: string;
}

/** What /docs consists of; everything comes from the program itself, so it works without internet. */
export const DOCS_PAGES: Readonly<Record<string, Page>> = {
  "/docs": { contentType: "text/html; charset=utf-8", asset: "web/docs.html", source: "src/web/docs.html" },
  "/docs/init.js": { contentType: "text/javascript; charset=utf-8", asset: "web/docs.js", source: "src/web/docs.js" },
  "/docs/swagger-ui.css": {
    contentType: "text/css; charset=utf-8",
    asset: "web/swagger-ui.css",
    source: "node_modules/swagger-ui-dist/swagger-ui.css",
  },
  "/docs/swagger-ui-bundle.js": {
    contentType: "text/javascript; charset=utf-8",
    asset: "web/swagger-ui-bundle.js",
    source: "node_modules/swagger-ui-dist/swagger-ui-bundle.js",
  },
};

const compressed = new Map<string, Buffer>();

/** Sends a file of the program, compressed where the client takes it; compressed once, when it is first asked for. */
export function sendPage(exchange: Exchange, path: string): typeof ANSWERS_LATER {
  const page = DOCS_PAGES[path] as Page;
  sendCompressed(exchange, path, page.contentType, () => readAsset(page.asset, page.source), DOCUMENT_HEADERS);
  return ANSWERS_LATER;
}

export function sendCompressed(
  exchange: Exchange,
  key: string,
  contentType: string,
  read: () => Buffer,
  fixedHeaders?: string,
): void {
  const headers = { "Content-Type": contentType, "Cache-Control": "no-cache", Vary: "Accept-Encoding" };
  const options = fixedHeaders ? { fixedHeaders } : {};
  if (!/\bgzip\b/.test(exchange.header("accept-encoding"))) {
    exchange.send(200, read(), headers, options);
    return;
  }
  let body = compressed.get(key);
  if (!body) {
    body = gzipSync(read());
    compressed.set(key, body);
  }
  exchange.send(200, body, { ...headers, "Content-Encoding": "gzip" }, options);
}
