import type { Database as Sqlite } from "better-sqlite3";
import type { SealedBox } from "../core/sealed-box.ts";

/** Ids of the keys that the server which ran last can open with, as a JSON list. */
export const SERVER_KEYS_SETTING = "encryption.serverKeys";

/** Leaves word of the keys of this server, for a command that would seal beside it with one that it does not have. */
export function noteServerKeys(connection: Sqlite, box: SealedBox): void {
  connection
    .prepare(
      `insert into settings (key, value, updatedAt) values (?, ?, ?)
       on conflict (key) do update set value = excluded.value, updatedAt = excluded.updatedAt where value is not excluded.value`,
    )
    .run(SERVER_KEYS_SETTING, JSON.stringify(box.keyIds), Date.now());
}
