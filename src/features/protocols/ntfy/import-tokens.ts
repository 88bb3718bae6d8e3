import * as v from "valibot";
import { hashToken } from "../../../core/crypto/tokens.ts";
import { PrismError } from "../../../core/errors.ts";
import type { Route } from "../../../http/api/route.ts";
import { instant, pattern, text } from "../../../http/api/shapes.ts";
import { countOf } from "../../../store/sqlite/list-queries.ts";
import { importedUser, importRows, isStored } from "../../access/index.ts";
import { endOf, expiryMetadata, MAX_TOKENS, type NtfyAccountContext } from "./account.ts";

const row = v.strictObject({
  user: text(255, 1),
  token: pattern(/^tk_[A-Za-z0-9_-]{7,61}$/, "must be tk_ and 7 to 61 letters, digits, - and _"),
  label: v.optional(v.nullable(text(100))),
  expiresAt: v.optional(v.nullable(instant)),
});

/** Tokens of another server of ntfy, whose apps go on with them. None makes room by ending another. */
export function tokenImport(context: Pick<NtfyAccountContext, "db" | "clock" | "audit">): Route {
  const { clock, audit } = context;
  return importRows(context, {
    path: "/api/v1/operator/ntfy/tokens",
    summary: "Import tokens of ntfy",
    row,
    async store(trx, { user, token, label = null, expiresAt = null }) {
      const userId = await importedUser(trx, user);
      const hash = hashToken(token);
      const found = trx.selectFrom("ntfy_tokens").select("userId as ownerId").where("hash", "=", hash);
      if (isStored(await found.executeTakeFirst(), userId)) return false;
      if ((await countOf(trx.selectFrom("ntfy_tokens").where("userId", "=", userId))) >= MAX_TOKENS)
        throw new PrismError("LIMIT_REACHED", `An account has at most ${MAX_TOKENS} tokens`);
      const never = { lastUsedAt: null, lastOrigin: null };
      const values = { hash, userId, last4: endOf(token), label, createdAt: clock.now(), expiresAt, ...never };
      await trx.insertInto("ntfy_tokens").values(values).execute();
      const entry = { action: "ntfy_token.create", resourceType: "user", resourceId: userId } as const;
      await audit.record({ ...entry, metadata: { ...expiryMetadata(expiresAt), imported: true } }, { trx });
      return true;
    },
  });
}
