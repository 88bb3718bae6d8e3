import { readFileSync, statSync } from "node:fs";
import * as v from "valibot";
import { parse } from "yaml";
import { CommandError } from "../../../core/command-error.ts";
import { printable } from "../../../core/text/clean-text.ts";
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
  /** Topics with cached messages; null: the database of messages was not given. */
  readonly topics: readonly string[] | null;
}

export interface NtfyPlaces {
  readonly userDb?: string | undefined;
  readonly cacheDb?: string | undefined;
}

/**
 * Opens the files that were given, and none that the settings name: these are a stranger's text.
 * @param file `server.yml`, or the database of users @throws CommandError 7
 */
export async function readNtfy(file: string, { userDb, cacheDb }: NtfyPlaces): Promise<OldNtfy> {
  const settings = isDatabaseFile(file) ? null : settingsIn(file);
  const users = settings === null ? file : userDb;
  const named = settings?.["auth-file"];
  if (users === undefined && named)
    throw unreadable(`${file} names the database of users ${printable(String(named))}: give it by --user-db`);
  return {
    settings,
    ...(users === undefined ? NO_USERS : await withDatabaseFile(users, usersIn)),
    topics: cacheDb === undefined ? null : await withDatabaseFile(cacheDb, topicsIn),
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
