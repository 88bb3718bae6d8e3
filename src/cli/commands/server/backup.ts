import { type Command, InvalidArgumentError } from "commander";
import { contextOf } from "../../context.ts";
import type { BackupFlags, RestoreFlags } from "./backup-restore.ts";

export function addBackup(program: Command): void {
  program
    .command("backup")
    .description("write an archive of the database and sounds; the server may keep running")
    .argument("[file]", "archive to write, or a directory for it (default: backups in the data directory)")
    .option("--verify", "check the new archive as prism restore --check does")
    .option("--include-secrets", "include the keys, encrypted with a passphrase that is asked for")
    .option("--stdin", "read the passphrase from stdin")
    .option("--keep <n>", "afterwards delete all but the newest n archives that Prism named", keepFlag)
    .addHelpText(
      "after",
      `
The archive is a tar file with one consistent copy of the database. Without the encryption key it cannot be restored:
keep the key elsewhere, or use --include-secrets. It holds hashes of passwords and tokens: protect it like the database.

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
    .description("replace the data directory with the data of an archive; no server may run on it")
    .argument("<file>", "archive that prism backup wrote")
    .option("--yes", "do not ask")
    .option("--check", "check the whole archive, and change nothing")
    .option("--to <dir>", "restore into this new or empty directory instead of the data directory")
    .option("--trust-archive", "accept an archive that is not signed, or not with the key of this installation")
    .option("--include-secrets", "also restore the keys in the archive; their passphrase is asked for")
    .option("--stdin", "read the passphrase from stdin")
    .addHelpText(
      "after",
      `
The replaced data is kept in a directory *.before-restore. Users must log in again, streams continue after a gap, and
queues that send to outside services are paused until prism queue resume --all. An interrupted restore leaves the old
data or the new, never a mixture.

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
    .description("return the space of deleted rows to the disk; no server may run on the data directory")
    .addHelpText(
      "after",
      `
It copies the rows into a new file, checks that file and renames it to the database: an interrupted run changes
nothing. The disk needs room for the copy. A server reuses such space; use this if the database will stay smaller.

Examples:
  $ prism vacuum
  $ prism vacuum --data-dir /var/lib/prism --json`,
    )
    .action(async (_flags: object, command: Command) => {
      const { vacuum } = await import("./vacuum.ts");
      await vacuum(contextOf(command));
    });
}
