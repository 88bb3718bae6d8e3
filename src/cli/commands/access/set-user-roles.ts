import type { Command } from "commander";
import { COMMAND_LINE_GRANTER } from "../../../features/access/accounts/role-grants.ts";
import { contextOf } from "../../context.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { collectFlag } from "../../output/flag-values.ts";
import { changeUser } from "./change-user.ts";
import { knownRoles } from "./role-names.ts";

interface Flags {
  readonly role?: readonly string[];
  readonly add?: readonly string[];
  readonly remove?: readonly string[];
}

export function addSetUserRoles(user: Command): void {
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
    .action(async (ref: string, flags: Flags, command: Command) => {
      const { role, add = [], remove = [] } = flags;
      const isChange = add.length + remove.length > 0;
      if (isChange === (role !== undefined)) throw new CommandError(EXIT.usage, "give --role, or --add and --remove");
      const { getUser, roleNameList } = await import("./account-queries.ts");
      await changeUser(contextOf(command), "user role", ref, async ({ id }, { accounts, database }) => {
        const known = await roleNameList(database.read);
        const lost = knownRoles(remove, known);
        const base = role === undefined ? (await getUser(database.read, id)).roles : [];
        const roles = [...base, ...knownRoles([...(role ?? []), ...add], known)].filter((name) => !lost.includes(name));
        await (await accounts()).userLifecycle.update(id, { roles }, COMMAND_LINE_GRANTER);
      });
    });
}
