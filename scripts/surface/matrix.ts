// Which caller gets which status from each route: a line a route, with a request that succeeds if the
// caller may make it.
import type { Context } from "./lib/context.ts";
import { type ApiDocument, baselineDocument, type Operation } from "./lib/wire/document.ts";
import { at, type JsonObject } from "./lib/wire/json.ts";
import { inLanes } from "./lib/wire/lanes.ts";
import { distinct, filled, PREPARATIONS } from "./lib/wire/makers.ts";
import { sampleOf } from "./lib/wire/samples.ts";
import { MEMBERSHIPS, makeWorld, ROLES, SCOPES, type World } from "./lib/wire/world.ts";

interface Caller {
  readonly name: string;
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Without an end. */
const STREAM = /\/(?:sse|stream)$/;

export async function record(context: Context): Promise<void> {
  const document = await baselineDocument(context);
  const operations = document.operations.filter(({ aliasOf }) => aliasOf === null);
  const parts = [true, false].flatMap((isInShop) =>
    [...new Set(operations.map(({ tag }) => tag))].map((tag) => ({ tag, isInShop })),
  );
  const lines = new Map<string, string>();
  await inLanes(parts, async ({ tag, isInShop }) => {
    const world = await makeWorld(context, `${tag}-${isInShop}`, { isInShop });
    const all = await callersOf(world);
    // In the default project server roles decide.
    const callers = isInShop ? all : all.filter(({ name }) => ROLES.includes(name) || name.startsWith("token"));
    for (const operation of operations) {
      if (operation.tag === tag)
        lines.set(`${isInShop} ${nameOf(operation)}`, await lineOf(document, world, callers, operation));
    }
    await world.close();
  });
  for (const [name, isInShop] of [["shop.txt", true] as const, ["default-project.txt", false] as const])
    context.write(name, operations.map((each) => lines.get(`${isInShop} ${nameOf(each)}`) ?? "").join("\n"));
}

const nameOf = ({ method, path }: Operation): string => `${method} ${path}`;

/** Everybody by what they may; people of the shop have no right besides their membership. */
async function callersOf({ talk, tokens, keys, other }: World): Promise<Caller[]> {
  const foreign = await talk.made("POST", `/api/v1/projects/${other}/keys`, { name: "foreign", scopes: SCOPES });
  const service = await talk.made("POST", "/api/v1/users/me/tokens", { name: "narrow", scopes: ["rules:read"] });
  return [
    { name: "nobody", token: null },
    { name: "wrong", token: "wrong" },
    ...[...ROLES, ...MEMBERSHIPS].map((name) => ({ name, token: tokens[name] ?? "" })),
    ...SCOPES.map((scope) => ({ name: `key:${scope}`, headers: { "X-API-Key": keys[scope] ?? "" } })),
    { name: "foreign-key", headers: { "X-API-Key": String(at(foreign, "key")) } },
    { name: "token:rules:read", token: String(at(service, "token")) },
  ];
}

/** The answers, each with those who get it. */
async function lineOf(
  document: ApiDocument,
  world: World,
  callers: readonly Caller[],
  operation: Operation,
): Promise<string> {
  // Requests about the own account end sessions.
  await world.talk.signIn();
  const byAnswer = new Map<string, string[]>();
  let target: string | null = null;
  for (const { name, ...credential } of callers) {
    target ??= await targetOf(document, world, operation);
    const method = operation.method === "GET" && STREAM.test(operation.path) ? "HEAD" : operation.method;
    const body = bodyOf(document, world, operation);
    const asked = { ...credential, ...(body === undefined || method === "GET" ? {} : { body }) };
    const answer = await world.talk.patiently({ method, path: target, ...asked });
    const code = at(answer.body, "error", "code");
    const outcome = typeof code === "string" ? `${answer.status} ${code}` : `${answer.status}`;
    byAnswer.set(outcome, [...(byAnswer.get(outcome) ?? []), name]);
    if (answer.status < 400 && operation.method !== "GET") target = null;
  }
  const parts = [...byAnswer].map(([answer, names]) => `${answer}: ${names.join(" ")}`);
  return `${nameOf(operation)} | ${parts.join(" | ")}`;
}

async function targetOf(document: ApiDocument, world: World, operation: Operation): Promise<string> {
  const path = await filled(document, world, operation.path);
  await PREPARATIONS[operation.id]?.(world, path);
  const query = operation.query
    .filter(({ name, required }) => required || (name === "projectId" && "projectId" in world.place))
    .map(({ name, schema }) => `${name}=${encodeURIComponent(String(sampleOf(document, schema, name)))}`);
  return query.length > 0 ? `${path}?${query.join("&")}` : path;
}

function bodyOf(document: ApiDocument, world: World, { bodies }: Operation): JsonObject | undefined {
  const { schema, example } = bodies["application/json"] ?? {};
  if (schema === undefined || example === undefined) return undefined;
  const place = "projectId" in document.membersOf(schema) ? world.place : {};
  return { ...distinct(example, world), ...place };
}
