import type { HttpSource } from "../../../remote/import/http-source.ts";
import type { CommandContext } from "../../context.ts";
import { readFileOrStdin } from "../../files.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { collectFlag } from "../../output/flag-values.ts";
import type { Values, Verb } from "../../resource.ts";
import { API_FLAGS, apiImportOptions, finishImport, openSource } from "./import-flags.ts";

export const ONCALL: Verb = {
  text: "turn a Grafana OnCall into configuration files",
  about: `Reads people, teams, schedules, overrides, swaps, escalation chains, routes, integrations with their tokens,
heartbeats, personal rules and webhooks by the API of OnCall, with GET alone, and writes files for prism check, plan and
apply. Each schedule is compared with what OnCall itself says of the coming weeks, up to a week after the next change of
the clocks; one that differs follows OnCall's calendar (exit code 8). What is not taken is in report.md (exit code 8).`,
  examples: [
    "--from-url https://oncall.example.com --from-token @token --out oncall",
    '--from-url https://oncall.example.com --out oncall --local-times "Primary"',
  ],
  flags: {
    ...API_FLAGS,
    localTimes: [
      "--local-times <schedule>",
      "write shifts that run in UTC by the clocks of the schedule's zone; repeatable",
      collectFlag,
    ],
    db: ["--db <file>", "phone numbers of OnCall's database: lines of username, tab and number; - for stdin"],
  },
  act: run,
};

async function run(context: CommandContext, given: Values): Promise<void> {
  const options = apiImportOptions(given, "oncall");
  const { localTimes = [] } = given as { localTimes?: readonly string[] };
  const { readOnCall } = await import("../../../remote/import/oncall/read.ts");
  const { writeOnCall } = await import("../../../remote/import/oncall/write.ts");
  const { db } = given as { db?: string };
  const phones = db === undefined ? new Map<string, string>() : phonesOf(await readFileOrStdin(db, "--db"));
  const source = await openOnCall(given);
  await finishImport(
    context,
    writeOnCall(await readOnCall(source, options.untilMs), { ...options, localTimes, phones }),
    given,
  );
}

/** Its API, at the address that its page shows, with or without the path. @throws CommandError 2 */
export async function openOnCall(given: Values): Promise<HttpSource> {
  const { SECRET_MEMBERS } = await import("../../../remote/import/oncall/read.ts");
  const { fromUrl } = given as { fromUrl?: string };
  const base =
    fromUrl === undefined ? {} : { fromUrl: `${fromUrl.replace(/\/+$/, "").replace(/\/api\/v1$/, "")}/api/v1` };
  const authorise = (token: string) => ({ authorization: token });
  return openSource({ ...given, ...base }, { authorise, secretMembers: SECRET_MEMBERS });
}

/** @throws CommandError 7 */
function phonesOf(text: string): ReadonlyMap<string, string> {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== "");
  const rows = lines.map((line) => line.split("\t"));
  const at = rows.findIndex((row) => row.length !== 2);
  if (at >= 0)
    throw new CommandError(EXIT.conflict, `--db: line ${at + 1} is no username and number with a tab between`);
  return new Map(rows.map(([username = "", phone = ""]) => [username, phone]));
}
