import * as v from "valibot";
import { invalidField, PrismError } from "../../../core/errors.ts";
import { doc } from "../../../http/api/shapes.ts";
import { stateOf } from "../../../http/body/negotiation.ts";
import { type ConfigKind, changedMembers, configKind } from "../../../module/config-kind.ts";
import type { Uses } from "../../../module/feature.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import { permissionsOf, requireHeld, rolesByName } from "../authorize.ts";
import { ownOf, readSources } from "../group-rights/sources.ts";
import { createOneTimeToken } from "../sessions/mail-links.ts";
import { createUser, plainName, plainPhone } from "./create-user.ts";
import { ImportedAccount } from "./schema.ts";
import { requireAdminKept, updateUserIn } from "./user-lifecycle.ts";

const NEW_ROLES = ["User"];

const sorted = (names: string[]): string[] => [...new Set(names)].sort();

/** Files may leave out all but the username: what is absent stays. */
const entries = (contactRules: v.GenericSchema) => {
  const { username, email, phone, name, roles, timezone, locale } = ImportedAccount.entries;
  const text = (schema: v.GenericSchema<string>, plain: (text: string) => string) =>
    v.optional(v.nullable(v.pipe(schema, v.transform(plain))));
  return {
    username: username.wrapped,
    ...{ email: text(email.wrapped, plainName), phone: text(phone.wrapped, plainPhone), name, timezone, locale },
    roles: v.optional(v.pipe(roles.wrapped, v.transform(sorted))),
    invite: v.optional(doc(v.boolean(), "Makes the account if there is none; its owner chooses the password")),
    contactRules: v.optional(doc(contactRules, "How a new person is notified of incidents; later the person's own")),
  };
};

type PersonSpec = Pick<ImportedAccount, "name" | "timezone" | "locale" | "roles"> & { readonly username: string } & {
  readonly [M in "email" | "phone"]?: string | null;
} & { readonly invite?: boolean; readonly contactRules?: unknown };

/** Accounts with a username, which files of another server would make again. */
export function peopleKind({ accounts, contactRules }: Uses<"accounts" | "contactRules">): ConfigKind {
  return configKind<PersonSpec>({
    ...{ kind: "people", noun: "person", resourceType: "user", scope: "server", key: "username", after: ["roles"] },
    rights: { read: "users:read", write: "users:manage" },
    ...{ isKept: true, atCreation: ["invite", "contactRules"] },
    keeps: ["email", "phone", "name", "timezone", "locale", "roles"],
    entries: () => entries(contactRules.schema),
    defaults: {},
    list,
    async create(
      trx,
      { caller, invites },
      id,
      { invite, contactRules: ways, email, phone, roles = NEW_ROLES, ...given },
    ) {
      if (invite !== true)
        throw new PrismError("USER_NOT_FOUND", `No such user: ${given.username}`, {
          details: [{ path: "username", code: "USER_NOT_FOUND", message: "has no account; invite: true makes one" }],
        });
      requireHeld(permissionsOf(await rolesByName(roles, trx)), caller, "roles");
      const names = { email: email ?? undefined, phone: phone ?? undefined };
      const account = { ...given, ...names, id, roles, status: "pending", isEmailVerified: true } as const;
      await createUser(accounts, account, trx, "file");
      if (ways !== undefined) await contactRules.set(trx, id, ways);
      if (invites && names.email !== undefined) await sendInvitation(accounts, id, names.email, trx);
      return undefined;
    },
    async update(trx, { caller }, stored, spec) {
      const { invite: _i, contactRules: _c, email, ...changed } = changedMembers(spec, stored);
      if (email === null) throw invalidField("body", "email", "an account keeps a mail address");
      const patch = { ...changed, email };
      await requireAdminKept(accounts, (trx) => updateUserIn(accounts, stored.id, patch, caller, trx, "file"), trx);
      return undefined;
    },
  });
}

/** Its job is stored with the account, and sends after the commit. @throws NOT_CONFIGURED without a mail server */
async function sendInvitation({ mail, clock }: Uses<"accounts">["accounts"], id: string, email: string, trx: Trx) {
  if (!mail.isConfigured) throw new PrismError("NOT_CONFIGURED", "There is no mail server for invitations");
  await mail.send("invite", email, await createOneTimeToken(clock, id, "invite", trx), trx);
}

async function list(db: ReadDb | Trx) {
  const rows = await db
    .selectFrom("users")
    .select(["id", "username", "email", "phone", "name", "timezone", "hasChosenTimezone", "locale"])
    .where("username", "is not", null)
    .where("deletedAt", "is", null)
    .orderBy("username")
    .execute();
  const held = await db
    .selectFrom("user_roles")
    .innerJoin("roles", "roles.id", "user_roles.roleId")
    .select(["user_roles.userId", "roles.name", "user_roles.sources"])
    .execute();
  const rolesOf = new Map<string, string[]>();
  // What only groups give is theirs.
  const own = held.filter((role) => ownOf(readSources(role)) !== undefined);
  for (const { userId, name } of own) rolesOf.set(userId, [...(rolesOf.get(userId) ?? []), name]);
  return rows.map(({ id, hasChosenTimezone, ...row }) => {
    const roles = sorted(rolesOf.get(id) ?? []);
    const spec = { ...row, timezone: hasChosenTimezone === 1 ? row.timezone : null, roles, invite: true };
    return { id, name: row.username ?? id, version: stateOf(spec), spec };
  });
}
