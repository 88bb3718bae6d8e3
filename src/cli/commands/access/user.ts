import { type Command, Option } from "commander";
import type { Identity, Passkey, User } from "../../../client/api-types.gen.ts";
import { nearestName } from "../../../config/nearest.ts";
import { isUuid } from "../../../core/ids.ts";
import { cleanText, codePointLength } from "../../../core/text/clean-text.ts";
import type { ServerClient } from "../../../remote/server-client.ts";
import type { UserStatus } from "../../../store/schema.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { collectFlag } from "../../output/flag-values.ts";
import { printable } from "../../output/output.ts";
import { type Call, callOf, nested, resource, type Values } from "../../resource.ts";
import { IMPORT_USERS } from "./import-users.ts";
import { confirm, readNewPassword } from "./prompt.ts";

const STATUSES: readonly UserStatus[] = ["pending", "active", "disabled", "unverified"];
const USERS = "GET /api/v1/operator/users";
/** Default roles of an approved account. */
const DEFAULT_ROLES = ["User"];
const MAX_NAME = 255;
const MAX_EXTERNAL_ID = 128;
const REF = "id, external id, username or mail address";
const STDIN = ["--stdin", "read the password from stdin instead of asking for it"] as const;

/** An account as the operator sees it. */
type ShownUser = Pick<User, "id" | "name" | "username" | "email" | "externalId" | "status" | "roles" | "roleSources">;

/** Canonical role names, without duplicates. @throws CommandError 6 with the nearest role */
async function knownRoles(server: ServerClient, given: unknown): Promise<string[]> {
  const { data } = await callOf(server, "listRoles", {});
  const known = data.map(({ name }) => name).sort();
  const roles = ((given ?? []) as readonly string[]).map((name) => {
    const found = known.find((each) => each.toLowerCase() === name.toLowerCase());
    if (found !== undefined) return found;
    const nearest = nearestName(name, known);
    const hint = nearest ? `did you mean ${nearest}?` : `there are ${known.join(", ")}`;
    throw new CommandError(EXIT.notFound, `there is no role ${name}; ${hint}`);
  });
  return [...new Set(roles)];
}

function labelOf({ id, username, email, externalId }: ShownUser): string {
  return printable(username ?? email ?? externalId ?? id);
}

function userLine(user: ShownUser): string {
  return `${user.id}  ${labelOf(user)}  ${user.status}  ${rolesText(user) || "-"}`;
}

/** `Auditor, Operator (oidc:company)`: who gives a role, if no person does. */
function rolesText({ roles, roleSources }: ShownUser): string {
  return roles.map((role) => (roleSources[role] === undefined ? role : `${role} (${roleSources[role]})`)).join(", ");
}

/** The account of an id, external id, username or mail address. @throws USER_NOT_FOUND */
function userByRef(server: ServerClient, id: unknown): Promise<ShownUser> {
  return callOf<ShownUser>(server, `${USERS}/{id}`, { id });
}

async function usersOf(server: ServerClient, filter: Values): Promise<readonly ShownUser[]> {
  return (await callOf<{ readonly users: readonly ShownUser[] }>(server, USERS, filter)).users;
}

/** A change of an account, which is shown afterwards. @param values parameters of the operation besides the id */
function change(of: string, values: (given: Values, call: Call) => Values | Promise<Values> = () => ({})) {
  return {
    one: true,
    changes: true,
    async get(call: Call) {
      const { id } = call.found;
      await callOf(call.server, of, { id, ...(await values(call.given, call)) });
      return userByRef(call.server, id);
    },
    lines: userLine,
  } as const;
}

/** @throws CommandError 7 */
function displayName(given: unknown, place: string): string {
  const name = cleanText(String(given ?? ""));
  if (codePointLength(name) > MAX_NAME)
    throw new CommandError(EXIT.conflict, `${place} is longer than ${MAX_NAME} characters`);
  return name;
}

/** @throws CommandError 2, 7 */
async function checkNewUser({ id, externalId, email, username, password, stdin, ...given }: Values): Promise<Values> {
  if ([email, username, externalId].every((flag) => flag === undefined))
    throw new CommandError(EXIT.usage, "give --username, --email or --external-id");
  if (id !== undefined && !isUuid(String(id)))
    throw new CommandError(EXIT.conflict, "--id must be a UUID in its canonical lower-case form");
  if (externalId !== undefined && (externalId === "" || codePointLength(String(externalId)) > MAX_EXTERNAL_ID))
    throw new CommandError(EXIT.conflict, `--external-id must be 1 to ${MAX_EXTERNAL_ID} characters long`);
  const name = displayName(given["name"], "--name");
  const hasPassword = password === true || stdin === true;
  return {
    name: name === "" ? undefined : name,
    password: hasPassword ? await readNewPassword(stdin === true) : undefined,
    stdin: undefined,
  };
}

/** The only active administrator. @throws CommandError 6 without one, 2 with several */
async function soleAdmin(server: ServerClient): Promise<string> {
  const users = await usersOf(server, { role: "Admin", status: "active" });
  const [first] = users;
  if (!first) throw new CommandError(EXIT.notFound, "there is no active administrator; prism user create makes one");
  if (users.length === 1) return first.id;
  const names = users.map(({ id, username, email }) => printable(username ?? email ?? id));
  throw new CommandError(EXIT.usage, `name the account; administrators are ${names.join(", ")}`);
}

/** Accounts, next to the server. */
export function addUser(program: Command): void {
  const role = (text: string) => ["--role <name>", `${text}; may be given several times`, collectFlag] as const;
  const newRole = [
    "--role <name>",
    "role of the user; may be given several times (default: User)",
    collectFlag,
  ] as const;
  const user = resource(program, "user", "user", {
    alias: "users",
    operator: true,
    text: "create, import, list, approve, enable, disable and delete accounts; set names, roles and passwords; print sign-in links",
    examples: [
      "user create --username admin --role Admin --password",
      "user list --status pending",
      "user approve ann --role Operator",
    ],
    ref: REF,
    find: userByRef,
    verbs: {
      list: {
        text: "list users with their roles, oldest first",
        examples: ["", "--role Admin --json"],
        flags: {
          email: ["--email <address>", "only the user with this mail address"],
          username: ["--username <name>", "only the user with this username"],
          role: ["--role <name>", "only users with this role"],
          status: new Option("--status <status>", "only users in this state").choices(STATUSES),
        },
        async get({ server, given }) {
          if (given["role"] !== undefined) await knownRoles(server, [given["role"]]);
          return usersOf(server, given);
        },
        as: "users",
        columns: {
          ...{ ID: "id", USERNAME: "username", EMAIL: "email", NAME: "name", STATUS: "status" },
          ROLES: rolesText,
        },
      },
      create: {
        text: "create a user",
        examples: [
          "--username admin --role Admin --password",
          "--email ann@example.org --name 'Ann Lee' --role Operator --role RuleManager",
        ],
        flags: {
          email: ["--email <address>", "mail address"],
          username: ["--username <name>", "2 to 64 of a-z, 0-9, dot, dash, underscore"],
          phone: ["--phone <number>", "phone number with country code, such as +4930123456"],
          externalId: ["--external-id <id>", "id of the user in another program"],
          id: ["--id <uuid>", "id of the account (default: a new one)"],
          name: ["--name <name>", "display name"],
          roles: newRole,
          status: new Option("--status <status>", "state of the account").choices(STATUSES).default("active"),
          password: ["--password", "ask for a password; without this option the account has none"],
          stdin: ["--stdin", "read that password from stdin"],
        },
        check: checkNewUser,
        of: "POST /api/v1/operator/users",
        values: async (given, { server }) => ({
          ...given,
          roles: await knownRoles(server, given["roles"] ?? DEFAULT_ROLES),
        }),
        lines: userLine,
        after(created: ShownUser, { out, given }) {
          const label = labelOf(created);
          if (given["password"] === undefined) out.note(`A password for ${label}: prism user passwd ${label}`);
          out.note(`A token for ${label}: prism token create --user ${label}`);
        },
      },
      import: IMPORT_USERS,
      approve: {
        ...change("approveUser", async ({ roles = DEFAULT_ROLES }, { server }) => ({
          roles: await knownRoles(server, roles),
        })),
        text: "approve an account that waits for approval, and set its roles",
        examples: ["ann@example.org", "ann --role Operator --role RuleManager"],
        flags: { roles: newRole },
      },
      disable: {
        ...change("updateUser", () => ({ status: "disabled" })),
        text: "disable an account; its sessions, tokens and live connections end within a second",
        examples: ["ann@example.org"],
      },
      enable: {
        ...change("updateUser", () => ({ status: "active" })),
        text: "enable a disabled account; its sessions and tokens stay revoked",
        examples: ["ann@example.org"],
      },
      role: {
        ...change("updateUser", async ({ roles, add, remove }, { server, found }) => {
          const lost = await knownRoles(server, remove);
          const base = roles === undefined ? (found["roles"] as readonly string[]) : [];
          const given = [...((roles ?? []) as readonly string[]), ...((add ?? []) as readonly string[])];
          return { roles: [...base, ...(await knownRoles(server, given))].filter((name) => !lost.includes(name)) };
        }),
        text: "change the roles of an account, from its next request on",
        examples: ["ann --role Operator", "ann --add RuleManager --remove Viewer"],
        flags: {
          roles: role("role to set in place of the present ones"),
          add: ["--add <name>", "role to add; may be given several times", collectFlag],
          remove: ["--remove <name>", "role to remove; may be given several times", collectFlag],
        },
        check({ roles, add, remove }) {
          if ((add !== undefined || remove !== undefined) === (roles !== undefined))
            throw new CommandError(EXIT.usage, "give --role, or --add and --remove");
        },
      },
      name: {
        ...change("updateUser", ({ name }) => ({ name })),
        text: "set the display name of an account",
        examples: ["ann 'Ann Lee'"],
        args: { name: ["<name>", "display name"] },
        check({ name: given }) {
          const name = displayName(given, "the name");
          if (name.trim() === "") throw new CommandError(EXIT.conflict, "the name is empty");
          return { name };
        },
        lines: (user: ShownUser) => `${userLine(user)}  ${printable(user.name ?? "")}`,
      },
      passwd: {
        ...change("POST /api/v1/operator/users/{id}/password", ({ password }) => ({ password })),
        text: "set the password of an account; its sessions end",
        examples: ["admin", "$ openssl rand -base64 18 | tee /dev/tty | prism user passwd admin --stdin"],
        flags: { stdin: STDIN },
        check: async ({ stdin }) => ({ password: await readNewPassword(stdin === true) }),
      },
      delete: {
        text: "delete an account; its history is kept, and its names can be used again",
        examples: ["ann@example.org --yes"],
        args: { ref: ["<user>", REF] },
        flags: { yes: ["--yes", "do not ask"] },
        async check({ ref, yes }) {
          if (yes !== true && !(await confirm(`Delete the account ${printable(String(ref))}?`)))
            throw new CommandError(EXIT.usage, "nothing was deleted; --yes deletes without asking");
        },
        changes: true,
        async get({ server, given: { ref } }) {
          const found = await userByRef(server, ref);
          await callOf(server, "deleteUser", { id: found.id });
          return found;
        },
        json: ({ id }: ShownUser) => ({ id, deleted: true }),
        lines: (user: ShownUser) => `${user.id}  ${labelOf(user)}  deleted`,
      },
      unlock: {
        text: "clear all failed logins, so that users with too many of them can log in again",
        examples: ["", "ann@example.org"],
        args: { user: ["[user]", `the user to name in the audit trail: ${REF}`] },
        of: "POST /api/v1/operator/unlock",
        json: ({ id }: { readonly id: string | null }) => ({ id, unlocked: true }),
        say: "failed logins are cleared",
      },
      "sign-in-link": {
        text: "print a link that signs an account in to the console, once, within 15 minutes",
        examples: ["", "ann@example.org"],
        args: { user: ["[user]", `${REF} (default: the only administrator)`] },
        changes: true,
        async get({ server, given: { user } }) {
          const account = encodeURIComponent(String(user ?? (await soleAdmin(server))));
          return server.post(`/api/v1/operator/users/${account}/sign-in-link`, undefined);
        },
        say: "{url}",
      },
      "reset-second-factor": {
        ...change("resetSecondFactor"),
        text: "remove the second factor of an account with all passkeys, such as after the loss of a device",
        examples: ["ann@example.org"],
      },
      passkeys: {
        text: "list the passkeys of an account",
        examples: ["ann@example.org"],
        args: { ref: ["<user>", REF] },
        async get({ server, given: { ref } }) {
          const { id } = await userByRef(server, ref);
          return (await callOf<{ readonly passkeys: readonly Passkey[] }>(server, `${USERS}/{id}/passkeys`, { id }))
            .passkeys;
        },
        as: "passkeys",
        columns: {
          ...{ ID: "id", NAME: "name", HOST: "host", CREATED: "createdAt", "LAST USED": "lastUsedAt" },
          "SIGNS IN": ({ signsIn, works }: Passkey) => (!works ? "other host" : signsIn ? "yes" : "second factor"),
        },
      },
      "remove-passkey": {
        text: "remove a passkey of an account, such as that of a lost device",
        examples: ["ann@example.org 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60"],
        args: { ref: ["<user>", REF], passkey: ["<passkey>", "id of the passkey: prism user passkeys"] },
        changes: true,
        async get({ server, given: { ref, passkey } }) {
          const user = await userByRef(server, ref);
          await callOf(server, `DELETE /api/v1/operator/users/{id}/passkeys/{passkey}`, { id: user.id, passkey });
          return user;
        },
        json: ({ id }: ShownUser) => ({ id, removed: true }),
        lines: (user: ShownUser) => `${user.id}  ${labelOf(user)}  passkey removed`,
      },
    },
  });
  const identities = user
    .command("identities")
    .description("list, link and unlink accounts of providers that sign a user in")
    .addHelpText("after", "\nExample:\n  $ prism user identities list ann");
  nested(identities, IDENTITIES);
}

/** An account of a provider. */
type ShownIdentity = Pick<Identity, "id" | "issuer" | "subject" | "provider">;

const USER = ["<user>", REF] as const;
const SUBJECT = {
  provider: ["--provider <name>", "name of the provider in auth.oidc"],
  subject: ["--subject <subject>", "value of the provider's userClaim, such as sub"],
} as const;

function identityLine({ provider, issuer, subject }: Omit<ShownIdentity, "id">): string {
  return printable(`${provider ?? issuer}  ${subject}`);
}

async function identitiesOf({ server, given: { user } }: Call) {
  const { id } = await userByRef(server, user);
  return { id, ...(await callOf(server, "listIdentitiesOfUser", { id })) };
}

/** Both flags are needed: which account it is. @throws CommandError 2 */
function checkSubject({ provider, subject }: Values): void {
  if (provider === undefined || subject === undefined)
    throw new CommandError(EXIT.usage, "give --provider and --subject");
}

const IDENTITIES: Parameters<typeof nested>[1] = {
  list: {
    text: "list the accounts of providers that sign a user in",
    examples: ["ann", "ann@example.org --json"],
    args: { user: USER },
    get: identitiesOf,
    json: ({ data }: { readonly data: readonly ShownIdentity[] }) => ({ identities: data }),
    lines: ({ data }: { readonly data: readonly ShownIdentity[] }) =>
      data.length === 0 ? "no identities" : data.map(identityLine),
  },
  link: {
    text: "link a user with an account of a provider by its subject, before the first sign-in or later",
    examples: ["ann --provider company --subject 248289761001"],
    args: { user: USER },
    flags: SUBJECT,
    check: checkSubject,
    changes: true,
    async get({ server, given: { user, provider, subject } }) {
      const { id } = await userByRef(server, user);
      return callOf(server, "prepareIdentity", { id, provider, subject });
    },
    say: "linked",
  },
  unlink: {
    text: "unlink an account of a provider; the sessions that it opened end",
    examples: ["ann --provider company --subject 248289761001"],
    args: { user: USER },
    flags: SUBJECT,
    check: checkSubject,
    changes: true,
    async get(call) {
      const { provider, subject } = call.given;
      const { id, data } = await identitiesOf(call);
      const found = data.find((each) => each.provider === provider && each.subject === subject);
      if (!found)
        throw new CommandError(EXIT.notFound, "the user is not linked with this account; prism user identities list");
      await callOf(call.server, "unlinkIdentityOfUser", { id, identityId: found.id });
      return found;
    },
    json: ({ id }: ShownIdentity) => ({ id, unlinked: true }),
    lines: (identity: ShownIdentity) => `${identityLine(identity)}  unlinked`,
  },
};
