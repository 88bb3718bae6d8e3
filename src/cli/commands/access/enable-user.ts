import type { Command } from "commander";
import { COMMAND_LINE_GRANTER } from "../../../features/access/accounts/role-grants.ts";
import { contextOf } from "../../context.ts";
import { changeUser } from "./change-user.ts";

export function addEnableUser(user: Command): void {
  user
    .command("enable")
    .description("open an account again that was disabled; what was revoked with it stays revoked")
    .argument("<user>", "id, external id, username or mail address")
    .addHelpText("after", "\nExample:\n  $ prism user enable ann@example.org")
    .action(async (ref: string, _flags: object, command: Command) => {
      await changeUser(contextOf(command), "user enable", ref, async ({ id }, { accounts }) => {
        await (await accounts()).userLifecycle.update(id, { status: "active" }, COMMAND_LINE_GRANTER);
      });
    });
}
