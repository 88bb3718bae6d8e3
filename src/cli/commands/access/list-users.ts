import { type Command, Option } from "commander";
import type { UserStatus } from "../../../store/schema.ts";
import { contextOf } from "../../context.ts";
import { table } from "../../output/output.ts";
import { knownRoles } from "./role-names.ts";

interface Flags {
  readonly email?: string;
  readonly username?: string;
  readonly role?: string;
  readonly status?: UserStatus;
}

export const USER_STATUSES: readonly UserStatus[] = ["pending", "active", "disabled", "unverified"];

export function addListUsers(user: Command): void {
  user
    .command("list")
    .description("users with their roles, oldest first")
    .option("--email <address>", "only the one with this mail address")
    .option("--username <name>", "only the one with this username")
    .option("--role <name>", "only those who hold this role")
    .addOption(new Option("--status <status>", "only those in this state").choices(USER_STATUSES))
    .addHelpText("after", "\nExamples:\n  $ prism user list\n  $ prism user list --role Admin --json")
    .action(async (flags: Flags, command: Command) => {
      const context = contextOf(command);
      const [{ withAdminStore }, { listUsers, roleNameList }] = await Promise.all([
        import("./admin-store.ts"),
        import("./account-queries.ts"),
      ]);
      const users = await withAdminStore(context, "user list", async ({ database: { read } }) => {
        if (flags.role !== undefined) knownRoles([flags.role], await roleNameList(read));
        return listUsers(read, flags);
      });
      context.out.result({ users }, () =>
        table(
          ["ID", "USERNAME", "EMAIL", "NAME", "STATUS", "ROLES"],
          users.map((each) => [each.id, each.username, each.email, each.name, each.status, each.roles.join(", ")]),
        ),
      );
      if (users.length === 0) context.out.note("There are no such users.");
    });
}
