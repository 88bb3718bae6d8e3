import { PrismError } from "../../src/client/errors.ts";
import { keepAnswer, keptAnswer } from "./offline.ts";
import { client } from "./session.ts";

export type { Page } from "../../src/client/api.ts";
export { PrismError };

/** Parameters of a query; undefined and empty ones are omitted. */
export type Query = Readonly<Record<string, string | number | boolean | null | undefined>>;

interface Extra {
  /** Bytes are sent unchanged. */
  readonly body?: unknown;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  readonly limitMs?: number | null;
  readonly credentials?: "same-origin";
}

function request<T>(method: string, path: string, query: Query, extra: Extra = {}): Promise<T> {
  const { value } = client;
  if (!value) return Promise.reject(new PrismError("NO_TOKEN", "You are signed out"));
  return value.api.request<T>({ method, path: `/api/v1${path}`, query: givenOf(query), ...extra });
}

function givenOf(query: Query) {
  return Object.fromEntries(Object.entries(query).filter(([, entry]) => entry !== null && entry !== ""));
}

/** The HTTP API of the session. Paths are below `/api/v1`. Every method throws PrismError. */
export const api = {
  /** Without a connection, the last answer that this browser has kept, if any. */
  async get<T>(path: string, query: Query = {}): Promise<T> {
    try {
      const answer = await request<T>("GET", path, query);
      void keepAnswer(path, query, answer);
      return answer;
    } catch (error) {
      return keptAnswer<T>(path, query, error);
    }
  },
  post: <T>(path: string, body: unknown = {}, query: Query = {}, extra: Omit<Extra, "body"> = {}) =>
    request<T>("POST", path, query, { ...extra, body }),
  put: <T>(path: string, body: unknown = {}, query: Query = {}, extra: Omit<Extra, "body"> = {}) =>
    request<T>("PUT", path, query, { ...extra, body }),
  patch: <T>(path: string, body: unknown = {}, extra: Omit<Extra, "body"> = {}) =>
    request<T>("PATCH", path, {}, { ...extra, body }),
  del: <T = void>(path: string, query: Query = {}, extra: Extra = {}) => request<T>("DELETE", path, query, extra),
  /** The answer as a file, such as an export. */
  async blob(path: string, query: Query = {}, accept = "*/*"): Promise<Blob> {
    const { value } = client;
    if (!value) throw new PrismError("NO_TOKEN", "You are signed out");
    const response = await value.api.open({
      method: "GET",
      path: path.startsWith("/api/") ? path : `/api/v1${path}`,
      query: givenOf(query),
      accept,
      limitMs: null,
    });
    return response.blob();
  },
};

/** For a request that is refused when another version is stored by now. */
export function ifMatch({ version }: { readonly version: number }) {
  return { headers: { "If-Match": `"${version}"` } };
}

/** A text for people: the message and the details of an error. */
export function errorText(error: unknown): string {
  if (!(error instanceof PrismError)) return error instanceof Error ? error.message : String(error);
  const isRepeated = (text = "") => error.message.toLowerCase().includes(text.toLowerCase());
  const others = (error.details ?? []).filter(({ message }) => !isRepeated(message));
  const details = others.map(({ path, message }) => (path ? `${path}: ${message}` : message));
  return [error.message, ...details].filter(Boolean).join(". ");
}
