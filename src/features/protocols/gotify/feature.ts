import * as v from "valibot";
import type { Config } from "../../../config/load.ts";
import { runAs } from "../../../core/caller.ts";
import { originOf } from "../../../core/crypto/tokens.ts";
import { ANSWERS_LATER, type Method, Reply, type Route, route, undescribed } from "../../../http/api/route.ts";
import { RateLimiter, requireAllowed } from "../../../http/limits/rate-limiter.ts";
import { hasTokenScope } from "../../../http/server/access.ts";
import { requestCaller } from "../../../http/server/credentials.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import { MEDIA_HEADERS } from "../../../http/server/headers.ts";
import { type Context, feature } from "../../../module/feature.ts";
import { sealedColumn } from "../../../store/sealed-column.ts";
import * as a from "./applications.ts";
import { GotifyAuth, type GotifyVisitor, type UserVisitor } from "./auth.ts";
import { asGotifyError, badRequest, errorBodyOf, forbidden, GotifyError, unauthenticated } from "./errors.ts";
import { idOf, integerField, readFields, readFile } from "./fields.ts";
import { tokenImports } from "./import-tokens.ts";
import { isRecent, Messages, type MessagesParts, pageOf } from "./messages.ts";
import { GotifyStreams } from "./streams.ts";

type GotifyContext = Context<"principals" | "passwordOwner" | "notify" | "announcer" | "marks" | "projects"> &
  Pick<MessagesParts, "consoleUrl">;

interface Open {
  readonly own: GotifyContext;
  readonly auth: GotifyAuth;
  readonly messages: Messages;
  readonly streams: GotifyStreams;
  readonly applications: a.ApplicationsParts;
  /** Counts a message of a person. @throws RATE_LIMITED */
  takeRate(userId: string): void;
  count(result: "accepted" | "refused"): void;
}

/** Messages of all applications of a person: 60 a second, as of a receiver. */
const BURST = 600;
const BURST_MS = 10_000;

const PREFIX = "/gotify";
/** Clients were written for this version; tokens of version 3 are longer than some of them accept. */
const GOTIFY_VERSION = "2.6.3";
const VERSION_INFO = { version: GOTIFY_VERSION, commit: "prism", buildDate: "2026-01-01T00:00:00Z" };
const MAX_BODY_BYTES = 1_048_576;
const FORM_BYTES = 65_536;
const common = { tag: "Gotify", undocumented: true, response: undescribed, access: "public" } as const;

/** The API of Gotify: applications send messages to their owner, whose clients read them. */
export const gotifyFeature = feature("gotify", {
  needs: ["principals", "passwordOwner", "notify", "announcer", "marks", "projects"],
  sealedColumns: [sealedColumn("gotify_applications", "sealedToken", a.gotifySealContext, { id: "tokenHash" })],
  register(server, given) {
    const { settings } = given;
    const context = { ...given, consoleUrl: () => consoleUrlOf(settings.current) };
    const opened = open(context);
    for (const each of [...routesOf(opened), ...tokenImports(opened.applications)]) server.route(each);
  },
});

/** Known only with a `publicUrl`: a link to localhost is useless on a phone. */
function consoleUrlOf({ publicUrl }: Pick<Config, "publicUrl">): string | undefined {
  return publicUrl && `${publicUrl.replace(/\/+$/, "")}/dashboard`;
}

function isFaceOrigin({ gotify: { hosts } }: Pick<Config, "gotify">, origin: string): boolean {
  return URL.canParse(origin) && hosts.includes(new URL(origin).hostname);
}

function open(own: GotifyContext): Open {
  const { kernel, db, clock, box, audit, settings, marks } = own;
  kernel.addDialect({ prefix: `${PREFIX}/`, challenges: false, errorBody: errorBodyOf });
  const auth = new GotifyAuth(own);
  const messages = new Messages(own);
  const streams = new GotifyStreams({
    ...{ ...own, auth, messages },
    allowsOrigin: (origin) => own.allowsOrigin(origin) || isFaceOrigin(settings.current, origin),
    markDelivered: (userId, offset) => marks.one(userId, offset),
    isMirror: (projectId) => own.projects.isMirror(projectId),
  });
  own.announcer.onNotifications(streams.notified);
  own.listener.mount((app, entrance) => {
    if (!entrance.isControl) streams.mount(app, entrance);
  });
  const limiter = new RateLimiter(clock, undefined, BURST_MS);
  const takeRate = (userId: string): void => {
    if (own.settings.rateLimit.enabled) requireAllowed(limiter.take(userId, BURST), "Too many messages");
  };
  const counter = own.metrics.counter("prism_gotify_messages_total", "Messages sent to Gotify's API, by result");
  const applications = { db, clock, box, audit, messages };
  return { own, auth, messages, streams, applications, takeRate, count: (result) => counter({ result }).add(1) };
}

type Handle<V> = (visitor: V, exchange: Exchange, body: Buffer) => unknown;

function routesOf(context: Open): Route[] {
  return [...publicRoutes(context), ...messageRoutes(context), ...applicationRoutes(context), ...clientRoutes(context)];
}

/** A route for a valid credential of any kind. */
function anyRoute(
  context: Open,
  method: Method,
  path: string,
  handle: Handle<GotifyVisitor>,
  maxBodyBytes?: number,
): Route {
  const { auth } = context;
  const hasBody = method === "POST" || method === "PUT";
  return route({
    ...common,
    method,
    path: `${PREFIX}/${path}`,
    summary: "Gotify's API",
    limit: auth.begin,
    ...(hasBody ? { body: v.unknown(), raw: { types: ["*"], gzip: false, exact: true } } : {}),
    maxBodyBytes: maxBodyBytes ?? MAX_BODY_BYTES,
    handle: async (exchange, input) => {
      // The bytes are only valid until this returns.
      const body = Buffer.isBuffer(input.body) ? Buffer.from(input.body) : Buffer.alloc(0);
      try {
        const visitor = await auth.visitor(exchange);
        return await runAs(
          requestCaller(exchange),
          async () => (await handle(visitor, exchange, body)) ?? empty(exchange),
        );
      } catch (error) {
        return refused(exchange, error);
      }
    },
  });
}

/** A route for users: by a client's token, a password or a credential of Prism. */
function userRoute(context: Open, method: Method, path: string, handle: Handle<UserVisitor>, maxBytes?: number): Route {
  const forUser: Handle<GotifyVisitor> = async (visitor, exchange, body) => {
    if (visitor.kind === "application") throw unauthenticated();
    await touch(context, visitor);
    return handle(visitor, exchange, body);
  };
  return anyRoute(context, method, path, forUser, maxBytes);
}

/** A limited service token must not make a credential that outlives it. @throws GotifyError 403 */
function requireAccountScope(principal: UserVisitor["principal"]): void {
  if (!mayMakeCredentials(principal)) throw forbidden();
}

function mayMakeCredentials(principal: UserVisitor["principal"]): boolean {
  return hasTokenScope(principal, ["account:own"]);
}

/** Stores the last use of a client, at most every few minutes. */
async function touch({ own }: Open, { client }: UserVisitor): Promise<void> {
  const now = own.clock.now();
  if (!client || isRecent(client.row.lastUsedAt, now)) return;
  const { id } = client.row;
  await own.db.write((trx) =>
    trx.updateTable("gotify_clients").set({ lastUsedAt: now }).where("id", "=", id).execute(),
  );
}

/** Gotify answers deletions with no body, as JSON. */
function empty(exchange: Exchange): typeof ANSWERS_LATER {
  exchange.sendJson(200, "");
  return ANSWERS_LATER;
}

function refused(exchange: Exchange, thrown: unknown): typeof ANSWERS_LATER {
  const error = asGotifyError(thrown);
  if (!(error instanceof GotifyError)) throw error;
  exchange.sendJson(error.status, JSON.stringify(error.body));
  return ANSWERS_LATER;
}

function publicRoutes({ own, auth }: Open): Route[] {
  const { kernel, db } = own;
  const open = (path: string, handle: (exchange: Exchange) => unknown): Route =>
    route({
      ...common,
      method: "GET",
      path: `${PREFIX}${path}`,
      summary: "Gotify's API",
      limit: (exchange) => kernel.limitAddress(exchange),
      handle,
    });
  const ready = { health: "green", database: "green" };
  return [
    open("", () => ({ ...VERSION_INFO, description: "Gotify's API, served by Prism" })),
    open("/version", () => VERSION_INFO),
    open("/gotifyinfo", () => ({ version: GOTIFY_VERSION, register: false, oidc: false })),
    { ...open("/health", () => ready), unlimited: true },
    open("/static/defaultapp.png", (exchange) => sendImage(exchange, "image/png", DEFAULT_IMAGE)),
    open("/image/:name", async (exchange) => {
      const name = exchange.params["name"] ?? "";
      const image = await db.read.selectFrom("gotify_images").selectAll().where("name", "=", name).executeTakeFirst();
      if (!image) return refused(exchange, new GotifyError(404, "page not found"));
      return sendImage(exchange, image.type, image.bytes);
    }),
    {
      ...open("/stream", async (exchange) => {
        const visitor = await auth.visitor(exchange).catch(() => null);
        return refused(exchange, visitor === null ? unauthenticated() : badRequest("this path speaks WebSocket"));
      }),
      limit: auth.begin,
    },
  ];
}

function sendImage(exchange: Exchange, type: string, bytes: Uint8Array): typeof ANSWERS_LATER {
  const headers = { "Content-Type": type, "Cache-Control": "public, max-age=86400" };
  exchange.send(200, bytes, headers, { fixedHeaders: MEDIA_HEADERS });
  return ANSWERS_LATER;
}

function messageRoutes(context: Open): Route[] {
  const { messages, own } = context;
  const ofApplication = async (visitor: UserVisitor, exchange: Exchange): Promise<number> => {
    const id = idOf(exchange);
    const { userId } = visitor.principal;
    if (id !== a.INTERNAL.id) await a.findApplication(own.db.read, userId, id, "application does not exist");
    return id;
  };
  return [
    anyRoute(context, "POST", "message", async (visitor, exchange, body) => {
      try {
        context.takeRate(visitor.kind === "application" ? visitor.application.userId : visitor.principal.userId);
        const fields = await readFields(exchange, body);
        const application =
          visitor.kind === "application" ? visitor.application : await named(context, visitor, fields);
        const origin = exchange.header("x-prism-origin");
        const isOwn = origin !== "" && origin === originOf(own.config.secrets.access);
        const sent = await messages.send(application, fields, { isOwn });
        context.count("accepted");
        return new Reply(200, sent);
      } catch (error) {
        context.count("refused");
        throw error;
      }
    }),
    userRoute(context, "GET", "message", ({ principal }, { queryText }) =>
      messages.list(principal.userId, null, pageOf(queryText)),
    ),
    userRoute(context, "DELETE", "message", ({ principal }) => messages.removeAll(principal.userId, null)),
    userRoute(context, "DELETE", "message/:id", ({ principal }, exchange) =>
      messages.remove(principal.userId, idOf(exchange)),
    ),
    userRoute(context, "GET", "application/:id/message", async (visitor, exchange) =>
      messages.list(visitor.principal.userId, await ofApplication(visitor, exchange), pageOf(exchange.queryText)),
    ),
    userRoute(context, "DELETE", "application/:id/message", async (visitor, exchange) =>
      messages.removeAll(visitor.principal.userId, await ofApplication(visitor, exchange)),
    ),
  ];
}

/** The application that a user's request names. @throws GotifyError 400 */
async function named({ own }: Open, { principal }: UserVisitor, fields: Awaited<ReturnType<typeof readFields>>) {
  const id = integerField(fields, "appid");
  if (id === undefined) throw badRequest("appid is required when not authenticating with an application token");
  return a.findApplication(own.db.read, principal.userId, id).catch((error: unknown) => {
    throw error instanceof GotifyError ? badRequest("appid not found") : error;
  });
}

function applicationRoutes(context: Open): Route[] {
  const { applications: parts } = context;
  return [
    userRoute(context, "GET", "application", async ({ principal }) => {
      const applications = await a.listApplications(parts, principal.userId);
      return mayMakeCredentials(principal) ? applications : applications.map((each) => ({ ...each, token: "" }));
    }),
    userRoute(
      context,
      "POST",
      "application",
      async ({ principal }, exchange, body) => {
        requireAccountScope(principal);
        return a.createApplication(parts, principal.userId, await readFields(exchange, body));
      },
      FORM_BYTES,
    ),
    userRoute(
      context,
      "PUT",
      "application/:id",
      async ({ principal }, exchange, body) => {
        requireAccountScope(principal);
        return a.updateApplication(parts, principal.userId, idOf(exchange), await readFields(exchange, body));
      },
      FORM_BYTES,
    ),
    userRoute(
      context,
      "PUT",
      "application/:id/security",
      async ({ principal }, exchange, body) => {
        requireAccountScope(principal);
        return a.secureApplication(parts, principal.userId, idOf(exchange), await readFields(exchange, body));
      },
      FORM_BYTES,
    ),
    userRoute(context, "DELETE", "application/:id", ({ principal }, exchange) =>
      a.deleteApplication(parts, principal.userId, idOf(exchange)),
    ),
    userRoute(
      context,
      "POST",
      "application/:id/image",
      async ({ principal }, exchange, body) =>
        a.setImage(parts, principal.userId, idOf(exchange), await readFile(exchange, body, "file")),
      a.MAX_IMAGE_BYTES + FORM_BYTES,
    ),
    userRoute(context, "DELETE", "application/:id/image", ({ principal }, exchange) =>
      a.setImage(parts, principal.userId, idOf(exchange), null),
    ),
  ];
}

function clientRoutes(context: Open): Route[] {
  const { applications: parts, streams } = context;
  const refuse = (): never => {
    throw forbidden();
  };
  return [
    userRoute(context, "GET", "client", (visitor) => a.listClients(parts, visitor)),
    userRoute(
      context,
      "POST",
      "client",
      async ({ principal }, exchange, body) => {
        requireAccountScope(principal);
        return a.createClient(parts, principal.userId, await readFields(exchange, body));
      },
      FORM_BYTES,
    ),
    userRoute(
      context,
      "PUT",
      "client/:id",
      async ({ principal }, exchange, body) =>
        a.renameClient(parts, principal.userId, idOf(exchange), await readFields(exchange, body)),
      FORM_BYTES,
    ),
    userRoute(context, "DELETE", "client/:id", async ({ principal }, exchange) => {
      await a.deleteClient(parts, principal.userId, idOf(exchange));
      streams.clientDeleted(principal.userId);
    }),
    userRoute(context, "GET", "current/user", ({ principal }) => userView(principal)),
    userRoute(context, "GET", "plugin", () => []),
    // Accounts are managed by Prism's own API.
    userRoute(context, "POST", "current/user/password", refuse, FORM_BYTES),
    userRoute(context, "GET", "user", refuse),
    userRoute(context, "POST", "user", refuse, FORM_BYTES),
    userRoute(context, "GET", "user/:id", refuse),
    userRoute(context, "POST", "user/:id", refuse, FORM_BYTES),
    userRoute(context, "DELETE", "user/:id", refuse),
  ];
}

/** Clients need a number: the last 48 bits of the id, which are random. */
function userView({ userId, name }: UserVisitor["principal"]) {
  return { id: Number.parseInt(userId.slice(-12), 16), name, admin: false };
}

const DEFAULT_IMAGE = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAGAAAABgAQMAAADYVuV7AAAABlBMVEUdTtj///8esvnGAAAArUlEQVR42uXTsRGFIBBFURkCQkqg" +
    "FEqD0izFEggNHN4XcRf3y1bgJnIC8A6jy/LhMVmDXTW47QFfNIRdQzw0pPoAoMAAeQ4LjFIHbHN4oMwRgFEaahqINY3SdMQ6B/aA" +
    "KQyK51KLzXGpwLmyXCpw7jZc2s7lUoHWwqUCbcGlAm0zlV7voFKBK4VKBa4nlfqOQtH3Kf1y2+xvxI7jjdRR74+gzwuGkP9hCetX" +
    "f/EfHiDHliKmKLoAAAAASUVORK5CYII=",
  "base64",
);
