import type { Command } from "commander";
import { addApproveUser } from "./approve-user.ts";
import { addCreateUser } from "./create-user.ts";
import { addDeleteUser } from "./delete-user.ts";
import { addDisableUser } from "./disable-user.ts";
import { addEnableUser } from "./enable-user.ts";
import { addImportUsers } from "./import-users.ts";
import { addListUsers } from "./list-users.ts";
import { addSetUserPassword } from "./set-user-password.ts";
import { addSetUserRoles } from "./set-user-roles.ts";
import { addUnlockUsers } from "./unlock-users.ts";

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
  addDisableUser(user);
  addEnableUser(user);
  addSetUserRoles(user);
  addSetUserPassword(user);
  addDeleteUser(user);
  addUnlockUsers(user);
}
