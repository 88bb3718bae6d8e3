import * as v from "valibot";
import { type ErrorDetail, MAX_ERROR_DETAILS, PrismError } from "../../../core/errors.ts";
import { type Route, route, undescribed } from "../../../http/api/route.ts";
import type { Uses } from "../../../module/feature.ts";
import type { Trx } from "../../../store/database.ts";
import { findUserRef } from "./queries.ts";

/** Rows of one request: commands send more in parts. */
const MAX_ROWS = 1000;

interface RowsImport<S extends v.GenericSchema> {
  readonly path: string;
  readonly summary: string;
  readonly row: S;
  /** @returns false for a row that is stored already @throws PrismError */
  store(trx: Trx, row: v.InferOutput<S>): Promise<boolean>;
}

/**
 * A route of the operator that stores credentials of another program, all or none: whoever puts a token that others
 * know on an account may act as it, so no permission allows it.
 */
export function importRows<S extends v.GenericSchema>(
  { db }: Uses<"db">,
  { path, summary, row, store }: RowsImport<S>,
): Route {
  return route({
    ...{ tag: "Operator", access: { operatorOnly: true }, undocumented: true, response: undescribed },
    ...{ method: "POST", path, summary, maxBodyBytes: 1_048_576 },
    body: v.strictObject({ rows: v.pipe(v.array(row), v.minLength(1), v.maxLength(MAX_ROWS)) }),
    handle: (_exchange, { body: { rows } }) =>
      db.write(async (trx) => {
        const details: ErrorDetail[] = [];
        let created = 0;
        for (const [at, each] of rows.entries()) {
          const isNew = await store(trx, each).catch((error: unknown) => {
            if (!(error instanceof PrismError)) throw error;
            const { code, message } = error;
            details.push({ path: `rows.${at}`, code, message });
          });
          if (isNew) created++;
        }
        if (details.length > 0)
          throw new PrismError("VALIDATION_FAILED", "Nothing is stored", {
            details: details.slice(0, MAX_ERROR_DETAILS),
          });
        return { created, unchanged: rows.length - created };
      }),
  });
}

/** The id of the account with an id, external id, username or mail address. @throws USER_NOT_FOUND */
export async function importedUser(trx: Trx, ref: string): Promise<string> {
  return (await findUserRef(trx, ref)).id;
}

/**
 * Whether a token is stored for another owner than `ownerId`, or for it. @throws NAME_TAKEN, without the owner's name
 * @returns false for a new one
 */
export function isStored(found: { readonly ownerId: string } | undefined, ownerId: string): boolean {
  if (found && found.ownerId !== ownerId) throw new PrismError("NAME_TAKEN", "Another one has this token");
  return found !== undefined;
}
