import type { HttpRequest, HttpResponse } from "uWebSockets.js";
import type { Config } from "../../config/load.ts";
import { otherPorts, tlsFilesOf } from "../../config/public-url.ts";
import { PrismError } from "../../core/errors.ts";
import { uuidv7 } from "../../core/ids.ts";
import { ListenRefused } from "../../core/listening.ts";
import { errorBody, errorHeaders } from "../api/error-reply.ts";
import { statusLine } from "./headers.ts";
import { HttpListener } from "./listener.ts";

const MAX_RETRY_MS = 60_000;
const MIN_RETRY_MS = 2000;

/**
 * Answers on the server's ports while its database is upgraded: 503 with the percentage and
 * `Retry-After`, and 200 for `/health/live`, so that no supervisor ends the upgrade.
 */
export class UpgradePort {
  readonly #config: Config;
  #listener: HttpListener | null = null;
  #percent = 0;
  #startedAt = 0;

  constructor(config: Config) {
    this.#config = config;
  }

  /** The first call opens the ports; a random port is left to the server. @throws ListenRefused, TlsRefused */
  async show(percent: number): Promise<void> {
    this.#percent = percent;
    if (this.#listener || this.#config.port === 0) return;
    this.#startedAt = performance.now();
    const listener = new HttpListener(tlsFilesOf(this.#config));
    this.#listener = listener;
    listener.serve((res, req) => this.#answer(res, req));
    try {
      const others = otherPorts(this.#config).map((other) => ({ ...other, face: "" }));
      listener.listen(this.#config.host, this.#config.port, others);
    } catch (error) {
      this.close();
      throw error instanceof ListenRefused ? await error.explained() : error;
    }
  }

  /** Call it immediately before the server listens. */
  close(): void {
    this.#listener?.stopListening();
    this.#listener?.close();
    this.#listener = null;
  }

  #answer(res: HttpResponse, req: HttpRequest): void {
    const isLive = req.getUrl() === "/health/live";
    const error = new PrismError("UPGRADING", `The database is being upgraded: ${this.#percent} % done`, {
      retryAfterMs: this.#leftMs(),
      details: [{ code: "PERCENT", message: `${this.#percent} %`, percent: this.#percent }],
    });
    const isPage = !isLive && req.getMethod() === "get" && req.getHeader("accept").includes("text/html");
    const body = isLive ? { status: "ok" } : errorBody(error, uuidv7());
    res.cork(() => {
      res.writeStatus(statusLine(isLive ? 200 : 503));
      res.writeHeader("Content-Type", isPage ? "text/html; charset=utf-8" : "application/json");
      res.writeHeader("Cache-Control", "no-store");
      if (!isLive) for (const [name, value] of Object.entries(errorHeaders(error))) res.writeHeader(name, value);
      // A body that is still on its way is not read.
      res.end(isPage ? upgradePage(this.#percent) : JSON.stringify(body), true);
    });
  }

  /** By the time that the part until now took. */
  #leftMs(): number {
    const passedMs = performance.now() - this.#startedAt;
    const leftMs = (passedMs * (100 - this.#percent)) / Math.max(1, this.#percent);
    return Math.min(MAX_RETRY_MS, Math.max(MIN_RETRY_MS, leftMs));
  }
}

/** The page for browsers meanwhile: it reloads by itself. No style and no script. */
function upgradePage(percent: number): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex">
<meta http-equiv="refresh" content="3"><title>Prism is being upgraded</title></head>
<body><h1>Prism is being upgraded</h1>
<p>Its database is migrated to the new version: ${percent} % done.</p>
<p>This page loads again by itself.</p>
</body></html>
`;
}
