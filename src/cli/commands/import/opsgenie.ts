import type { CommandContext } from "../../context.ts";
import type { Values, Verb } from "../../resource.ts";
import { API_FLAGS, apiImportOptions, finishImport, openSource, REGION } from "./import-flags.ts";

const BASES: Readonly<Record<string, string>> = { us: "https://api.opsgenie.com", eu: "https://api.eu.opsgenie.com" };
const JSM = /\/jsm\/ops\/api\/([^/]+)\/?$/;

export const OPSGENIE: Verb = {
  text: "write configuration files of an account of Opsgenie, or of Jira Service Management operations",
  about: `Teams become projects, with schedules, escalations, routing rules, integrations and heartbeats; overrides and
maintenance are in runtime.yaml. It only reads, with an API key that has read access. Each schedule is compared with
Opsgenie's own timeline, and what differs follows Opsgenie's calendar until you accept it. For Jira Service Management
give --from-url https://api.atlassian.com/jsm/ops/api/<cloud id> and the token "mail:API token". report.md says what
was not taken (exit code 8). It has not yet been run against the live service.`,
  examples: ["--out oncall", "--region eu --from-token @opsgenie.key --out oncall"],
  flags: { ...API_FLAGS, region: REGION },
  act: (context, given) => run(context, given),
};

async function run(context: CommandContext, given: Values): Promise<void> {
  const { readOpsgenie } = await import("../../../remote/import/opsgenie/read.ts");
  const { writeOpsgenie } = await import("../../../remote/import/opsgenie/write.ts");
  const base = BASES[String(given["region"])];
  const options = apiImportOptions(given, "opsgenie");
  const { fromUrl = base ?? "" } = given as { fromUrl?: string };
  const jsm = URL.canParse(fromUrl) ? JSM.exec(new URL(fromUrl).pathname)?.[1] : undefined;
  const authorise = (token: string) => ({
    authorization: jsm === undefined ? `GenieKey ${token}` : `Basic ${Buffer.from(token, "utf8").toString("base64")}`,
  });
  const source = await openSource(given, { base, authorise, secretMembers: /^(apiKey|token)$/i });
  const jira = jsm === undefined ? null : `${new URL(fromUrl).origin}/ex/jira/${jsm}/rest/api/3`;
  await finishImport(context, writeOpsgenie(await readOpsgenie(source, { ...options, jsm: jira }), options), given);
}
