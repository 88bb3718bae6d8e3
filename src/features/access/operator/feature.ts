import * as v from "valibot";
import { PrismError } from "../../../core/errors.ts";
import { TOKEN_SCOPES } from "../../../core/permissions.ts";
import { cleanText } from "../../../core/text/clean-text.ts";
import { type Route, route, undescribed } from "../../../http/api/route.ts";
import { instant, object, queryBoolean, text, uuid } from "../../../http/api/shapes.ts";
import { type Context, feature } from "../../../module/feature.ts";
import { dropPasskey } from "../passkeys/manage.ts";
import { relyingPartyOf } from "../passkeys/relying-party.ts";
import { passkeyView } from "../passkeys/routes.ts";
import { passkeysOf } from "../passkeys/stored.ts";
import { requireStrong } from "../passwords/password-text.ts";
import { setPassword } from "../sessions/login.ts";
import { password } from "../sessions/schema.ts";
import { createSignInLink } from "../sessions/sign-in-link.ts";
import { createServiceToken, createUser, revokeServiceToken } from "../users/create-user.ts";
import { findUserRef, getUser, listKeys, listTokens, listUsers } from "./queries.ts";

type OperatorContext = Context<"accounts" | "principals" | "projects">;

const STATUS = v.picklist(["pending", "active", "disabled", "unverified"]);
const REF = v.pipe(v.string(), v.minLength(1), v.maxLength(255));
const BY_REF = object({ ref: REF });
const BY_ID = object({ id: v.string() });
/** On the control socket only: the command line shows accounts and credentials of all users. */
const shared = { tag: "Operator", access: { operatorOnly: true }, undocumented: true, response: undescribed } as const;
const PATH = "/api/v1/operator";

/** Operations of the server's operator that no permission gives to others. */
export const operatorFeature = feature("operator", {
  needs: ["accounts", "principals", "projects"],
  register(server, context) {
    const people = [...userRoutes(context), ...passwordRoutes(context), ...passkeyRoutes(context)];
    for (const each of [...people, ...tokenRoutes(context), ...keyRoutes(context)]) server.route(each);
  },
});

const NewUser = object({
  id: v.optional(uuid),
  externalId: v.optional(text(128, 1)),
  email: v.optional(text(255, 1)),
  username: v.optional(text(255, 1)),
  phone: v.optional(text(255, 1)),
  name: v.optional(text(255)),
  status: STATUS,
  roles: v.array(text(100, 1)),
  password: v.optional(password),
});

function userRoutes({ db, accounts }: OperatorContext): Route[] {
  return [
    route({
      ...shared,
      method: "GET",
      path: `${PATH}/users`,
      summary: "List users, oldest first",
      query: object({
        email: v.optional(v.string()),
        username: v.optional(v.string()),
        role: v.optional(v.string()),
        status: v.optional(STATUS),
      }),
      handle: async (_exchange, { query }) => ({ users: await listUsers(db.scan, query) }),
    }),
    route({
      ...shared,
      method: "GET",
      path: `${PATH}/users/:ref`,
      summary: "Get the user with an id, external id, username or email address",
      params: BY_REF,
      handle: async (_exchange, { params: { ref } }) => getUser(db.read, (await findUserRef(db.read, ref)).id),
    }),
    route({
      ...shared,
      method: "POST",
      path: `${PATH}/users`,
      summary: "Create an account without an invitation",
      body: NewUser,
      status: 201,
      async handle(_exchange, { body: { password: given, ...user } }) {
        const { passwords, config } = accounts;
        if (given !== undefined) requireStrong(given, config.auth.passwordMin, [user.email, user.username, user.phone]);
        const passwordHash = given === undefined ? undefined : await passwords.hash(given);
        const { externalId } = user;
        return db.write(async (trx) => {
          const names = externalId === undefined ? {} : { externalId: cleanText(externalId) };
          const { id } = await createUser(accounts, { ...user, ...names, passwordHash, isEmailVerified: true }, trx);
          return getUser(trx, id);
        });
      },
    }),
  ];
}

function passwordRoutes({ db, accounts, audit }: OperatorContext): Route[] {
  return [
    route({
      ...shared,
      method: "POST",
      path: `${PATH}/users/:ref/sign-in-link`,
      summary: "Create a link that signs an account in, once, within 15 minutes; earlier ones end",
      params: BY_REF,
      status: 201,
      handle: async (_exchange, { params: { ref } }) =>
        createSignInLink(accounts, (await findUserRef(db.read, ref)).id),
    }),
    route({
      ...shared,
      method: "POST",
      path: `${PATH}/users/:ref/password`,
      summary: "Set the password of an account; its sessions end",
      params: BY_REF,
      body: object({ password }),
      status: 204,
      async handle(_exchange, { params: { ref }, body }) {
        await setPassword(accounts, (await findUserRef(db.read, ref)).id, body.password);
      },
    }),
    route({
      ...shared,
      method: "POST",
      path: `${PATH}/unlock`,
      summary: "Clear the failed logins of all users",
      body: object({ user: v.optional(REF) }),
      async handle(_exchange, { body: { user: ref } }) {
        const user = ref === undefined ? undefined : await findUserRef(db.read, ref);
        const resource = user ? { resourceId: user.id } : {};
        const metadata = { forgotten: "failed logins" };
        await audit.record({ action: "user.unlock", resourceType: "user", ...resource, metadata });
        accounts.backoff.clear();
        return { id: user?.id ?? null };
      },
    }),
  ];
}

function passkeyRoutes({ db, accounts }: OperatorContext): Route[] {
  return [
    route({
      ...shared,
      method: "GET",
      path: `${PATH}/users/:ref/passkeys`,
      summary: "List the passkeys of an account",
      params: BY_REF,
      async handle(_exchange, { params: { ref } }) {
        const { rpId } = relyingPartyOf(accounts.config);
        const found = await passkeysOf((await findUserRef(db.read, ref)).id, db.read);
        return { passkeys: found.map((passkey) => passkeyView(passkey, rpId)) };
      },
    }),
    route({
      ...shared,
      method: "DELETE",
      path: `${PATH}/users/:ref/passkeys/:id`,
      summary: "Remove a passkey of an account; the recovery codes go with the last second factor",
      params: object({ ...BY_REF.entries, ...BY_ID.entries }),
      status: 204,
      async handle(_exchange, { params: { ref, id } }) {
        const user = await findUserRef(db.read, ref);
        await db.write((trx) => dropPasskey(accounts, user.id, id, trx));
      },
    }),
  ];
}

const ALL = v.optional(queryBoolean);
const NewToken = object({
  user: REF,
  name: text(100, 1),
  scopes: v.optional(v.array(v.picklist(TOKEN_SCOPES))),
  expiresAt: v.optional(instant),
});

function tokenRoutes({ db, clock, accounts }: OperatorContext): Route[] {
  return [
    route({
      ...shared,
      method: "GET",
      path: `${PATH}/tokens`,
      summary: "List service tokens of all users",
      query: object({ user: v.optional(REF), all: ALL }),
      async handle(_exchange, { query: { user, all = false } }) {
        const userId = user === undefined ? undefined : (await findUserRef(db.read, user)).id;
        return { tokens: await listTokens(db.scan, { userId, all, now: clock.now() }) };
      },
    }),
    route({
      ...shared,
      method: "POST",
      path: `${PATH}/tokens`,
      summary: "Create a service token of a user; it is shown once",
      body: NewToken,
      status: 201,
      handle: (_exchange, { body: { user: ref, ...token } }) =>
        db.write(async (trx) => {
          const { id: userId, label, status } = await findUserRef(trx, ref);
          const issued = await createServiceToken(accounts, { userId, ...token }, trx);
          return { ...issued, user: { id: userId, label, status } };
        }),
    }),
    route({
      ...shared,
      method: "DELETE",
      path: `${PATH}/tokens/:id`,
      summary: "Revoke a service token of any user",
      params: BY_ID,
      status: 204,
      async handle(_exchange, { params: { id } }) {
        await db.write((trx) => revokeServiceToken(accounts, id, trx));
      },
    }),
  ];
}

function keyRoutes({ db, clock, principals, projects }: OperatorContext): Route[] {
  /** @throws PROJECT_NOT_FOUND */
  const idOf = (ref: string | undefined): string | undefined => {
    const id = ref === undefined ? undefined : projects.find(ref);
    if (ref !== undefined && id === undefined) throw new PrismError("PROJECT_NOT_FOUND", `There is no project ${ref}`);
    return id;
  };
  return [
    route({
      ...shared,
      method: "GET",
      path: `${PATH}/keys`,
      summary: "List API keys of all projects",
      query: object({ project: v.optional(REF), all: ALL }),
      handle: async (_exchange, { query: { project, all = false } }) => ({
        keys: await listKeys(db.scan, principals, { projectId: idOf(project), all, now: clock.now() }),
      }),
    }),
    route({
      ...shared,
      method: "GET",
      path: `${PATH}/keys/:id`,
      summary: "The project of an API key",
      params: BY_ID,
      query: object({ project: v.optional(REF) }),
      async handle(_exchange, { params: { id }, query }) {
        const expected = idOf(query.project);
        const key = await db.read.selectFrom("api_keys").select("projectId").where("id", "=", id).executeTakeFirst();
        if (!key || (expected ?? key.projectId) !== key.projectId)
          throw new PrismError(
            "API_KEY_NOT_FOUND",
            `There is no API key ${id}; for one of Opsgenie's or PagerDuty's API give --kind`,
          );
        return { projectId: key.projectId };
      },
    }),
  ];
}
