import type { Principal } from "../../core/caller.ts";
import type { PrismError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import { type Counter, type Histogram, type Metrics, SECONDS_BUCKETS } from "../../core/metrics.ts";
import type { Exchange, FoundRoute } from "./exchange.ts";

const REFUSED_LINES_PER_SECOND = 10;
/** W3C Trace Context section 3.2.2; version ff and ids of zeros are invalid. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-|$)/;

/** One log line and two metrics per request. The series of a route are looked up once. */
export class AccessLog {
  readonly #log: Logger;
  readonly #requests: (labels: { route: string; method: string; status: string }) => Counter;
  readonly #durations: (labels: { route: string }) => Histogram;
  readonly #series = new Map<FoundRoute | null, { durations: Histogram; byStatus: Map<number, Counter> }>();
  readonly #refused = new LinesPerSecond(REFUSED_LINES_PER_SECOND);
  readonly #noted = new LinesPerSecond(REFUSED_LINES_PER_SECOND);
  readonly #failures = new LinesPerSecond(REFUSED_LINES_PER_SECOND);

  constructor(log: Logger, metrics: Metrics) {
    this.#log = log;
    this.#requests = metrics.counter("prism_http_requests_total", "Requests by route, method and status");
    this.#durations = metrics.histogram(
      "prism_http_duration_seconds",
      "Time from head to answer by route",
      SECONDS_BUCKETS,
    );
  }

  /** @param status 0 when the client disconnected first. */
  record(exchange: Exchange, status: number): void {
    const durationMs = performance.now() - exchange.startedAt;
    this.#count(exchange, status, durationMs);
    const isQuiet = exchange.mount?.route.quiet === true;
    if (isQuiet && status < 400 && (exchange.textNote === null || !this.#noted.mayWrite())) {
      if (this.#log.isDebug()) this.#log.debug(fieldsOf(exchange, status, durationMs), "request");
    } else if (!isQuiet || status < 400 || this.#refused.mayWrite())
      this.#log.info(fieldsOf(exchange, status, durationMs), "request");
  }

  /**
   * Logs the cause of a server error; the client gets only its code. Unexpected errors are always
   * logged, expected ones, such as a full disk, at most ten a second.
   */
  recordFailure(exchange: Exchange, error: PrismError): void {
    const isForeseen = error.code !== "INTERNAL";
    if (isForeseen && (error.cause === undefined || !this.#failures.mayWrite())) return;
    const { requestId, correlationId, mount } = exchange;
    const { module } = mount?.route ?? {};
    this.#log.error(
      {
        requestId,
        correlationId,
        ...(module === undefined ? {} : { module }),
        route: mount?.path ?? null,
        code: error.code,
        err: error.cause ?? error,
      },
      "request failed",
    );
  }

  #count(exchange: Exchange, status: number, durationMs: number): void {
    const { mount } = exchange;
    const route = mount?.path ?? "none";
    let series = this.#series.get(mount);
    if (!series) {
      series = { durations: this.#durations({ route }), byStatus: new Map() };
      this.#series.set(mount, series);
    }
    series.durations.observe(durationMs / 1000);
    let counter = series.byStatus.get(status);
    if (!counter) {
      counter = this.#requests({ route, method: mount ? mount.route.method : "other", status: String(status) });
      series.byStatus.set(status, counter);
    }
    counter.add();
  }
}

class LinesPerSecond {
  readonly #limit: number;
  #second = 0;
  #lines = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  mayWrite(): boolean {
    const second = Math.floor(Date.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#lines = 0;
    }
    return ++this.#lines <= this.#limit;
  }
}

function fieldsOf(exchange: Exchange, status: number, durationMs: number): Record<string, unknown> {
  const traceId = TRACEPARENT.exec(exchange.header("traceparent"))?.[1];
  return {
    requestId: exchange.requestId,
    correlationId: exchange.correlationId,
    ...(traceId ? { traceId } : {}),
    ...callerFields(exchange.principal),
    method: exchange.method,
    // The route, never the URL: a path may contain a name, a query a token.
    route: exchange.mount?.path ?? null,
    status,
    ...(exchange.textNote === null ? {} : { body: exchange.textNote }),
    durationMs: Math.round(durationMs * 100) / 100,
  };
}

function callerFields(principal: Principal | null): Record<string, unknown> {
  if (!principal) return {};
  if (principal.kind === "operator") return { actor: principal.key };
  return principal.kind === "apiKey" ? { keyId: principal.keyId } : { userId: principal.userId };
}
