import type { Command } from "commander";
import { contextOf } from "../../context.ts";

export function addRevokeToken(token: Command): void {
  token
    .command("revoke")
    .description("end a service token; a running server refuses it within 250 ms")
    .argument("<id>", "the token's id, as token list shows it")
    .addHelpText("after", "\nExample:\n  $ prism token revoke 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60")
    .action(async (id: string, _flags: object, command: Command) => {
      const context = contextOf(command);
      const { withAdminStore } = await import("../access/admin-store.ts");
      await withAdminStore(context, "token revoke", ({ database, users }) =>
        database.write((trx) => users.revokeToken(id, trx)),
      );
      context.out.result({ id, revoked: true }, () => `${id} is revoked`);
    });
}
