import type { Command } from "commander";
import { contextOf } from "../../context.ts";

export function addRevokeKey(key: Command): void {
  key
    .command("revoke")
    .description("end an API key; a running server refuses it within 250 ms")
    .argument("<id>", "the key's id, as key list shows it")
    .option("--project <project>", "refuse unless it is a key of this project")
    .addHelpText("after", "\nExample:\n  $ prism key revoke 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60")
    .action(async (id: string, flags: { readonly project?: string }, command: Command) => {
      const context = contextOf(command);
      const [{ withAdminStore }, { projectOfKey }] = await Promise.all([
        import("./admin-store.ts"),
        import("./account-queries.ts"),
      ]);
      await withAdminStore(context, "key revoke", ({ database, keys }) =>
        database.write(async (trx) => keys.revoke(await projectOfKey(trx, id, flags.project), id, trx)),
      );
      context.out.result({ id, revoked: true }, () => `${id} is revoked`);
    });
}
