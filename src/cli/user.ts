import type { Command } from "commander";
import { addCreateUser } from "./create-user.ts";
import { addListUsers } from "./list-users.ts";

/** Accounts, offline on the data directory. */
export function addUser(program: Command): void {
  const user = program
    .command("user")
    .description("list and make users")
    .addHelpText(
      "after",
      "\nExamples:\n  $ prism user create --username admin --role Admin\n  $ prism user list --status active",
    );
  addListUsers(user);
  addCreateUser(user);
}
