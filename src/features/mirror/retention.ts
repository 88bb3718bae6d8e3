import { addEffect } from "../../store/database.ts";
import { daysBefore, sweepRows } from "../../store/retention.ts";
import { KEPT_DAYS } from "./schema.ts";

/** Those of deleted projects name people, too. */
export const MIRROR_SWEEPS = [
  sweepRows(
    "mirror_observed",
    (db, now) =>
      db
        .selectFrom("mirror_observed")
        .select(["projectId", "ref"])
        .where(({ eb, or, selectFrom }) =>
          or([
            eb("at", "<=", daysBefore(now, KEPT_DAYS)),
            eb("projectId", "in", selectFrom("projects").select("id").where("deletedAt", "is not", null)),
          ]),
        ),
    {
      async remove(trx, keys) {
        for (const { projectId, ref } of keys)
          await trx.deleteFrom("mirror_observed").where("projectId", "=", projectId).where("ref", "=", ref).execute();
        addEffect(trx, { type: "texts-changed", projectIds: [...new Set(keys.map(({ projectId }) => projectId))] });
      },
    },
  ),
];
