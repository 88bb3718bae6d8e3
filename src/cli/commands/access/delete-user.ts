import type { Command } from "commander";
import { COMMAND_LINE_GRANTER } from "../../../features/access/accounts/role-grants.ts";
import { contextOf } from "../../context.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { printable } from "../../output/output.ts";
import { confirm } from "./confirm.ts";

interface Flags {
  readonly yes?: boolean;
}

export function addDeleteUser(user: Command): void {
  user
    .command("delete")
    .description("remove an account; what it did stays readable, its name is free again")
    .argument("<user>", "id, external id, username or mail address")
    .option("--yes", "do not ask")
    .addHelpText("after", "\nExample:\n  $ prism user delete ann@example.org --yes")
    .action(async (ref: string, flags: Flags, command: Command) => {
      const context = contextOf(command);
      if (flags.yes !== true && !(await confirm(`Delete the account ${printable(ref)}?`)))
        throw new CommandError(EXIT.usage, "nothing was deleted; --yes deletes without asking");
      const [{ withAdminStore }, { findUserRef }] = await Promise.all([
        import("./admin-store.ts"),
        import("./account-queries.ts"),
      ]);
      const { id, label } = await withAdminStore(context, "user delete", async ({ database, accounts }) => {
        const found = await findUserRef(database.read, ref);
        await (await accounts()).userLifecycle.remove(found.id, COMMAND_LINE_GRANTER);
        return found;
      });
      context.out.result({ id, deleted: true }, () => `${id}  ${printable(label)}  deleted`);
    });
}
