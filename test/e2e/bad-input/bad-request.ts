/** What the bad requests are about: a running server with a little in it. */
export interface Target {
  readonly port: number;
  readonly token: string;
  readonly apiKey: string;
  readonly project: string;
  readonly rule: string;
}

/** A request that must not be served, byte by byte, and what the contract answers it. */
export interface BadRequest {
  readonly name: string;
  readonly bytes: Buffer;
  /** Of HEAD the answer has no body to wait for. */
  readonly method?: string;
  /** Null: the connection is closed without a word. */
  readonly status: number | null;
  /** Absent: the answer is the library's parser's, which has no body (contract 12.5). */
  readonly code?: string;
  /** The code of the first detail. */
  readonly detail?: string;
  /** Takes the time that the server waits before it gives up. */
  readonly isSlow?: true;
}

export type Outcome = Pick<BadRequest, "status" | "code" | "detail">;

export const JSON_TYPE = "Content-Type: application/json";
export const INVALID: Outcome = { status: 400, code: "VALIDATION_FAILED" };
export const MALFORMED: Outcome = { status: 400, code: "MALFORMED_JSON" };
export const TOO_LARGE: Outcome = { status: 413, code: "PAYLOAD_TOO_LARGE" };
export const WRONG_TYPE: Outcome = { status: 415, code: "UNSUPPORTED_MEDIA_TYPE" };

/** The bytes of a request. A body gets its length unless the lines frame it already. */
export function bytesOf(method: string, path: string, lines: readonly string[], body?: string | Uint8Array): Buffer {
  const isFramed = lines.some((line) => /^(content-length|transfer-encoding):/i.test(line));
  const content = body === undefined ? Buffer.alloc(0) : Buffer.from(body as string);
  const framing = body === undefined || isFramed ? [] : [`Content-Length: ${content.length}`];
  const head = [`${method} ${path} HTTP/1.1`, "Host: localhost", ...lines, ...framing].join("\r\n");
  return Buffer.concat([Buffer.from(`${head}\r\n\r\n`, "latin1"), content]);
}

/** Makes requests of the administrator's. */
export class RequestMaker {
  readonly target: Target;
  readonly credential: string;

  constructor(target: Target) {
    this.target = target;
    this.credential = `Authorization: Bearer ${target.token}`;
  }

  plain(name: string, method: string, path: string, outcome: Outcome, lines: readonly string[] = []): BadRequest {
    const all = lines.some((line) => /^(authorization|x-api-key):/i.test(line)) ? lines : [this.credential, ...lines];
    return { name, method, bytes: bytesOf(method, path, all), ...outcome };
  }

  /** With a body of JSON, or of exactly these characters or bytes. */
  send(
    name: string,
    [method, path]: readonly [string, string],
    body: unknown,
    outcome: Outcome,
    lines: readonly string[] = [JSON_TYPE],
  ): BadRequest {
    const content = typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
    return { name, method, bytes: bytesOf(method, path, [this.credential, ...lines], content), ...outcome };
  }

  raw(name: string, bytes: string | Buffer, outcome: Outcome & { readonly isSlow?: true }): BadRequest {
    return { name, bytes: typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes, ...outcome };
  }
}

/** Numbers from 0 to 1, the same ones for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
