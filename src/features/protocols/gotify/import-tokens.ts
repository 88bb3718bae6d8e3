import * as v from "valibot";
import { hashToken } from "../../../core/crypto/tokens.ts";
import { PrismError } from "../../../core/errors.ts";
import { cleanText } from "../../../core/text/clean-text.ts";
import type { Route } from "../../../http/api/route.ts";
import { integer, pattern, text } from "../../../http/api/shapes.ts";
import type { Uses } from "../../../module/feature.ts";
import type { Trx } from "../../../store/database.ts";
import { importedUser, importRows, isStored } from "../../access/index.ts";
import { type ApplicationsParts, MAX_EXPIRY_S, storeApplication, storeClient } from "./applications.ts";
import { GotifyError } from "./errors.ts";

/** Gotify's have 14 characters after the first. Some have a dot, which no other token has. */
const tokenOf = (kind: "A" | "C") =>
  pattern(new RegExp(`^${kind}[A-Za-z0-9._-]{9,63}$`), `must be ${kind} and 9 to 63 letters, digits, ., - and _`);
const name = text(200, 1);
const application = v.strictObject({
  ...{ user: text(255, 1), token: tokenOf("A"), name },
  description: v.optional(text(2000)),
  defaultPriority: v.optional(integer(0, 10)),
});
const client = v.strictObject({
  ...{ user: text(255, 1), token: tokenOf("C"), name },
  expiresAfterInactivitySeconds: v.optional(integer(0, MAX_EXPIRY_S)),
});

/** Applications and clients of another server of Gotify, whose senders and apps go on with their tokens. */
export function tokenImports(parts: ApplicationsParts & Uses<"db">): Route[] {
  const applications = importRows(parts, {
    path: "/api/v1/operator/gotify/applications",
    summary: "Import applications of Gotify",
    row: application,
    async store(trx, { user, token, name: given, ...more }) {
      const userId = await importedUser(trx, user);
      if (await isKnown(trx, token, userId)) return false;
      const settings = { name: cleanText(given), ...more };
      return stored(() => storeApplication(parts, trx, userId, { ...settings, sortKey: "" }, token));
    },
  });
  const clients = importRows(parts, {
    path: "/api/v1/operator/gotify/clients",
    summary: "Import clients of Gotify",
    row: client,
    async store(trx, { user, token, name: given, expiresAfterInactivitySeconds = 0 }) {
      const userId = await importedUser(trx, user);
      if (await isKnown(trx, token, userId)) return false;
      return stored(() =>
        storeClient(
          parts,
          trx,
          userId,
          { name: cleanText(given), expiresAfterS: expiresAfterInactivitySeconds },
          token,
        ),
      );
    },
  });
  return [applications, clients];
}

/** @throws NAME_TAKEN */
async function isKnown(trx: Trx, token: string, userId: string): Promise<boolean> {
  const hash = hashToken(token);
  const table = token.startsWith("A") ? "gotify_applications" : "gotify_clients";
  const found = trx.selectFrom(table).select("userId as ownerId").where("tokenHash", "=", hash);
  return isStored(await found.executeTakeFirst(), userId);
}

async function stored(store: () => Promise<unknown>): Promise<true> {
  try {
    await store();
    return true;
  } catch (error) {
    if (error instanceof GotifyError) throw new PrismError("LIMIT_REACHED", error.message, { cause: error });
    throw error;
  }
}
