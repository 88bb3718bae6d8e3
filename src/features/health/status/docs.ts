import { PrismError } from "../../../core/errors.ts";
import { readAsset } from "../../../core/runtime.ts";
import { type HtmlPage, pageHandler } from "../../../http/api/replies.ts";
import { ANSWERS_LATER, Reply } from "../../../http/api/route.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import { API_HEADERS, DOCUMENT_HEADERS } from "../../../http/server/headers.ts";
import { movedTo, pathOf, readImage, readManualPage } from "./manual.ts";

const CONTENT_TYPES = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
} as const;

/** A file of the program. @param source where it is while the program runs from its sources */
function asset(
  name: string,
  type: keyof typeof CONTENT_TYPES,
  source = `src/web/${name}.${type}`,
  fixedHeaders = DOCUMENT_HEADERS,
): HtmlPage {
  return {
    contentType: CONTENT_TYPES[type],
    fixedHeaders,
    read: () => readAsset(`web/${name}.${type}`, source),
  };
}

/** The API page; everything comes from the program itself, so it works without internet. */
export const API_PAGES: ReadonlyMap<string, HtmlPage> = new Map([
  ["/docs/api", asset("docs", "html")],
  ["/docs/init.js", asset("docs", "js")],
  ["/docs/swagger-ui.css", asset("swagger-ui", "css", "node_modules/swagger-ui-dist/swagger-ui.css")],
  ["/docs/swagger-ui-bundle.js", asset("swagger-ui-bundle", "js", "node_modules/swagger-ui-dist/swagger-ui-bundle.js")],
]);

export const MANUAL_STYLE = asset("manual", "css");

type Handler = (exchange: Exchange, name: string) => Promise<typeof ANSWERS_LATER>;

/**
 * Pages of docs/ as HTML, made by the build. An earlier name leads to the present one.
 * @throws NOT_FOUND for an unknown topic
 */
export function manualHandler(): (exchange: Exchange, name: string) => Promise<typeof ANSWERS_LATER | Reply> {
  const pages = handlerByName((topic) => {
    const html = readManualPage(topic);
    if (html === undefined) throw new PrismError("NOT_FOUND", "No such page");
    return pageHandler({ contentType: CONTENT_TYPES.html, fixedHeaders: DOCUMENT_HEADERS, read: () => html });
  });
  return async (exchange, name) => {
    const moved = movedTo(name);
    return moved === undefined ? pages(exchange, name) : new Reply(301, undefined, { Location: pathOf(moved) });
  };
}

/** Sections on a page of results. */
const MAX_RESULTS = 40;

/** Sections of docs/ with all words of the parameter `q`, as a page that needs no script. */
export async function searchReply(exchange: Exchange): Promise<typeof ANSWERS_LATER> {
  // Loaded late: most servers never search.
  const { MAX_QUERY, resultsPage, searchManual } = await import("./manual-search.ts");
  const query = (new URLSearchParams(exchange.queryText).get("q") ?? "").trim().slice(0, MAX_QUERY);
  const html = resultsPage(query, searchManual(query, MAX_RESULTS));
  const headers = { "Content-Type": CONTENT_TYPES.html, "Cache-Control": "no-cache" };
  exchange.send(200, html, headers, { fixedHeaders: DOCUMENT_HEADERS });
  return ANSWERS_LATER;
}

/** Screenshots and charts of docs/images. @throws NOT_FOUND for an unknown one */
export function imageHandler(): Handler {
  return handlerByName((name) => {
    const image = readImage(name);
    if (image === undefined) throw new PrismError("NOT_FOUND", "No such image");
    const contentType = name.endsWith(".svg") ? "image/svg+xml" : "image/png";
    return pageHandler({ contentType, fixedHeaders: DOCUMENT_HEADERS, read: () => image });
  });
}

type PageHandler = ReturnType<typeof pageHandler>;

function handlerByName(make: (name: string) => PageHandler): Handler {
  const handlers = new Map<string, PageHandler>();
  return async (exchange, name) => {
    const known = handlers.get(name) ?? make(name);
    handlers.set(name, known);
    return known(exchange);
  };
}

/** The package prism-client as one ES module, for pages without a bundler (docs/client.md). */
export const CLIENT_SCRIPT = asset("prism-client", "js", "dist/prism-client/index.js", API_HEADERS);

export function jsonPage(read: HtmlPage["read"], stateOf: () => unknown): HtmlPage {
  return {
    stateOf,
    contentType: "application/json; charset=utf-8",
    fixedHeaders: API_HEADERS,
    read,
  };
}
