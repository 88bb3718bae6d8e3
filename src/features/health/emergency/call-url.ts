import {
  isProxied,
  type OutgoingProxy,
  outgoingProxyOf,
  ProxyFailed,
  type ProxySettings,
  requestThrough,
  targetOf,
} from "../../../config/outgoing-proxy.ts";
import { VERSION } from "../../../core/runtime.ts";

interface UrlCall {
  /** The body of a POST; without it the call is a GET. */
  readonly content?: Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  readonly proxy?: ProxySettings | undefined;
}

/**
 * Calls a URL of the configuration, on a connection of its own; redirects are not followed.
 * @returns its host's answer. @throws Error unless that is 200 to 299, with a text that has the
 * host only: the rest of the URL may be a secret
 */
export function callUrl(address: string, call: UrlCall, limitMs: number): Promise<string> {
  const { content, headers, proxy } = call;
  const url = new URL(address);
  const through = proxy ? outgoingProxyOf(proxy) : null;
  if (through && isProxied(through, targetOf(url))) return callThrough(through, url, call, limitMs);
  const length = content && { "Content-Length": content.length };
  const options = {
    method: content ? "POST" : "GET",
    headers: { "User-Agent": `Prism/${VERSION}`, ...headers, ...length },
    agent: false,
  };
  return new Promise((resolve, reject) => {
    const start = process.getBuiltinModule(url.protocol === "https:" ? "node:https" : "node:http").request;
    const signal = AbortSignal.timeout(limitMs);
    const request = start(url, { ...options, signal }, (response) => {
      const status = response.statusCode ?? 0;
      response.destroy();
      if (status >= 200 && status < 300) resolve(`${url.host} answered ${status}`);
      else reject(new Error(`${url.host} answered ${status}`));
    });
    request.on("error", (error) =>
      reject(new Error(`${url.host} was not reached (${signal.aborted ? "no answer in time" : nameOf(error)})`)),
    );
    request.end(content);
  });
}

async function callThrough(
  proxy: OutgoingProxy,
  url: URL,
  { content, headers = {} }: UrlCall,
  limitMs: number,
): Promise<string> {
  const given = { "User-Agent": `Prism/${VERSION}`, ...headers };
  const method = content ? "POST" : "GET";
  const { status } = await requestThrough(proxy, url, {
    ...{ method, headers: given, body: content, maxBytes: 0, timeoutMs: limitMs },
  }).catch((error: unknown) => {
    const why = error instanceof ProxyFailed ? error.message : nameOf(error);
    throw new Error(`${url.host} was not reached (${why})`);
  });
  if (status >= 200 && status < 300) return `${url.host} answered ${status}`;
  throw new Error(`${url.host} answered ${status}`);
}

/** The code or name of an error: its message may hold an address. */
export function nameOf(error: unknown): string {
  const { code, name } = Object(error) as { readonly code?: unknown; readonly name?: unknown };
  return String(code ?? name ?? "error");
}
