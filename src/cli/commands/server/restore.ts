import type { Command } from "commander";
import { contextOf } from "../../context.ts";
import type { RestoreFlags } from "./restore-archive.ts";

export function addRestore(program: Command): void {
  program
    .command("restore")
    .description("put the data of an archive in the place of what is there; no server may run on the directory")
    .argument("<file>", "an archive that prism backup has made")
    .option("--yes", "do not ask")
    .option("--check", "look at all of the archive, and change nothing")
    .option("--to <dir>", "restore into this new or empty directory instead of the data directory")
    .option("--trust-archive", "take an archive that is not signed, or whose signature is not ours")
    .option("--include-secrets", "restore the keys that the archive carries, too; their passphrase is asked for")
    .option("--stdin", "read that passphrase from stdin")
    .addHelpText(
      "after",
      `
The old data is kept beside the new, in a folder *.before-restore. Everybody has to log in again; streams go on behind a gap; queues that lead outside are
paused until prism queue resume. Interrupted, it leaves the old data or the new, never a mixture.

Examples:
  $ prism restore backups/prism-20260131T080000Z.tar --check
  $ prism restore backups/prism-20260131T080000Z.tar --yes
  $ prism restore prism.tar --to /tmp/drill --include-secrets`,
    )
    .action(async (file: string, flags: RestoreFlags, command: Command) => {
      const { restoreArchive } = await import("./restore-archive.ts");
      await restoreArchive(contextOf(command), file, flags);
    });
}
