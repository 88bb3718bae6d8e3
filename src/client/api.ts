import type { EventInput, Notification, StoredBatch, StoredEvent } from "./api-types.gen.ts";
import type { Credentials } from "./credentials.ts";
import { type ErrorBody, errorFrom, PrismError } from "./errors.ts";

/** A page of a list. `nextCursor` is null at its end. */
export interface Page<T> {
  readonly data: readonly T[];
  readonly page: number | null;
  readonly limit: number;
  readonly total?: number;
  readonly nextCursor: string | null;
}

export interface NotificationQuery {
  readonly status?: "unread" | "read" | "acknowledged" | "undelivered" | "all";
  /** Text in title or message. */
  readonly q?: string;
  readonly ruleId?: string;
  readonly projectId?: string;
  readonly kind?: Notification["kind"];
  /** 500 and above are urgent. */
  readonly minPriority?: number;
  /** RFC 3339. */
  readonly from?: string;
  readonly to?: string;
  /** Only entries after this offset. */
  readonly after?: number;
  readonly limit?: number;
  readonly cursor?: string;
}

export interface MissedQuery {
  /** An offset or an instant; default: everything undelivered. */
  readonly since?: number | string;
  readonly limit?: number;
  readonly cursor?: string;
  /** Marks the returned notifications as delivered. */
  readonly ack?: boolean;
}

export type EventAccepted = StoredEvent;

export type EventsAccepted = StoredBatch;

export interface Ticket {
  readonly ticket: string;
  readonly expiresAt: string;
}

export interface IdempotencyOptions {
  /** A repeated request with the same key has no second effect. */
  readonly idempotencyKey?: string;
}

export type FetchLike = typeof globalThis.fetch;

/** Any request of the API (docs/http.md). */
export interface PrismRequest {
  readonly method: string;
  /** Absolute path on the server, such as `/api/v1/rules`. */
  readonly path: string;
  /** Undefined members are omitted. */
  readonly query?: object;
  /** Sent as JSON; bytes are sent unchanged. */
  readonly body?: unknown;
  /** For bytes. Default: `application/octet-stream`. */
  readonly contentType?: string;
  readonly accept?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly idempotencyKey?: string | undefined;
  /** Time limit of the answer; null: none. Default: 30 s. */
  readonly limitMs?: number | null;
  /** Cancels the request. */
  readonly signal?: AbortSignal | undefined;
  /** Of a page: whether cookies are sent and kept. Default: `omit`, since they are of another session. */
  readonly credentials?: "omit" | "same-origin";
}

const REPLY_LIMIT_MS = 30_000;
const TRIAL_LIMIT_MS = 10_000;
const NOTIFICATIONS = "/api/v1/notifications";

/** The HTTP API for clients of live streams. Every method throws PrismError. */
export class PrismApi {
  readonly #url: string;
  readonly #credentials: Credentials;
  readonly #fetch: FetchLike;

  /** @internal @param url of the server, `http:` or `https:`, without a trailing slash. */
  constructor(url: string, credentials: Credentials, fetch: FetchLike = globalThis.fetch.bind(globalThis)) {
    this.#url = url;
    this.#credentials = credentials;
    this.#fetch = fetch;
  }

  /** Sends any request. @returns the JSON of the answer, undefined without a body. */
  async request<T>(request: PrismRequest): Promise<T> {
    return readReply<T>(await this.#answer(request));
  }

  /** Sends any request; the successful answer can be read as it arrives. */
  async open(request: PrismRequest): Promise<Response> {
    const response = await this.#answer(request);
    return response.ok ? response : readReply(response);
  }

  /** Every item of a list, page by page. */
  async *list<T>(path: string, query: object = {}): AsyncIterable<T> {
    let cursor: string | undefined;
    do {
      const page: Page<T> = await this.request({ method: "GET", path, query: { limit: 100, ...query, cursor } });
      yield* page.data;
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
  }

  /** The user's notifications, newest first. */
  notifications(query: NotificationQuery = {}): Promise<Page<Notification>> {
    return this.request({ method: "GET", path: NOTIFICATIONS, query });
  }

  /** Undelivered notifications, or those after an offset, oldest first. */
  missed(query: MissedQuery = {}): Promise<Page<Notification>> {
    return this.request({ method: "GET", path: `${NOTIFICATIONS}/missed`, query });
  }

  async unreadCount(): Promise<number> {
    const path = `${NOTIFICATIONS}/unread-count`;
    return (await this.request<{ readonly count: number }>({ method: "GET", path })).count;
  }

  markRead(id: string): Promise<Notification> {
    return this.request({ method: "PATCH", path: `${NOTIFICATIONS}/${encodeURIComponent(id)}/read` });
  }

  /** Marks all unread ones as read, or those from before an instant, or with these ids. */
  markAllRead(
    body: { readonly before?: string; readonly ids?: readonly string[] } = {},
  ): Promise<{ readonly updated: number }> {
    return this.request({ method: "POST", path: `${NOTIFICATIONS}/read-all`, body });
  }

  /** Also marks it read. */
  acknowledge(id: string, body: { readonly note?: string } = {}): Promise<Notification> {
    return this.request({ method: "PUT", path: `${NOTIFICATIONS}/${encodeURIComponent(id)}/acknowledge`, body });
  }

  /** Removes it from the user's list. */
  async deleteNotification(id: string): Promise<void> {
    await this.request({ method: "DELETE", path: `${NOTIFICATIONS}/${encodeURIComponent(id)}` });
  }

  sendEvent(body: EventInput, { idempotencyKey }: IdempotencyOptions = {}): Promise<EventAccepted> {
    return this.request({ method: "POST", path: "/api/v1/events", body, idempotencyKey });
  }

  /** Sends events in order. Some may be refused while others are accepted: see `results`. */
  sendEvents(body: readonly EventInput[], { idempotencyKey }: IdempotencyOptions = {}): Promise<EventsAccepted> {
    return this.request({ method: "POST", path: "/api/v1/events", body, idempotencyKey });
  }

  /** Publishes an entry. @param stream `channel:<name>` or `channel:<project id>/<name>` */
  publish(
    stream: string,
    type: string,
    data: unknown,
    { idempotencyKey }: IdempotencyOptions = {},
  ): Promise<{ readonly offset: number }> {
    return this.request({
      method: "POST",
      path: "/api/v1/realtime/publish",
      body: { stream, type, data },
      idempotencyKey,
    });
  }

  /**
   * A ticket that opens one live connection within a minute. @param stream the only stream it
   * opens; undefined: all of the caller's.
   */
  ticket(stream?: string): Promise<Ticket> {
    return this.request({
      method: "POST",
      path: "/api/v1/realtime/ticket",
      body: stream === undefined ? {} : { stream },
    });
  }

  /** {@link ticket} with a given token, tried once. @internal */
  async tryToken(token: string | null): Promise<void> {
    const response = await this.#send(
      { method: "POST", path: "/api/v1/realtime/ticket", body: {} },
      token,
      TRIAL_LIMIT_MS,
    );
    await readReply(response);
  }

  /** Retries once with another token after a refusal. */
  async #answer(request: PrismRequest): Promise<Response> {
    const token = await this.#credentials.token();
    const response = await this.#send(request, token);
    if (response.status !== 401) return response;
    const another = await this.#credentials.another(token, "refused");
    return another === null ? response : this.#send(request, another);
  }

  async #send(request: PrismRequest, token: string | null, limit?: number): Promise<Response> {
    const { method, path, query = {}, body, signal, limitMs = limit ?? REPLY_LIMIT_MS, credentials = "omit" } = request;
    const isBytes = body instanceof Uint8Array;
    const headers: Record<string, string> = { Accept: request.accept ?? "application/json", ...request.headers };
    if (token !== null) headers["Authorization"] = `Bearer ${token}`;
    if (body !== undefined)
      headers["Content-Type"] = request.contentType ?? (isBytes ? "application/octet-stream" : "application/json");
    if (request.idempotencyKey !== undefined) headers["Idempotency-Key"] = request.idempotencyKey;
    const content: { body?: NonNullable<RequestInit["body"]> } = {};
    if (body !== undefined) content.body = isBytes ? (body as Uint8Array<ArrayBuffer>) : JSON.stringify(body);
    const ends = [signal, limitMs === null ? undefined : AbortSignal.timeout(limitMs)].filter(
      (end) => end !== undefined,
    );
    const [first, second] = ends;
    const ending: { signal?: AbortSignal } = {};
    if (first) ending.signal = second ? AbortSignal.any([first, second]) : first;
    try {
      // The cache of a page is outdated.
      const init = { method, headers, credentials, cache: "no-store", ...ending, ...content } as const;
      return await this.#fetch(this.#url + path + queryText(query), init);
    } catch (error) {
      throw unreachable(error);
    }
  }
}

async function readReply<T>(response: Response): Promise<T> {
  const text = await response.text().catch((error: unknown) => {
    throw unreachable(error);
  });
  const body = text === "" ? undefined : parse(text);
  if (response.ok) {
    if (body === undefined && response.status !== 204) throw errorFrom({}, { status: response.status });
    return body as T;
  }
  const retryAfterS = Number(response.headers.get("retry-after"));
  throw errorFrom((body ?? {}) as ErrorBody, {
    status: response.status,
    retryAfterMs: retryAfterS > 0 ? retryAfterS * 1000 : undefined,
  });
}

function parse(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

/** @internal */
export function queryText(query: object): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  const texts = Object.fromEntries(given.map(([name, value]) => [name, String(value)]));
  return given.length === 0 ? "" : `?${new URLSearchParams(texts)}`;
}

function unreachable(error: unknown): PrismError {
  return new PrismError("CONNECTION_FAILED", "The server cannot be reached", { cause: error });
}
