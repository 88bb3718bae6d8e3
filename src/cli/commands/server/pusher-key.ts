import type { Command } from "commander";
import { contextOf } from "../../context.ts";

export function addPusherKey(key: Command): void {
  key
    .command("pusher")
    .description(
      "id, key and secret of the Pusher server's app, for the libraries of backends; pages need the key alone",
    )
    .option("--rotate", "give the app another secret first; needs the data directory for itself")
    .addHelpText(
      "after",
      `
An app that is configured (pusher.appId, key and secret) is the operator's: its secret is not shown, and not rotated.

Examples:
  $ prism key pusher
  $ prism key pusher --rotate --json`,
    )
    .action(async ({ rotate = false }: { readonly rotate?: boolean }, command: Command) => {
      const { showPusherApp } = await import("./show-pusher-app.ts");
      await showPusherApp(contextOf(command), { rotate });
    });
}
