import type { Command } from "commander";
import { type Clock, systemClock } from "../../../core/time/clock.ts";
import type { PastClock, SeededAccount, SeededData } from "../../../remote/demo/fill.ts";
import type { NewServer } from "../../../remote/demo/past-fill.ts";
import * as samples from "../../../remote/demo/samples.ts";
import type { ServerClient } from "../../../remote/server-client.ts";
import { type CommandContext, refuseUrl } from "../../context.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { integerFlag } from "../../output/flag-values.ts";
import { single, tableOf } from "../../resource.ts";
import { withWholeServer } from "../../with-server.ts";
import { confirm } from "../access/prompt.ts";

interface Flags {
  readonly demo?: boolean;
  readonly users?: number;
  readonly events?: number;
  readonly tasks?: number;
  readonly yes?: boolean;
}

export function addSeed(program: Command): void {
  single(program, "seed", {
    text: "create sample accounts, rules, tasks and events; a second run adds only what is missing",
    about: `It prints the passwords of new accounts on stdout, once. It uses the server that runs on the data directory. Without
one it runs the server itself, and a new database gets a past with --demo: events of a week, incidents of 90 days.`,
    examples: ["", "--demo --events 5000 --json"],
    flags: {
      demo: ["--demo", "create more of each, and something for every page of the console"],
      users: ["--users <n>", "number of accounts besides admin (default: 1, with --demo 5)", integerFlag(0, 1000)],
      events: ["--events <n>", "number of events (default: 20, with --demo 500)", integerFlag(0, 100_000)],
      tasks: ["--tasks <n>", "number of tasks (default: 5, with --demo 25)", integerFlag(0, 10_000)],
      yes: ["--yes", "do not ask in production"],
    },
    act: (context, flags) => seed(context, flags as Flags),
  });
}

async function seed(
  context: CommandContext,
  { demo = false, yes = false, users, events, tasks }: Flags,
): Promise<void> {
  refuseUrl(context, "seed");
  const loaded = context.loadConfig("all");
  const { config } = loaded;
  const usual = demo ? samples.DEMO : samples.PLAIN;
  const amounts = { users: users ?? usual.users, events: events ?? usual.events, tasks: tasks ?? usual.tasks };
  if (
    config.env === "production" &&
    !yes &&
    !(await confirm(`Create sample accounts and data in ${config.databaseFile}?`))
  )
    throw new CommandError(EXIT.usage, "this is production: nothing was created; --yes creates without asking");
  const { PastClock } = await import("../../../remote/demo/fill.ts");
  let past: PastClock | null = null;
  const clockOf = (isNew: boolean): Clock => {
    if (!isNew || !demo) return systemClock;
    past = new PastClock();
    return past;
  };
  await withWholeServer(
    context,
    loaded,
    (api, app) => {
      const server = past && app ? { clock: past, parts: app.parts } : null;
      return fill(context, api, amounts, demo ? { server } : null);
    },
    clockOf,
  );
}

/** @param demo its server is one with a new database, otherwise null. */
async function fill(
  context: CommandContext,
  api: ServerClient,
  amounts: samples.SeedAmounts,
  demo: { readonly server: NewServer | null } | null,
): Promise<void> {
  const { SeedFill } = await import("../../../remote/demo/fill.ts");
  const seed = new SeedFill(api, context.out);
  const seeded = await seed.accounts(samples.sampleAccounts(amounts.users));
  const usernames = seeded.map(({ username }) => username);
  const filling = demo
    ? import("../../../remote/demo/demo.ts").then(({ DemoFill }) =>
        new DemoFill(seed, demo.server, usernames).run(amounts),
      )
    : import("../../../remote/demo/walk.ts")
        .then(({ plainSeed }) => plainSeed(seed, amounts, usernames))
        .then((kinds) => ({ kinds, apiKey: null }));
  const filled = await filling
    .catch((error: unknown) => {
      // New passwords are known to this process alone, also if the rest fails.
      if (seeded.some(({ password }) => password !== null)) show(context, seeded, { kinds: [], apiKey: null });
      throw error;
    })
    .finally(() => seed.end());
  show(context, seeded, filled);
  if (demo?.server === null)
    context.out.note(
      "Incidents of the last 90 days come with a new database only. Without them, stop the server, and run prism seed " +
        "--demo with an empty data directory (PRISM_DATA_DIR).",
    );
  const people = usernames.filter((username) => seed.isPerson(username)).join(", ");
  if (people !== "")
    context.out.note(
      `${people}: existed before. Sample rules notify their roles in the app and by their channels; sample on-call ` +
        "schedules and policies leave them out, and their settings stay as they are.",
    );
}

const ACCOUNTS = { USERNAME: "username", EMAIL: "email", ROLE: "role", PASSWORD: "password" };

function show({ out }: CommandContext, accounts: readonly SeededAccount[], { kinds, apiKey }: SeededData): void {
  const made = accounts.filter(({ password }) => password !== null);
  const all = [{ kind: "accounts", made: made.length, kept: accounts.length - made.length }, ...kinds];
  const perKind = (key: "made" | "kept") => Object.fromEntries(all.map((each) => [each.kind, each[key]]));
  out.result({ accounts, made: perKind("made"), kept: perKind("kept"), apiKey }, () => [
    ...tableOf({ KIND: "kind", CREATED: "made", EXISTED: "kept" }, all),
    ...(made.length === 0 ? [] : ["", ...tableOf(ACCOUNTS, made)]),
    ...(apiKey === null ? [] : ["", `API key of the project shop: ${apiKey}`]),
  ]);
  if (made.length > 0) out.note("The passwords are not shown again.");
}
