import * as v from "valibot";
import { type DatabaseFile, withDatabaseFile } from "../database-file.ts";
import { unreadable } from "../http-source.ts";
import { flag, number, optional, rowsAs, text } from "../source-rows.ts";
import { isFolder, tsvFolder } from "../tsv-folder.ts";

/** Bytes, which PostgreSQL prints as `\\x2432…`. */
const bytes = v.pipe(
  optional,
  v.transform((value) =>
    /^\\x([0-9a-f]{2})*$/.test(value ?? "") ? Buffer.from(String(value).slice(2), "hex").toString("utf8") : value,
  ),
);
const User = v.object({ id: number, name: text, pass: bytes, admin: flag, oidc_id: optional });
const Application = v.object({
  ...{ token: text, user_id: number, name: optional, description: optional, image: optional },
  ...{ internal: flag, default_priority: v.nullish(number) },
});
const Client = v.object({
  ...{ token: text, user_id: number, name: optional },
  // Since 2.7.
  expires_after_inactivity_seconds: v.nullish(number),
});
const Plugin = v.object({ user_id: number, module_path: text });

/** What a server of Gotify has. */
export interface OldGotify {
  readonly users: readonly v.InferOutput<typeof User>[];
  readonly applications: readonly v.InferOutput<typeof Application>[];
  readonly clients: readonly v.InferOutput<typeof Client>[];
  readonly plugins: readonly v.InferOutput<typeof Plugin>[];
  readonly messages: number;
}

/** @param path `gotify.db`, or a folder with `<table>.tsv` of MySQL or PostgreSQL @throws CommandError 7 */
export async function readGotify(path: string): Promise<OldGotify> {
  return isFolder(path) ? read(tsvFolder(path), path) : withDatabaseFile(path, (database) => read(database, path));
}

async function read(database: DatabaseFile, path: string): Promise<OldGotify> {
  if (!database.has("users") || !database.has("applications")) throw unreadable(`${path} is no database of Gotify`);
  const rows = rowsAs(database);
  return {
    users: await rows("users", User),
    applications: await rows("applications", Application),
    clients: await rows("clients", Client),
    plugins: await rows("plugin_confs", Plugin),
    messages: (await database.values("messages", "id")).length,
  };
}
