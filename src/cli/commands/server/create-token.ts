import type { Command } from "commander";
import { toRfc3339OrNull } from "../../../core/clock.ts";
import { TOKEN_SCOPES, type TokenScope } from "../../../core/permissions.ts";
import { contextOf } from "../../context.ts";
import { futureFlag, listFlag } from "../../output/flag-values.ts";
import { requireFuture, requireLabel } from "../../output/label.ts";

interface Flags {
  readonly user: string;
  readonly name: string;
  readonly scopes?: readonly TokenScope[];
  readonly expires?: number;
}

export function addCreateToken(token: Command): void {
  token
    .command("create")
    .description("make a service token; it is shown this once, alone on stdout")
    .requiredOption("--user <user>", "whose: username, mail address, external id or id")
    .option("--name <name>", "what it is for", "cli")
    .option(
      "--scopes <list>",
      "what it is for, comma separated: permissions, account:own, notifications:own (default: all)",
      listFlag(TOKEN_SCOPES),
    )
    .option("--expires <time>", "when it ends: a time, a day, or a duration from now such as 30d", futureFlag)
    .addHelpText(
      "after",
      "\nExamples:\n  $ export PRISM_TOKEN=$(prism token create --user admin --name laptop)\n  $ prism token create --user ci --scopes events:write,events:read --expires 90d",
    )
    .action(async (flags: Flags, command: Command) => {
      const context = contextOf(command);
      const name = requireLabel(flags.name, "--name");
      requireFuture(flags.expires);
      const [{ withAdminStore }, { findUserRef }] = await Promise.all([
        import("../access/admin-store.ts"),
        import("../access/account-queries.ts"),
      ]);
      const { user, issued } = await withAdminStore(context, "token create", ({ database, users }) =>
        database.write(async (trx) => {
          const user = await findUserRef(trx, flags.user);
          const { scopes, expires: expiresAt } = flags;
          return { user, issued: await users.createToken({ userId: user.id, name, scopes, expiresAt }, trx) };
        }),
      );
      const expiresAt = toRfc3339OrNull(flags.expires ?? null);
      const shown = { id: issued.id, userId: user.id, name, scopes: flags.scopes ?? TOKEN_SCOPES, expiresAt };
      context.out.result({ ...shown, token: issued.token }, () => issued.token);
      const end = expiresAt === null ? "without end" : `until ${expiresAt}`;
      context.out.note(`Token ${issued.id} of ${user.label}, ${end}. It is not shown again.`);
      if (user.status !== "active")
        context.out.note(`The account is ${user.status}: the token works once it is active.`);
    });
}
