import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import * as v from "valibot";
import { parse } from "yaml";
import { CommandError } from "../../../core/command-error.ts";
import { type DatabaseFile, isDatabaseFile, withDatabaseFile } from "../database-file.ts";
import { unreadable } from "../http-source.ts";
import { isMembers, rowsAs } from "../source-rows.ts";

const MAX_BYTES = 2 ** 20;

const text = v.string();
const number = v.number();
const User = v.object({ id: text, user: text, pass: text, role: text, deleted: v.nullish(number) });
const Access = v.object({ user_id: text, topic: text, read: number, write: number });
const Token = v.object({ user_id: text, token: text, label: v.nullish(text), expires: v.nullish(number) });
const Phone = v.object({ user_id: text, phone_number: text });
const Tier = v.object({ code: v.nullish(text), name: text });
const Settings = v.custom<Readonly<Record<string, unknown>>>(isMembers);

/** What a server of ntfy has. */
export interface OldNtfy {
  /** `server.yml`; null: it was not given. */
  readonly settings: Readonly<Record<string, unknown>> | null;
  readonly users: readonly v.InferOutput<typeof User>[];
  readonly access: readonly v.InferOutput<typeof Access>[];
  readonly tokens: readonly v.InferOutput<typeof Token>[];
  readonly phones: readonly v.InferOutput<typeof Phone>[];
  readonly tiers: readonly v.InferOutput<typeof Tier>[];
  /** Topics with cached messages. */
  readonly topics: readonly string[];
}

export interface NtfyPlaces {
  readonly userDb?: string | undefined;
  readonly cacheDb?: string | undefined;
}

/** @param file `server.yml`, or the database of users @throws CommandError 7 */
export async function readNtfy(file: string, { userDb, cacheDb }: NtfyPlaces): Promise<OldNtfy> {
  const settings = isDatabaseFile(file) ? null : settingsIn(file);
  const users = settings === null ? file : (userDb ?? fileOf(settings["auth-file"], file, "--user-db"));
  const cache = cacheDb ?? fileOf(settings?.["cache-file"], file, "--cache-db");
  return {
    settings,
    ...(users === undefined ? NO_USERS : await withDatabaseFile(users, usersIn)),
    topics: cache === undefined ? [] : await withDatabaseFile(cache, topicsIn),
  };
}

const NO_USERS = { users: [], access: [], tokens: [], phones: [], tiers: [] };

function settingsIn(file: string): OldNtfy["settings"] {
  try {
    if (statSync(file).size > MAX_BYTES) throw unreadable(`${file} is larger than 1 MiB`);
    const found = v.safeParse(v.nullable(Settings), parse(readFileSync(file, "utf8")));
    if (found.success) return found.output ?? {};
  } catch (error) {
    if (error instanceof CommandError) throw error;
    // The reason may quote a line with a password.
    throw unreadable(`${file} is no YAML`);
  }
  throw unreadable(`${file} is no server.yml of ntfy`);
}

/** @throws CommandError 7 for a file that the settings name and that is not there */
function fileOf(named: unknown, settings: string, flag: string): string | undefined {
  if (typeof named !== "string" || named === "") return undefined;
  const file = isAbsolute(named) ? named : join(dirname(settings), named);
  if (!existsSync(file)) throw unreadable(`${settings} names ${named}, which is not here: give its copy by ${flag}`);
  return file;
}

async function usersIn(database: DatabaseFile) {
  if (!database.has("user") || !database.has("user_access")) throw unreadable("it is no database of ntfy's users");
  const read = rowsAs(database);
  return {
    users: (await read("user", User)).filter(({ user, deleted }) => user !== "*" && !deleted),
    access: await read("user_access", Access),
    tokens: await read("user_token", Token),
    phones: await read("user_phone", Phone),
    tiers: await read("tier", Tier),
  };
}

async function topicsIn(database: DatabaseFile): Promise<readonly string[]> {
  return (await database.values("messages", "topic")).map(String);
}
