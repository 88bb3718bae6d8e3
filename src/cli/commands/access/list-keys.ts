import type { Command } from "commander";
import { contextOf } from "../../context.ts";
import { table } from "../../output/output.ts";

interface Flags {
  readonly project?: string;
  readonly all?: boolean;
}

export function addListKeys(key: Command): void {
  key
    .command("list")
    .description("API keys, without their secrets")
    .option("--project <project>", "only those of one project, by id or slug")
    .option("--all", "those that were revoked or have expired, too")
    .addHelpText("after", "\nExamples:\n  $ prism key list\n  $ prism key list --project shop --all --json")
    .action(async (flags: Flags, command: Command) => {
      const context = contextOf(command);
      const [{ withAdminStore }, { findProjectRef, listKeys }] = await Promise.all([
        import("./admin-store.ts"),
        import("./account-queries.ts"),
      ]);
      const keys = await withAdminStore(context, "key list", async ({ database: { read } }) => {
        const projectId = flags.project === undefined ? undefined : (await findProjectRef(read, flags.project)).id;
        return listKeys(read, { projectId, all: flags.all === true, now: Date.now() });
      });
      context.out.result({ keys }, () =>
        table(
          ["ID", "PROJECT", "NAME", "PREFIX", "STATE", "EXPIRES", "LAST USED", "SCOPES"],
          keys.map((each) => [
            each.id,
            each.project,
            each.name,
            each.prefix,
            each.state,
            each.expiresAt,
            each.lastUsedAt,
            each.scopes.join(","),
          ]),
        ),
      );
      if (keys.length === 0) context.out.note("There are no such keys.");
    });
}
