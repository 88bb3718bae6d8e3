import { type Command, Option } from "commander";
import { COMMAND_LINE_GRANTER } from "../../../features/access/authorize.ts";
import type { UserStatus } from "../../../store/schema.ts";
import { type Context, contextOf } from "../../context.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { collectFlag } from "../../output/flag-values.ts";
import { printable, table } from "../../output/output.ts";
import type { AdminStore } from "./admin-store.ts";
import { addCreateUser, knownRoles, USER_STATUSES, userLine } from "./create-user.ts";
import { addImportUsers } from "./import-users.ts";
import { confirm, readNewPassword } from "./prompt.ts";

/** An account that a command is about. */
interface NamedUser {
  readonly id: string;
  /** What people call it: username, mail address, external id or id. */
  readonly label: string;
}

/**
 * Changes the account that `ref` means (id, external id, username or mail address) and shows it as
 * it is then. A running server counts it within 250 ms. @throws USER_NOT_FOUND, and what `change`
 * throws
 */
async function changeUser(
  context: Context,
  command: string,
  ref: string,
  change: (user: NamedUser, store: AdminStore) => Promise<void>,
): Promise<void> {
  const { withAdminStore, findUserRef, getUser } = await import("./admin-store.ts");
  const user = await withAdminStore(context, command, async (store) => {
    const { id, label } = await findUserRef(store.database.read, ref);
    await change({ id, label }, store);
    return getUser(store.database.read, id);
  });
  context.out.result(user, () => userLine(user));
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
    .description("users with their roles, oldest first")
    .option("--email <address>", "only the one with this mail address")
    .option("--username <name>", "only the one with this username")
    .option("--role <name>", "only those who hold this role")
    .addOption(new Option("--status <status>", "only those in this state").choices(USER_STATUSES))
    .addHelpText("after", "\nExamples:\n  $ prism user list\n  $ prism user list --role Admin --json")
    .action(async (flags: ListUsersFlags, command: Command) => {
      const context = contextOf(command);
      const { withAdminStore, listUsers, roleNameList } = await import("./admin-store.ts");
      const users = await withAdminStore(context, "user list", async ({ database: { read } }) => {
        if (flags.role !== undefined) knownRoles([flags.role], await roleNameList(read));
        return listUsers(read, flags);
      });
      context.out.result({ users }, () =>
        table(
          ["ID", "USERNAME", "EMAIL", "NAME", "STATUS", "ROLES"],
          users.map((each) => [each.id, each.username, each.email, each.name, each.status, each.roles.join(", ")]),
        ),
      );
      if (users.length === 0) context.out.note("There are no such users.");
    });
}

interface ApproveUserFlags {
  readonly role?: readonly string[];
}

const DEFAULT_ROLES = ["User"];

function addApproveUser(user: Command): void {
  user
    .command("approve")
    .description("let an account in that waits for approval, with roles")
    .argument("<user>", "id, external id, username or mail address")
    .option("--role <name>", "a role to hold; may be given several times (default: User)", collectFlag)
    .addHelpText(
      "after",
      "\nExamples:\n  $ prism user approve ann@example.org\n  $ prism user approve ann --role Operator --role RuleManager",
    )
    .action(async (ref: string, flags: ApproveUserFlags, command: Command) => {
      const { roleNameList } = await import("./admin-store.ts");
      await changeUser(contextOf(command), "user approve", ref, async ({ id }, { accounts, database }) => {
        const roles = knownRoles(flags.role ?? DEFAULT_ROLES, await roleNameList(database.read));
        const { approveUser } = await import("../../../features/access/users/user-lifecycle.ts");
        await approveUser(await accounts(), id, roles, COMMAND_LINE_GRANTER);
      });
    });
}

function addOpenAndCloseUser(user: Command): void {
  for (const [action, status, description] of [
    ["disable", "disabled", "close an account; its sessions, tokens and live connections end within a second"],
    ["enable", "active", "open an account again that was disabled; what was revoked with it stays revoked"],
  ] as const)
    user
      .command(action)
      .description(description)
      .argument("<user>", "id, external id, username or mail address")
      .addHelpText("after", `\nExample:\n  $ prism user ${action} ann@example.org`)
      .action(async (ref: string, _flags: object, command: Command) => {
        await changeUser(contextOf(command), `user ${action}`, ref, async ({ id }, { accounts }) => {
          const { updateUser } = await import("../../../features/access/users/user-lifecycle.ts");
          await updateUser(await accounts(), id, { status }, COMMAND_LINE_GRANTER);
        });
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
    .description("change the roles of an account; it counts from its next request on")
    .argument("<user>", "id, external id, username or mail address")
    .option("--role <name>", "a role to hold in place of those held; may be given several times", collectFlag)
    .option("--add <name>", "a role to hold besides; may be given several times", collectFlag)
    .option("--remove <name>", "a role to hold no more; may be given several times", collectFlag)
    .addHelpText(
      "after",
      "\nExamples:\n  $ prism user role ann --role Operator\n  $ prism user role ann --add RuleManager --remove Viewer",
    )
    .action(async (ref: string, flags: SetUserRolesFlags, command: Command) => {
      const { role, add = [], remove = [] } = flags;
      const isChange = add.length + remove.length > 0;
      if (isChange === (role !== undefined)) throw new CommandError(EXIT.usage, "give --role, or --add and --remove");
      const { getUser, roleNameList } = await import("./admin-store.ts");
      await changeUser(contextOf(command), "user role", ref, async ({ id }, { accounts, database }) => {
        const known = await roleNameList(database.read);
        const lost = knownRoles(remove, known);
        const base = role === undefined ? (await getUser(database.read, id)).roles : [];
        const roles = [...base, ...knownRoles([...(role ?? []), ...add], known)].filter((name) => !lost.includes(name));
        const { updateUser } = await import("../../../features/access/users/user-lifecycle.ts");
        await updateUser(await accounts(), id, { roles }, COMMAND_LINE_GRANTER);
      });
    });
}

interface SetUserPasswordFlags {
  readonly stdin?: boolean;
}

function addSetUserPassword(user: Command): void {
  user
    .command("passwd")
    .description("give an account a new password; its sessions end")
    .argument("<user>", "id, external id, username or mail address")
    .option("--stdin", "read the password from stdin instead of asking for it")
    .addHelpText(
      "after",
      "\nExamples:\n  $ prism user passwd admin\n  $ openssl rand -base64 18 | tee /dev/tty | prism user passwd admin --stdin",
    )
    .action(async (ref: string, flags: SetUserPasswordFlags, command: Command) => {
      const context = contextOf(command);
      const password = await readNewPassword(flags.stdin === true);
      await changeUser(context, "user passwd", ref, async ({ id }, { accounts }) => {
        const { setPassword } = await import("../../../features/access/sessions/login.ts");
        await setPassword(await accounts(), id, password);
      });
    });
}

function addUnlockUsers(user: Command): void {
  user
    .command("unlock")
    .description(
      "let people log in again who have tried too often; a running server forgets all failed logins within 250 ms",
    )
    .argument("[user]", "for whose sake: id, external id, username or mail address; stands in the audit trail")
    .addHelpText("after", "\nExamples:\n  $ prism user unlock\n  $ prism user unlock ann@example.org")
    .action(async (ref: string | undefined, _flags: object, command: Command) => {
      const context = contextOf(command);
      const [{ withAdminStore, findUserRef }, { requestUnlock }] = await Promise.all([
        import("./admin-store.ts"),
        import("../../../features/access/sessions/login-backoff.ts"),
      ]);
      const id = await withAdminStore(context, "user unlock", ({ database, audit }) =>
        database.write(async (trx) => {
          const user = ref === undefined ? undefined : await findUserRef(trx, ref);
          await requestUnlock(trx, Date.now());
          const resource = user ? { resourceId: user.id } : {};
          const metadata = { forgotten: "failed logins" };
          await audit.record({ action: "user.unlock", resourceType: "user", ...resource, metadata }, { trx });
          return user?.id ?? null;
        }),
      );
      context.out.result({ id, unlocked: true }, () => "failed logins are forgotten");
    });
}

interface DeleteUserFlags {
  readonly yes?: boolean;
}

function addDeleteUser(user: Command): void {
  user
    .command("delete")
    .description("remove an account; what it did stays readable, its name is free again")
    .argument("<user>", "id, external id, username or mail address")
    .option("--yes", "do not ask")
    .addHelpText("after", "\nExample:\n  $ prism user delete ann@example.org --yes")
    .action(async (ref: string, flags: DeleteUserFlags, command: Command) => {
      const context = contextOf(command);
      if (flags.yes !== true && !(await confirm(`Delete the account ${printable(ref)}?`)))
        throw new CommandError(EXIT.usage, "nothing was deleted; --yes deletes without asking");
      const { withAdminStore, findUserRef } = await import("./admin-store.ts");
      const { id, label } = await withAdminStore(context, "user delete", async ({ database, accounts }) => {
        const found = await findUserRef(database.read, ref);
        const { removeUser } = await import("../../../features/access/users/user-lifecycle.ts");
        await removeUser(await accounts(), found.id, COMMAND_LINE_GRANTER);
        return found;
      });
      context.out.result({ id, deleted: true }, () => `${id}  ${printable(label)}  deleted`);
    });
}

/** Accounts, offline on the data directory. */
export function addUser(program: Command): void {
  const user = program
    .command("user")
    .description("make, bring in, list, approve, close and remove accounts")
    .addHelpText(
      "after",
      "\nExamples:\n  $ prism user create --username admin --role Admin --password\n  $ prism user list --status pending\n  $ prism user approve ann --role Operator",
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
}
