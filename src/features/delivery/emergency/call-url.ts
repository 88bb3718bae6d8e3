import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { VERSION } from "../../../core/runtime.ts";

interface UrlCall {
  /** The body of a POST; without it the call is a GET. */
  readonly content?: Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Calls a URL of the configuration, on a connection of its own; redirects are not followed.
 * @returns its host's answer. @throws Error unless that is 200 to 299, with a text that has the
 * host only: the rest of the URL may be a secret
 */
export function callUrl(address: string, { content, headers }: UrlCall, limitMs: number): Promise<string> {
  const url = new URL(address);
  const length = content && { "Content-Length": content.length };
  const options = {
    method: content ? "POST" : "GET",
    headers: { "User-Agent": `Prism/${VERSION}`, ...headers, ...length },
    agent: false,
  };
  return new Promise((resolve, reject) => {
    const start = url.protocol === "https:" ? requestHttps : requestHttp;
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

/** The code or name of an error: its message may hold an address. */
export function nameOf(error: unknown): string {
  const { code, name } = Object(error) as { readonly code?: unknown; readonly name?: unknown };
  return String(code ?? name ?? "error");
}
