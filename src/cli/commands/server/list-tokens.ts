import type { Command } from "commander";
import { contextOf } from "../../context.ts";
import { table } from "../../output/output.ts";

interface Flags {
  readonly user?: string;
  readonly all?: boolean;
}

export function addListTokens(token: Command): void {
  token
    .command("list")
    .description("service tokens, without their secrets")
    .option("--user <user>", "only those of one user")
    .option("--all", "those that were revoked or have expired, too")
    .addHelpText("after", "\nExamples:\n  $ prism token list\n  $ prism token list --user admin --all --json")
    .action(async (flags: Flags, command: Command) => {
      const context = contextOf(command);
      const [{ withAdminStore }, { findUserRef, isEveryPermission, listTokens }] = await Promise.all([
        import("../access/admin-store.ts"),
        import("../access/account-queries.ts"),
      ]);
      const tokens = await withAdminStore(context, "token list", async ({ database: { read } }) => {
        const userId = flags.user === undefined ? undefined : (await findUserRef(read, flags.user)).id;
        return listTokens(read, { userId, all: flags.all === true, now: Date.now() });
      });
      context.out.result({ tokens }, () =>
        table(
          ["ID", "USER", "NAME", "PREFIX", "STATE", "EXPIRES", "LAST USED", "SCOPES"],
          tokens.map((each) => [
            each.id,
            each.user,
            each.name,
            each.prefix,
            each.state,
            each.expiresAt,
            each.lastUsedAt,
            isEveryPermission(each.scopes) ? "all" : each.scopes.join(","),
          ]),
        ),
      );
      if (tokens.length === 0) context.out.note("There are no such tokens.");
    });
}
