import { type Command, InvalidArgumentError } from "commander";
import { single } from "../../resource.ts";
import type { BackupFlags, RestoreFlags } from "./backup-restore.ts";

export function addBackup(program: Command): void {
  single(program, "backup", {
    text: "write an archive of the database and sounds; the server may keep running",
    about: `The archive is a tar file with one consistent copy of the database. Without the encryption key it cannot be restored:
keep the key elsewhere, or use --include-secrets. It holds hashes of passwords and tokens: protect it like the database.`,
    examples: ["--verify", "/mnt/backups --keep 14", "before-upgrade.tar"],
    args: { file: ["[file]", "archive to write, or a directory for it (default: backups in the data directory)"] },
    flags: {
      verify: ["--verify", "check the new archive as prism restore --check does"],
      includeSecrets: ["--include-secrets", "include the keys, encrypted with a passphrase that is asked for"],
      stdin: ["--stdin", "read the passphrase from stdin"],
      keep: ["--keep <n>", "afterwards delete all but the newest n archives that Prism named", keepFlag],
    },
    async act(context, { file, ...flags }) {
      const { makeBackup } = await import("./backup-restore.ts");
      await makeBackup(context, file as string | undefined, flags as BackupFlags);
    },
  });
}

function keepFlag(text: string): number {
  const keep = Number(text);
  if (!/^\d{1,6}$/.test(text) || keep < 1) throw new InvalidArgumentError("Use a number from 1 on.");
  return keep;
}

export function addRestore(program: Command): void {
  single(program, "restore", {
    text: "replace the data directory with the data of an archive; no server may run on it",
    about: `The replaced data is kept in a directory *.before-restore. Users must log in again, streams continue after a gap, and
queues that send to outside services are paused until prism queue resume --all. An interrupted restore leaves the old
data or the new, never a mixture.`,
    examples: [
      "backups/prism-20260131T080000Z.tar --check",
      "backups/prism-20260131T080000Z.tar --yes",
      "prism.tar --to /tmp/drill --include-secrets",
    ],
    args: { file: ["<file>", "archive that prism backup wrote"] },
    flags: {
      yes: ["--yes", "do not ask"],
      check: ["--check", "check the whole archive, and change nothing"],
      to: ["--to <dir>", "restore into this new or empty directory instead of the data directory"],
      trustArchive: [
        "--trust-archive",
        "accept an archive that is not signed, or not with the key of this installation",
      ],
      includeSecrets: ["--include-secrets", "also restore the keys in the archive; their passphrase is asked for"],
      stdin: ["--stdin", "read the passphrase from stdin"],
    },
    async act(context, { file, ...flags }) {
      const { restoreArchive } = await import("./backup-restore.ts");
      await restoreArchive(context, String(file), flags as RestoreFlags);
    },
  });
}

export function addVacuum(program: Command): void {
  single(program, "vacuum", {
    text: "return the space of deleted rows to the disk; no server may run on the data directory",
    about: `It copies the rows into a new file, checks that file and renames it to the database: an interrupted run changes
nothing. The disk needs room for the copy. A server reuses such space; use this if the database will stay smaller.`,
    examples: ["", "--data-dir /var/lib/prism --json"],
    act: async (context) => (await import("./vacuum.ts")).vacuum(context),
  });
}
