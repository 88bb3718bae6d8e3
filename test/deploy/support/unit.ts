import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { SandboxOptions } from "./sandbox.ts";

const UNITS = "etc/systemd/system";

/** What a unit's [Service] section says; a setting may be there several times. */
export function readUnit(root: string, unit: string, folder = UNITS): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  const text = readFileSync(join(root, folder, unit), "utf8");
  const section = /^\[Service\]\n([\s\S]*?)(?=^\[|$(?![\s\S]))/m.exec(text)?.[1] ?? "";
  for (const [, key = "", value = ""] of section.matchAll(/^(\w+)=(.*)$/gm))
    found.set(key, [...(found.get(key) ?? []), value]);
  return found;
}

/** Of the user that systemd-sysusers made. */
export function userOf(root: string): { uid: number; gid: number } {
  const line = /^prism:[^:]*:(\d+):(\d+):/m.exec(readFileSync(join(root, "etc/passwd"), "utf8"));
  return { uid: Number(line?.[1]), gid: Number(line?.[2]) };
}

/** User, environment and command of a unit, for the directories of `root`. */
export function sandboxOf(
  root: string,
  unit: string,
  extra: Readonly<Record<string, string>> = {},
  folder = UNITS,
): SandboxOptions {
  const settings = readUnit(root, unit, folder);
  assert.deepEqual(settings.get("User"), ["prism"]);
  const pairs = (text: string): string[][] =>
    text
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]);
  const secrets = settings.get("EnvironmentFile")?.map((file) => readFileSync(join(root, file.slice(1)), "utf8")) ?? [];
  const env = Object.fromEntries([...(settings.get("Environment") ?? []), ...secrets].flatMap(pairs));
  const writable = [
    ...(settings.get("StateDirectory") ?? []).map((name) => `/var/lib/${name}`),
    ...(settings.get("CacheDirectory") ?? []).map((name) => `/var/cache/${name}`),
    "/tmp",
  ];
  const command = settings.get("ExecStart")?.[0]?.split(" ") ?? [];
  return { root, ...userOf(root), writable, env: { ...env, ...extra }, command };
}
