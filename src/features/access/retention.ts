import { daysBefore, type NamedSweep, sweepRows } from "../../store/retention.ts";
import { forgetPages } from "./projects/queries.ts";

const SESSION_DAYS = 30;
const LINK_DAYS = 1;
const DEVICE_DAYS = 30;
const INVITATION_DAYS = 30;
const REMOVED_USER_DAYS = 30;
const REVOKED_DAYS = 90;

/** Dependent rows are removed through the foreign key. */
function expired(table: "sessions" | "project_invitations", days: number): NamedSweep {
  return sweepRows(table, (db, now) =>
    db.selectFrom(table).select("id").where("expiresAt", "<=", daysBefore(now, days)),
  );
}

const links = sweepRows("one_time_tokens", (db, now) =>
  db.selectFrom("one_time_tokens").select("hash").where("expiresAt", "<=", daysBefore(now, LINK_DAYS)),
);

/** The owner of a device may register it again in the meantime. */
const devices = sweepRows("push_devices", (db, now) =>
  db.selectFrom("push_devices").select("id").where("disabledAt", "<=", daysBefore(now, DEVICE_DAYS)),
);

/** A deleted account keeps its row, as other rows refer to it; personal data is removed. */
const removedUsers = sweepRows(
  "users",
  (db, now) =>
    db
      .selectFrom("users")
      .select("id")
      .where("deletedAt", "<=", daysBefore(now, REMOVED_USER_DAYS))
      .where((e) =>
        e.or([
          e("name", "<>", ""),
          e("email", "is not", null),
          e("username", "is not", null),
          e("phone", "is not", null),
          e("externalId", "is not", null),
        ]),
      ),
  {
    async remove(trx, keys, now) {
      const ids = keys.map(({ id }) => id);
      for (const id of ids) await forgetPages(trx, id);
      const noName = { name: "", email: null, username: null, phone: null, externalId: null, prefs: "{}" };
      await trx
        .updateTable("users")
        .set({ ...noName, timezone: "UTC", hasChosenTimezone: 0, locale: "en", updatedAt: now })
        .where("id", "in", ids)
        .execute();
    },
  },
);

function revoked(table: "api_keys" | "service_tokens"): NamedSweep {
  return sweepRows(table, (db, now) =>
    db.selectFrom(table).select("id").where("revokedAt", "<=", daysBefore(now, REVOKED_DAYS)),
  );
}

export const ACCOUNT_SWEEPS = [
  expired("sessions", SESSION_DAYS),
  links,
  expired("project_invitations", INVITATION_DAYS),
  devices,
  removedUsers,
  revoked("service_tokens"),
  revoked("api_keys"),
];
