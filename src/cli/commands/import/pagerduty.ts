import type { CommandContext } from "../../context.ts";
import type { Values, Verb } from "../../resource.ts";
import { API_FLAGS, apiImportOptions, finishImport, openSource, REGION } from "./import-flags.ts";

const BASES: Readonly<Record<string, string>> = { us: "https://api.pagerduty.com", eu: "https://api.eu.pagerduty.com" };

export const PAGERDUTY: Verb = {
  text: "write configuration files of an account of PagerDuty",
  about: `Teams become projects, with schedules, escalation policies, services with their keys, and event rules of
routers; overrides and maintenance windows are in runtime.yaml. It only reads, with a read-only REST API key. Each
schedule is compared with PagerDuty's own final schedule, and what differs follows PagerDuty's calendar until you
accept it. report.md says what was not taken (exit code 8). It has not yet been run against the live service.`,
  examples: ["--out oncall", "--region eu --from-token @pagerduty.key --out oncall"],
  flags: { ...API_FLAGS, region: REGION },
  act: (context, given) => run(context, given),
};

async function run(context: CommandContext, given: Values): Promise<void> {
  const { readPagerDuty } = await import("../../../remote/import/pagerduty/read.ts");
  const { writePagerDuty } = await import("../../../remote/import/pagerduty/write.ts");
  const base = BASES[String(given["region"])];
  const options = apiImportOptions(given, "pagerduty");
  const authorise = (token: string) => ({
    authorization: `Token token=${token}`,
    accept: "application/vnd.pagerduty+json;version=2",
  });
  const secretMembers = /^(integration_key|routing_key|http_cal_url|web_cal_url|private_urls)$/;
  const source = await openSource(given, { base, authorise, secretMembers });
  await finishImport(context, writePagerDuty(await readPagerDuty(source, options), options), given);
}
