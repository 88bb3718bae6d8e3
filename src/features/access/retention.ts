import type { ReadDb, Trx } from "../../store/database.ts";
import { daysBefore, type RetentionRule, sweepOf } from "../../store/retention.ts";

const SESSION_DAYS = 30;
const LINK_DAYS = 1;
const DEVICE_DAYS = 30;
const INVITATION_DAYS = 30;
const REMOVED_USER_DAYS = 30;
const REVOKED_DAYS = 90;

/** Dependent rows are removed through the foreign key. */
function expired(table: "sessions" | "project_invitations", days: number): RetentionRule<string> {
  return {
    name: table,
    async find(scan, now, limit) {
      const ended = scan.selectFrom(table).select("id").where("expiresAt", "<=", daysBefore(now, days));
      return (await ended.orderBy("expiresAt").limit(limit).execute()).map(({ id }) => id);
    },
    remove: (trx, ids) => deleteRows(trx, table, ids),
  };
}

const links: RetentionRule<string> = {
  name: "one_time_tokens",
  async find(scan, now, limit) {
    const ended = scan
      .selectFrom("one_time_tokens")
      .select("hash")
      .where("expiresAt", "<=", daysBefore(now, LINK_DAYS));
    return (await ended.limit(limit).execute()).map(({ hash }) => hash);
  },
  async remove(trx, hashes) {
    const { numDeletedRows } = await trx.deleteFrom("one_time_tokens").where("hash", "in", hashes).executeTakeFirst();
    return Number(numDeletedRows);
  },
};

const devices: RetentionRule<string> = {
  name: "push_devices",
  find: async (scan, now, limit) => (await goneDevices(scan, now).limit(limit).execute()).map(({ id }) => id),
  async remove(trx, ids, now) {
    // Its owner may have registered it again in the meantime.
    const gone = (await goneDevices(trx, now).where("id", "in", ids).execute()).map(({ id }) => id);
    if (gone.length > 0) await trx.deleteFrom("push_devices").where("id", "in", gone).execute();
    return gone.length;
  },
};

function goneDevices(db: ReadDb | Trx, now: number) {
  return db.selectFrom("push_devices").select("id").where("disabledAt", "<=", daysBefore(now, DEVICE_DAYS));
}

/** A deleted account keeps its row, as other rows refer to it; personal data is removed. */
const removedUsers: RetentionRule<string> = {
  name: "users",
  async find(scan, now, limit) {
    const known = scan
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
      );
    return (await known.limit(limit).execute()).map(({ id }) => id);
  },
  async remove(trx, ids, now) {
    const noName = { name: "", email: null, username: null, phone: null, externalId: null, prefs: "{}" };
    const { numUpdatedRows } = await trx
      .updateTable("users")
      .set({ ...noName, timezone: "UTC", locale: "en", updatedAt: now })
      .where("id", "in", ids)
      .executeTakeFirst();
    return Number(numUpdatedRows);
  },
};

function revoked(table: "api_keys" | "service_tokens"): RetentionRule<string> {
  return {
    name: table,
    async find(scan, now, limit) {
      const rows = await scan
        .selectFrom(table)
        .select("id")
        .where("revokedAt", "<=", daysBefore(now, REVOKED_DAYS))
        .limit(limit)
        .execute();
      return rows.map(({ id }) => id);
    },
    remove: (trx, ids) => deleteRows(trx, table, ids),
  };
}

async function deleteRows(
  trx: Trx,
  table: "sessions" | "project_invitations" | "api_keys" | "service_tokens",
  ids: readonly string[],
): Promise<number> {
  const { numDeletedRows } = await trx.deleteFrom(table).where("id", "in", ids).executeTakeFirst();
  return Number(numDeletedRows);
}

export const ACCOUNT_SWEEPS = [
  sweepOf(expired("sessions", SESSION_DAYS)),
  sweepOf(links),
  sweepOf(expired("project_invitations", INVITATION_DAYS)),
  sweepOf(devices),
  sweepOf(removedUsers),
  sweepOf(revoked("service_tokens")),
  sweepOf(revoked("api_keys")),
];
