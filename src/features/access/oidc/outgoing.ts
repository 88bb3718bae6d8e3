import {
  isProxied,
  outgoingProxyOf,
  type ProxySettings,
  requestThrough,
  targetOf,
} from "../../../config/outgoing-proxy.ts";
import { connectionReason } from "../../../core/errors.ts";

/** People and their browsers wait. */
export const TIMEOUT_MS = 5000;
const MAX_BYTES = 524_288;

/** A provider that gave no usable answer; the next attempt may succeed. */
export class ProviderUnreachable extends Error {
  override readonly name = "ProviderUnreachable";
}

interface Call {
  readonly method?: string;
  readonly headers?: Record<string, string> | Headers;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

/**
 * Calls a provider by the outgoing proxy where one is set, with limits of time and size and without redirects. The
 * configuration names the provider, so its address may be private. @throws ProviderUnreachable
 */
export async function callProvider(proxy: ProxySettings, text: string, call: Call): Promise<Response> {
  const url = new URL(text);
  const answer = await (async () => {
    const through = outgoingProxyOf(proxy);
    return through && isProxied(through, targetOf(url)) ? requestProxied(through, url, call) : request(url, call);
  })().catch((error: unknown) => {
    throw error instanceof ProviderUnreachable
      ? error
      : new ProviderUnreachable(`${url.host} cannot be reached: ${connectionReason(error)}`, { cause: error });
  });
  if (answer.status >= 500) throw new ProviderUnreachable(`${url.host} answered ${answer.status}`);
  return answer;
}

async function request(url: URL, { method = "GET", headers = {}, body, signal }: Call): Promise<Response> {
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  const content = (body ?? null) as NonNullable<RequestInit["body"]> | null;
  const response = await fetch(url, {
    ...{ method, headers, body: content, redirect: "manual" },
    signal: signal ? AbortSignal.any([signal, limit]) : limit,
  });
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) throw new ProviderUnreachable(`the answer of ${url.host} is larger than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return answerOf(response.status, response.headers.get("content-type") ?? "", Buffer.concat(chunks));
}

async function requestProxied(
  through: Parameters<typeof requestThrough>[0],
  url: URL,
  { method, headers, body, signal }: Call,
): Promise<Response> {
  const answer = await requestThrough(through, url, {
    method: method === "POST" ? "POST" : "GET",
    headers: Object.fromEntries(new Headers(headers)),
    body: body === undefined || body === null ? undefined : Buffer.from(String(body)),
    ...{ maxBytes: MAX_BYTES, timeoutMs: TIMEOUT_MS, signal },
  });
  return answerOf(answer.status, answer.type, Buffer.from(answer.body));
}

function answerOf(status: number, type: string, body: Uint8Array<ArrayBuffer>): Response {
  const isEmpty = status === 204 || status === 304 || status < 200;
  return new Response(isEmpty ? null : body, { status: Math.max(200, status), headers: { "content-type": type } });
}
