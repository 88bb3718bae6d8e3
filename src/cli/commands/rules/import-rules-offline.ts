import { systemClock } from "../../../core/clock.ts";
import { UserDirectory } from "../../../features/access/user-directory.ts";
import type { PatternQuota } from "../../../features/rules/deciding/pattern-quota.ts";
import { storedPatterns } from "../../../features/rules/deciding/pattern-quota.ts";
import { type Importer, type ImportReply, importRules } from "../../../features/rules/import-rules.ts";
import { activeUserByEmail } from "../../../features/rules/queries.ts";
import { RuleStore } from "../../../features/rules/rule-store.ts";
import { ImportRules } from "../../../features/rules/schema.ts";
import { checkShape } from "../../../http/input.ts";
import type { Context } from "../../context.ts";
import { findProjectRef } from "../access/account-queries.ts";
import { type AdminStore, withExistingStore } from "../access/admin-store.ts";

/** Imports into the data directory's database. A running server counts it within 250 ms. @throws CommandError 3, 4, and as {@link importRules} */
export function importOffline(context: Context, body: unknown): Promise<ImportReply> {
  const checked = checkShape(ImportRules, body, "body");
  return withExistingStore(context, (store) => {
    const users = directoryOf(store);
    const importer: Importer = {
      userId: null,
      projectOf: async (ref, trx) => (typeof ref === "string" ? (await findProjectRef(trx, ref)).id : null),
      userOf: async (ref, trx) => users.find(ref) ?? activeUserByEmail(trx, ref),
    };
    return importRules(store.database, ruleStoreOf(store, users), checked, importer);
  });
}

function ruleStoreOf({ database, reader, audit, config }: AdminStore, users: UserDirectory): RuleStore {
  let quota: PatternQuota | null = null;
  return new RuleStore({
    db: database,
    clock: systemClock,
    audit,
    users,
    config,
    limits: () => config.limits,
    // What can lead out is known to the server that does it.
    senders: { accepts: (channel) => channel !== "email" || config.smtp.host !== undefined },
    patternRefusal: (projectId, size, replaced) => {
      quota ??= storedPatterns(reader, config.limits);
      return quota.refusalOf(projectId, size, replaced);
    },
    // The server beside notices the commit by itself.
    inForce: () => undefined,
  });
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
