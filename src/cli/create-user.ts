import { type Command, Option } from "commander";
import { cleanText, codePointLength } from "../base/clean-text.ts";
import { nearestName } from "../config/nearest.ts";
import type { UserStatus } from "../store/schema.ts";
import { contextOf } from "./context.ts";
import { CommandError, EXIT } from "./exit-codes.ts";
import { collectFlag } from "./flag-values.ts";
import { USER_STATUSES } from "./list-users.ts";
import { printable } from "./output.ts";

interface Flags {
  readonly email?: string;
  readonly username?: string;
  readonly name?: string;
  readonly role?: readonly string[];
  readonly status: UserStatus;
}

/** What an approval grants when nobody says more, too. */
const DEFAULT_ROLES = ["User"];
const MAX_NAME = 255;

export function addCreateUser(user: Command): void {
  user
    .command("create")
    .description("make a user; works beside a running server")
    .option("--email <address>", "mail address")
    .option("--username <name>", "3 to 64 of a-z, 0-9, dot, dash, underscore")
    .option("--name <name>", "how the person is called")
    .option("--role <name>", "a role to hold; may be given several times (default: User)", collectFlag)
    .addOption(new Option("--status <status>", "state of the account").choices(USER_STATUSES).default("active"))
    .addHelpText(
      "after",
      "\nExamples:\n  $ prism user create --username admin --role Admin\n  $ prism user create --email ann@example.org --name 'Ann Lee' --role Operator --role RuleManager",
    )
    .action(async (flags: Flags, command: Command) => create(flags, command));
}

async function create(flags: Flags, command: Command): Promise<void> {
  const context = contextOf(command);
  if (flags.email === undefined && flags.username === undefined)
    throw new CommandError(EXIT.usage, "give --username or --email");
  const name = cleanText(flags.name ?? "");
  if (codePointLength(name) > MAX_NAME)
    throw new CommandError(EXIT.conflict, `--name is longer than ${MAX_NAME} characters`);
  const [{ withAdminStore }, { getUser, roleNameList }] = await Promise.all([
    import("./admin-store.ts"),
    import("./account-queries.ts"),
  ]);
  const created = await withAdminStore(context, "user create", ({ database, users }) =>
    database.write(async (trx) => {
      const roles = knownRoles(flags.role ?? DEFAULT_ROLES, await roleNameList(trx));
      const { email, username, status } = flags;
      const { id } = await users.create({ email, username, status, roles, ...(name === "" ? {} : { name }) }, trx);
      return getUser(trx, id);
    }),
  );
  const label = printable(created.username ?? created.email ?? created.id);
  context.out.result(created, () => `${created.id}  ${label}  ${created.status}  ${created.roles.join(", ")}`);
  context.out.note(`A token for ${label}: prism token create --user ${label}`);
}

/** The roles' own spelling, each once. @throws CommandError 6 naming the nearest role */
function knownRoles(given: readonly string[], known: readonly string[]): string[] {
  const roles = given.map((name) => {
    const found = known.find((each) => each.toLowerCase() === name.toLowerCase());
    if (found !== undefined) return found;
    const nearest = nearestName(name, known);
    const hint = nearest ? `did you mean ${nearest}?` : `there are ${known.join(", ")}`;
    throw new CommandError(EXIT.notFound, `there is no role ${name}; ${hint}`);
  });
  return [...new Set(roles)];
}
