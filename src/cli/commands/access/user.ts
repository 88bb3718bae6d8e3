import { type Command, Option } from "commander";
import type { UserStatus } from "../../../store/schema.ts";
import { contextOf } from "../../context.ts";
import { asOperator } from "../../on-server.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { collectFlag } from "../../output/flag-values.ts";
import { printable, table } from "../../output/output.ts";
import type { ServerClient } from "../../server-client.ts";
import { addCreateUser, knownRoles, roleNames, USER_STATUSES, userLine } from "./create-user.ts";
import { addImportUsers } from "./import-users.ts";
import { confirm, readNewPassword } from "./prompt.ts";

/** An account as `user list` shows it. */
interface ShownUser {
  readonly id: string;
  readonly username: string | null;
  readonly email: string | null;
  readonly externalId: string | null;
  readonly name: string;
  readonly status: string;
  readonly roles: readonly string[];
}

/**
 * Changes the account of a reference (id, external id, username or mail address) and prints it.
 * @throws USER_NOT_FOUND, and errors of `change`
 */
async function changeUser(
  command: Command,
  ref: string,
  change: (user: ShownUser, api: ServerClient) => Promise<unknown>,
): Promise<void> {
  const user = await asOperator(command, async (api) => {
    const found = await userByRef(api, ref);
    await change(found, api);
    return userByRef(api, found.id);
  });
  contextOf(command).out.result(user, () => userLine(user));
}

function userByRef(api: ServerClient, ref: string): Promise<ShownUser> {
  return api.get<ShownUser>(`/api/v1/operator/users/${encodeURIComponent(ref)}`);
}

function userPath({ id }: ShownUser, action = ""): string {
  return `/api/v1/users/${id}${action}`;
}

interface ListUsersFlags {
  readonly email?: string;
  readonly username?: string;
  readonly role?: string;
  readonly status?: UserStatus;
}

function addListUsers(user: Command): void {
  user
    .command("list")
    .description("list users with their roles, oldest first")
    .option("--email <address>", "only the user with this mail address")
    .option("--username <name>", "only the user with this username")
    .option("--role <name>", "only users with this role")
    .addOption(new Option("--status <status>", "only users in this state").choices(USER_STATUSES))
    .addHelpText("after", "\nExamples:\n  $ prism user list\n  $ prism user list --role Admin --json")
    .action(async (flags: ListUsersFlags, command: Command) => {
      const { out } = contextOf(command);
      const { email, username, role, status } = flags;
      const { users } = await asOperator(command, async (api) => {
        if (role !== undefined) knownRoles([role], await roleNames(api));
        const query = { email, username, role, status };
        return api.get<{ readonly users: readonly ShownUser[] }>("/api/v1/operator/users", query);
      });
      out.result({ users }, () =>
        table(
          ["ID", "USERNAME", "EMAIL", "NAME", "STATUS", "ROLES"],
          users.map((each) => [each.id, each.username, each.email, each.name, each.status, each.roles.join(", ")]),
        ),
      );
      if (users.length === 0) out.note("There are no such users.");
    });
}

interface ApproveUserFlags {
  readonly role?: readonly string[];
}

const DEFAULT_ROLES = ["User"];

function addApproveUser(user: Command): void {
  user
    .command("approve")
    .description("approve an account that waits for approval, and set its roles")
    .argument("<user>", "id, external id, username or mail address")
    .option("--role <name>", "role of the user; may be given several times (default: User)", collectFlag)
    .addHelpText(
      "after",
      "\nExamples:\n" +
        "  $ prism user approve ann@example.org\n" +
        "  $ prism user approve ann --role Operator --role RuleManager",
    )
    .action(async (ref: string, flags: ApproveUserFlags, command: Command) => {
      await changeUser(command, ref, async (user, api) => {
        const roles = knownRoles(flags.role ?? DEFAULT_ROLES, await roleNames(api));
        await api.post(userPath(user, "/approve"), { roles });
      });
    });
}

function addOpenAndCloseUser(user: Command): void {
  for (const [action, status, description] of [
    ["disable", "disabled", "disable an account; its sessions, tokens and live connections end within a second"],
    ["enable", "active", "enable a disabled account; its sessions and tokens stay revoked"],
  ] as const)
    user
      .command(action)
      .description(description)
      .argument("<user>", "id, external id, username or mail address")
      .addHelpText("after", `\nExample:\n  $ prism user ${action} ann@example.org`)
      .action(async (ref: string, _flags: object, command: Command) => {
        await changeUser(command, ref, (user, api) => api.change("PATCH", userPath(user), { status }));
      });
}

interface SetUserRolesFlags {
  readonly role?: readonly string[];
  readonly add?: readonly string[];
  readonly remove?: readonly string[];
}

function addSetUserRoles(user: Command): void {
  user
    .command("role")
    .description("change the roles of an account, from its next request on")
    .argument("<user>", "id, external id, username or mail address")
    .option("--role <name>", "role to set in place of the present ones; may be given several times", collectFlag)
    .option("--add <name>", "role to add; may be given several times", collectFlag)
    .option("--remove <name>", "role to remove; may be given several times", collectFlag)
    .addHelpText(
      "after",
      "\nExamples:\n  $ prism user role ann --role Operator\n  $ prism user role ann --add RuleManager --remove Viewer",
    )
    .action(async (ref: string, flags: SetUserRolesFlags, command: Command) => {
      const { role, add = [], remove = [] } = flags;
      const isChange = add.length + remove.length > 0;
      if (isChange === (role !== undefined)) throw new CommandError(EXIT.usage, "give --role, or --add and --remove");
      await changeUser(command, ref, async (user, api) => {
        const known = await roleNames(api);
        const lost = knownRoles(remove, known);
        const base = role === undefined ? user.roles : [];
        const roles = [...base, ...knownRoles([...(role ?? []), ...add], known)].filter((name) => !lost.includes(name));
        await api.change("PATCH", userPath(user), { roles });
      });
    });
}

interface SetUserPasswordFlags {
  readonly stdin?: boolean;
}

function addSetUserPassword(user: Command): void {
  user
    .command("passwd")
    .description("set the password of an account; its sessions end")
    .argument("<user>", "id, external id, username or mail address")
    .option("--stdin", "read the password from stdin instead of asking for it")
    .addHelpText(
      "after",
      "\nExamples:\n" +
        "  $ prism user passwd admin\n" +
        "  $ openssl rand -base64 18 | tee /dev/tty | prism user passwd admin --stdin",
    )
    .action(async (ref: string, flags: SetUserPasswordFlags, command: Command) => {
      const password = await readNewPassword(flags.stdin === true);
      await changeUser(command, ref, ({ id }, api) => api.post(`/api/v1/operator/users/${id}/password`, { password }));
    });
}

function addUnlockUsers(user: Command): void {
  user
    .command("unlock")
    .description("clear all failed logins, so that users with too many of them can log in again")
    .argument("[user]", "the user to name in the audit trail: id, external id, username or mail address")
    .addHelpText("after", "\nExamples:\n  $ prism user unlock\n  $ prism user unlock ann@example.org")
    .action(async (ref: string | undefined, _flags: object, command: Command) => {
      const { id } = await asOperator(command, (api) =>
        api.post<{ readonly id: string | null }>("/api/v1/operator/unlock", { user: ref }),
      );
      contextOf(command).out.result({ id, unlocked: true }, () => "failed logins are cleared");
    });
}

function addResetSecondFactor(user: Command): void {
  user
    .command("reset-second-factor")
    .description("remove the second factor of an account, such as after the loss of a device")
    .argument("<user>", "id, external id, username or mail address")
    .addHelpText("after", "\nExample:\n  $ prism user reset-second-factor ann@example.org")
    .action(async (ref: string, _flags: object, command: Command) => {
      await changeUser(command, ref, (user, api) => api.delete(userPath(user, "/second-factor")));
    });
}

/** The only active administrator. @throws CommandError 6 without one, 2 with several */
async function soleAdmin(api: ServerClient): Promise<string> {
  const query = { role: "Admin", status: "active" };
  const { users } = await api.get<{ readonly users: readonly ShownUser[] }>("/api/v1/operator/users", query);
  const [first] = users;
  if (!first) throw new CommandError(EXIT.notFound, "there is no active administrator; prism user create makes one");
  if (users.length === 1) return first.id;
  const names = users.map(({ id, username, email }) => printable(username ?? email ?? id));
  throw new CommandError(EXIT.usage, `name the account; administrators are ${names.join(", ")}`);
}

function addSignInLink(user: Command): void {
  user
    .command("sign-in-link")
    .description("print a link that signs an account in to the console, once, within 15 minutes")
    .argument("[user]", "id, external id, username or mail address (default: the only administrator)")
    .addHelpText("after", "\nExamples:\n  $ prism user sign-in-link\n  $ prism user sign-in-link ann@example.org")
    .action(async (ref: string | undefined, _flags: object, command: Command) => {
      const link = await asOperator(command, async (api) => {
        const account = encodeURIComponent(ref ?? (await soleAdmin(api)));
        return api.post<{ readonly url: string }>(`/api/v1/operator/users/${account}/sign-in-link`, undefined);
      });
      contextOf(command).out.result(link, () => link.url);
    });
}

interface DeleteUserFlags {
  readonly yes?: boolean;
}

function addDeleteUser(user: Command): void {
  user
    .command("delete")
    .description("delete an account; its history is kept, and its names can be used again")
    .argument("<user>", "id, external id, username or mail address")
    .option("--yes", "do not ask")
    .addHelpText("after", "\nExample:\n  $ prism user delete ann@example.org --yes")
    .action(async (ref: string, flags: DeleteUserFlags, command: Command) => {
      if (flags.yes !== true && !(await confirm(`Delete the account ${printable(ref)}?`)))
        throw new CommandError(EXIT.usage, "nothing was deleted; --yes deletes without asking");
      const user = await asOperator(command, async (api) => {
        const found = await userByRef(api, ref);
        await api.delete(userPath(found));
        return found;
      });
      const { id } = user;
      const label = user.username ?? user.email ?? user.externalId ?? id;
      contextOf(command).out.result({ id, deleted: true }, () => `${id}  ${printable(label)}  deleted`);
    });
}

export function addUser(program: Command): void {
  const user = program
    .command("user")
    .alias("users")
    .description(
      "create, import, list, approve, enable, disable and delete accounts; set roles and passwords; print sign-in links",
    )
    .addHelpText(
      "after",
      "\nExamples:\n" +
        "  $ prism user create --username admin --role Admin --password\n" +
        "  $ prism user list --status pending\n" +
        "  $ prism user approve ann --role Operator",
    );
  addListUsers(user);
  addCreateUser(user);
  addImportUsers(user);
  addApproveUser(user);
  addOpenAndCloseUser(user);
  addSetUserRoles(user);
  addSetUserPassword(user);
  addDeleteUser(user);
  addUnlockUsers(user);
  addSignInLink(user);
  addResetSecondFactor(user);
}
