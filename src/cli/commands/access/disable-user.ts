import type { Command } from "commander";
import { COMMAND_LINE_GRANTER } from "../../../features/access/accounts/role-grants.ts";
import { contextOf } from "../../context.ts";
import { changeUser } from "./change-user.ts";

export function addDisableUser(user: Command): void {
  user
    .command("disable")
    .description("close an account; its sessions, tokens and live connections end within a second")
    .argument("<user>", "id, external id, username or mail address")
    .addHelpText("after", "\nExample:\n  $ prism user disable ann@example.org")
    .action(async (ref: string, _flags: object, command: Command) => {
      await changeUser(contextOf(command), "user disable", ref, async ({ id }, { accounts }) => {
        await (await accounts()).userLifecycle.update(id, { status: "disabled" }, COMMAND_LINE_GRANTER);
      });
    });
}
