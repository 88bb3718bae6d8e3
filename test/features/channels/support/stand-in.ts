import { createServer, type IncomingHttpHeaders } from "node:http";
import type { TestContext } from "node:test";
import { listening } from "../../../helpers/listening.ts";

/** A request as a service gets it. */
export interface StandInRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Parsed body of type JSON; undefined otherwise. */
  readonly json: unknown;
  readonly form: URLSearchParams;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text, or a value sent as JSON. */
  readonly body?: unknown;
}

/** A message as its readers see it. */
export interface Seen {
  readonly id: string;
  /** Everything shown, unescaped. */
  text: string;
  /** Of the alert, for services that know alerts. */
  state?: string;
  /** Id of the message that it replies to. */
  readonly parent?: string;
  edits: number;
  /** People or groups that the message would notify by name. */
  readonly mentions: readonly string[];
}

/**
 * A service by its documentation: it checks the credentials, the form and the limits of a request,
 * answers as the service does, and keeps the messages as readers see them.
 */
export interface Service {
  readonly preset: string;
  /** Fields of a channel at this base URL. */
  fields(base: string): Record<string, string>;
  /** The secret among them. */
  readonly secrets: readonly string[];
  answer(request: StandInRequest, seen: Seen[]): Reply;
  /** A repetition with the same id gives no second message. */
  readonly isIdempotent?: boolean;
  /** Whether the readers see a message's own text (a pager shows the title only). */
  readonly showsMessage?: boolean;
}

export interface StandIn {
  readonly service: Service;
  readonly url: string;
  readonly seen: Seen[];
  readonly requests: StandInRequest[];
  /** Answers of the next requests, before the service's own. */
  readonly next: Reply[];
}

export async function startStandIn(t: TestContext, service: Service): Promise<StandIn> {
  const seen: Seen[] = [];
  const requests: StandInRequest[] = [];
  const next: Reply[] = [];
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => {
      const request = read(incoming.method ?? "", incoming.url ?? "/", incoming.headers, Buffer.concat(chunks));
      requests.push(request);
      const { status, headers = {}, body } = next.shift() ?? service.answer(request, seen);
      const isText = typeof body === "string";
      const type = isText || body === undefined ? {} : { "Content-Type": "application/json" };
      outgoing.writeHead(status, { ...type, ...headers });
      outgoing.end(isText ? body : body === undefined ? "" : JSON.stringify(body));
    });
  });
  const port = await listening(t, server);
  return { service, url: `http://127.0.0.1:${port}`, seen, requests, next };
}

function read(method: string, url: string, headers: IncomingHttpHeaders, body: Buffer): StandInRequest {
  const target = new URL(url, "http://stand-in");
  const text = body.toString("utf8");
  const type = headers["content-type"] ?? "";
  return {
    method,
    path: target.pathname,
    query: target.searchParams,
    headers,
    text,
    json: type.startsWith("application/json") ? JSON.parse(text) : undefined,
    form: new URLSearchParams(type.startsWith("application/x-www-form-urlencoded") ? text : ""),
  };
}

/** Reads a value of an object, for stand-ins that check what they get. */
export function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  let current = value;
  for (const step of path) current = (Object(current) as Record<string | number, unknown>)[step];
  return current;
}

export function textAt(value: unknown, ...path: readonly (string | number)[]): string {
  const found = at(value, ...path);
  return typeof found === "string" ? found : "";
}

/** Whether a text is cut within a surrogate pair. */
export function isBroken(text: string): boolean {
  return /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]|\uFFFD/.test(text);
}

export function unescapeHtml(text: string): string {
  return text
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&amp;", "&");
}
