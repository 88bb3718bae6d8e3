import type { Command } from "commander";
import { addPusherKey } from "../server/pusher-key.ts";
import { addRotateKey } from "../server/rotate-key.ts";
import { addCreateKey } from "./create-key.ts";
import { addListKeys } from "./list-keys.ts";
import { addRevokeKey } from "./revoke-key.ts";

/** API keys of projects and the app of the Pusher server, offline on the data directory. */
export function addKey(program: Command): void {
  const key = program
    .command("key")
    .description("make, list, rotate and revoke API keys of projects; show the app of the Pusher server")
    .addHelpText(
      "after",
      "\nExamples:\n  $ KEY=$(prism key create --project shop --name webshop)\n  $ prism key rotate 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60 --grace 1h",
    );
  addCreateKey(key);
  addListKeys(key);
  addRotateKey(key);
  addRevokeKey(key);
  addPusherKey(key);
}
