import type { Command } from "commander";
import { contextOf } from "../../context.ts";
import { changeUser } from "./change-user.ts";
import { readNewPassword } from "./read-password.ts";

interface Flags {
  readonly stdin?: boolean;
}

export function addSetUserPassword(user: Command): void {
  user
    .command("passwd")
    .description("give an account a new password; its sessions end")
    .argument("<user>", "id, external id, username or mail address")
    .option("--stdin", "read the password from stdin instead of asking for it")
    .addHelpText(
      "after",
      "\nExamples:\n  $ prism user passwd admin\n  $ openssl rand -base64 18 | tee /dev/tty | prism user passwd admin --stdin",
    )
    .action(async (ref: string, flags: Flags, command: Command) => {
      const context = contextOf(command);
      const password = await readNewPassword(flags.stdin === true);
      await changeUser(context, "user passwd", ref, async ({ id }, { accounts }) => {
        await (await accounts()).accounts.setPassword(id, password);
      });
    });
}
