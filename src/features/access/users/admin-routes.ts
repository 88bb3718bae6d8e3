import * as v from "valibot";
import type { PermissionHolder } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import { isUuid } from "../../../core/ids.ts";
import { decodeUtf8 } from "../../../core/text/json-text.ts";
import { type Route, route } from "../../../http/api/route.ts";
import { doc, example, named, object, pageBody, pageOf, queryBoolean, readPage } from "../../../http/api/shapes.ts";
import { hasTokenScope, holderOf, missingPermission } from "../../../http/server/access.ts";
import type { Context } from "../../../module/feature.ts";
import { permissionsOf, requireHeld, rolesByName } from "../authorize.ts";
import { requireStrong } from "../passwords/password-text.ts";
import { createOneTimeToken } from "../sessions/mail-links.ts";
import { createUser } from "./create-user.ts";
import { type AccountFormat, EXISTING, Imported, importAccounts, readAccounts } from "./import-accounts.ts";
import {
  countUsers,
  detailsOfUsers,
  findTargets,
  findUser,
  listUsers,
  rolesOfUsers,
  type UserFilter,
  UserView,
  userView,
} from "./queries.ts";
import {
  ApproveBody,
  CreateBody,
  ImportedAccount,
  ListQuery,
  PatchBody,
  PendingQuery,
  RejectBody,
  SearchQuery,
  Targets,
} from "./schema.ts";
import { approveUser, rejectUser, removeUser, signOutUser, unlockUser, updateUser } from "./user-lifecycle.ts";

export type UsersContext = Context<"accounts" | "deletions" | "principals" | "reads" | "pusherRegistry">;

type NewAccount = v.InferOutput<typeof CreateBody>;

/** @param viewer decides which members of each user are shown. */
async function usersPage(
  { db, pusherRegistry }: UsersContext,
  filter: UserFilter,
  query: Parameters<typeof readPage>[0],
  viewer: PermissionHolder,
) {
  const request = readPage(query, ["string"]);
  const rows = await listUsers(db.scan, filter, request);
  const total = request.wantsTotal ? await countUsers(db.scan, filter) : undefined;
  const ids = rows.map(({ id }) => id);
  const rolesOf = await rolesOfUsers(db.read, ids);
  const details = await detailsOfUsers(
    db.read,
    pusherRegistry,
    ids.filter((id) => maySeeDetails(viewer, id)),
  );
  const viewOf = (row: (typeof rows)[number]) => userView({ ...row, ...rolesOf(row.id) }, details.get(row.id));
  return pageBody(request, rows, viewOf, ({ id }) => [id], total);
}

/** @throws USER_NOT_FOUND */
async function userFor({ db, pusherRegistry }: UsersContext, id: string, viewer: PermissionHolder) {
  const details = await detailsOfUsers(db.read, pusherRegistry, maySeeDetails(viewer, id) ? [id] : []);
  return userView(await findUser(db.read, id), details.get(id));
}

/**
 * Makes an account. Without a password it is active with the first use of its invitation, which
 * goes out by mail, or, where no mail can be sent, is returned once for the administrator to hand
 * over. An account that is made disabled is not invited.
 * @throws EMAIL_TAKEN and its like, WEAK_PASSWORD, INVALID_TIMEZONE, ROLE_NOT_FOUND,
 * PRIVILEGE_ESCALATION, OVERLOADED
 */
async function inviteUser(ctx: UsersContext, account: NewAccount, creator: PermissionHolder) {
  const { db, accounts, config } = ctx;
  const { mail, passwords } = accounts;
  const { password, roles = ["User"], ...user } = account;
  if (password !== undefined && user.passwordHash !== undefined) {
    const message = "give password or passwordHash, not both";
    const details = [{ path: "passwordHash", code: "VALUE", message }];
    throw new PrismError("VALIDATION_FAILED", message, { details });
  }
  const hasPassword = password !== undefined || user.passwordHash !== undefined;
  const status = user.status ?? (hasPassword ? "active" : "pending");
  if (password !== undefined) requireStrong(password, config.auth.passwordMin, [user.email, user.username, user.phone]);
  const passwordHash = password === undefined ? user.passwordHash : await passwords.hash(password);
  const made = await db.write(async (trx) => {
    requireHeld(permissionsOf(await rolesByName(roles, trx)), creator, "roles");
    const { id, email } = await createUser(
      accounts,
      { ...user, status, roles, passwordHash, isEmailVerified: true },
      trx,
    );
    const isInvited = !hasPassword && status !== "disabled";
    const invitation = isInvited ? await createOneTimeToken(ctx.clock, id, "invite", trx) : null;
    const isMailed = invitation !== null && email !== null && mail.isConfigured;
    if (isMailed) await mail.send("invite", email, invitation, trx);
    return { id, invitation, isMailed };
  });
  const view = await userFor(ctx, made.id, creator);
  if (made.invitation === null || made.isMailed) return view;
  return { ...view, inviteUrl: mail.link("invite", made.invitation) };
}

function maySeeDetails({ userId, permissions }: PermissionHolder, id: string): boolean {
  return id === userId || permissions.has("users:manage");
}

const FORMATS: Readonly<Record<string, AccountFormat>> = { "text/csv": "csv", "application/x-ndjson": "ndjson" };
const BYTE_ORDER_MARK_BYTES = 3;

const Query = object({
  existing: v.optional(
    doc(
      v.picklist(EXISTING, "must be refuse, skip or update"),
      "Handling of an existing account that differs; default `refuse`",
    ),
  ),
  dryRun: v.optional(doc(queryBoolean, "Checks everything and stores nothing")),
});

const ImportBody = example(
  v.union([v.array(ImportedAccount), object({ users: doc(v.array(ImportedAccount), "Accounts") })]),
  [{ externalId: "crm-4711", username: "linus", email: "linus@example.com", name: "Linus", status: "active" }],
);

/** Imports accounts of another program. */
export function importRoute({ accounts }: UsersContext): Route {
  return route({
    method: "POST",
    path: "/api/v1/users/import",
    id: "importUsers",
    summary: "Import accounts with ids and bcrypt hashes, all or none: JSON, NDJSON or CSV",
    returns: "What was imported, or would be",
    tag: "Users",
    access: { permission: "users:manage" },
    query: Query,
    body: ImportBody,
    raw: { types: ["application/json", "application/x-ndjson", "text/csv"], gzip: false },
    response: Imported,
    errors: [
      ...(["EMAIL_TAKEN", "USERNAME_TAKEN", "PHONE_TAKEN", "ID_CONFLICT", "ROLE_NOT_FOUND"] as const),
      ...(["PRIVILEGE_ESCALATION", "INVALID_TIMEZONE", "INVALID_STATE", "LAST_ADMIN", "BATCH_TOO_LARGE"] as const),
      "RIGHTS_FROM_GROUPS",
    ],
    async handle(exchange, { query: { existing = "refuse", dryRun = false }, body }) {
      const [type = ""] = exchange.header("content-type").toLowerCase().split(";");
      // Read before anything is awaited: the bytes are not ours for longer.
      const text = textOf(body as unknown as Buffer);
      const filed = await readAccounts(text, FORMATS[type.trim()] ?? "json");
      return importAccounts(accounts, filed, { existing, dryRun }, holderOf(exchange));
    },
  });
}

/** Spreadsheets begin files with a byte order mark. @throws MALFORMED_JSON if not UTF-8 */
function textOf(body: Buffer): string {
  const hasMark = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf;
  const text = decodeUtf8(hasMark ? body.subarray(BYTE_ORDER_MARK_BYTES) : body);
  if (text === undefined) throw new PrismError("MALFORMED_JSON", "The body is not UTF-8");
  return text;
}

const params = v.object({ id: doc(v.string(), "Id of the user") });
const CreatedUser = named(
  "CreatedUser",
  "The new account",
  v.object({
    ...UserView.entries,
    inviteUrl: v.optional(doc(v.string(), "Link of the invitation; only without a mail server")),
  }),
);
const TAKEN = ["EMAIL_TAKEN", "USERNAME_TAKEN", "PHONE_TAKEN", "ID_CONFLICT"] as const;
const RIGHTS = ["ROLE_NOT_FOUND", "PRIVILEGE_ESCALATION"] as const;

/** Permissions to choose recipients. */
const FINDING = ["rules:write", "notifications:send", "users:read"] as const;

/** Administration of accounts. */
export function adminRoutes(context: UsersContext): Route[] {
  const { accounts } = context;
  const managing = { tag: "Users", access: { permission: "users:manage" } } as const;
  const approving = { tag: "Users", access: { permission: "users:approve" } } as const;
  return [
    route({
      method: "GET",
      path: "/api/v1/users",
      id: "listUsers",
      summary: "List users, newest first",
      tag: "Users",
      access: { permission: "users:read" },
      query: ListQuery,
      response: pageOf(UserView),
      errors: ["INVALID_CURSOR"],
      handle: (exchange, { query }) => usersPage(context, query, query, holderOf(exchange)),
    }),
    route({
      method: "GET",
      path: "/api/v1/users/search",
      id: "searchTargets",
      summary: "Find users and roles by name, for a rule or a notification",
      details: "Needs `rules:write`, `notifications:send` or `users:read`. Shows no address.",
      tag: "Users",
      access: { tokenScopes: FINDING },
      query: SearchQuery,
      response: Targets,
      errors: ["UNAUTHORIZED_ROLE"],
      handle(exchange, { query }) {
        const { permissions } = holderOf(exchange);
        if (!FINDING.some((each) => permissions.has(each))) throw missingPermission(FINDING.join(" or "));
        return findTargets(context.db.scan, query);
      },
    }),
    route({
      ...approving,
      method: "GET",
      path: "/api/v1/users/pending",
      id: "listPendingUsers",
      summary: "List accounts that wait for approval",
      query: PendingQuery,
      response: pageOf(UserView),
      errors: ["INVALID_CURSOR"],
      handle: (exchange, { query }) => usersPage(context, { status: "pending" }, query, holderOf(exchange)),
    }),
    route({
      ...managing,
      method: "POST",
      path: "/api/v1/users",
      id: "createUser",
      summary: "Create an account; without a password its owner is invited to choose one",
      body: CreateBody,
      status: 201,
      response: CreatedUser,
      errors: [...TAKEN, ...RIGHTS, "INVALID_TIMEZONE", "WEAK_PASSWORD", "OVERLOADED"],
      handle: (exchange, { body }) => inviteUser(context, body, holderOf(exchange)),
    }),
    route({
      method: "GET",
      path: "/api/v1/users/:id",
      id: "getUser",
      summary: "Get the caller's account, or with users:read any account",
      tag: "Users",
      access: { tokenScopes: ["account:own", "users:read"] },
      params,
      response: UserView,
      errors: ["USER_NOT_FOUND"],
      handle(exchange, { params: { id } }) {
        const viewer = holderOf(exchange);
        const isOwn = id === viewer.userId && hasTokenScope(viewer, ["account:own"]);
        if (!isOwn && !viewer.permissions.has("users:read")) throw noSuchUser();
        return userFor(context, known(id), viewer);
      },
    }),
    route({
      ...managing,
      method: "PATCH",
      path: "/api/v1/users/:id",
      id: "updateUser",
      summary: "Update an account; disabling it ends its sessions and tokens at once",
      params,
      body: PatchBody,
      response: UserView,
      errors: [
        "USER_NOT_FOUND",
        ...TAKEN,
        ...RIGHTS,
        "INVALID_TIMEZONE",
        "INVALID_STATE",
        "LAST_ADMIN",
        "RIGHTS_FROM_GROUPS",
      ],
      async handle(exchange, { params: { id }, body }) {
        await updateUser(accounts, known(id), body, holderOf(exchange));
        return userFor(context, id, holderOf(exchange));
      },
    }),
    route({
      ...managing,
      method: "DELETE",
      path: "/api/v1/users/:id",
      id: "deleteUser",
      summary: "Delete an account; its past actions stay readable",
      params,
      status: 204,
      errors: ["USER_NOT_FOUND", "LAST_ADMIN", "PRIVILEGE_ESCALATION"],
      async handle(exchange, { params: { id } }) {
        await removeUser(accounts, context.deletions, known(id), holderOf(exchange));
      },
    }),
    route({
      ...managing,
      method: "POST",
      path: "/api/v1/users/:id/sign-out",
      id: "signOutUser",
      summary: "End all sessions of an account, with their live connections",
      params,
      status: 204,
      errors: ["USER_NOT_FOUND", "PRIVILEGE_ESCALATION"],
      async handle(exchange, { params: { id } }) {
        await signOutUser(accounts, known(id), holderOf(exchange));
      },
    }),
    route({
      ...managing,
      method: "POST",
      path: "/api/v1/users/:id/unlock",
      id: "unlockUser",
      summary: "Clear the failed logins of an account, from all addresses",
      params,
      status: 204,
      errors: ["USER_NOT_FOUND", "PRIVILEGE_ESCALATION"],
      async handle(exchange, { params: { id } }) {
        await unlockUser(accounts, known(id), holderOf(exchange));
      },
    }),
    route({
      ...approving,
      method: "POST",
      path: "/api/v1/users/:id/approve",
      id: "approveUser",
      summary: "Approve a pending account and assign roles",
      params,
      body: ApproveBody,
      response: UserView,
      errors: ["USER_NOT_FOUND", "INVALID_STATE", ...RIGHTS],
      async handle(exchange, { params: { id }, body }) {
        await approveUser(accounts, known(id), body.roles, holderOf(exchange));
        return userFor(context, id, holderOf(exchange));
      },
    }),
    route({
      ...approving,
      method: "POST",
      path: "/api/v1/users/:id/reject",
      id: "rejectUser",
      summary: "Reject a pending account; the audit trail records only whether a reason was given",
      params,
      body: RejectBody,
      response: UserView,
      errors: ["USER_NOT_FOUND", "INVALID_STATE", "PRIVILEGE_ESCALATION"],
      async handle(exchange, { params: { id }, body }) {
        await rejectUser(accounts, known(id), Boolean(body.reason), holderOf(exchange));
        return userFor(context, id, holderOf(exchange));
      },
    }),
  ];
}

/** @throws USER_NOT_FOUND for what no user is called */
function known(id: string): string {
  if (!isUuid(id)) throw noSuchUser();
  return id;
}

function noSuchUser(): PrismError {
  return new PrismError("USER_NOT_FOUND", "No such user");
}
