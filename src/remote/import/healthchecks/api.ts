import * as v from "valibot";
import { Answers, type MissingAnswer, many, maybe, number, text } from "../answers.ts";
import { type HttpSource, unreadable } from "../http-source.ts";
import type { OldHealthchecks } from "./read.ts";

/* The management API v3 of Healthchecks, with a full key of one project. It shows checks, and of integrations only names. */

const flag = v.optional(v.boolean(), false);
const words = v.optional(v.string(), "");
const Check = v.object({
  ...{ name: v.string(), slug: words, tags: words, desc: words, uuid: v.optional(v.string()), status: words },
  ...{ grace: v.number(), timeout: number, schedule: text, tz: text, methods: words, manual_resume: flag },
  ...{ start_kw: words, success_kw: words, failure_kw: words, channels: words },
  ...{ filter_subject: flag, filter_body: flag, filter_http_body: flag, filter_default_fail: flag },
});
const Channel = v.object({ id: v.string(), name: words, kind: words });

/** Values of answers by which others ping or change a check. */
export const SECRET_MEMBERS = /^(uuid|unique_key|(ping|update|pause|resume|badge)_url)$/;

/** An integration, of which the API shows no more. */
export interface UnshownIntegration {
  readonly name: string;
  readonly kind: string;
  readonly checks: readonly string[];
}

export interface HealthchecksByApi {
  readonly old: OldHealthchecks;
  readonly unshown: readonly UnshownIntegration[];
  readonly missing: readonly MissingAnswer[];
}

/** @param project its name @throws CommandError 4, 5, 7 */
export async function readHealthchecksApi(source: HttpSource, project: string): Promise<HealthchecksByApi> {
  const answers = new Answers(source);
  const checks = (await answers.one("api/v3/checks/", "checks", v.object({ checks: many(Check) })))?.checks ?? [];
  const listed = await answers.one("api/v3/channels/", "integrations", v.object({ channels: maybe(v.array(Channel)) }));
  if (checks.some(({ uuid }) => uuid === undefined)) throw unreadable("the key is read-only, and shows no ping URLs");
  const names = new Map(checks.map(({ uuid, name, slug }) => [uuid, name || slug || uuid]));
  const unshown = (listed?.channels ?? []).map(({ id, name, kind }) => {
    const own = checks.filter(({ channels }) => channels.split(",").includes(id));
    return { name: name || kind, kind, checks: own.map(({ uuid }) => names.get(uuid) ?? "") };
  });
  const old: OldHealthchecks = {
    ...{ "auth.user": [], "accounts.member": [], "accounts.profile": [], "accounts.credential": [], "api.channel": [] },
    "accounts.project": [
      { pk: "1", code: "", name: project, owner: "", ping_key: null, badge_key: null, api_key: null },
    ],
    "api.check": checks.map(({ uuid = "", grace, timeout, schedule, tz, channels: _, ...check }, at) => ({
      ...{ ...check, pk: String(at), code: uuid, project: "1", kind: kindOf(timeout, schedule), badge_key: null },
      ...{ timeout: secondsText(timeout ?? 0), grace: secondsText(grace), schedule: schedule ?? "", tz: tz ?? "" },
    })),
  };
  return { old, unshown, missing: answers.missing };
}

/** The API does not say which form a schedule has. */
function kindOf(timeout: number | null, schedule: string | null): string {
  if (timeout !== null) return "simple";
  return /^\s*[\dA-Za-z*/,#-]+(\s+[\dA-Za-z*/,#-]+){4}\s*$/.test(schedule ?? "") ? "cron" : "oncalendar";
}

/** As Django's dumps have it. */
function secondsText(seconds: number): string {
  return `P0DT0H0M${Math.trunc(seconds)}S`;
}
