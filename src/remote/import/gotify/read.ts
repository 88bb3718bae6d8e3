import * as v from "valibot";
import { withDatabaseFile } from "../database-file.ts";
import { unreadable } from "../http-source.ts";
import { rowsAs } from "../source-rows.ts";

const text = v.string();
const number = v.number();
const optional = v.nullish(text);
const User = v.object({ id: number, name: text, pass: optional, admin: v.nullish(number), oidc_id: optional });
const Application = v.object({
  ...{ token: text, user_id: number, name: optional, description: optional, image: optional },
  ...{ internal: v.nullish(number), default_priority: v.nullish(number) },
});
const Client = v.object({
  ...{ token: text, user_id: number, name: optional },
  // Since 2.7.
  expires_after_inactivity_seconds: v.nullish(number),
});
const Plugin = v.object({ user_id: number, module_path: text, enabled: v.nullish(number) });

/** What a server of Gotify has. */
export interface OldGotify {
  readonly users: readonly v.InferOutput<typeof User>[];
  readonly applications: readonly v.InferOutput<typeof Application>[];
  readonly clients: readonly v.InferOutput<typeof Client>[];
  readonly plugins: readonly v.InferOutput<typeof Plugin>[];
  readonly messages: number;
}

/** @param file the database of Gotify @throws CommandError 7 */
export async function readGotify(file: string): Promise<OldGotify> {
  return withDatabaseFile(file, async (database) => {
    if (!database.has("users") || !database.has("applications")) throw unreadable(`${file} is no database of Gotify`);
    const read = rowsAs(database);
    return {
      users: await read("users", User),
      applications: await read("applications", Application),
      clients: await read("clients", Client),
      plugins: await read("plugin_confs", Plugin),
      messages: (await database.values("messages", "id")).length,
    };
  });
}
