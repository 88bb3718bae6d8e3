import { systemClock } from "../../../core/clock.ts";
import { UserDirectory } from "../../../features/access/users/user-directory.ts";
import type { PatternQuota } from "../../../features/rules/deciding/rule-costs.ts";
import { storedPatterns } from "../../../features/rules/deciding/rule-costs.ts";
import { type Importer, importRules } from "../../../features/rules/import-rules.ts";
import { activeUserByEmail } from "../../../features/rules/queries.ts";
import type { RuleStoreContext } from "../../../features/rules/rule-store.ts";
import { type ImportReply, ImportRules } from "../../../features/rules/schema.ts";
import { checkShape } from "../../../http/input.ts";
import type { Context } from "../../context.ts";
import { findProjectRef } from "../access/account-queries.ts";
import { type AdminStore, withExistingStore } from "../access/admin-store.ts";

/**
 * Imports into the data directory's database. A running server counts it within 250 ms. @throws
 * CommandError 3, 4, and as {@link importRules}
 */
export function importOffline(context: Context, body: unknown): Promise<ImportReply> {
  const checked = checkShape(ImportRules, body, "body");
  return withExistingStore(context, (store) => {
    const users = directoryOf(store);
    const importer: Importer = {
      userId: null,
      projectOf: async (ref, trx) => (typeof ref === "string" ? (await findProjectRef(trx, ref)).id : null),
      userOf: async (ref, trx) => users.find(ref) ?? activeUserByEmail(trx, ref),
    };
    return importRules(store.database, storeContext(store, users), checked, importer);
  });
}

function storeContext({ reader, audit, config }: AdminStore, users: UserDirectory): RuleStoreContext {
  let quota: PatternQuota | null = null;
  return {
    clock: systemClock,
    audit,
    users,
    config,
    settings: config,
    // Which other channels the server has is known to the server alone.
    channels: { accepts: (channel) => channel !== "email" || config.smtp.host !== undefined },
    rules: {
      patternRefusal(projectId, size, replaced) {
        quota ??= storedPatterns(reader, config.limits);
        return quota.refusalOf(projectId, size, replaced);
      },
    },
  };
}

function directoryOf({ database, reader, audit, config, defaultProjectId }: AdminStore): UserDirectory {
  return new UserDirectory({
    database,
    reader,
    audit,
    clock: systemClock,
    unknownRecipient: "reject",
    timezone: config.timezone,
    defaultProjectId,
  });
}
