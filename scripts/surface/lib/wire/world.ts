import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Context, Served } from "../context.ts";
import { Conversation } from "./conversation.ts";
import { at } from "./json.ts";
import { STARTS_AT, type Transcript } from "./transcript.ts";

export const PUSHER = { key: "surface-key", secret: "surface-secret-of-the-app" };
/** Limits are off, passwords are hashed fast, and what is sent stays on this machine. */
export const SETTINGS = {
  NODE_ENV: "development",
  PRISM_AUTH_BCRYPT_COST: "4",
  PRISM_AUTH_REGISTRATION: "open",
  PRISM_LOG_LEVEL: "error",
  PRISM_MIN_FREE_BYTES: "0",
  PRISM_WEBHOOKS_ALLOW_PRIVATE_CIDRS: "127.0.0.0/8",
  PRISM_PUSHER_APP_ID: "1000",
  PRISM_PUSHER_KEY: PUSHER.key,
  PRISM_PUSHER_SECRET: PUSHER.secret,
  PRISM_RATE_LIMIT_ENABLED: "false",
};
export const PASSWORD = "correct horse battery staple";
/** People by their role on the server. */
export const ROLES = ["Admin", "RuleManager", "Operator", "User", "Viewer", "Auditor"];
export const MEMBERSHIPS = ["owner", "editor", "viewer"];
export const SCOPES = [
  ...["events:write", "events:read", "realtime:subscribe", "realtime:publish"],
  ...["notifications:send", "silences:write", "silences:broad"],
];

/** A server with a project, and people to ask as. */
export interface World {
  readonly server: Served;
  readonly talk: Conversation;
  readonly shop: string;
  readonly other: string;
  readonly adminId: string;
  /** Access tokens by role, and of people without a role by their membership in the shop. */
  readonly tokens: Readonly<Record<string, string>>;
  readonly users: Readonly<Record<string, string>>;
  /** Keys of the shop by scope, and `all`, which has each. */
  readonly keys: Readonly<Record<string, string>>;
  /** A server of others: it answers each request with 200. */
  readonly outside: string;
  /** Where resources are made: members of a request's body. */
  readonly place: Readonly<Record<string, string>>;
  /** The server's time. */
  now(): number;
  /** How many names were given on this server, so that each is new. */
  readonly names: { count: number };
  /** Environment of a server with the same clock. */
  readonly clock: Readonly<Record<string, string>>;
  /** Stops the server; {@link outside} goes on. */
  stop(): Promise<void>;
  close(): Promise<void>;
}

interface WorldOptions {
  /** Further settings. */
  readonly env?: Readonly<Record<string, string>>;
  /** Whether resources are made in the shop; default: in the default project. */
  readonly isInShop?: boolean;
  /** Folder of another build. */
  readonly dist?: string;
}

export async function makeWorld(
  context: Context,
  name: string,
  { env = {}, isInShop = false, dist = context.dist }: WorldOptions = {},
): Promise<World> {
  const sink = await startSink();
  const startedAt = Date.now();
  // Every server starts at the same time of day.
  const clock = { SURFACE_CLOCK: `${startedAt} ${STARTS_AT} 1` };
  const server = await context.serve(name, { ...SETTINGS, ...clock, ...env }, [], dist);
  const talk = new Conversation(server.url);
  await talk.signIn();
  const create = async (path: string, body: object): Promise<string> =>
    String(at(await talk.made("POST", path, body as never), "id"));
  const adminId = String(at(await talk.made("GET", "/api/v1/users/me"), "id"));
  const shop = await create("/api/v1/projects", { name: "shop" });
  const other = await create("/api/v1/projects", { name: "other" });
  const users: Record<string, string> = {};
  const tokens: Record<string, string> = {};
  await create("/api/v1/roles", { name: "Nothing", permissions: [] });
  const people = [...ROLES.map((role) => [role, role]), ...MEMBERSHIPS.map((member) => [member, "Nothing"])];
  for (const [person = "", role = ""] of people) {
    const username = MEMBERSHIPS.includes(person) ? `shop-${person}` : person.toLowerCase();
    await talk.made("POST", "/auth/register", { username, email: `${username}@example.com`, password: PASSWORD });
    const login = await talk.made("POST", "/auth/login", { login: username, password: PASSWORD });
    tokens[person] = String(at(login, "token"));
    users[person] = String(
      at(await talk.made("GET", "/api/v1/users/me", undefined, { token: tokens[person] ?? "" }), "id"),
    );
    await talk.made("PATCH", `/api/v1/users/${users[person]}`, { roles: [role] });
    if (MEMBERSHIPS.includes(person))
      await talk.made("POST", `/api/v1/projects/${shop}/members`, { userId: users[person] ?? "", role: person });
  }
  const keys: Record<string, string> = {};
  for (const scope of [...SCOPES, "all"]) {
    const scopes = scope === "all" ? SCOPES : [scope];
    const key = await talk.made("POST", `/api/v1/projects/${shop}/keys`, { name: scope, scopes });
    keys[scope] = String(at(key, "key"));
  }
  const { port } = sink.address() as AddressInfo;
  return {
    ...{ server, talk, shop, other, adminId, tokens, users, keys, outside: `http://127.0.0.1:${port}` },
    names: { count: 0 },
    place: isInShop ? { projectId: shop } : {},
    now: () => STARTS_AT + Date.now() - startedAt,
    clock,
    stop: () => server.stop(),
    async close() {
      talk.close();
      await server.stop();
      sink.closeAllConnections();
      sink.close();
    },
  };
}

/** Gives ids and secrets of the world their names in a transcript. */
export function nameWorld(transcript: Transcript, world: World): void {
  transcript.name(world.adminId, "dev");
  transcript.name(world.talk.adminToken, "token of dev");
  transcript.name(world.shop, "shop");
  transcript.name(world.other, "other project");
  for (const [person, id] of Object.entries(world.users)) transcript.name(id, person);
  for (const [person, token] of Object.entries(world.tokens)) transcript.name(token, `token of ${person}`);
  for (const [scope, key] of Object.entries(world.keys)) transcript.name(key, `key ${scope}`);
}

function startSink(): Promise<Server> {
  const sink = createServer((request, response) => {
    request.resume().once("end", () => response.writeHead(200, { "Content-Type": "application/json" }).end("{}"));
  });
  return new Promise((resolve) => {
    sink.listen(0, "127.0.0.1", () => resolve(sink));
  });
}
