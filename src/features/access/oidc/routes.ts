import * as v from "valibot";
import { PrismError } from "../../../core/errors.ts";
import { Reply, type Route, route, undescribed } from "../../../http/api/route.ts";
import { doc, example, named, object, text } from "../../../http/api/shapes.ts";
import { holderOf, userOf } from "../../../http/server/access.ts";
import type { Context } from "../../../module/feature.ts";
import { providersOf } from "../sessions/local-login.ts";
import { password } from "../sessions/schema.ts";
import { clientOf } from "../sessions/sessions.ts";
import { requireRecentProof } from "../sessions/ways-in.ts";
import { findUser } from "../users/queries.ts";
import { listIdentities, prepareIdentity, unlinkIdentity } from "./identities.ts";

type RouteContext = Context<"accounts" | "deletions" | "oidc">;

const MAX_TOKEN_BYTES = 16_384;
const ACCOUNT_PAGE = "/account/security";
const NAME = object({ name: doc(v.string(), "Name of the provider") });

/** What browsers and providers call; people come here by links. */
export function flowRoutes({ oidc }: RouteContext): Route[] {
  const shared = { tag: "Authentication", access: "public", params: NAME } as const;
  const page = { ...shared, method: "GET", undocumented: true, response: undescribed } as const;
  return [
    route({
      ...page,
      path: "/auth/oidc/:name",
      summary: "Lead to the sign-in page of a provider",
      attempts: "address",
      query: object({ returnTo: v.optional(v.string()) }),
      async handle(exchange, { params: { name }, query }) {
        return (await oidc.parts()).flow.start(exchange, name, query.returnTo);
      },
    }),
    route({
      ...page,
      path: "/auth/oidc/:name/callback",
      summary: "The way back from a provider",
      attempts: "address",
      async handle(exchange, { params: { name } }) {
        return (await oidc.parts()).flow.callback(exchange, name);
      },
    }),
    route({
      ...shared,
      method: "POST",
      path: "/auth/oidc/:name/backchannel-logout",
      summary: "End the sessions that a provider names in a signed logout token",
      undocumented: true,
      response: undescribed,
      body: v.unknown(),
      raw: { types: ["application/x-www-form-urlencoded"], gzip: false },
      maxBodyBytes: MAX_TOKEN_BYTES,
      errors: ["NOT_FOUND", "PROVIDER_UNREACHABLE"],
      async handle(_exchange, { params: { name }, body }) {
        const form = new URLSearchParams(Buffer.from(body as Uint8Array).toString());
        const { providers } = await oidc.parts();
        await providers.logOut(name, form.get("logout_token") ?? "");
        return new Reply(200, undefined);
      },
    }),
  ];
}

const IdentityView = named(
  "Identity",
  "An account of a provider that signs the user in",
  v.object({
    id: v.string(),
    issuer: doc(v.string(), "The provider; `proxy:<name>` for the header of a proxy"),
    subject: doc(v.string(), "Who it is at the provider"),
    provider: doc(v.nullable(v.string()), "Name of the provider in the configuration"),
    name: doc(v.nullable(v.string()), "What the provider calls the person"),
    linkedAt: v.string(),
    lastUsedAt: v.nullable(v.string()),
  }),
);
const Identities = v.object({ data: v.array(IdentityView) });
const USER = object({ id: doc(v.string(), "Id of the user") });
const OWN = "/api/v1/users/me/identities";
const OF_USER = "/api/v1/users/:id/identities";
const PROVIDER = doc(text(80, 1), "Name of the provider; `proxy:<header>` for the header of a proxy");

/** The accounts of providers that users are linked with. */
export function identityRoutes({ accounts, deletions, oidc, db, settings }: RouteContext): Route[] {
  const own = { tag: "Users", access: {} } as const;
  const managing = { tag: "Users", access: { permission: "users:manage" } } as const;
  return [
    route({
      ...own,
      method: "GET",
      path: OWN,
      id: "listIdentities",
      summary: "List the accounts of providers that sign the caller in",
      returns: "The linked accounts",
      response: Identities,
      handle: async (exchange) => ({ data: await listIdentities(db.read, userOf(exchange).userId) }),
    }),
    route({
      ...own,
      method: "POST",
      path: OWN,
      id: "linkIdentity",
      summary: "Begin to link an account of a provider: open the URL in the same browser",
      body: example(
        object({
          provider: PROVIDER,
          password: v.optional(doc(password, "Password; needed unless the session was opened in the last ten minutes")),
        }),
        { provider: "company", password: "correct horse battery staple" },
      ),
      status: 201,
      response: v.object({ url: doc(v.string(), "The sign-in page of the provider") }),
      errors: [
        ...(["NOT_FOUND", "INVALID_CREDENTIALS", "INVALID_STATE", "OVERLOADED"] as const),
        ...(["PROVIDER_REFUSED", "PROVIDER_UNREACHABLE"] as const),
      ],
      async handle(exchange, { body }) {
        const { userId, sessionId } = userOf(exchange);
        if (!settings.current.auth.oidc.some(({ name }) => name === body.provider))
          throw new PrismError("NOT_FOUND", "There is no such provider");
        if (sessionId === null) throw new PrismError("FORBIDDEN", "Sign in: an account is linked with a session");
        await requireRecentProof(accounts, { userId, sessionId }, body.password, clientOf(exchange));
        const { flow } = await oidc.parts();
        const { url, cookie } = await flow.begin(body.provider, ACCOUNT_PAGE, { userId, sessionId });
        return new Reply(201, { url }, { "Set-Cookie": cookie });
      },
    }),
    route({
      ...own,
      method: "DELETE",
      path: `${OWN}/:identityId`,
      id: "unlinkIdentity",
      summary: "Unlink an account of a provider; one way to sign in stays",
      params: object({ identityId: doc(v.string(), "Id of the linked account") }),
      status: 204,
      errors: ["IDENTITY_NOT_FOUND", "INVALID_STATE"],
      async handle(exchange, { params: { identityId: id } }) {
        const { userId, sessionId } = userOf(exchange);
        await unlinkIdentity(accounts, { id, userId, keepSession: sessionId }, null);
      },
    }),
    route({
      ...managing,
      method: "GET",
      path: OF_USER,
      id: "listIdentitiesOfUser",
      summary: "List the accounts of providers that sign a user in",
      returns: "The linked accounts",
      params: USER,
      response: Identities,
      errors: ["USER_NOT_FOUND"],
      async handle(_exchange, { params: { id } }) {
        await findUser(db.read, id);
        return { data: await listIdentities(db.read, id) };
      },
    }),
    route({
      ...managing,
      method: "POST",
      path: OF_USER,
      id: "prepareIdentity",
      summary: "Link a user with an account of a provider by its subject, before or after it has signed in",
      params: USER,
      body: example(
        object({
          provider: PROVIDER,
          subject: doc(text(255, 1), "Value of the provider's `userClaim`, such as `sub`"),
        }),
        { provider: "company", subject: "248289761001" },
      ),
      status: 201,
      response: v.object({ id: v.string() }),
      errors: ["USER_NOT_FOUND", "NOT_FOUND", "IDENTITY_TAKEN", "INVALID_STATE", "PRIVILEGE_ESCALATION"],
      async handle(exchange, { params: { id }, body: { provider, subject } }) {
        const issuer = providersOf(settings.current).find(({ name }) => name === provider)?.issuer;
        if (issuer === undefined) throw new PrismError("NOT_FOUND", "There is no such provider");
        const identity = { issuer, subject, provider };
        return new Reply(201, { id: await prepareIdentity(accounts, id, identity, holderOf(exchange), deletions) });
      },
    }),
    route({
      ...managing,
      method: "DELETE",
      path: `${OF_USER}/:identityId`,
      id: "unlinkIdentityOfUser",
      summary: "Unlink an account of a provider from a user; the sessions that it opened end",
      params: object({ ...USER.entries, identityId: doc(v.string(), "Id of the linked account") }),
      status: 204,
      errors: ["IDENTITY_NOT_FOUND", "PRIVILEGE_ESCALATION"],
      handle: (exchange, { params: { id: userId, identityId: id } }) =>
        unlinkIdentity(accounts, { id, userId, keepSession: null }, holderOf(exchange)),
    }),
  ];
}
