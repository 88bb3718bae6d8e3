import { readRetryAfter } from "../../retry-after.ts";
import { MAX_ANSWER_BYTES } from "./push-client.ts";
import { notReached } from "./push-failure.ts";

export interface PostOptions {
  /** What the server is called in an error. */
  readonly provider: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** For the whole exchange, the last byte of the answer included. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** Epoch ms, for a Retry-After that is a date. */
  readonly now: number;
}

export interface PostReply {
  readonly status: number;
  /** undefined where the body is none. */
  readonly json: unknown;
  readonly retryAfterMs: number | undefined;
}

/** One POST over Node's own client, which keeps connections. Redirects are not followed. @throws what was in the way, or the signal's reason */
export async function postText(options: PostOptions): Promise<PostReply> {
  const { url, headers, body, timeoutMs, signal } = options;
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, {
      method: "POST",
      headers,
      body,
      redirect: "manual",
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    const text = await readText(response);
    return {
      status: response.status,
      json: parseJson(text),
      retryAfterMs: readRetryAfter(response.headers.get("retry-after") ?? undefined, options.now),
    };
  } catch (error) {
    signal?.throwIfAborted();
    throw timeout.aborted
      ? new Error(`${options.provider} did not answer within ${timeoutMs} ms`, { cause: error })
      : notReached(options.provider, error);
  }
}

async function readText(response: Response): Promise<string> {
  if (!response.body) return "";
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.byteLength;
    if (bytes > MAX_ANSWER_BYTES) throw new Error("the answer is too long");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
