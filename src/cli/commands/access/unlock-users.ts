import type { Command } from "commander";
import { contextOf } from "../../context.ts";

export function addUnlockUsers(user: Command): void {
  user
    .command("unlock")
    .description(
      "let people log in again who have tried too often; a running server forgets all failed logins within 250 ms",
    )
    .argument("[user]", "for whose sake: id, external id, username or mail address; stands in the audit trail")
    .addHelpText("after", "\nExamples:\n  $ prism user unlock\n  $ prism user unlock ann@example.org")
    .action(async (ref: string | undefined, _flags: object, command: Command) => {
      const context = contextOf(command);
      const [{ withAdminStore }, { findUserRef }, { requestUnlock }] = await Promise.all([
        import("./admin-store.ts"),
        import("./account-queries.ts"),
        import("../../../features/access/accounts/unlock.ts"),
      ]);
      const id = await withAdminStore(context, "user unlock", ({ database, audit }) =>
        database.write(async (trx) => {
          const user = ref === undefined ? undefined : await findUserRef(trx, ref);
          await requestUnlock(trx, Date.now());
          const resource = user ? { resourceId: user.id } : {};
          const metadata = { forgotten: "failed logins" };
          await audit.record({ action: "user.unlock", resourceType: "user", ...resource, metadata }, { trx });
          return user?.id ?? null;
        }),
      );
      context.out.result({ id, unlocked: true }, () => "failed logins are forgotten");
    });
}
