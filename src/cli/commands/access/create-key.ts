import type { Command } from "commander";
import { toRfc3339OrNull } from "../../../core/clock.ts";
import { KEY_SCOPES, type KeyScope } from "../../../core/permissions.ts";
import type { IssuedKey } from "../../../features/access/key-admin.ts";
import { type Context, contextOf } from "../../context.ts";
import { futureFlag, listFlag } from "../../output/flag-values.ts";
import { requireFuture, requireLabel } from "../../output/label.ts";

interface Flags {
  readonly project: string;
  readonly name: string;
  readonly scopes?: readonly KeyScope[];
  readonly expires?: number;
}

export function addCreateKey(key: Command): void {
  key
    .command("create")
    .description("make an API key; it is shown this once, alone on stdout")
    .option("--project <project>", "id or slug", "default")
    .option("--name <name>", "what it is for", "cli")
    .option("--scopes <list>", "comma separated (default: events:write,events:read)", listFlag(KEY_SCOPES))
    .option("--expires <time>", "when it ends: a time, a day, or a duration from now such as 30d", futureFlag)
    .addHelpText(
      "after",
      `\nScopes: ${KEY_SCOPES.join(", ")}\n\nExamples:\n  $ KEY=$(prism key create --name webshop)\n  $ prism key create --project shop --scopes events:write --expires 90d --json`,
    )
    .action(async (flags: Flags, command: Command) => {
      const context = contextOf(command);
      const name = requireLabel(flags.name, "--name");
      requireFuture(flags.expires);
      const [{ withAdminStore }, { findProjectRef }] = await Promise.all([
        import("./admin-store.ts"),
        import("./account-queries.ts"),
      ]);
      const { project, issued } = await withAdminStore(context, "key create", ({ database, keys }) =>
        database.write(async (trx) => {
          const project = await findProjectRef(trx, flags.project);
          const { scopes, expires: expiresAt } = flags;
          const wanted = { projectId: project.id, name, scopes, expiresAt, createdBy: null };
          return { project, issued: await keys.create(wanted, trx) };
        }),
      );
      showIssuedKey(context, issued, project.id);
      context.out.note(`Key ${issued.id} of project ${project.slug}. It is not shown again.`);
    });
}

/** The key alone on stdout, so that a shell can take it; with --json with all that is known of it. */
export function showIssuedKey({ out }: Context, issued: IssuedKey, projectId: string): void {
  const { id, name, prefix, scopes, expiresAt, key } = issued;
  out.result({ id, projectId, name, prefix, scopes, expiresAt: toRfc3339OrNull(expiresAt), key }, () => key);
}
