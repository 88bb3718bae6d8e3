import { statSync } from "node:fs";
import { join } from "node:path";
import { executablePath, readAsset } from "../../../core/runtime.ts";
import { type HtmlPage, pageHandler } from "../../../http/api/replies.ts";
import type { ANSWERS_LATER } from "../../../http/api/route.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import { DOCUMENT_HEADERS } from "../../../http/server/headers.ts";

type Handler = (exchange: Exchange) => Promise<typeof ANSWERS_LATER>;

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  png: "image/png",
  svg: "image/svg+xml",
  webmanifest: "application/manifest+json",
};

/** Also what a web application needs besides a page: its manifest, service worker and sounds. */
const CONSOLE_HEADERS = DOCUMENT_HEADERS.replace(
  "base-uri 'none'",
  "manifest-src 'self'; worker-src 'self'; media-src 'self' blob:; base-uri 'none'",
);

/** The names of assets contain a hash of their content. */
const FOREVER = "public, max-age=31536000, immutable";

/**
 * The files of the console, a fixed list made by scripts/build-console.mjs. Files are read and
 * compressed on their first request.
 */
export class ConsoleFiles {
  #names: ReadonlySet<string> | undefined;
  #builtAt = 0;
  readonly #handlers = new Map<string, Handler>();

  /** @param name relative to the console, such as `assets/main-AB12.js` */
  has(name: string): boolean {
    this.#noteBuild();
    this.#names ??= new Set(JSON.parse(read("files.json").toString("utf8")) as string[]);
    return this.#names.has(name) && name !== "index.html";
  }

  /** @param name of a file for which {@link has} is true */
  file(name: string): Handler {
    const cacheControl = name.startsWith("assets/") ? FOREVER : "no-cache";
    return this.#handler(name, {
      contentType: CONTENT_TYPES[name.split(".").pop() ?? ""] ?? "application/octet-stream",
      fixedHeaders: CONSOLE_HEADERS,
      cacheControl,
      read: () => read(name),
    });
  }

  /**
   * The page for a path. Its links are relative, so that a proxy can mount the server below any
   * path.
   * @param depth slashes of the path after the console's own
   */
  page(depth: number): Handler {
    this.#noteBuild();
    return this.#handler(`page ${depth}`, {
      contentType: CONTENT_TYPES["html"] as string,
      fixedHeaders: CONSOLE_HEADERS,
      read: () =>
        Buffer.from(
          read("index.html")
            .toString("utf8")
            .replaceAll("%BASE%", "../".repeat(depth) || "./"),
        ),
    });
  }

  /** Run from source, the server serves a later build of the console without a restart. */
  #noteBuild(): void {
    if (executablePath() !== null) return;
    const builtAt = statSync(join(import.meta.dirname, "../../../../dist/console/files.json")).mtimeMs;
    if (builtAt === this.#builtAt) return;
    this.#builtAt = builtAt;
    this.#names = undefined;
    this.#handlers.clear();
  }

  #handler(key: string, page: HtmlPage): Handler {
    const handler = this.#handlers.get(key) ?? pageHandler(page);
    this.#handlers.set(key, handler);
    return handler;
  }
}

function read(name: string): Buffer {
  return readAsset(`console/${name}`, `dist/console/${name}`);
}
