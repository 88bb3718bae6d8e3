import type { Command } from "commander";
import { addCreateKey } from "./create-key.ts";
import { addListKeys } from "./list-keys.ts";
import { addRevokeKey } from "./revoke-key.ts";
import { addRotateKey } from "./rotate-key.ts";

/** API keys of projects, offline on the data directory. */
export function addKey(program: Command): void {
  const key = program.command("key").description("make, list, rotate and revoke API keys of projects");
  addCreateKey(key);
  addListKeys(key);
  addRotateKey(key);
  addRevokeKey(key);
}
