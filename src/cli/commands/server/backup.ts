import { type Command, InvalidArgumentError } from "commander";
import { contextOf } from "../../context.ts";
import type { BackupFlags, RestoreFlags } from "./backup-restore.ts";

export function addBackup(program: Command): void {
  program
    .command("backup")
    .description("write an archive of the database and the sounds; also beside a running server, which goes on")
    .argument("[file]", "the archive, or a directory for it (default: backups in the data directory)")
    .option("--verify", "look into the archive as a restore would, before it counts")
    .option("--include-secrets", "put the keys into it as well, under a passphrase that is asked for")
    .option("--stdin", "read that passphrase from stdin")
    .option("--keep <n>", "afterwards remove all but the newest n archives that were named by Prism", keepFlag)
    .addHelpText(
      "after",
      `
The archive is a tar file with what one commit left: everything in it belongs together. Without the encryption key nobody can restore it; keep that
elsewhere, or use --include-secrets. It holds hashes of passwords and tokens: keep it as you keep the database.

Examples:
  $ prism backup --verify
  $ prism backup /mnt/backups --keep 14
  $ prism backup before-upgrade.tar`,
    )
    .action(async (file: string | undefined, flags: BackupFlags, command: Command) => {
      const { makeBackup } = await import("./backup-restore.ts");
      await makeBackup(contextOf(command), file, flags);
    });
}

function keepFlag(text: string): number {
  const keep = Number(text);
  if (!/^\d{1,6}$/.test(text) || keep < 1) throw new InvalidArgumentError("Use a number from 1 on.");
  return keep;
}

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
paused until prism queue resume --all. Interrupted, it leaves the old data or the new, never a mixture.

Examples:
  $ prism restore backups/prism-20260131T080000Z.tar --check
  $ prism restore backups/prism-20260131T080000Z.tar --yes
  $ prism restore prism.tar --to /tmp/drill --include-secrets`,
    )
    .action(async (file: string, flags: RestoreFlags, command: Command) => {
      const { restoreArchive } = await import("./backup-restore.ts");
      await restoreArchive(contextOf(command), file, flags);
    });
}

export function addVacuum(program: Command): void {
  program
    .command("vacuum")
    .description("give the space of deleted rows back to the disk; no server may run on the directory")
    .addHelpText(
      "after",
      `
It copies the rows into a new file, checks that file, and puts it in place of the database at once: an interrupted run changes nothing.
The disk needs room for the copy. A server reuses such space by itself; this is for a database that will stay smaller.

Examples:
  $ prism vacuum
  $ prism vacuum --data-dir /var/lib/prism --json`,
    )
    .action(async (_flags: object, command: Command) => {
      const { vacuum } = await import("./vacuum.ts");
      await vacuum(contextOf(command));
    });
}
