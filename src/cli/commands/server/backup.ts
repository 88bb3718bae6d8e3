import { type Command, InvalidArgumentError } from "commander";
import { contextOf } from "../../context.ts";
import type { BackupFlags } from "./make-backup.ts";

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
      const { makeBackup } = await import("./make-backup.ts");
      await makeBackup(contextOf(command), file, flags);
    });
}

function keepFlag(text: string): number {
  const keep = Number(text);
  if (!/^\d{1,6}$/.test(text) || keep < 1) throw new InvalidArgumentError("Use a number from 1 on.");
  return keep;
}
