import { type Command, InvalidArgumentError } from "commander";
import { contextOf } from "../../context.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { durationFlag } from "../../output/flag-values.ts";
import { showIssuedKey } from "../access/key.ts";

interface Flags {
  readonly project?: string;
  readonly grace: number;
  readonly encryption?: boolean;
}

const MAX_GRACE_MS = 604_800_000;

export function addRotateKey(key: Command): void {
  key
    .command("rotate")
    .description("a new key in place of an old one; the new one is shown this once, alone on stdout")
    .argument("[id]", "the old key's id, as key list shows it")
    .option("--project <project>", "refuse unless it is a key of this project")
    .option("--grace <duration>", "how long the old one still works, at most 7d", graceFlag, 0)
    .option("--encryption", "instead: encrypt everything at rest with encryptionKey that a previous one has encrypted")
    .addHelpText(
      "after",
      `
Another encryption key: set PRISM_ENCRYPTION_KEY to the new one and PRISM_PREVIOUS_ENCRYPTION_KEYS to the old one, restart the server, run
prism key rotate --encryption, beside it or not; then the old one can go. Interrupted, it goes on where it was.

Examples:
  $ prism key rotate 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60 --grace 1h
  $ prism key rotate --encryption`,
    )
    .action(async (id: string | undefined, flags: Flags, command: Command) => {
      const context = contextOf(command);
      if ((id === undefined) !== (flags.encryption === true))
        throw new CommandError(EXIT.usage, "give the id of a key, or --encryption");
      if (id === undefined) {
        const { rotateEncryption } = await import("./rotate-encryption.ts");
        await rotateEncryption(context);
        return;
      }
      const [{ withAdminStore }, { projectOfKey }] = await Promise.all([
        import("../access/admin-store.ts"),
        import("../access/account-queries.ts"),
      ]);
      const { projectId, issued } = await withAdminStore(context, "key rotate", ({ database, keys }) =>
        database.write(async (trx) => {
          const projectId = await projectOfKey(trx, id, flags.project);
          return { projectId, issued: await keys.rotate(projectId, id, flags.grace, null, trx) };
        }),
      );
      showIssuedKey(context, issued, projectId);
      const end = flags.grace === 0 ? "has ended" : `ends in ${flags.grace / 1000} s`;
      context.out.note(`Key ${issued.id} is not shown again; ${id} ${end}.`);
    });
}

function graceFlag(text: string): number {
  const graceMs = durationFlag(text);
  if (graceMs > MAX_GRACE_MS) throw new InvalidArgumentError("The grace is 7d at most.");
  return graceMs;
}
