import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { readAsset } from "../../core/runtime.ts";
import type { Exchange } from "../../http/exchange.ts";
import { API_HEADERS, DOCUMENT_HEADERS } from "../../http/headers.ts";
import { acceptsGzip, isAmongTags, weakTagOf } from "../../http/negotiation.ts";
import { ANSWERS_LATER } from "../../http/route.ts";
import { ACCOUNT_PAGE_NAMES } from "../access/index.ts";
import { UNSUBSCRIBE_PATH } from "../delivery/index.ts";

const compress = promisify(gzip);

interface Asset {
  readonly contentType: string;
  readonly asset: string;
  readonly source: string;
}

/** What /docs consists of; everything comes from the program itself, so it works without internet. */
const ASSETS: Readonly<Record<string, Asset>> = {
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

/** A text that the server answers with as it is. */
export interface Page {
  readonly contentType: string;
  readonly fixedHeaders: string;
  read(): Buffer;
  /** What the text depends on: it is made anew when this is another. Absent: it never changes. */
  stateOf?(): unknown;
}

function pagesOf(assets: Readonly<Record<string, Asset>>): ReadonlyMap<string, Page> {
  return new Map(
    Object.entries(assets).map(([path, { contentType, asset, source }]) => [
      path,
      { contentType, fixedHeaders: DOCUMENT_HEADERS, read: () => readAsset(asset, source) },
    ]),
  );
}

export const DOCS_PAGES: ReadonlyMap<string, Page> = pagesOf(ASSETS);

const ACCOUNT_PAGE: Asset = {
  contentType: "text/html; charset=utf-8",
  asset: "web/account.html",
  source: "src/web/account.html",
};

/** What the links in account mails open: one page, which shows the part that its path names. */
export const ACCOUNT_PAGES: ReadonlyMap<string, Page> = pagesOf({
  ...Object.fromEntries(ACCOUNT_PAGE_NAMES.map((name) => [`/account/${name}`, ACCOUNT_PAGE])),
  [UNSUBSCRIBE_PATH]: ACCOUNT_PAGE,
  "/account/account.js": {
    contentType: "text/javascript; charset=utf-8",
    asset: "web/account.js",
    source: "src/web/account.js",
  },
  "/account/account.css": {
    contentType: "text/css; charset=utf-8",
    asset: "web/account.css",
    source: "src/web/account.css",
  },
});

/** The package prism-client as one ES module, for pages without a bundler (docs/client.md). */
export const CLIENT_SCRIPT: Page = {
  contentType: "text/javascript; charset=utf-8",
  fixedHeaders: API_HEADERS,
  read: () => readAsset("web/prism-client.js", "dist/prism-client/index.js"),
};

export function jsonPage(read: () => string, stateOf: () => unknown): Page {
  return {
    stateOf,
    contentType: "application/json; charset=utf-8",
    fixedHeaders: API_HEADERS,
    read: () => Buffer.from(read()),
  };
}

/** Answers with a page, compressed where the client takes it, or says that it is still the same; made and compressed once, when it is first asked for, and again when it has changed. */
export function pageHandler(page: Page): (exchange: Exchange) => Promise<typeof ANSWERS_LATER> {
  let plain: Buffer | undefined;
  let tag = "";
  let compressed: Promise<Buffer> | undefined;
  let state: unknown;
  return async (exchange) => {
    const now = page.stateOf?.();
    if (now !== state) plain = compressed = undefined;
    state = now;
    const { contentType, fixedHeaders } = page;
    if (!plain) {
      plain = page.read();
      tag = weakTagOf(plain);
    }
    const cached = { ETag: tag, "Cache-Control": "no-cache", Vary: "Accept-Encoding" };
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
