import type { Command } from "commander";
import { addCreateUser } from "./create-user.ts";
import { addListUsers } from "./list-users.ts";

/** Accounts, offline on the data directory. */
export function addUser(program: Command): void {
  const user = program.command("user").description("list and make users");
  addListUsers(user);
  addCreateUser(user);
}
