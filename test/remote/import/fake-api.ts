import { createServer } from "node:http";
import { listening } from "../../helpers/listening.ts";
import type { Scope } from "../../helpers/scope.ts";

export interface FakeApi {
  readonly url: string;
  readonly requests: { readonly method: string; readonly path: string; readonly authorization: string }[];
  /** Statuses of some paths in place of their answers. */
  readonly statuses: Map<string, number>;
}

/** An API that only answers, by path without the query. @param prefix of its paths */
export async function fakeApi(
  t: Scope,
  answers: (url: string) => Readonly<Record<string, unknown>>,
  prefix = "",
): Promise<FakeApi> {
  const api: FakeApi = { url: "", requests: [], statuses: new Map() };
  const server = createServer((request, response) => {
    const { method = "", url: path = "", headers } = request;
    api.requests.push({ method, path, authorization: headers.authorization ?? "" });
    const { pathname, search } = new URL(path, api.url);
    const known = answers(api.url);
    const answer = known[`${pathname}${decodeURIComponent(search)}`] ?? known[pathname];
    const status = api.statuses.get(pathname) ?? (answer === undefined ? 404 : 200);
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(status === 200 ? answer : { message: "no" }));
  });
  const port = await listening(t, server);
  Object.assign(api, { url: `http://127.0.0.1:${port}${prefix}` });
  return api;
}
