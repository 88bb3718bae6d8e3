import type { Command } from "commander";
import { COMMAND_LINE_GRANTER } from "../../../features/access/accounts/role-grants.ts";
import { contextOf } from "../../context.ts";
import { collectFlag } from "../../output/flag-values.ts";
import { changeUser } from "./change-user.ts";
import { knownRoles } from "./role-names.ts";

interface Flags {
  readonly role?: readonly string[];
}

const DEFAULT_ROLES = ["User"];

export function addApproveUser(user: Command): void {
  user
    .command("approve")
    .description("let an account in that waits for approval, with roles")
    .argument("<user>", "id, external id, username or mail address")
    .option("--role <name>", "a role to hold; may be given several times (default: User)", collectFlag)
    .addHelpText(
      "after",
      "\nExamples:\n  $ prism user approve ann@example.org\n  $ prism user approve ann --role Operator --role RuleManager",
    )
    .action(async (ref: string, flags: Flags, command: Command) => {
      const { roleNameList } = await import("./account-queries.ts");
      await changeUser(contextOf(command), "user approve", ref, async ({ id }, { accounts, database }) => {
        const roles = knownRoles(flags.role ?? DEFAULT_ROLES, await roleNameList(database.read));
        await (await accounts()).userLifecycle.approve(id, roles, COMMAND_LINE_GRANTER);
      });
    });
}
