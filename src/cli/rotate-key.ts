import { type Command, InvalidArgumentError } from "commander";
import { contextOf } from "./context.ts";
import { showIssuedKey } from "./create-key.ts";
import { durationFlag } from "./flag-values.ts";

interface Flags {
  readonly project?: string;
  readonly grace: number;
}

const MAX_GRACE_MS = 604_800_000;

export function addRotateKey(key: Command): void {
  key
    .command("rotate")
    .description("a new key in place of an old one; the new one is shown this once, alone on stdout")
    .argument("<id>", "the old key's id, as key list shows it")
    .option("--project <project>", "refuse unless it is a key of this project")
    .option("--grace <duration>", "how long the old one still works, at most 7d", graceFlag, 0)
    .addHelpText("after", "\nExample:\n  $ prism key rotate 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60 --grace 1h")
    .action(async (id: string, flags: Flags, command: Command) => {
      const context = contextOf(command);
      const [{ withAdminStore }, { projectOfKey }] = await Promise.all([
        import("./admin-store.ts"),
        import("./account-queries.ts"),
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
